use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::error::{Error, Kind};
use super::schema::{APPLICATION_ID, USER_VERSION};

/// How long anybody waits for another process.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// No value of a log is longer, in bytes: the longest is an argv, and the kernel allows less. A longer one is not read into memory.
const LONGEST: i32 = 16 * 1024 * 1024;

/// Older SQLite may corrupt a database that several processes write (the WAL-reset bug).
const OLDEST_SAFE_SQLITE: i32 = 3_051_003;

/// Opens the live database to write.
pub(super) fn to_write(path: &Path) -> Result<Connection, Error> {
    let connection = raw(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    expect_format(&connection, path)?;
    Ok(connection)
}

/// Opens a database file as carefully as SQLite can.
pub(super) fn raw(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let failed = |error| Error::sqlite(path, &error);
    if rusqlite::version_number() < OLDEST_SAFE_SQLITE {
        return Err(Error::new(Kind::Unusable, format!("SQLite {} is not safe to use", rusqlite::version())));
    }
    let flags = flags | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST).map_err(failed)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, on).map_err(failed)?;
    }
    connection.execute_batch("PRAGMA cell_size_check=ON;PRAGMA synchronous=FULL").map_err(failed)?;
    Ok(connection)
}

/// Refuses what is not a log, and what a newer gate made.
pub(super) fn expect_format(connection: &Connection, path: &Path) -> Result<(), Error> {
    let number = |pragma: &str| {
        let read = connection.prepare(pragma).and_then(|mut statement| statement.query_row([], |row| row.get::<_, i32>(0)));
        read.map_err(|error| Error::sqlite(path, &error))
    };
    if number("PRAGMA application_id")? != APPLICATION_ID {
        return Err(Error::at(Kind::Damaged, path, "is a database, but not a log of gate's"));
    }
    match number("PRAGMA user_version")? {
        USER_VERSION => Ok(()),
        newer if newer > USER_VERSION => {
            let message = format!("was made by a newer gate (layout {newer}, this one knows {USER_VERSION})");
            Err(Error::at(Kind::Newer, path, message).hint("use the newer gate"))
        }
        other => Err(Error::at(Kind::Damaged, path, format!("has a layout that no gate made ({other})"))),
    }
}
