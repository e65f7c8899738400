//! What witnesses countersigned: kept beside the entries, and read back only where it holds.

use rusqlite::{OptionalExtension, params};

use super::error::{Error, Kind};
use super::head::Head;
use super::log::Log;
use super::reader::Reader;
use super::verify::{Check, Report};
use crate::key::{CosignerKey, Vkey};
use crate::record::{Checkpoint, Note, TlogPolicy};

/// So many of the newest countersigned checkpoints are looked through for one that enough witnesses signed.
const LOOKED_AT: u64 = 64;

/// Which witnesses count.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The policy that names them.
    pub policy: TlogPolicy,
    /// Countersignatures of later times do not count, in seconds since 1970.
    pub latest: u64,
    /// How many entries have to be vouched for; the newest checkpoint where nothing is said, else the first that covers these.
    pub at: Option<u64>,
}

/// A checkpoint that enough witnesses countersigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witnessed {
    /// How many entries it has.
    pub size: u64,
    /// Up to when they vouch for it, in seconds since 1970.
    pub time: u64,
    /// The witnesses, by their names in the policy, each with its own time.
    pub by: Vec<(String, u64)>,
}

impl Expected {
    /// Judges a note that the log's own key signed. An error names the witness in whose name a line is forged.
    fn judge(&self, checkpoint: &Checkpoint, note: &Note, log: &Vkey) -> Result<Option<Witnessed>, String> {
        let found = self.policy.countersigned(note, log, self.latest);
        let name = |index: usize| self.policy.witnesses().get(index).map(|witness| witness.name.clone()).unwrap_or_default();
        if let Some(forged) = found.forged.first() {
            let size = checkpoint.size;
            return Err(format!(
                "the checkpoint of {size} entries carries a countersignature that is not of the witness `{}`",
                name(*forged)
            ));
        }
        let by = found.by.iter().map(|(index, time)| (name(*index), *time)).collect();
        Ok(found.quorum.map(|time| Witnessed { size: checkpoint.size, time, by }))
    }

    /// Whether a checkpoint of this size says more than what was found.
    fn prefers(&self, size: u64, found: Option<&Witnessed>) -> bool {
        match (self.at, found) {
            (Some(at), _) if size < at => false,
            (_, None) => true,
            (Some(_), Some(found)) => size < found.size,
            (None, Some(found)) => size >= found.size,
        }
    }
}

impl Report {
    /// Notes what witnesses say of a checkpoint of this log.
    pub(super) fn witness(&mut self, check: &Check, checkpoint: &Checkpoint, note: &Note, log: &Vkey) {
        let Some(expected) = &check.witnesses else { return };
        if !expected.prefers(checkpoint.size, self.witnessed.as_ref()) {
            return;
        }
        match expected.judge(checkpoint, note, log) {
            Ok(Some(witnessed)) => self.witnessed = Some(witnessed),
            Ok(None) => {}
            Err(forged) => self.wrong(None, forged),
        }
    }

    /// A policy that names logs names this one.
    pub(super) fn expect_log(&mut self, check: &Check, log: &Vkey) {
        if check.witnesses.as_ref().is_some_and(|expected| !expected.policy.knows(log)) {
            self.wrong(None, "the log has a key that the policy of witnesses does not name");
        }
    }
}

impl Reader {
    /// Adds to a report what the witnesses say: of the checkpoint kept elsewhere, and of those in the log.
    pub(super) fn witnesses(&self, head: &Head, check: &Check, report: &mut Report) -> Result<(), Error> {
        let Some(expected) = &check.witnesses else { return Ok(()) };
        report.expect_log(check, &head.log_key);
        let kept = check.against.as_deref().and_then(|text| Note::parse(text).ok());
        if let Some((checkpoint, note)) = kept.and_then(|note| Some((Checkpoint::parse(note.text()).ok()?, note))) {
            report.witness(check, &checkpoint, &note, &head.log_key);
        }
        let order = if expected.at.is_some() { "size>=?1 ORDER BY size" } else { "size>=?1 ORDER BY size DESC" };
        let from = expected.at.unwrap_or(0);
        self.each_countersigned(head, order, from, |checkpoint, note| {
            report.witness(check, &checkpoint, &note, &head.log_key);
            report.witnessed.as_ref().is_none_or(|found| expected.prefers(checkpoint.size, Some(found)))
        })
    }

    /// The newest checkpoint that enough witnesses countersigned, each line of it verified.
    pub fn last_anchor(&self, expected: &Expected) -> Result<Option<Witnessed>, Error> {
        let head = self.head()?;
        let (mut found, mut left, mut forged) = (None, LOOKED_AT, None);
        self.each_countersigned(&head, "size>=?1 ORDER BY size DESC", 0, |checkpoint, note| {
            match expected.judge(&checkpoint, &note, &head.log_key) {
                Ok(witnessed) => found = witnessed,
                Err(what) => forged = Some(what),
            }
            left -= 1;
            found.is_none() && forged.is_none() && left > 0
        })?;
        forged.map_or(Ok(found), |what| Err(self.damaged(&format!("is not as gate wrote it: {what}"))))
    }

    /// How many entries the newest kept checkpoint has that carries a line of this witness; 0 where none does.
    pub fn seen_by(&self, witness: &CosignerKey) -> Result<u64, Error> {
        self.seen_where(|note| !note.lines(witness.name(), witness.id()).is_empty())
    }

    /// The same of a witness of which only the name is known.
    pub fn seen_under(&self, name: &str) -> Result<u64, Error> {
        self.seen_where(|note| note.names(name))
    }

    fn seen_where(&self, wanted: impl Fn(&Note) -> bool) -> Result<u64, Error> {
        let head = self.head()?;
        let (mut size, mut left) = (0, LOOKED_AT);
        self.each_countersigned(&head, "size>=?1 ORDER BY size DESC", 0, |checkpoint, note| {
            if wanted(&note) {
                size = checkpoint.size;
            }
            left -= 1;
            size == 0 && left > 0
        })?;
        Ok(size)
    }
}

impl Log {
    /// Keeps a checkpoint of this log with its countersignatures, beside those that it has already.
    pub fn keep_countersigned(&mut self, note: &Note) -> Result<(), Error> {
        let wrong = |what: &str| Error::at(Kind::Damaged, &self.database(), what);
        let checkpoint = Checkpoint::parse(note.text()).map_err(|_| wrong("was to keep a checkpoint that is none"))?;
        let size = i64::try_from(checkpoint.size).unwrap_or(i64::MAX);
        let other = wrong(&format!("keeps another checkpoint of {size} entries"));
        let mut same = true;
        self.apart(|transaction| {
            let kept: Option<String> =
                transaction.query_row("SELECT note FROM checkpoint WHERE size=?1", [size], |row| row.get(0)).optional()?;
            let kept = kept.map(|text| Note::parse(&text).ok().filter(|kept| kept.text() == note.text()));
            let merged = match kept {
                None => note.clone(),
                Some(Some(kept)) => kept.and(note),
                Some(None) => {
                    same = false;
                    return Ok(());
                }
            };
            transaction.execute("INSERT OR REPLACE INTO checkpoint VALUES(?1,?2)", params![size, merged.to_string()]).map(drop)
        })?;
        if same { Ok(()) } else { Err(other) }
    }
}
