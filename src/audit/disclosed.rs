use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use crate::record::Body;
use crate::record::disclosure::{Disclosures, digests_in, open};

/// A record has no more parts than this that could be erased.
const MOST: usize = 100_000;

/// What the log keeps beside a record, whatever of it is left.
pub(super) fn of(connection: &Connection, body: &[u8]) -> rusqlite::Result<Disclosures> {
    let mut found = Disclosures::new();
    let mut wanted = digests_in(body);
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut statement = connection.prepare("SELECT data FROM disclosure WHERE digest=?1")?;
    while let Some(digest) = wanted.pop() {
        if found.len() == MOST || found.contains_key(&digest) {
            continue;
        }
        let mut rows = statement.query([&digest])?;
        if let Some(data) = rows.next()?.and_then(|row| row.get_ref(0).ok()?.as_blob().ok().map(<[u8]>::to_vec)) {
            // What is kept whole names nothing else; what has a row of its own may name its parts.
            if data.first() == Some(&b'[') {
                wanted.extend(digests_in(&data));
            }
            found.insert(digest, data);
        }
    }
    Ok(found)
}

/// One member of a record as it was written: what is kept beside the record is checked against its digest, and put back.
pub(super) fn member(connection: &Connection, body: &Body<'_>, name: &str) -> rusqlite::Result<Option<Value>> {
    let (Some(raw), Some(mut value)) = (body.raw(name), body.value(name)) else { return Ok(None) };
    open(&mut value, &of(connection, raw.as_bytes())?);
    Ok(Some(value))
}

/// Puts back what a part of a record names by digests.
pub(super) fn put_back(connection: &Connection, value: &mut Value) -> rusqlite::Result<()> {
    open(value, &of(connection, value.to_string().as_bytes())?);
    Ok(())
}

/// The bytes of a long argv, as long as they are not erased.
pub(super) fn blob(connection: &Connection, sha256: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.query_row("SELECT data FROM blob WHERE sha256=?1", [sha256], |row| row.get(0)).optional()
}
