//! What is added where the log failed, and how much of the disk it may take: both only ever refuse more.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};

use super::error::{Error, Kind};
use super::log::Log;
use super::place::{Place, Room, unsafe_path};
use crate::approval::Stamp;
use crate::record::{Draft, Kind as RecordKind};
use crate::sys::durable::{self, Refused};

/// A mark says in so many bytes why it stands.
const LONGEST_WHY: u64 = 4096;

/// Sets the mark that keeps everything refused until somebody looks. On a full disk it may stand there without its reason.
pub fn halt(place: &Place, why: &str) -> Result<(), Error> {
    let path = Room::prepare(place)?.halt();
    let mut mark = match durable::create_private(&path) {
        // The first failure is the one to look at.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        other => other.map_err(|error| Error::at(Kind::Unusable, &path, format!("cannot be written: {error}")))?,
    };
    let cut = why.len().min(usize::try_from(LONGEST_WHY).unwrap_or(0));
    let _ = mark.write_all(&why.as_bytes()[..cut]).and_then(|()| mark.sync_all());
    Ok(())
}

/// An error where the mark stands: nothing new begins.
fn not_halted(room: &Room) -> Result<(), Error> {
    match std::fs::symlink_metadata(room.halt()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        _ => {
            let why = why(&room.halt());
            Err(Error::at(
                Kind::Halted,
                &room.halt(),
                format!("stands since the log failed, and nothing runs until somebody looked: {why}"),
            )
            .hint("see `gate audit verify`; `gate audit resume --reason TEXT` lets commands run again"))
        }
    }
}

fn why(mark: &Path) -> String {
    let read = durable::read_private(mark, LONGEST_WHY).unwrap_or_default();
    if read.is_empty() { "it does not say why".to_owned() } else { String::from_utf8_lossy(&read).into_owned() }
}

/// How many bytes the log may take, and who is warned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    bytes: u64,
    warn: fn(&str),
}

impl Log {
    /// Lets the log take no more than this on disk; `warn` is told when most of it is used.
    #[must_use]
    pub fn bounded(mut self, budget: u64, warn: fn(&str)) -> Self {
        self.budget = Some(Budget { bytes: budget, warn });
        self
    }

    /// An error where nothing may begin: a failure is not looked at yet, or the budget is used up.
    pub fn ready(&self) -> Result<(), Error> {
        not_halted(&self.room)?;
        self.within_budget()
    }

    /// Warns from 75 % of the budget on; an error where it is used up, for what would begin. What ended is recorded all the same.
    fn within_budget(&self) -> Result<(), Error> {
        let Some(Budget { bytes: budget, warn }) = self.budget else { return Ok(()) };
        let path = self.room.database();
        let pragma = |name: &str| {
            let read = self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
            read.map(|number| u64::try_from(number).unwrap_or(0)).map_err(|error| Error::sqlite(&path, &error))
        };
        // What archives made free is used again before the file grows.
        let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?).saturating_mul(pragma("page_size")?);
        let percent = u128::from(used) * 100 / u128::from(budget.max(1));
        let (used, budget) = (mebibytes(used), mebibytes(budget));
        match percent {
            100.. => Err(Error::at(Kind::Full, &path, format!("has used up its budget: {used} of {budget}"))
                .hint("`gate audit prune` moves old entries to archives; `budget` in `[log]` is the limit")),
            75.. => {
                let urgency = if percent >= 90 { "nothing runs once it is full: " } else { "" };
                warn(&format!("{urgency}the log has used {percent} % of its budget, {used} of {budget}; `gate audit prune` makes room"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes the mark away, after an entry says who did it and why; what the mark said, and that entry. None where there is no mark.
    pub fn resume(&mut self, reason: &str, actor: &Value, now: Stamp) -> Result<Option<(String, u64)>, Error> {
        let mark = self.room.halt();
        match durable::inspect(&mark, durable::Expected::File) {
            Err(Refused::Absent) => return Ok(None),
            Ok(_) => {}
            Err(refused) => return Err(unsafe_path(&mark, refused)),
        }
        let why = why(&mark);
        let mut fields = Map::new();
        fields.insert("actor".to_owned(), actor.clone());
        fields.insert("error".to_owned(), why.as_str().into());
        fields.insert("reason".to_owned(), reason.into());
        fields.insert("resumed".to_owned(), true.into());
        let stored = self.append(&[Draft::new(RecordKind::AuditFailure, None, fields)], now)?;
        durable::remove(&mark).map_err(|error| Error::at(Kind::Unusable, &mark, format!("cannot be removed: {error}")))?;
        Ok(Some((why, stored.first().map_or(0, |stored| stored.seq))))
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}
