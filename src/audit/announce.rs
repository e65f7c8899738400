//! One line to the local syslog for each entry, once it is durable: a copy of its place and hash where others keep it.

use std::path::PathBuf;
use std::time::Duration;

use crate::record::export::SD_ID;
use crate::record::{Draft, Kind, Stored, hex};
use crate::sys::syslog;
use crate::text;

/// How long a receiver that is busy may hold a command up.
const PATIENCE: Duration = Duration::from_millis(250);

/// Security and authorization messages that are not for everybody (RFC 5424 6.2.1).
const AUTHPRIV: u8 = 10;

/// Where entries are announced, and who is told where that fails: the entry is stored by then, so it is a warning only.
#[derive(Debug)]
pub(super) struct Announcer {
    pub(super) socket: PathBuf,
    pub(super) warn: fn(&str),
    /// What was committed and not announced yet.
    pub(super) lines: Vec<String>,
}

impl Announcer {
    /// Keeps the lines of what was stored; they are sent when nobody waits for the lock any more.
    pub(super) fn keep(&mut self, drafts: &[Draft], stored: &[Stored], note: &str) {
        self.lines.extend(drafts.iter().zip(stored).map(|(draft, stored)| line(draft, stored, note)));
    }

    pub(super) fn send(&mut self) {
        for line in self.lines.drain(..) {
            if let Err(error) = syslog::local(&self.socket, line.as_bytes(), PATIENCE) {
                let socket = text::escape(self.socket.as_os_str().as_encoded_bytes());
                (self.warn)(&format!("the record stands, and syslog was not told: `{socket}`: {error}"));
                return;
            }
        }
    }
}

/// The head is what local receivers read from `syslog(3)`, without the time, which they have themselves; the rest is structured data as
/// RFC 5424 has it. No part of a command is in it.
fn line(draft: &Draft, stored: &Stored, note: &str) -> String {
    let word = |name: &str| draft.fields.get("decision").and_then(|decision| decision.get(name)?.as_str());
    let result = word("result");
    let severity = match draft.kind {
        Kind::AuditFailure => 2,
        Kind::Decision if !matches!(result, Some("allowed" | "approved" | "observed")) => 4,
        _ => 5,
    };
    let mut checkpoint = note.lines();
    let (origin, _, root) = (checkpoint.next().unwrap_or_default(), checkpoint.next(), checkpoint.next().unwrap_or_default());
    let request = draft.request.map(|id| format!(" req=\"{id}\"")).unwrap_or_default();
    // The words of decisions are gate's own and need no escape.
    let decision = result.map(|result| format!(" decision=\"{result}\"")).unwrap_or_default();
    format!(
        "<{}>gate[{}]: [{SD_ID} origin=\"{origin}\" seq=\"{}\" size=\"{}\" root=\"{root}\" leaf=\"{}\" kind=\"{}\"{request}{decision}]",
        AUTHPRIV * 8 + severity,
        std::process::id(),
        stored.seq,
        stored.size,
        hex(&stored.leaf),
        draft.kind,
    )
}
