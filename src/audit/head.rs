use rusqlite::{Connection, OptionalExtension, Row, params};

use super::keys::LogKey;
use super::log::Unstored;
use crate::key::Vkey;
use crate::record::{Checkpoint, Frontier, Hash, Note};

/// The log's end: all that an append has to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) origin: String,
    pub(super) frontier: Frontier,
    /// The leaf hash of the last entry.
    pub(super) prev: Hash,
    /// The signed checkpoint.
    pub(super) note: String,
    pub(super) log_key: Vkey,
    pub(super) record_key: Vkey,
    /// The entry that introduced the record key.
    pub(super) epoch: u64,
}

impl Head {
    /// Reads the head; none where it is missing or malformed, which no gate wrote.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        const QUERY: &str = "SELECT origin,size,frontier,prev,note,log_key,record_key,epoch FROM head WHERE id=1";
        Ok(connection.prepare(QUERY)?.query_row([], Self::from_row).optional()?.flatten())
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let (size, epoch): (i64, i64) = (row.get(1)?, row.get(7)?);
        let frontier = u64::try_from(size).ok().and_then(|size| Frontier::parse(size, row.get_ref(2).ok()?.as_blob().ok()?));
        let prev = row.get_ref(3)?.as_blob().ok().and_then(|prev| prev.try_into().ok());
        let vkey = |column| row.get_ref(column).ok().and_then(|text| Vkey::parse(text.as_str().ok()?).ok());
        let (Some(frontier), Some(prev), Some(log_key), Some(record_key), Ok(epoch)) =
            (frontier, prev, vkey(5), vkey(6), u64::try_from(epoch))
        else {
            return Ok(None);
        };
        Ok(Some(Self { origin: row.get(0)?, frontier, prev, note: row.get(4)?, log_key, record_key, epoch }))
    }

    /// The checkpoint that the head has to have.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.frontier.size(), root: self.frontier.root() }
    }

    /// Whether the checkpoint is this key's over this very tree. The same text always gets the same signature,
    /// and where the key is at hand signing once more is faster than verifying.
    pub(super) fn is_signed_by(&self, key: &LogKey) -> bool {
        match key {
            LogKey::File(key) => self.checkpoint().sign(&self.log_key, key).to_string() == self.note,
            LogKey::Agent(_) => self.holds(),
        }
    }

    /// Whether the checkpoint is the log key's over this very tree, for those who have the public key only.
    pub(super) fn holds(&self) -> bool {
        let note = Note::parse(&self.note).ok().filter(|note| note.is_signed_by(&self.log_key));
        note.is_some_and(|note| note.text() == self.checkpoint().text())
    }

    /// Signs what the head now stands for, and writes it.
    pub(super) fn write(&mut self, connection: &Connection, key: &LogKey) -> Result<(), Unstored> {
        let text = self.checkpoint().text();
        let signature = key.sign(text.as_bytes())?;
        self.note = Note::signed(text, &self.log_key, &signature).to_string();
        let size = i64::try_from(self.frontier.size()).unwrap_or(i64::MAX);
        connection.prepare("UPDATE head SET size=?1,frontier=?2,prev=?3,note=?4")?.execute(params![
            size,
            self.frontier.bytes(),
            self.prev,
            self.note
        ])?;
        Ok(())
    }

    /// Lets another record key sign from the next entry on.
    pub(super) fn change_key(&mut self, connection: &Connection, key: Vkey, epoch: u64) -> rusqlite::Result<()> {
        (self.record_key, self.epoch) = (key, epoch);
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        connection.prepare("UPDATE head SET record_key=?1,epoch=?2")?.execute(params![self.record_key.to_string(), epoch]).map(|_| ())
    }

    /// Writes the first head of a log, before its first entry.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .execute(
                "INSERT INTO head VALUES(1,?1,0,x'',?2,'',?3,?4,0)",
                params![self.origin, self.prev, self.log_key.to_string(), self.record_key.to_string()],
            )
            .map(|_| ())
    }
}
