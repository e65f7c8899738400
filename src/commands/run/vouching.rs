//! What goes to the server of this host's log, and what is kept of what it signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::approval::Stamp;
use crate::audit::{Error, Log, Place, Reader};
use crate::channel::server::{HostLog, LogEnd};
use crate::commands::anchor::{CLOCKS, end};
use crate::commands::surroundings::{log_failed, now};
use crate::error::note;
use crate::key::CosignerKey;
use crate::record::{Line, Note, cosigned};
use crate::sys::clock;

/// The log, and what the server's key for countersigning is called.
pub(super) struct Vouching {
    place: Place,
    witness: String,
}

impl Vouching {
    /// The log of a place, and the server of this origin.
    pub(super) fn new(place: Place, url: &str) -> Self {
        let name = url.split_once("://").map_or(url, |(_, name)| name);
        Self { place, witness: format!("{name}/witness") }
    }

    fn read(&self, from: Option<u64>) -> Result<LogEnd, crate::error::Error> {
        let failed = |error: Error| log_failed(&error);
        let reader = Reader::live(&self.place).map_err(failed)?;
        let (checkpoint, note) = end(&reader)?;
        let size = checkpoint.size;
        let from = from.map_or_else(|| reader.seen_under(&self.witness).map(|seen| seen.min(size)), Ok).map_err(failed)?;
        // What the log does not have cannot be proved; that it does not is what is said then.
        let proof = if from > size { Vec::new() } else { reader.consistency_proof(from, size).map_err(failed)? };
        Ok(LogEnd { note: note.to_string(), size, from, proof: proof.iter().map(|hash| STANDARD.encode(hash)).collect() })
    }

    /// The checkpoint with the server's own lines, where they hold and are of about now.
    fn countersigned(&self, end: &LogEnd, witness: &str, cosignatures: &str, now: Stamp) -> Option<Note> {
        let key = CosignerKey::parse(witness).ok().filter(|key| key.name() == self.witness)?;
        let lines = cosignatures.lines().take(MOST_LINES).map(|line| Line::parse(line).ok()).collect::<Option<Vec<_>>>()?;
        let note = Note::parse(&end.note).ok()?;
        let own = note.clone().with_all(lines).lines(key.name(), key.id());
        let note = note.with(own);
        let time = cosigned(&note, &key).ok()??;
        let seconds = u64::try_from(now.wall / 1_000_000_000).ok()?;
        (time.abs_diff(seconds) <= CLOCKS).then_some(note)
    }
}

/// A server countersigns with one key, or two while it changes it.
const MOST_LINES: usize = 4;

impl HostLog for Vouching {
    fn end(&self, from: Option<u64>) -> Result<LogEnd, String> {
        self.read(from).map_err(|error| format!("the end of this host's log cannot be told to it: {error}"))
    }

    /// A signature that is not kept is missing as an anchor; what people decide does not hang on it.
    fn keep(&self, end: &LogEnd, witness: &str, cosignatures: &str) {
        let Ok(now) = now() else { return };
        let Some(countersigned) = self.countersigned(end, witness, cosignatures, now) else {
            return note("the server countersigned this host's log with a signature that does not hold, which is not kept");
        };
        let kept = Log::open(&self.place, now, &clock::boot_id()).and_then(|mut log| log.keep_countersigned(&countersigned));
        if let Err(error) = kept {
            note(&format!("the server countersigned this host's log, and that cannot be kept: {}", log_failed(&error)));
        }
    }
}
