//! Which logs, which witnesses, and how many of them it takes (C2SP tlog-policy).

use std::collections::BTreeMap;

use super::cosignature::cosigned;
use super::note::Note;
use crate::key::{CosignerKey, PublicKey, Vkey};
use crate::text;

/// No policy is longer, in bytes.
pub const LONGEST_POLICY: u64 = 256 * 1024;

/// So many logs, witnesses and groups each.
const MOST: usize = 256;

/// What stands where no witness is wanted.
const NONE: &[u8] = b"none";

/// A policy as its file says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlogPolicy {
    logs: Vec<Vkey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Member,
}

/// Somebody who countersigns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    /// What the policy calls it, escaped.
    pub name: String,
    /// Its key.
    pub key: CosignerKey,
    /// Where it is asked: its submission prefix, without a slash at its end.
    pub url: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Group {
    threshold: usize,
    members: Vec<Member>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Member {
    /// `none`, which vouches for nothing.
    Nobody,
    Witness(usize),
    Group(usize),
}

/// Why a file is no policy: the line, from 1, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotAPolicy {
    /// The line, from 1.
    pub line: usize,
    /// In words, nothing unescaped in it.
    pub what: String,
}

/// Who countersigned a note.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Countersigned {
    /// The witnesses, by their place in the policy, each with its time in seconds since 1970.
    pub by: Vec<(usize, u64)>,
    /// The latest time for which enough of them vouch; none where too few do, or where the policy wants none.
    pub quorum: Option<u64>,
    /// The witnesses in whose name there are lines that they did not sign.
    pub forged: Vec<usize>,
}

impl TlogPolicy {
    /// Reads a file strictly. A last line without an end is refused: half a file could ask for less.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAPolicy> {
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let wrong = |line: usize, what: &str| NotAPolicy { line, what: what.to_owned() };
        if bytes.len() as u64 > LONGEST_POLICY {
            return Err(wrong(1, "the file is longer than any policy"));
        }
        if lines.pop().is_some_and(|rest| !rest.is_empty()) {
            return Err(wrong(lines.len() + 1, "the last line has no end"));
        }
        let mut reading = Reading::default();
        for (index, line) in lines.iter().enumerate() {
            reading.line(line).map_err(|what| NotAPolicy { line: index + 1, what })?;
        }
        let quorum = reading.quorum.ok_or_else(|| wrong(lines.len().max(1), "there is no `quorum` line"))?;
        Ok(Self { logs: reading.logs, witnesses: reading.witnesses, groups: reading.groups, quorum })
    }

    /// The witnesses, in the order of the file.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Whether a log with this key may be meant. A policy without logs leaves that to others.
    pub fn knows(&self, log: &Vkey) -> bool {
        self.logs.is_empty() || self.logs.contains(log)
    }

    /// Who countersigned this note, and whether they are enough. Times after `latest` do not count, nor does the log itself.
    pub fn countersigned(&self, note: &Note, log: &Vkey, latest: u64) -> Countersigned {
        let mut found = Countersigned::default();
        for (index, witness) in self.witnesses.iter().enumerate() {
            match cosigned(note, &witness.key) {
                Ok(Some(time)) if time <= latest && witness.key.public() != log.public() => found.by.push((index, time)),
                Ok(_) => {}
                Err(_) => found.forged.push(index),
            }
        }
        found.quorum = self.time(self.quorum, &found.by);
        found
    }

    /// The latest time for which a member vouches: of a group that of the least of those that it takes.
    fn time(&self, member: Member, by: &[(usize, u64)]) -> Option<u64> {
        match member {
            Member::Nobody => None,
            Member::Witness(index) => by.iter().find(|(witness, _)| *witness == index).map(|(_, time)| *time),
            Member::Group(index) => {
                let group = self.groups.get(index)?;
                let mut times: Vec<u64> = group.members.iter().filter_map(|member| self.time(*member, by)).collect();
                times.sort_unstable_by(|a, b| b.cmp(a));
                times.get(group.threshold - 1).copied()
            }
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    logs: Vec<Vkey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    names: BTreeMap<Vec<u8>, Name>,
    quorum: Option<Member>,
}

struct Name {
    member: Member,
    /// Whether it is in a group already; it counts in one place only.
    taken: bool,
}

impl Reading {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if line.iter().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
            return Err("has a control character".to_owned());
        }
        let words: Vec<&[u8]> = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] | [b"log", key, _] => self.log(key),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            [b"log" | b"witness" | b"group" | b"quorum", ..] => Err("does not have the words that it needs".to_owned()),
            [first, ..] => Err(format!("begins with `{}`, which is none of log, witness, group, quorum", text::escape(first))),
        }
    }

    fn log(&mut self, key: &[u8]) -> Result<(), String> {
        let key = std::str::from_utf8(key).ok().and_then(|key| Vkey::parse(key).ok());
        let key = key.ok_or("names no log key (Ed25519, signature type 1)")?;
        if self.logs.iter().any(|known| known.public() == key.public()) {
            return Err("names a log a second time".to_owned());
        }
        room(self.logs.len())?;
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&[u8]>) -> Result<(), String> {
        let key = std::str::from_utf8(key).ok().and_then(|key| CosignerKey::parse(key).ok());
        let key = key.ok_or("names no witness key that gate verifies (Ed25519, signature type 4)")?;
        let known = |public: PublicKey| self.witnesses.iter().any(|witness| witness.key.public() == public);
        if known(key.public()) {
            return Err("names a witness a second time".to_owned());
        }
        let url = url
            .map(|url| std::str::from_utf8(url).map(|url| url.trim_end_matches('/').to_owned()).map_err(|_| "has a URL that is not UTF-8"));
        let url = url.transpose()?;
        room(self.witnesses.len())?;
        self.name(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness { name: text::escape(name), key, url });
        Ok(())
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], names: &[&[u8]]) -> Result<(), String> {
        let count = names.len();
        let number = || {
            let digits = std::str::from_utf8(threshold).ok()?;
            digits.parse().ok().filter(|number: &usize| number.to_string() == digits)
        };
        let threshold = match threshold {
            b"any" => Some(1),
            b"all" => Some(count),
            _ => number(),
        };
        let threshold = threshold.filter(|threshold| (1..=count).contains(threshold));
        let threshold = threshold.ok_or_else(|| format!("takes neither `any`, `all` nor a number from 1 to {count}"))?;
        let mut members = Vec::with_capacity(count);
        for member in names {
            let known =
                self.names.get_mut(*member).ok_or_else(|| format!("names `{}`, which no line before defines", text::escape(member)))?;
            if std::mem::replace(&mut known.taken, true) {
                return Err(format!("names `{}`, which is in a group already", text::escape(member)));
            }
            members.push(known.member);
        }
        room(self.groups.len())?;
        self.name(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("is a second `quorum` line".to_owned());
        }
        let known = || self.names.get(name).map(|known| known.member);
        let member = if name == NONE { Some(Member::Nobody) } else { known() };
        self.quorum = Some(member.ok_or_else(|| format!("names `{}`, which no line before defines", text::escape(name)))?);
        Ok(())
    }

    fn name(&mut self, name: &[u8], member: Member) -> Result<(), String> {
        if name == NONE || self.names.contains_key(name) {
            return Err(format!("gives the name `{}`, which has a meaning already", text::escape(name)));
        }
        self.names.insert(name.to_vec(), Name { member, taken: false });
        Ok(())
    }
}

fn room(count: usize) -> Result<(), String> {
    if count < MOST { Ok(()) } else { Err(format!("is one more than the {MOST} that gate reads")) }
}
