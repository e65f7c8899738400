use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::connect;
use super::error::{Error, Kind};
use super::head::Head;
use super::place::Place;
use super::schema::{AUTOMATIC_INDEX, OBJECTS};
use crate::key::Vkey;
use crate::record::{Hash, hex};

/// A log, open to be read and nothing else. What stands in it is not believed.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    /// Where the search index of the own log is.
    index: Option<PathBuf>,
    watch: Watch,
}

/// Who is told how far long work is: so many entries of so many.
struct Watch(Box<dyn Fn(u64, u64)>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Reader {
    /// Opens the log of a place.
    pub fn live(place: &Place) -> Result<Self, Error> {
        let path = place.directory.join("audit.db");
        // gate makes a file, never a link; one that leads to another log would speak for this one.
        if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Err(Error::at(Kind::Unusable, &path, "is a symbolic link").hint("`--db PATH` reads the log that it leads to"));
        }
        let mut reader = Self::open(&path)?;
        reader.index = Some(reader.path.with_file_name("audit.search"));
        Ok(reader)
    }

    /// Opens a database file: the live one, or a copy of it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let path = std::fs::canonicalize(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::at(Kind::Unusable, path, "is not there: there is no log yet")
                .hint("the first `gate -- COMMAND` makes it; `--db PATH` reads another one"),
            _ => Error::at(Kind::Unusable, path, format!("cannot be opened: {error}")),
        })?;
        expect_files(&path)?;
        let connection = open_connection(&path)?;
        expect_schema(&connection, &path)?;
        Ok(Self { connection, path, index: None, watch: Watch(Box::new(|_, _| {})) })
    }

    /// Tells how far long work is: so many entries of so many.
    #[must_use]
    pub fn watched(mut self, watch: impl Fn(u64, u64) + 'static) -> Self {
        self.watch = Watch(Box::new(watch));
        self
    }

    pub(super) fn told(&self, done: u64, of: u64) {
        (self.watch.0)(done, of);
    }

    /// Where the search index is; none for what is not the own log.
    pub(super) fn index(&self) -> Option<&Path> {
        self.index.as_deref()
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> Error {
        Error::sqlite(&self.path, error)
    }

    pub(super) fn damaged(&self, what: &str) -> Error {
        Error::at(Kind::Damaged, &self.path, what)
    }

    pub(super) fn head(&self) -> Result<Head, Error> {
        Head::read(&self.connection)
            .map_err(|error| self.failed(&error))?
            .ok_or_else(|| Error::at(Kind::Damaged, &self.path, "has no readable head"))
    }

    /// The signed checkpoint of the log's end; an error where the log's key did not sign this very end.
    pub fn checkpoint(&self) -> Result<String, Error> {
        let head = self.head()?;
        if head.holds() { Ok(head.note) } else { Err(Error::at(Kind::Damaged, &self.path, "has an end that its key did not sign")) }
    }

    /// The log key, as the head names it.
    pub fn log_key(&self) -> Result<Vkey, Error> {
        self.head().map(|head| head.log_key)
    }

    /// A number that changes when another process has written.
    pub fn version(&self) -> Result<i64, Error> {
        let read = self.connection.prepare("PRAGMA data_version").and_then(|mut pragma| pragma.query_row([], |row| row.get(0)));
        read.map_err(|error| self.failed(&error))
    }

    /// The hash of a complete subtree as the log keeps it.
    pub(super) fn node(&self, level: u8, index: u64) -> Result<Hash, Error> {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        let read = match level {
            0 => self.connection.query_row("SELECT leaf FROM entry WHERE seq=?1", [index], |row| row.get::<_, Vec<u8>>(0)),
            _ => self.connection.query_row("SELECT hash FROM node WHERE level=?1 AND idx=?2", [i64::from(level), index], |row| row.get(0)),
        };
        let hash = read.map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => Error::at(Kind::Damaged, &self.path, "has a gap in its tree"),
            error => self.failed(&error),
        })?;
        hash.try_into().map_err(|hash: Vec<u8>| Error::at(Kind::Damaged, &self.path, format!("has a malformed hash {}", hex(&hash))))
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Whoever opens a pipe waits for its other end, and SQLite opens whatever has the name.
fn expect_files(path: &Path) -> Result<(), Error> {
    for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::at(Kind::Unusable, &path, "is not a file"));
        }
    }
    Ok(())
}

/// A file that nobody is writing is opened as unchanging, which leaves no files beside a copy and works where nothing can be written.
fn open_connection(path: &Path) -> Result<Connection, Error> {
    let no_tail = std::fs::metadata(beside(path, "-wal")).map_or(true, |wal| wal.len() == 0);
    if no_tail && !path.with_file_name("audit.lock").exists() {
        return unchanging(path);
    }
    match connect::raw(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|live| connect::expect_format(&live, path).map(|()| live)) {
        Err(error) if error.kind() == Kind::Unusable && no_tail => unchanging(path),
        other => other,
    }
}

fn unchanging(path: &Path) -> Result<Connection, Error> {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => uri.push(char::from(*byte)),
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri.push_str("?immutable=1");
    let connection = connect::raw(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?;
    connect::expect_format(&connection, path)?;
    Ok(connection)
}

/// Type, name, table and text of what a schema holds.
type Object = (String, String, String, Option<String>);

/// Refuses a database whose tables are not gate's very own: a view or a trigger could show anything.
fn expect_schema(connection: &Connection, path: &Path) -> Result<(), Error> {
    let failed = |error| Error::sqlite(path, &error);
    let mut statement = connection.prepare("SELECT type,name,tbl_name,sql FROM sqlite_schema LIMIT 100").map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).map_err(failed)?;
    let found: BTreeSet<Object> = rows.collect::<Result<_, _>>().map_err(failed)?;
    let own = |(kind, name, table, sql): (&str, &str, &str, Option<&str>)| {
        (kind.to_owned(), name.to_owned(), table.to_owned(), sql.map(str::to_owned))
    };
    let mut expected: BTreeSet<Object> = OBJECTS.iter().map(|(kind, name, table, text)| own((kind, name, table, Some(text)))).collect();
    expected.insert(own(("index", AUTOMATIC_INDEX.0, AUTOMATIC_INDEX.1, None)));
    match found.symmetric_difference(&expected).next() {
        None => Ok(()),
        Some((kind, name, ..)) => {
            let what = format!("does not have gate's own tables: the {kind} `{name}` is not as gate makes it");
            Err(Error::at(Kind::Damaged, path, what))
        }
    }
}
