use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value, json};

use super::connect;
use super::error::{Error, Kind};
use super::head::Head;
use super::keys::Keys;
use super::log::write_entries;
use super::place::{Place, Room, unsafe_path};
use super::schema::{APPLICATION_ID, OBJECTS, USER_VERSION};
use crate::approval::Stamp;
use crate::key::{PublicKey, Vkey};
use crate::record::{Draft, Frontier, Kind as RecordKind, hex};
use crate::sys::durable;

/// Makes a log: the whole database beside its place, then the keys, and only then its name,
/// so that a log which is there is complete, and so are its keys.
pub(super) fn create(place: &Place, room: &Room, now: Stamp, boot_id: &str) -> Result<(), Error> {
    let (keys, unwritten) = Keys::first(room)?;
    let unfinished = room.unfinished();
    let failed = |error| Error::sqlite(&unfinished, &error);
    for leftover in ["", "-journal", "-wal", "-shm"] {
        let mut path = unfinished.clone().into_os_string();
        path.push(leftover);
        durable::remove(path.as_ref()).map_err(|error| Error::at(Kind::Unusable, &unfinished, format!("cannot be removed: {error}")))?;
    }
    durable::open_private(&unfinished).map_err(|refused| unsafe_path(&unfinished, refused))?;
    let mut connection = connect::raw(&unfinished, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    fill(&mut connection, place, &keys, unwritten.log_key_was_there(), now, boot_id).map_err(|error| match error {
        Failure::Sqlite(error) => failed(error),
        Failure::Other(error) => error,
    })?;
    connection.close().map_err(|(_, error)| failed(error))?;
    unwritten.write(room)?;
    durable::rename(&unfinished, &room.database())
        .map_err(|error| Error::at(Kind::Unusable, &room.database(), format!("cannot be put in place: {error}")))
}

enum Failure {
    Sqlite(rusqlite::Error),
    Other(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn fill(connection: &mut Connection, place: &Place, keys: &Keys, key_was_there: bool, now: Stamp, boot_id: &str) -> Result<(), Failure> {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| Failure::Other(Error::new(Kind::Unusable, "the system gave no random bytes")))?;
    let origin = format!("{}/{}", place.name, hex(&random));
    let vkey = |name: &str, key: PublicKey| {
        Vkey::new(name, key).map_err(|_| Failure::Other(Error::new(Kind::Unusable, format!("a log cannot be called `{name}`"))))
    };
    let mut head = Head {
        log_key: vkey(&origin, keys.log.public())?,
        record_key: vkey(&format!("{origin}/record"), keys.record.public())?,
        origin,
        frontier: Frontier::default(),
        prev: [0; 32],
        note: String::new(),
        epoch: 0,
    };
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", USER_VERSION)?;
    for (_, _, _, text) in OBJECTS {
        transaction.execute_batch(text)?;
    }
    head.insert(&transaction)?;
    let draft = Draft::new(RecordKind::LogOpen, None, opening(&head, key_was_there));
    write_entries(&transaction, &mut head, keys, &[draft], now, boot_id)
        .map_err(|error| Failure::Other(error.into_error(&place.directory)))?;
    transaction.commit()?;
    // The mode is kept in the database's header.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(())
}

/// What the first entry says. A log key without a log means that a log was removed, or never finished.
fn opening(head: &Head, key_was_there: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("gate".to_owned(), json!({ "version": env!("CARGO_PKG_VERSION") }));
    fields.insert("keys".to_owned(), json!({ "log": head.log_key.to_string(), "record": head.record_key.to_string() }));
    if key_was_there {
        fields.insert("predecessor".to_owned(), Value::from("missing"));
    }
    fields
}
