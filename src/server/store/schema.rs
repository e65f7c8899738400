//! The tables, and how an older database becomes one of now.

use rusqlite::{Connection, TransactionBehavior};

use super::Unavailable;

/// Each step makes the next version out of the one before; a step is never changed once it was released.
const STEPS: [&str; 3] = [
    "
CREATE TABLE request(
  id TEXT PRIMARY KEY, key TEXT NOT NULL, way TEXT NOT NULL, requester TEXT NOT NULL,
  state TEXT NOT NULL, created INTEGER NOT NULL, ends INTEGER NOT NULL,
  text TEXT NOT NULL, doc TEXT NOT NULL
) STRICT;
CREATE INDEX request_key ON request(key, way, requester, state);
CREATE INDEX request_state ON request(state, ends);
CREATE TABLE event(seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL, request TEXT, data TEXT NOT NULL) STRICT;
CREATE TABLE cursor(reader TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
CREATE TABLE item(
  kind TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, handle TEXT NOT NULL, data TEXT NOT NULL, expires INTEGER NOT NULL,
  PRIMARY KEY(kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_owner ON item(kind, owner);
CREATE INDEX item_expires ON item(expires);
",
    "
ALTER TABLE request ADD COLUMN due INTEGER NOT NULL DEFAULT 9223372036854775807;
CREATE INDEX request_due ON request(due);
CREATE INDEX request_of ON request(way, requester, state);
",
    // Requests of before have nothing in `alike`, and are compared with none.
    "
ALTER TABLE request ADD COLUMN alike TEXT NOT NULL DEFAULT '';
CREATE INDEX request_alike ON request(alike, id);
CREATE INDEX request_newest ON request(state, id);
CREATE INDEX request_newest_of ON request(way, requester, id);
",
];

/// Brings the tables to this version; a database of a later one is left alone.
pub(super) fn ready(connection: &mut Connection) -> Result<(), Unavailable> {
    let failed = |error: rusqlite::Error| Unavailable(error.to_string());
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(failed)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let steps = usize::try_from(version).ok().and_then(|version| STEPS.get(version..));
    let steps = steps.ok_or_else(|| Unavailable(format!("it is of version {version}, and this gate knows {}", STEPS.len())))?;
    for step in steps {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", i64::try_from(STEPS.len()).unwrap_or(i64::MAX)).map_err(failed)?;
    transaction.commit().map_err(failed)
}
