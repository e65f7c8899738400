//! A standing grant: an approval that is good for more runs than one, of the same command or of a pattern of it.

use serde_json::{Value, json};

use super::asked::ApprovalRequest;
use super::digest::Digest;
use super::submitted::Submitted;
use crate::policy::{StandingLimits, Terms};

/// As many words of one command may be left open.
const MOST_OPEN: usize = 16;

/// A word that may stand for another is no longer than this, in bytes.
const LONGEST_WORD: usize = 255;

/// What an approver lets run beyond the one request: how often in all, until when, and which words may be others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    uses: u32,
    until: i64,
    open: Vec<usize>,
}

/// What somebody has yet to say of a standing grant; its end is counted from their answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// How often it may run in all.
    pub uses: u32,
    /// For how long, in seconds.
    pub seconds: u32,
    /// Which words may be others, as places in the argv.
    pub open: Vec<usize>,
}

/// Why approvals make no standing grant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotStanding(pub &'static str);

/// One use of a standing grant by another request, as a receipt tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drawn {
    /// The canonical text of the request that people saw.
    pub text: String,
    /// When that was made, by the server's clock, in nanoseconds since 1970.
    pub created: i64,
    /// Which of the uses this is; the request that people saw was the first.
    pub nth: u32,
}

/// The use of a standing grant that a request rests on, as its record tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Use {
    /// The id that the host gave the request that people saw.
    pub request: String,
    /// What they answered to.
    pub digest: Digest,
    /// Which use this is.
    pub nth: u32,
    /// What they let run.
    pub standing: Standing,
}

impl Standing {
    /// Words are named once each, in their order, and the program's is never open. None where that is not so.
    pub fn new(uses: u32, until: i64, open: Vec<usize>) -> Option<Self> {
        let ordered = open.first().is_none_or(|first| *first > 0) && open.is_sorted_by(|a, b| a < b) && open.len() <= MOST_OPEN;
        (ordered && (2..=StandingLimits::MOST_USES).contains(&uses)).then_some(Self { uses, until, open })
    }

    /// How often it may run in all, the first time included.
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// Until when, in nanoseconds since 1970 by the clock of whoever took the answer.
    pub fn until(&self) -> i64 {
        self.until
    }

    /// Which words of the argv may be others; none: it is for this very command.
    pub fn open(&self) -> &[usize] {
        &self.open
    }

    /// As statements, receipts and records carry it.
    pub fn value(&self) -> Value {
        json!({ "open": self.open, "until": self.until.to_string(), "uses": self.uses })
    }

    /// Reads what [`Self::value`] writes.
    pub fn read(value: &Value) -> Option<Self> {
        let members = value.as_object().filter(|members| members.len() == 3)?;
        let open = members.get("open")?.as_array()?.iter().map(|at| usize::try_from(at.as_u64()?).ok()).collect::<Option<_>>()?;
        let uses = members.get("uses")?.as_u64()?.try_into().ok()?;
        Self::new(uses, members.get("until")?.as_str()?.parse().ok()?, open)
    }

    /// What several approvals allow together: the fewest uses, the earliest end. None where one of them is for one run only, or
    /// where they leave other words open.
    pub fn of_all<'a>(mut all: impl Iterator<Item = Option<&'a Self>>) -> Option<Self> {
        let first = all.next()??.clone();
        all.try_fold(first, |so_far, next| {
            let next = next.filter(|next| next.open == so_far.open)?;
            Some(Self { uses: so_far.uses.min(next.uses), until: so_far.until.min(next.until), open: so_far.open })
        })
    }

    /// Whether terms allow it in an answer of that moment, in nanoseconds since 1970.
    pub fn permitted(&self, terms: &Terms, at: i64) -> Result<(), NotStanding> {
        let Some(limits) = terms.standing else { return Err(NotStanding("these terms allow no standing grant")) };
        let lasts = self.until.checked_sub(at).and_then(|lasts| u128::try_from(lasts).ok());
        if lasts.is_none_or(|lasts| lasts == 0 || lasts > limits.longest.as_nanos()) {
            return Err(NotStanding("these terms allow no standing grant that lasts so long"));
        }
        if self.uses > limits.uses {
            return Err(NotStanding("these terms allow no standing grant of so many uses"));
        }
        if !self.open.is_empty() && !limits.patterns {
            return Err(NotStanding("these terms allow no standing grant that leaves words open"));
        }
        Ok(())
    }

    /// The first words of a text that may be left open, as places in its argv: as many as one standing grant may name.
    pub fn openable(seen: &Submitted) -> Vec<usize> {
        let argv = seen.value().get("argv").and_then(Value::as_array).into_iter().flatten().enumerate().skip(1);
        argv.filter(|(_, word)| word.as_str().is_some_and(is_plain)).map(|(at, _)| at).take(MOST_OPEN).collect()
    }

    /// Why a request cannot be approved for more runs in this way, whatever its terms allow.
    pub fn fits(&self, seen: &Submitted) -> Result<(), NotStanding> {
        settled(seen.value())?;
        match closed(seen.value().clone(), &self.open) {
            Some(_) => Ok(()),
            None => Err(NotStanding("a word that is to be left open is an option, a secret, or no plain name")),
        }
    }

    /// Whether a request of the same requester is one of those that the approvers let run, as far as a server can tell.
    pub fn covers(&self, seen: &Submitted, asked: &Submitted) -> bool {
        self.same(seen.lasting(), asked.lasting())
    }

    /// The same at the host, which knows the command itself.
    pub(super) fn covers_here(&self, seen: &Submitted, asked: &ApprovalRequest) -> bool {
        asked.as_if(seen).is_some_and(|(rebuilt, kept)| self.same(kept, rebuilt))
    }

    fn same(&self, seen: Value, asked: Value) -> bool {
        if settled(&seen).is_err() {
            return false;
        }
        let (Some((seen, words)), Some((asked, others))) = (closed(seen, &self.open), closed(asked, &self.open)) else { return false };
        seen == asked && words.iter().zip(&others).all(|(word, other)| is_like(word, other))
    }
}

impl Wanted {
    /// The standing grant that this makes in an answer of that moment, in nanoseconds since 1970.
    pub fn from(&self, at: i64) -> Option<Standing> {
        Standing::new(self.uses, at.checked_add(i64::from(self.seconds) * 1_000_000_000)?, self.open.clone())
    }

    /// As the API takes it.
    pub fn value(&self) -> Value {
        json!({ "uses": self.uses, "seconds": self.seconds, "open": self.open })
    }

    /// Whether a standing grant of an answer of that moment says just this.
    pub fn is(&self, standing: &Standing, at: i64) -> bool {
        self.from(at).as_ref() == Some(standing)
    }
}

impl Drawn {
    /// As receipts carry it.
    pub(super) fn value(&self) -> Value {
        json!({ "request": self.text, "created_ns": self.created.to_string(), "nth": self.nth })
    }

    /// Reads what [`Self::value`] writes.
    pub(super) fn read(value: &Value) -> Option<Self> {
        Some(Self {
            text: value.get("request")?.as_str()?.to_owned(),
            created: value.get("created_ns")?.as_str()?.parse().ok()?,
            nth: value.get("nth")?.as_u64()?.try_into().ok()?,
        })
    }
}

impl Use {
    /// The name of what is used up with it: this use has no second one in a log.
    pub fn once(&self) -> String {
        format!("{}/{}", self.digest, self.nth)
    }
}

/// Whether all that a later run would do was there to be seen: what is piped in, an unread program and a secret may be others each time.
fn settled(seen: &Value) -> Result<(), NotStanding> {
    let unread = |value: Option<&Value>| value.and_then(Value::as_str) == Some("unseen");
    let stdin = seen.get("stdin");
    if unread(stdin) || unread(stdin.and_then(|file| file.get("sha256"))) {
        return Err(NotStanding("what it reads from its standard input was not seen: it wants `</dev/null`, or a file"));
    }
    if seen.get("program_sha256").and_then(Value::as_str) == Some("unpinned") {
        return Err(NotStanding("its program could not be read"));
    }
    if seen.get("argv").and_then(Value::as_array).is_none_or(|argv| argv.iter().any(|word| word.get("shown").is_some())) {
        return Err(NotStanding("a word of it is hidden"));
    }
    Ok(())
}

/// Whether a word may be left open, or take the place of one that is: a plain operand, never an option, and no text that something
/// reads as more than a name.
fn is_plain(word: &str) -> bool {
    let begins = word.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || b"_./".contains(&first));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte) || SPECIAL.contains(&byte);
    begins && word.len() <= LONGEST_WORD && word.bytes().all(plain) && !word.split(['/', '=', ':']).any(|part| part == "..")
}

/// What makes paths, addresses and assignments of names.
const SPECIAL: &[u8] = b"/:=@%,";

/// Whether a word is of no other class than the one that people saw: a name does not become a path, nor a path an absolute one.
fn is_like(seen: &str, word: &str) -> bool {
    let begins = |with: char| !word.starts_with(with) || seen.starts_with(with);
    begins('.') && begins('/') && SPECIAL.iter().all(|byte| !word.as_bytes().contains(byte) || seen.as_bytes().contains(byte))
}

/// A request's text with its open words taken out, and with what rules made of just those words; and these words. None where an
/// open word is none that may be.
///
/// Everything else stays: a pattern opens words and never what the rules asked about, the place, the program or who asks.
fn closed(mut text: Value, open: &[usize]) -> Option<(Value, Vec<String>)> {
    let argv = text.get("argv")?.as_array()?;
    let words: Vec<(usize, String)> = open
        .iter()
        .map(|at| argv.get(*at)?.as_str().filter(|word| *at > 0 && is_plain(word)).map(|word| (*at, word.to_owned())))
        .collect::<Option<_>>()?;
    if words.is_empty() {
        return Some((text, Vec::new()));
    }
    for (at, _) in &words {
        *text.get_mut("argv")?.get_mut(*at)? = json!({ "any": at });
    }
    let named = |values: &mut Value| {
        for value in values.as_array_mut().into_iter().flatten() {
            if let Some((at, _)) = words.iter().find(|(_, word)| value.as_str() == Some(word.as_str())) {
                *value = json!({ "any": at });
            }
        }
    };
    text.get_mut("facts")?.as_object_mut()?.values_mut().filter_map(|fact| fact.get_mut("is")).for_each(named);
    text.get_mut("target")?.as_array_mut()?.iter_mut().filter_map(|one| one.get_mut("fact")?.get_mut("is")).for_each(named);
    text.get_mut("rules")?.as_array_mut()?.iter_mut().filter_map(|rule| rule.get_mut("preview")).for_each(named);
    Some((text, words.into_iter().map(|(_, word)| word).collect()))
}
