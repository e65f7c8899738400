//! The bytes that a digest is taken over: RFC 8785 JSON with ASCII names, whole numbers and no nulls.

use std::os::unix::ffi::OsStrExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::digest::{Stamp, sha256};
use super::previewed::Previewed;
use crate::policy::{Asked, Hidden, Justification, Reason, Terms};
use crate::request::{Asker, Environment, Fact, Job, Request, Stdin};
use crate::text::hex;

/// Everything that approvers decide about, in one canonical text.
pub(super) fn canonical(
    request: &Request,
    asked: &Asked,
    nonce: &[u8; 16],
    created: Stamp,
    justified: &str,
    previews: &[Previewed],
) -> String {
    let context = request.context();
    let program = request.program();
    let argv: Vec<Value> = request.argv().bytes().enumerate().map(|(at, word)| word_value(at, word, &asked.hidden, nonce)).collect();
    let mut all = Map::new();
    let mut set = |name: &str, value: Value| all.insert(name.to_owned(), value);
    set("v", 2.into());
    set("request", request.id().to_string().into());
    set("argv", argv.into());
    set("program", json!({ "path": bytes(program.path.as_os_str().as_bytes()), "real": bytes(program.real.as_os_str().as_bytes()) }));
    set("program_sha256", program.sha256.map_or_else(|| "unpinned".into(), |digest| hex(&digest).into()));
    set(
        "cwd",
        context.cwd.as_ref().map_or_else(
            || json!({}),
            |cwd| json!({ "path": bytes(cwd.path.as_os_str().as_bytes()), "dev": cwd.dev.to_string(), "ino": cwd.ino.to_string() }),
        ),
    );
    set("environment_sha256", environment(&context.environment).into());
    set("facts", context.facts.iter().map(|(name, fact)| (name.to_string(), self::fact(fact))).collect::<Map<_, _>>().into());
    set(
        "pinned",
        context.pinned.iter().map(|(path, digest)| json!({ "path": bytes(path.as_os_str().as_bytes()), "sha256": hex(digest) })).collect(),
    );
    set("stdin", stdin(&context.stdin));
    set("host", context.host.as_str().into());
    set("uid", context.who.uid.into());
    set("user", context.who.user.as_deref().unwrap_or_default().into());
    set("loginuid", context.who.login_uid.map_or_else(|| "none".into(), Value::from));
    set("asker", context.asker.to_string().into());
    set("policy", hex(&asked.policy_digest).into());
    set("ancestry", context.ancestry.iter().map(|process| bytes(process.name.as_bytes())).collect());
    set("rules", asked.reasons.iter().map(reason).collect());
    set("target", asked.target.iter().map(|(name, is)| json!({ "name": name, "fact": fact(is) })).collect());
    set("justification", justified.into());
    set("risk", asked.risk.word().into());
    set("terms", terms_value(&asked.terms));
    set("how", how(asked));
    set("nonce", hex(nonce).into());
    set("created_ns", created.wall.to_string().into());
    set("lifetime_s", asked.terms.within.as_secs().into());
    if let Some(job) = Job::claimed(&context.environment).filter(|_| context.asker != Asker::Person) {
        all.insert("job".to_owned(), json!({ "name": job.name(), "url": job.url() }));
    }
    if !previews.is_empty() {
        all.insert("previews".to_owned(), previews.iter().map(Previewed::value).collect());
    }
    Value::Object(all).to_string()
}

/// Terms as they are recorded and signed: exactly what the policy wrote, defaults filled in.
pub fn terms_value(terms: &Terms) -> Value {
    let mut all = json!({
        "approvers": terms.approvers,
        "threshold": terms.threshold,
        "assurance": terms.assurance.word(),
        "within_s": terms.within.as_secs(),
        "valid_s": terms.valid.as_secs(),
        "channels": terms.channels.iter().map(|channel| channel.word()).collect::<Vec<_>>(),
        "justification": terms.justification.iter().map(justification).collect::<Vec<_>>(),
        "escalate": terms.escalate.iter().map(|step| json!({ "after_s": step.after.as_secs(), "approvers": step.approvers })).collect::<Vec<_>>(),
    });
    if let Value::Object(map) = &mut all {
        if let Some(fresh) = terms.fresh {
            map.insert("fresh_s".to_owned(), fresh.as_secs().into());
        }
        if terms.dev {
            map.insert("dev".to_owned(), true.into());
        }
    }
    if let Some(limits) = terms.standing {
        all["standing"] = json!({ "longest_s": limits.longest.as_secs(), "uses": limits.uses, "patterns": limits.patterns });
    }
    if let (false, Value::Object(map)) = (terms.break_glass.is_empty(), &mut all) {
        map.insert("break_glass".to_owned(), terms.break_glass.as_slice().into());
    }
    all
}

fn justification(wanted: &Justification) -> Value {
    match wanted {
        Justification::None => "none".into(),
        Justification::Text => "text".into(),
        Justification::Pattern(pattern) => json!({ "pattern": pattern }),
    }
}

fn how(asked: &Asked) -> Value {
    let how = &asked.how;
    let stdin = serde_json::to_value(how.stdin).unwrap_or_default();
    json!({ "stdin": stdin, "pins": how.pins, "strip": how.strip, "timeout_s": how.timeout.map_or(0, |timeout| timeout.as_secs()) })
}

pub(super) fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "b64": STANDARD.encode(bytes) }),
    }
}

/// A word; one that holds a secret is its visible parts and a salted commitment to the whole.
fn word_value(at: usize, word: &[u8], hidden: &[Hidden], nonce: &[u8; 16]) -> Value {
    if !hidden.iter().any(|span| span.word == at) {
        return bytes(word);
    }
    let committed = [nonce.as_slice(), &at.to_be_bytes(), word].concat();
    let mut shown = Vec::new();
    let mut from = 0;
    for span in hidden.iter().filter(|span| span.word == at) {
        shown.extend_from_slice(word.get(from..span.start).unwrap_or_default());
        shown.extend_from_slice(format!("<hidden, {} bytes>", span.end.saturating_sub(span.start)).as_bytes());
        from = span.end;
    }
    shown.extend_from_slice(word.get(from..).unwrap_or_default());
    json!({ "commitment": hex(&sha256(&committed)), "len": word.len(), "shown": bytes(&shown) })
}

/// A rule that took part, with all that it says to people.
fn reason(reason: &Reason) -> Value {
    json!({
        "id": reason.rule,
        "layer": reason.layer.to_string(),
        "effect": reason.effect.word(),
        "risk": reason.risk.word(),
        "data": reason.data,
        "reason": reason.text,
        "instead": reason.instead.as_deref().unwrap_or_default(),
        "preview": reason.preview,
    })
}

fn environment(environment: &Environment) -> String {
    let all: Vec<u8> = environment.entries().flat_map(|entry| entry.as_bytes().iter().copied().chain([0])).collect();
    hex(&sha256(&all))
}

fn fact(fact: &Fact) -> Value {
    match fact {
        Fact::Known { values, files } => {
            let files: Vec<Value> =
                files.iter().map(|(path, digest)| json!({ "path": bytes(path.as_os_str().as_bytes()), "sha256": hex(digest) })).collect();
            json!({ "is": values, "files": files })
        }
        Fact::Absent => json!({ "absent": true }),
        Fact::Unknown(why) => json!({ "unknown": why }),
    }
}

fn stdin(stdin: &Stdin) -> Value {
    match stdin {
        Stdin::Tty => "tty".into(),
        Stdin::Empty => "empty".into(),
        Stdin::Unseen => "unseen".into(),
        Stdin::File { offset, size, sha256 } => {
            let digest = sha256.map_or_else(|| "unseen".into(), |digest| hex(&digest));
            json!({ "offset": offset.to_string(), "size": size.to_string(), "sha256": digest })
        }
    }
}
