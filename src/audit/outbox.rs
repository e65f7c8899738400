//! What was sent to which sink: for each the next entry, and the end of the batch that is on its way.

use rusqlite::{OptionalExtension, params};

use super::error::Error;
use super::log::Log;

/// What stands behind a sink's name in the row that says where the batch ends that is on its way. No sink's name has it.
const SENDING: &str = "/sending";

impl Log {
    /// The next entry that goes to a sink, 0 for a new one; and the end of a batch that was begun and not finished, which has to go
    /// out once more as it was.
    pub fn outbox(&self, sink: &str) -> Result<(u64, Option<u64>), Error> {
        let read = |name: &str| {
            let row = self
                .connection()
                .query_row("SELECT seq FROM outbox WHERE sink=?1 ORDER BY seq LIMIT 1", [name], |row| row.get::<_, i64>(0))
                .optional();
            row.map_err(|error| Error::sqlite(&self.database(), &error)).map(|seq| seq.and_then(|seq| u64::try_from(seq).ok()))
        };
        Ok((read(sink)?.unwrap_or(0), read(&format!("{sink}{SENDING}"))?))
    }

    /// Fixes where a batch ends before it is sent.
    pub fn sending(&mut self, sink: &str, end: u64) -> Result<(), Error> {
        self.apart(|transaction| {
            let name = format!("{sink}{SENDING}");
            transaction.execute("DELETE FROM outbox WHERE sink=?1", [&name])?;
            transaction.execute("INSERT INTO outbox VALUES(?1,?2)", params![sql(end), name]).map(drop)
        })
    }

    /// Notes that everything before this entry arrived.
    pub fn sent(&mut self, sink: &str, next: u64) -> Result<(), Error> {
        self.apart(|transaction| {
            transaction.execute("DELETE FROM outbox WHERE sink IN (?1,?2)", params![sink, format!("{sink}{SENDING}")])?;
            transaction.execute("INSERT INTO outbox VALUES(?1,?2)", params![sql(next), sink]).map(drop)
        })
    }
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
