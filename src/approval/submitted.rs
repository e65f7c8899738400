use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::digest::{Digest, sha256};
use super::previewed::Previewed;
use crate::policy::{Assurance, Channel, Escalation, Justification, Risk, StandingLimits, Terms};
use crate::request::Job;
use crate::text::hex;

/// What a submitted request may be long at most, in bytes.
pub const LONGEST: usize = 256 * 1024;

/// Members that differ from run to run of the same command by the same asker.
const PASSING: [&str; 5] = ["request", "nonce", "created_ns", "ancestry", "previews"];

/// An approval request as a server is told it: the canonical text, its digest, and what that text says.
#[derive(Clone, PartialEq, Debug)]
pub struct Submitted(Arc<Read>);

#[derive(PartialEq, Debug)]
struct Read {
    value: Value,
    text: String,
    digest: Digest,
    said: Said,
}

/// Something that is no approval request: what is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed(pub &'static str);

/// The most bytes of a hidden part that are counted; a text that names more shows as it is.
const MOST_HIDDEN: usize = 64 * 1024;

/// A word of the argv as reviewers may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// Its bytes; a secret in them stands as `<hidden, N bytes>`.
    pub shown: Vec<u8>,
    /// Whether a part of it is hidden.
    pub hidden: bool,
}

/// A stretch of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// Bytes that reviewers may see.
    Shown(&'a [u8]),
    /// So many bytes that they may not.
    Hidden(usize),
}

impl Word {
    /// The word's stretches in their order. What says that it stands for more bytes than a word may have hides nothing.
    pub fn parts(&self) -> Vec<Part<'_>> {
        const START: &[u8] = b"<hidden, ";
        const END: &[u8] = b" bytes>";
        let hidden = |at: usize| {
            let tail = self.shown.get(at..)?.strip_prefix(START)?;
            let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let count: usize = std::str::from_utf8(tail.get(..digits)?).ok()?.parse().ok()?;
            let rest = tail.get(digits..)?.strip_prefix(END).filter(|_| count <= MOST_HIDDEN)?;
            Some((count, self.shown.len() - rest.len()))
        };
        let (mut parts, mut from, mut at) = (Vec::new(), 0, 0);
        while self.hidden && at < self.shown.len() {
            let Some((count, next)) = hidden(at) else {
                at += 1;
                continue;
            };
            parts.extend((from < at).then(|| Part::Shown(&self.shown[from..at])));
            parts.push(Part::Hidden(count));
            (from, at) = (next, next);
        }
        let rest = &self.shown[from..];
        parts.extend((!rest.is_empty()).then_some(Part::Shown(rest)));
        parts
    }
}

/// A rule that took part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// The layer that it stands in.
    pub layer: String,
    /// `allow`, `ask` or `deny`.
    pub effect: String,
    /// How bad it is.
    pub risk: String,
    /// The classes of data that it touches.
    pub data: Vec<String>,
    /// Why it matters.
    pub reason: String,
    /// What would be safer; may be empty.
    pub instead: String,
    /// A command that shows what would happen; may be empty.
    pub preview: Vec<String>,
}

/// What the text says. Nothing here is proved: the host's gate says so, and the digest binds it to that.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// The host's own id of the request.
    pub request: String,
    /// What would run.
    pub argv: Vec<Word>,
    /// The program's path as it was found.
    pub program: Vec<u8>,
    /// SHA-256 of the program in hex, or `unpinned`.
    pub program_sha256: String,
    /// Where; none where the directory is gone.
    pub cwd: Option<Vec<u8>>,
    /// What it acts on: name and value as people read it.
    pub target: Vec<(String, String)>,
    /// What rules asked about: name and value as people read it.
    pub facts: Vec<(String, String)>,
    /// The files that are compared before it runs, with their SHA-256.
    pub pinned: Vec<(Vec<u8>, String)>,
    /// `tty`, `empty`, `file` or `unseen`.
    pub stdin: &'static str,
    /// The host's name.
    pub host: String,
    /// The uid there.
    pub uid: u32,
    /// The user's name there; may be empty.
    pub user: String,
    /// `person`, `agent:NAME` or `ci:NAME`.
    pub asker: String,
    /// The job of a CI provider that it runs in. Claimed.
    pub job: Option<Job>,
    /// The names of the processes above, the nearest first.
    pub ancestry: Vec<Vec<u8>>,
    /// The rules that took part.
    pub rules: Vec<Rule>,
    /// What the previews of the rules showed there.
    pub previews: Vec<Previewed>,
    /// How bad it is.
    pub risk: Risk,
    /// Why the requester wants it; may be empty.
    pub justification: String,
    /// What it takes to approve.
    pub terms: Terms,
    /// When it was asked, in nanoseconds since 1970 by the host's clock.
    pub created: i64,
}

impl Submitted {
    /// Reads a JSON object and takes the digest over its canonical text, whatever spelling it came in.
    pub fn read(value: &Value) -> Result<Self, Malformed> {
        Self::of(value.clone())
    }

    fn of(value: Value) -> Result<Self, Malformed> {
        if !value.is_object() || !is_plain(&value, 0) {
            return Err(Malformed("not an object of whole numbers, texts, lists and objects with ASCII names"));
        }
        // serde_json sorts members and writes whole numbers and texts as RFC 8785 wants them.
        let text = value.to_string();
        if text.len() > LONGEST {
            return Err(Malformed("longer than 256 KiB"));
        }
        let said = Said::read(&value).ok_or(Malformed("a member is missing, or is not what it has to be"))?;
        Ok(Self(Arc::new(Read { value, digest: Digest::of(text.as_bytes()), text, said })))
    }

    /// Reads a text that was canonical when it was kept.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let value: Value = serde_json::from_str(text).map_err(|_| Malformed("not JSON"))?;
        let read = Self::of(value)?;
        if read.text() == text { Ok(read) } else { Err(Malformed("not canonical")) }
    }

    /// The canonical text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The text as JSON.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// What approvers sign.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What the same command run again by the same asker has too: SHA-256 in hex.
    pub fn key(&self) -> String {
        hex(&sha256(self.lasting().to_string().as_bytes()))
    }

    /// That as JSON.
    pub(super) fn lasting(&self) -> Value {
        let mut lasting = self.0.value.as_object().cloned().unwrap_or_default();
        lasting.retain(|name, _| !PASSING.contains(&name.as_str()));
        if let Some(Value::Object(facts)) = lasting.get_mut("facts") {
            facts.remove("time");
        }
        commitments_out(&mut lasting);
        Value::Object(lasting)
    }

    /// What the text says.
    pub fn said(&self) -> &Said {
        &self.0.said
    }
}

/// A secret's commitment is salted with the nonce; its length alone stays.
fn commitments_out(object: &mut Map<String, Value>) {
    let words = object.get_mut("argv").and_then(Value::as_array_mut);
    for word in words.into_iter().flatten().filter_map(Value::as_object_mut) {
        word.remove("commitment");
    }
}

fn is_plain(value: &Value, depth: u8) -> bool {
    const MOST: u64 = (1 << 53) - 1;
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.as_i64().is_some_and(|number| number.unsigned_abs() <= MOST),
        Value::Array(all) => depth < 16 && all.iter().all(|one| is_plain(one, depth + 1)),
        Value::Object(all) => {
            depth < 16
                && all
                    .iter()
                    .all(|(name, one)| name.is_ascii() && !name.contains(|c: char| c.is_ascii_control()) && is_plain(one, depth + 1))
        }
    }
}

impl Said {
    /// What commands have in common that the same rules ask about of the same program: SHA-256 in hex.
    pub fn alike(&self) -> String {
        let asked = self.rules.iter().filter(|rule| rule.effect == "ask");
        // Each id has its length before it, so that no two lists make the same bytes.
        let rules = asked.fold(String::new(), |all, rule| all + &format!("{} {}\n", rule.id.len(), rule.id));
        hex(&sha256(&[rules.as_bytes(), &self.program].concat()))
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let list = |name: &str| value.get(name)?.as_array();
        if value.get("v")?.as_u64()? != 2 {
            return None;
        }
        let argv: Vec<Word> = list("argv")?.iter().map(word).collect::<Option<_>>()?;
        if argv.is_empty() {
            return None;
        }
        let cwd = value.get("cwd")?.as_object()?;
        let pinned = list("pinned")?.iter().map(|pin| Some((bytes(pin.get("path")?)?, pin.get("sha256")?.as_str()?.to_owned())));
        let terms = terms(value.get("terms")?)?;
        Some(Self {
            request: text("request")?,
            argv,
            program: bytes(value.get("program")?.get("path")?)?,
            program_sha256: text("program_sha256")?,
            cwd: if cwd.is_empty() { None } else { Some(bytes(cwd.get("path")?)?) },
            target: list("target")?
                .iter()
                .map(|one| Some((one.get("name")?.as_str()?.to_owned(), fact(one.get("fact")?)?)))
                .collect::<Option<_>>()?,
            facts: value.get("facts")?.as_object()?.iter().map(|(name, is)| Some((name.clone(), fact(is)?))).collect::<Option<_>>()?,
            pinned: pinned.collect::<Option<_>>()?,
            stdin: stdin(value.get("stdin")?)?,
            host: text("host")?,
            uid: value.get("uid")?.as_u64()?.try_into().ok()?,
            user: text("user")?,
            asker: text("asker")?,
            job: match value.get("job") {
                None => None,
                Some(job) => Some(Job::new(job.get("name")?.as_str()?, job.get("url")?.as_str()?)?),
            },
            ancestry: list("ancestry")?.iter().map(bytes).collect::<Option<_>>()?,
            rules: list("rules")?.iter().map(rule).collect::<Option<_>>()?,
            previews: match value.get("previews") {
                None => Vec::new(),
                Some(shown) => shown.as_array()?.iter().map(Previewed::read).collect::<Option<_>>()?,
            },
            risk: Risk::parse(value.get("risk")?.as_str()?)?,
            justification: text("justification")?,
            created: text("created_ns")?.parse().ok()?,
            // The lifetime is said twice in the text; where the two differ nobody knows which was meant.
            terms: if value.get("lifetime_s")?.as_u64()? == terms.within.as_secs() { terms } else { return None },
        })
    }
}

pub(super) fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(object) if object.len() == 1 => STANDARD.decode(object.get("b64")?.as_str()?).ok(),
        _ => None,
    }
}

fn word(value: &Value) -> Option<Word> {
    match value.get("commitment") {
        None => Some(Word { shown: bytes(value)?, hidden: false }),
        Some(_) => Some(Word { shown: bytes(value.get("shown")?)?, hidden: true }),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|one| Some(one.as_str()?.to_owned())).collect()
}

fn fact(value: &Value) -> Option<String> {
    if let Some(values) = value.get("is") {
        return Some(texts(values)?.join(", "));
    }
    match value.get("unknown") {
        Some(why) => Some(format!("unknown: {}", why.as_str()?)),
        None => value.get("absent").map(|_| "none".to_owned()),
    }
}

fn stdin(value: &Value) -> Option<&'static str> {
    match value.as_str() {
        Some(word) => ["tty", "empty", "unseen"].into_iter().find(|known| *known == word),
        None => value.get("sha256").map(|_| "file"),
    }
}

fn rule(value: &Value) -> Option<Rule> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    Some(Rule {
        id: text("id")?,
        layer: text("layer")?,
        effect: text("effect")?,
        risk: text("risk")?,
        data: texts(value.get("data")?)?,
        reason: text("reason")?,
        instead: text("instead")?,
        preview: texts(value.get("preview")?)?,
    })
}

/// Terms as [`super::terms_value`] writes them.
fn terms(value: &Value) -> Option<Terms> {
    let seconds = |name: &str| value.get(name)?.as_u64().filter(|seconds| *seconds <= 366 * 86400).map(Duration::from_secs);
    let channels = texts(value.get("channels")?)?;
    let justification = |one: &Value| match (one.as_str(), one.get("pattern").and_then(Value::as_str)) {
        (Some("none"), _) => Some(Justification::None),
        (Some("text"), _) => Some(Justification::Text),
        (None, Some(pattern)) => Some(Justification::Pattern(pattern.to_owned())),
        _ => None,
    };
    let step = |step: &Value| {
        let after = step.get("after_s")?.as_u64().filter(|seconds| *seconds <= 366 * 86400)?;
        Some(Escalation { after: Duration::from_secs(after), approvers: texts(step.get("approvers")?)? })
    };
    Some(Terms {
        approvers: texts(value.get("approvers")?)?,
        threshold: value.get("threshold")?.as_u64()?.try_into().ok().filter(|threshold| (1..=100).contains(threshold))?,
        assurance: Assurance::parse(value.get("assurance")?.as_str()?)?,
        fresh: if value.get("fresh_s").is_some() { Some(seconds("fresh_s")?) } else { None },
        within: seconds("within_s")?,
        valid: seconds("valid_s")?,
        channels: channels.iter().map(|word| Channel::parse(word)).collect::<Option<BTreeSet<_>>>()?,
        justification: value.get("justification")?.as_array()?.iter().map(justification).collect::<Option<_>>()?,
        escalate: value.get("escalate")?.as_array()?.iter().map(step).collect::<Option<_>>()?,
        break_glass: value.get("break_glass").map_or(Some(Vec::new()), texts)?,
        standing: match value.get("standing") {
            None => None,
            Some(limits) => Some(StandingLimits {
                longest: Duration::from_secs(limits.get("longest_s")?.as_u64().filter(|seconds| *seconds <= 366 * 86400)?),
                uses: limits.get("uses")?.as_u64()?.try_into().ok()?,
                patterns: limits.get("patterns")?.as_bool()?,
            }),
        },
        dev: value.get("dev").is_some_and(|dev| *dev == Value::Bool(true)),
    })
}
