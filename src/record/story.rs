//! What each step of the story leaves behind, as drafts.

use std::os::unix::ffi::OsStrExt;

use serde_json::{Map, Value, json};

use super::body::{Disclosure, Draft};
use super::disclosure;
use super::kind::Kind;
use super::value::{argv_value, bytes_value, integer};
use super::{hex, sha256};
use crate::approval::{ApprovalRequest, BREAK_GLASS, Basis, Grant, Refusal, Review, Use, behind};
use crate::policy::{Assurance, Hidden, Reason, Risk};
use crate::request::{Context, Fact, Place, Request, Stdin};

/// What a step knows beside the request: the policy's files, and how secrets are salted.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The policy files that took part, each with its SHA-256.
    pub files: &'a [(String, [u8; 32])],
    /// The variables that moved the user's layer or state.
    pub moved: &'a [&'static str],
    /// Random bytes that are stored nowhere: what salts digests comes from them.
    pub salt: &'a [u8; 16],
}

impl Setting<'_> {
    /// A seed of its own for each thing that one record commits to: erasing one tells nothing of another.
    fn seed(&self, kind: Kind, what: &str) -> [u8; 16] {
        let hash = sha256(&[self.salt, kind.word().as_bytes(), b" ", what.as_bytes()]);
        std::array::from_fn(|at| hash[at])
    }
}

/// People are about to be asked.
pub fn asked(asked: &ApprovalRequest, setting: Setting<'_>) -> Draft {
    let terms = asked.asked();
    let mut draft = about(Kind::Request, asked.request(), &terms.hidden, setting);
    let fields = &mut draft.fields;
    fields.insert("risk".into(), terms.risk.word().into());
    fields.insert("digest".into(), asked.digest().to_string().into());
    fields.insert("terms".into(), crate::approval::terms_value(&terms.terms));
    policy(fields, &terms.policy_digest, &terms.reasons, setting);
    draft
}

/// A grant is about to be used: the decision, and the start that follows in the same commit.
pub fn granted(grant: &Grant, process: (i32, u64), setting: Setting<'_>) -> [Draft; 2] {
    let request = grant.request();
    let mut decision = about(Kind::Decision, request, grant.hidden(), setting);
    let (effect, result) = match grant.basis() {
        Basis::Rule => ("allow", "allowed"),
        Basis::Observed => ("ask", "observed"),
        Basis::Reviews { .. } => ("ask", "approved"),
    };
    let mut said = decided(effect, result, grant.reasons());
    if let Basis::Reviews { digest, reviews, standing, .. } = grant.basis() {
        decision.fields.insert("digest".into(), digest.to_string().into());
        if let Some(used) = standing {
            said.insert("standing".into(), used_grant(used));
        }
        reviewed(&mut said, reviews, setting, &mut decision.disclosures);
    }
    decision.fields.insert("decision".into(), Value::Object(said));
    policy(&mut decision.fields, grant.policy_digest(), grant.reasons(), setting);
    let how = grant.how();
    let run = json!({ "outcome": how.outcome, "stdin": stdin_word(&request.context().stdin) });
    decision.fields.insert("run".into(), run);
    let kind = if how.outcome { Kind::ExecStart } else { Kind::ExecReplace };
    let mut fields = Map::new();
    fields.insert("proc".into(), json!({ "pid": process.0, "start": integer(process.1) }));
    [decision, Draft::new(kind, Some(request.id()), fields)]
}

/// Nothing ran: why.
pub fn refused(
    request: &Request,
    reasons: &[Reason],
    hidden: &[Hidden],
    policy_digest: &[u8; 32],
    refusal: &Refusal,
    setting: Setting<'_>,
) -> Draft {
    let mut draft = about(Kind::Decision, request, hidden, setting);
    let effect = if *refusal == Refusal::Denied { "deny" } else { "ask" };
    let mut said = decided(effect, refusal.word(), reasons);
    match refusal {
        Refusal::Rejected { by, comment } => {
            said.insert("by".into(), by.as_str().into());
            if !comment.is_empty() {
                let seed = setting.seed(Kind::Decision, "comment");
                draft.disclosures.push(disclosure::conceal(&mut said, "comment", comment.as_str().into(), seed));
            }
        }
        Refusal::Unreachable(why) | Refusal::Changed(why) | Refusal::Halted(why) => {
            said.insert("why".into(), why.as_str().into());
        }
        Refusal::Denied | Refusal::Expired | Refusal::Pending | Refusal::Cancelled => {}
    }
    draft.fields.insert("decision".into(), Value::Object(said));
    policy(&mut draft.fields, policy_digest, reasons, setting);
    draft
}

/// The command ended.
pub fn ended(
    request: crate::request::RequestId,
    exit: Option<u8>,
    signal: Option<i32>,
    duration: std::time::Duration,
    timed_out: bool,
) -> Draft {
    let mut outcome = Map::new();
    if let Some(code) = exit {
        outcome.insert("exit".into(), code.into());
    }
    if let Some(number) = signal {
        outcome.insert("signal".into(), number.into());
    }
    outcome.insert("duration_ns".into(), integer(i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)));
    if timed_out {
        outcome.insert("timed_out".into(), true.into());
    }
    let mut fields = Map::new();
    fields.insert("outcome".into(), Value::Object(outcome));
    Draft::new(Kind::ExecEnd, Some(request), fields)
}

/// The command could not be started although it was granted.
pub fn failed(request: crate::request::RequestId, error: &str) -> Draft {
    let mut fields = Map::new();
    fields.insert("error".into(), error.into());
    Draft::new(Kind::ExecFail, Some(request), fields)
}

fn decided(effect: &str, result: &str, reasons: &[Reason]) -> Map<String, Value> {
    let rules: Vec<Value> = reasons
        .iter()
        .map(|reason| json!({ "id": reason.rule, "layer": reason.layer.to_string(), "effect": reason.effect.word(), "risk": reason.risk.word() }))
        .collect();
    let mut said = Map::new();
    said.insert("effect".into(), effect.into());
    said.insert("result".into(), result.into());
    said.insert("rules".into(), rules.into());
    said
}

/// The standing grant that was used: what was approved, how far, and which use this is.
fn used_grant(used: &Use) -> Value {
    let mut said = used.standing.value();
    said["request"] = used.request.as_str().into();
    said["digest"] = used.digest.to_string().into();
    said["use"] = used.nth.into();
    said
}

/// Who approved, and how surely: a confirmation at a terminal is never called an approval by another person.
fn reviewed(said: &mut Map<String, Value>, reviews: &[Review], setting: Setting<'_>, disclosures: &mut Vec<Disclosure>) {
    let people: Vec<Value> = reviews
        .iter()
        .enumerate()
        .map(|(at, review)| {
            let mut one = Map::new();
            one.insert("issuer".into(), review.approver.issuer.as_str().into());
            one.insert("subject".into(), review.approver.subject.as_str().into());
            one.insert("channel".into(), review.channel.word().into());
            one.insert("assurance".into(), review.assurance.word().into());
            one.insert("at".into(), integer(review.at.wall));
            one.insert("other_person".into(), (review.assurance > Assurance::Confirm).into());
            if review.slots.iter().any(|slot| slot == BREAK_GLASS) {
                one.insert("break_glass".into(), true.into());
            }
            if let Some([_, person]) = behind(&review.approver, &review.slots).as_deref() {
                one.insert("for".into(), json!({ "issuer": person.issuer, "subject": person.subject }));
            }
            for (name, text) in [("comment", &review.comment), ("justification", &review.justification)] {
                if !text.is_empty() {
                    let seed = setting.seed(Kind::Decision, &format!("{name} {at}"));
                    disclosures.push(disclosure::conceal(&mut one, name, text.as_str().into(), seed));
                }
            }
            if let Some(evidence) = &review.evidence {
                one.insert("evidence".into(), evidence.to_json());
            }
            Value::Object(one)
        })
        .collect();
    said.insert("approvers".into(), people.into());
    if let Some(least) = reviews.iter().map(|review| review.assurance).min() {
        said.insert("assurance".into(), least.word().into());
    }
}

fn policy(fields: &mut Map<String, Value>, digest: &[u8; 32], reasons: &[Reason], setting: Setting<'_>) {
    let rules: Vec<&str> = reasons.iter().map(|reason| reason.rule.as_str()).collect();
    let files: Vec<Value> =
        setting.files.iter().map(|(name, digest)| json!({ "path": bytes_value(name.as_bytes()), "sha256": hex(digest) })).collect();
    let mut said = Map::new();
    said.insert("sha256".into(), hex(digest).into());
    said.insert("rules".into(), rules.into());
    said.insert("files".into(), files.into());
    if !setting.moved.is_empty() {
        said.insert("moved_by".into(), setting.moved.into());
    }
    fields.insert("policy".into(), Value::Object(said));
    let risk = reasons.iter().filter(|reason| reason.effect == strictest(reasons)).map(|reason| reason.risk).max().unwrap_or(Risk::Low);
    fields.entry("risk").or_insert_with(|| risk.word().into());
}

fn strictest(reasons: &[Reason]) -> crate::policy::Effect {
    reasons.iter().map(|reason| reason.effect).max().unwrap_or(crate::policy::Effect::Allow)
}

/// A draft with who, where and what.
fn about(kind: Kind, request: &Request, hidden: &[Hidden], setting: Setting<'_>) -> Draft {
    let context = request.context();
    let mut fields = Map::new();
    fields.insert("actor".into(), actor(request.context()));
    fields.insert("host".into(), json!({ "name": context.host }));
    fields.insert("gate".into(), json!({ "version": env!("CARGO_PKG_VERSION") }));
    let facts: Map<String, Value> = context.facts.iter().map(|(name, fact)| (name.to_string(), fact_value(&fact.shown(name)))).collect();
    if !facts.is_empty() {
        fields.insert("facts".into(), Value::Object(facts));
    }
    let mut draft = Draft::new(kind, Some(request.id()), fields);
    let command = command(request, hidden, setting, &mut draft);
    draft.fields.insert("cmd".into(), command);
    draft
}

/// A fact as records tell it.
pub fn fact_value(fact: &Fact) -> Value {
    match fact {
        Fact::Known { values, files } if files.is_empty() => json!({ "is": values }),
        Fact::Known { values, files } => {
            let files: Vec<Value> = files
                .iter()
                .map(|(path, digest)| json!({ "path": bytes_value(path.as_os_str().as_bytes()), "sha256": hex(digest) }))
                .collect();
            json!({ "is": values, "files": files })
        }
        Fact::Absent => json!({ "absent": true }),
        Fact::Unknown(why) => json!({ "unknown": why }),
    }
}

/// Who does something, as records tell it.
pub fn actor(context: &Context) -> Value {
    let who = &context.who;
    let mut actor = Map::new();
    actor.insert("uid".into(), who.uid.into());
    actor.insert("euid".into(), who.euid.into());
    actor.insert("gid".into(), who.gid.into());
    actor.insert("session".into(), who.session.into());
    actor.insert("asker".into(), context.asker.to_string().into());
    let optional = [
        ("user", who.user.as_deref().map(Value::from)),
        ("loginuid", who.login_uid.map(Value::from)),
        ("tty", who.tty.as_ref().map(|tty| bytes_value(tty.as_os_str().as_bytes()))),
        ("ssh_client", who.ssh_client.as_deref().map(Value::from)),
        ("parent", context.parent.as_deref().map(Value::from)),
    ];
    actor.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    if !context.ancestry.is_empty() {
        let chain: Vec<Value> = context
            .ancestry
            .iter()
            .map(|process| json!({ "pid": process.pid, "name": bytes_value(process.name.as_bytes()), "start": integer(process.start) }))
            .collect();
        actor.insert("ancestry".into(), chain.into());
    }
    Value::Object(actor)
}

fn command(request: &Request, hidden: &[Hidden], setting: Setting<'_>, draft: &mut Draft) -> Value {
    let program = request.program();
    let mut command = Map::new();
    command.insert("program".into(), bytes_value(program.typed_name()));
    command.insert("path".into(), bytes_value(program.path.as_os_str().as_bytes()));
    if program.real != program.path {
        command.insert("real".into(), bytes_value(program.real.as_os_str().as_bytes()));
    }
    let id = program.identity;
    command.insert(
        "file".into(),
        json!({ "dev": integer(id.dev), "ino": integer(id.ino), "size": integer(id.size), "mtime_ns": integer(id.mtime), "ctime_ns": integer(id.ctime) }),
    );
    if let Some(digest) = &program.sha256 {
        command.insert("sha256".into(), hex(digest).into());
    }
    match &program.kind {
        crate::request::Kind::Elf => {}
        crate::request::Kind::Script { interpreter, .. } => {
            command.insert("interpreter".into(), bytes_value(interpreter.as_os_str().as_bytes()));
        }
        // execvp(3) runs such a file with the shell, and so does gate.
        crate::request::Kind::Text => {
            command.insert("interpreter".into(), "/bin/sh".into());
        }
    }
    if let Place::Untrusted(why) = &program.place {
        command.insert("untrusted".into(), why.as_str().into());
    }
    let line = line(request, hidden, setting, draft);
    draft.disclosures.push(disclosure::conceal_line(&mut command, line, setting.seed(draft.kind, "line")));
    let pinned: Vec<Value> = request
        .context()
        .pinned
        .iter()
        .map(|(path, digest)| json!({ "path": bytes_value(path.as_os_str().as_bytes()), "sha256": hex(digest) }))
        .collect();
    if !pinned.is_empty() {
        command.insert("compared".into(), pinned.into());
    }
    if let Stdin::File { offset, size, sha256: Some(digest) } = &request.context().stdin {
        command.insert("stdin".into(), json!({ "offset": integer(*offset), "size": integer(*size), "sha256": hex(digest) }));
    }
    Value::Object(command)
}

/// What was typed and where: words that nobody knew for a secret stand among them, so all of it may be erased.
fn line(request: &Request, hidden: &[Hidden], setting: Setting<'_>, draft: &mut Draft) -> Map<String, Value> {
    let salt = setting.seed(draft.kind, "hidden");
    let shown: Vec<Vec<u8>> = request.argv().bytes().enumerate().map(|(at, word)| redacted(at, word, hidden, &salt)).collect();
    let (argv, blob) = argv_value(shown.iter().map(Vec::as_slice));
    draft.blobs.extend(blob);
    let mut line = Map::new();
    line.insert("argv".into(), argv);
    if !request.context().words.is_empty() {
        line.insert("words".into(), request.context().words.clone().into());
    }
    if let Some(cwd) = &request.context().cwd {
        line.insert("cwd".into(), bytes_value(cwd.path.as_os_str().as_bytes()));
    }
    if !hidden.is_empty() {
        line.insert("salt".into(), hex(&salt).into());
    }
    line
}

/// A word with its secrets replaced by digests, which are salted with the line's `salt`.
fn redacted(at: usize, word: &[u8], hidden: &[Hidden], salt: &[u8; 16]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(word.len());
    let mut from = 0;
    for span in hidden.iter().filter(|span| span.word == at) {
        let (Some(before), Some(secret)) = (word.get(from..span.start), word.get(span.start..span.end)) else {
            return b"<hidden>".to_vec();
        };
        let digest = hex(&sha256(&[salt, &at.to_be_bytes(), secret]));
        shown.extend_from_slice(before);
        shown.extend_from_slice(format!("<hidden, {} bytes, {}>", secret.len(), &digest[..16]).as_bytes());
        from = span.end;
    }
    shown.extend_from_slice(word.get(from..).unwrap_or_default());
    shown
}

fn stdin_word(stdin: &Stdin) -> &'static str {
    match stdin {
        Stdin::Tty => "tty",
        Stdin::Empty => "empty",
        Stdin::File { .. } => "file",
        Stdin::Unseen => "unseen",
    }
}
