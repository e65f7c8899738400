use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Statement, Transaction, TransactionBehavior, params};

use super::connect;
use super::error::{Error, Kind};
use super::place::unsafe_path;
use super::postings::{Block, Places, Postings, Row, range};
use crate::record::Hash;
use crate::record::terms::{Query, Term};
use crate::sys::durable;

/// `GATS`, in the header of every index.
const APPLICATION_ID: i32 = 0x4741_5453;

/// Raised by every change of the tables or of what the terms of a record are.
const USER_VERSION: i32 = 1;

/// The tables, by name.
const TABLES: [(&str, &str); 3] = [
    ("block", "CREATE TABLE block(number INTEGER PRIMARY KEY,hash BLOB NOT NULL,latest INTEGER NOT NULL,crowded INTEGER NOT NULL)STRICT"),
    (
        "posting",
        "CREATE TABLE posting(block INTEGER NOT NULL,term BLOB NOT NULL,places BLOB NOT NULL,PRIMARY KEY(block,term))STRICT,WITHOUT ROWID",
    ),
    (
        "state",
        "CREATE TABLE state(id INTEGER PRIMARY KEY CHECK(id=1),origin TEXT NOT NULL,erased INTEGER NOT NULL,compared INTEGER NOT NULL)STRICT",
    ),
];

/// The search index: a file beside the log that says which blocks of entries have which terms.
///
/// All of it comes from the entries, so it may be removed at any time. Nothing in it is believed: it only says where to look.
#[derive(Debug)]
pub(super) struct Index {
    connection: Connection,
    path: PathBuf,
    /// The blocks it has, without gaps.
    pub(super) blocks: BTreeMap<u64, Block>,
    /// What was erased up to this entry is not in it.
    pub(super) erased: u64,
    /// The blocks before this one were compared with the entries.
    pub(super) compared: u64,
}

impl Index {
    /// Opens the index of a log; none where there is none. An error of the kind `Damaged` where no gate wrote it for this log.
    pub(super) fn open(path: &Path, origin: &str) -> Result<Option<Self>, Error> {
        match durable::inspect(path, durable::Expected::File) {
            Ok(_) => {}
            Err(durable::Refused::Absent) => return Ok(None),
            Err(refused) => return Err(unsafe_path(path, refused)),
        }
        let connection = connect::raw(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut index = Self { connection, path: path.to_owned(), blocks: BTreeMap::new(), erased: 0, compared: 0 };
        if index.load(origin).map_err(|error| index.failed(&error))? { Ok(Some(index)) } else { Err(index.damaged()) }
    }

    /// Makes a new one in place of whatever is there.
    pub(super) fn create(path: &Path, origin: &str, erased: u64) -> Result<Self, Error> {
        forget(path)?;
        drop(durable::open_private(path).map_err(|refused| unsafe_path(path, refused))?);
        let mut connection = connect::raw(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let made = fill(&mut connection, origin, erased);
        made.map_err(|error| Error::sqlite(path, &error))?;
        Ok(Self { connection, path: path.to_owned(), blocks: BTreeMap::new(), erased, compared: 0 })
    }

    /// Reads what it says of itself; false where no gate wrote that.
    fn load(&mut self, origin: &str) -> rusqlite::Result<bool> {
        let pragma = |name: &str| self.connection.query_row(name, [], |row| row.get::<_, i32>(0));
        if pragma("PRAGMA application_id")? != APPLICATION_ID || pragma("PRAGMA user_version")? != USER_VERSION {
            return Ok(false);
        }
        let mut schema = self.connection.prepare("SELECT name,sql FROM sqlite_schema ORDER BY name LIMIT 10")?;
        let tables = schema.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<Vec<(String, String)>>>()?;
        if !tables.iter().map(|(name, text)| (name.as_str(), text.as_str())).eq(TABLES) {
            return Ok(false);
        }
        let state = self.connection.query_row("SELECT origin,erased,compared FROM state", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        let Some((of, erased, compared)) = state.optional()? else { return Ok(false) };
        (self.erased, self.compared) = (u64::try_from(erased).unwrap_or(0), u64::try_from(compared).unwrap_or(0));
        let mut blocks = self.connection.prepare("SELECT number,hash,latest,crowded FROM block ORDER BY number")?;
        let mut rows = blocks.query([])?;
        while let Some(row) = rows.next()? {
            let (number, hash) =
                (u64::try_from(row.get::<_, i64>(0)?).ok(), row.get_ref(1)?.as_blob().ok().and_then(|hash| hash.try_into().ok()));
            let follows = |number: u64| self.blocks.last_key_value().is_none_or(|(last, _)| last + 1 == number);
            let (Some(number), Some(hash)) = (number.filter(|number| follows(*number)), hash) else { return Ok(false) };
            self.blocks.insert(number, Block { hash, latest: row.get(2)?, crowded: row.get::<_, i64>(3)? != 0 });
        }
        Ok(of == origin)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The block after the last one it has; none where it has none.
    pub(super) fn next(&self) -> Option<u64> {
        self.blocks.last_key_value().map(|(last, _)| last + 1)
    }

    /// Adds blocks in one transaction, as they come.
    pub(super) fn add(&mut self, finished: impl Iterator<Item = Result<(u64, Hash, Postings), Error>>) -> Result<(), Error> {
        let (next, path) = (self.next(), self.path.clone());
        let failed = |error: rusqlite::Error| Error::sqlite(&path, &error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let last: Option<i64> = transaction.query_row("SELECT max(number) FROM block", [], |row| row.get(0)).map_err(failed)?;
        if last.and_then(|last| u64::try_from(last).ok()).map(|last| last + 1) != next {
            return Err(Error::at(Kind::Locked, &path, "is being written by another process"));
        }
        let mut added = Vec::new();
        for block in finished {
            let (number, hash, postings) = block?;
            added.push((number, insert(&transaction, number, hash, postings).map_err(failed)?));
        }
        transaction.commit().map_err(failed)?;
        self.blocks.extend(added);
        Ok(())
    }

    /// The way to look blocks up.
    pub(super) fn lookup(&self) -> Result<Lookup<'_>, Error> {
        let prepared = |text| self.connection.prepare(text).map_err(|error| self.failed(&error));
        Ok(Lookup {
            index: self,
            one: prepared("SELECT places FROM posting WHERE block=?1 AND term=?2")?,
            range: prepared("SELECT places FROM posting WHERE block=?1 AND term>=?2 AND term<?3")?,
        })
    }

    /// Whether it says of a block what the entries say, byte for byte.
    pub(super) fn says(&self, number: u64, hash: Hash, postings: Postings) -> Result<bool, Error> {
        let (block, expected) = postings.finish(hash);
        if self.blocks.get(&number) != Some(&block) {
            return Ok(false);
        }
        self.has_rows(number, &expected).map_err(|error| self.failed(&error))
    }

    fn has_rows(&self, number: u64, expected: &[Row]) -> rusqlite::Result<bool> {
        let mut statement = self.connection.prepare("SELECT term,places FROM posting WHERE block=?1 ORDER BY term")?;
        let mut rows = statement.query([sql(number)])?;
        for (term, places) in expected {
            let same = rows.next()?.is_some_and(|row| {
                let is = |column: usize, bytes: &[u8]| row.get_ref(column).is_ok_and(|value| value.as_blob() == Ok(bytes));
                is(0, term) && is(1, places)
            });
            if !same {
                return Ok(false);
            }
        }
        Ok(rows.next()?.is_none())
    }

    /// Notes that the blocks before this one were compared.
    pub(super) fn note_compared(&self, before: u64) -> Result<(), Error> {
        self.connection.execute("UPDATE state SET compared=?1", [sql(before)]).map(drop).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        Error::sqlite(&self.path, error)
    }

    fn damaged(&self) -> Error {
        Error::at(Kind::Damaged, &self.path, "is not an index of this log")
    }
}

/// Looks blocks up, one after the other.
pub(super) struct Lookup<'a> {
    index: &'a Index,
    one: Statement<'a>,
    range: Statement<'a>,
}

impl Lookup<'_> {
    /// Which entries of a block may be wanted. An error of the kind `Damaged` where no gate wrote what it says.
    pub(super) fn places(&mut self, block: u64, query: &Query) -> Result<Places, Error> {
        if self.index.blocks.get(&block).is_none_or(|block| block.crowded) {
            return Ok(Places::ALL);
        }
        let mut wanted = Places::ALL;
        for term in query.terms() {
            let found = self.of_term(block, term).map_err(|error| self.index.failed(&error))?;
            wanted.intersect(&found.ok_or_else(|| self.index.damaged())?);
            if wanted == Places::NONE {
                break;
            }
        }
        Ok(wanted)
    }

    fn of_term(&mut self, block: u64, term: &Term) -> rusqlite::Result<Option<Places>> {
        let (from, to) = range(term);
        let mut rows = match to {
            Some(to) => self.range.query(params![sql(block), from, to])?,
            None => self.one.query(params![sql(block), from])?,
        };
        let mut places = Places::NONE;
        while let Some(row) = rows.next()? {
            let Some(found) = row.get_ref(0)?.as_blob().ok().and_then(Places::parse) else { return Ok(None) };
            places.unite(&found);
        }
        Ok(Some(places))
    }
}

/// Removes an index and what SQLite left beside it, its bytes overwritten: what is erased in the log must not live on here.
pub(super) fn forget(path: &Path) -> Result<(), Error> {
    for suffix in ["-journal", "-wal", "-shm", ""] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match durable::erase(file.as_ref()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::at(Kind::Unusable, path, format!("cannot be removed: {error}")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn fill(connection: &mut Connection, origin: &str, erased: u64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", USER_VERSION)?;
    for (_, text) in TABLES {
        transaction.execute_batch(text)?;
    }
    transaction.execute("INSERT INTO state VALUES(1,?1,?2,0)", params![origin, sql(erased)])?;
    transaction.commit()
}

fn insert(transaction: &Transaction<'_>, number: u64, hash: Hash, postings: Postings) -> rusqlite::Result<Block> {
    let (block, rows) = postings.finish(hash);
    transaction.execute("INSERT INTO block VALUES(?1,?2,?3,?4)", params![sql(number), block.hash, block.latest, block.crowded])?;
    let mut statement = transaction.prepare("INSERT INTO posting VALUES(?1,?2,?3)")?;
    for (term, places) in rows {
        statement.execute(params![sql(number), term, places])?;
    }
    Ok(block)
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
