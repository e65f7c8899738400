use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::shown::{moment, shown};
use crate::record::bytes_text;

/// Policies, files and versions of one file that are told apart.
const MOST: usize = 100;

/// A policy as a whole, all layers together, that decided something.
#[derive(Clone, Debug, Serialize)]
pub struct InForce {
    /// Its SHA-256.
    pub sha256: String,
    /// The first entry that names it.
    pub first: u64,
    /// When that was.
    pub from: String,
    /// When it was named last.
    pub last: String,
    /// Whether it was in force before the span began.
    pub before: bool,
    /// How many decisions of the span it made.
    pub decisions: u64,
}

/// A file of the policy over time.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyFile {
    /// Its name.
    pub path: String,
    /// What it was, the oldest first.
    pub versions: Vec<Version>,
    /// How many later versions are not shown.
    pub more: u64,
}

/// One content of a policy file.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// Its SHA-256.
    pub sha256: String,
    /// The first entry that names it.
    pub first: u64,
    /// When that was, in nanoseconds since 1970.
    #[serde(skip)]
    pub from_wall: i64,
    /// When that was.
    pub from: String,
    /// How many decisions of the span it took part in.
    pub decisions: u64,
}

/// Follows which policy was in force, and how its files changed.
///
/// Two directories may have two project layers, so that the whole changes back and forth; a file changes only when somebody writes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Drift {
    before: Option<InForce>,
    whole: Vec<InForce>,
    more: u64,
    files: BTreeMap<String, PolicyFile>,
    changes: u64,
}

/// Policies in force, how many more, files, and how often one of these changed.
pub(super) type Drifted = (Vec<InForce>, u64, Vec<PolicyFile>, u64);

impl Drift {
    /// Takes what a decision says of its policy. Before the span only the last state counts.
    pub(super) fn see(&mut self, seq: u64, wall: i64, in_span: bool, policy: &Value) {
        let Some(sha256) = policy.get("sha256").and_then(Value::as_str).map(shown) else { return };
        let when = moment(wall);
        if in_span {
            self.decided(seq, when, sha256);
        } else if self.before.as_ref().is_none_or(|before| before.sha256 != sha256) {
            self.before = Some(InForce { sha256, first: seq, from: when.clone(), last: when, before: true, decisions: 0 });
        }
        let files = policy.get("files").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for file in files {
            let path = file.get("path").and_then(bytes_text).map(|path| shown(&path));
            if let (Some(path), Some(sha256)) = (path, file.get("sha256").and_then(Value::as_str)) {
                self.file(seq, wall, in_span, &path, shown(sha256));
            }
        }
    }

    fn decided(&mut self, seq: u64, when: String, sha256: String) {
        if let Some(known) = self.whole.iter_mut().find(|known| known.sha256 == sha256) {
            known.decisions += 1;
            known.last = when;
        } else if self.whole.len() < MOST {
            let before = self.before.take_if(|before| before.sha256 == sha256);
            let new = InForce { sha256, first: seq, from: when.clone(), last: when.clone(), before: false, decisions: 0 };
            self.whole.push(InForce { last: when, decisions: 1, ..before.unwrap_or(new) });
        } else {
            self.more += 1;
        }
    }

    fn file(&mut self, seq: u64, wall: i64, in_span: bool, path: &str, sha256: String) {
        if self.files.len() >= MOST && !self.files.contains_key(path) {
            return;
        }
        let empty = || PolicyFile { path: path.to_owned(), versions: Vec::new(), more: 0 };
        let file = self.files.entry(path.to_owned()).or_insert_with(empty);
        if let Some(last) = file.versions.last_mut().filter(|last| last.sha256 == sha256) {
            last.decisions += u64::from(in_span);
            return;
        }
        if in_span {
            self.changes += u64::from(!file.versions.is_empty());
        } else {
            file.versions.clear();
        }
        if file.versions.len() < MOST {
            file.versions.push(Version { sha256, first: seq, from_wall: wall, from: moment(wall), decisions: u64::from(in_span) });
        } else {
            file.more += 1;
        }
    }

    /// What took part in the span.
    pub(super) fn finish(self) -> Drifted {
        let took_part = |file: &PolicyFile| file.versions.iter().any(|version| version.decisions > 0);
        (self.whole, self.more, self.files.into_values().filter(took_part).collect(), self.changes)
    }
}
