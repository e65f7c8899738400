use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

use super::group::{Job, connect, savepoint, write};
use super::{
    Amend, Answer, Change, Changed, Created, Effect, Filter, Item, Judge, Limits, Reviewed, STOP, Store, Unavailable, duties, rows,
    standing,
};
use crate::server::model::{Event, Kept, KeptReview, State, Wall};

/// Readers at once.
const READERS: usize = 4;

/// The store in one SQLite file. One thread writes, and what waits for it is committed together.
pub struct Sqlite {
    writer: Option<Sender<Job>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

impl Sqlite {
    /// Opens the database, or makes it.
    pub fn open(path: &Path) -> Result<Self, Unavailable> {
        let mut connection = connect(path)?;
        super::schema::ready(&mut connection)?;
        let readers = (0..READERS).map(|_| connect(path)).collect::<Result<Vec<_>, _>>()?;
        let (writer, jobs) = channel();
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || write(&mut connection, &jobs));
        let thread = thread.map_err(|error| Unavailable(error.to_string()))?;
        let turns = Arc::new(Semaphore::new(READERS));
        Ok(Self { writer: Some(writer), readers: Arc::new(Mutex::new(readers)), turns, thread: Some(thread) })
    }

    /// Does something in a transaction that is on disk before this answers.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Answer<'static, T> {
        let (told, answer) = oneshot::channel::<Result<T, Unavailable>>();
        let job: Job = Box::new(move |transaction| {
            // One caller's failure undoes what that caller did, and nothing else.
            let done = savepoint(transaction, work);
            Box::new(move |committed| {
                let said = match (done, committed) {
                    (Ok(value), Ok(())) => Ok(value),
                    (Err(error), _) => Err(Unavailable(error.to_string())),
                    (_, Err(why)) => Err(Unavailable(why.to_owned())),
                };
                // Nobody waits any more: it is done all the same.
                drop(told.send(said));
            })
        });
        let sent = self.writer.as_ref().is_some_and(|writer| writer.send(job).is_ok());
        Box::pin(async move {
            if !sent {
                return Err(Unavailable("it is closed".to_owned()));
            }
            answer.await.unwrap_or_else(|_| Err(Unavailable("its writer ended".to_owned())))
        })
    }

    fn read<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static) -> Answer<'static, T> {
        let (readers, turns) = (Arc::clone(&self.readers), Arc::clone(&self.turns));
        Box::pin(async move {
            let turn = turns.acquire_owned().await.map_err(|_| Unavailable("it is closed".to_owned()))?;
            let done = tokio::task::spawn_blocking(move || {
                let value = with_reader(&readers, work);
                drop(turn);
                value
            });
            done.await.unwrap_or_else(|_| Err(Unavailable("a read failed".to_owned())))
        })
    }

    /// Reads one row by its key, which takes less time than another thread needs to wake up.
    fn read_one<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Answer<'static, T> {
        let (readers, turns) = (Arc::clone(&self.readers), Arc::clone(&self.turns));
        Box::pin(async move {
            let _turn = turns.acquire_owned().await.map_err(|_| Unavailable("it is closed".to_owned()))?;
            with_reader(&readers, work)
        })
    }
}

/// Works with a connection that nobody else uses meanwhile.
fn with_reader<T>(
    readers: &Mutex<Vec<Connection>>,
    work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
) -> Result<T, Unavailable> {
    let taken = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let connection = taken.ok_or_else(|| Unavailable("all its readers are gone".to_owned()))?;
    let value = work(&connection).map_err(|error| Unavailable(error.to_string()));
    readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    value
}

impl Drop for Sqlite {
    /// What was handed over is written before the store is gone.
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

pub(super) fn add_event(
    transaction: &Transaction<'_>,
    at: Wall,
    kind: &str,
    request: Option<&str>,
    data: &Value,
) -> Result<u64, rusqlite::Error> {
    let mut insert = transaction.prepare_cached("INSERT INTO event(at,kind,request,data) VALUES(?1,?2,?3,?4)")?;
    insert.execute(params![at, kind, request, data.to_string()])?;
    Ok(u64::try_from(transaction.last_insert_rowid()).unwrap_or_default())
}

pub(super) fn one(connection: &Connection, id: &str) -> Result<Option<Kept>, rusqlite::Error> {
    let found = connection.prepare_cached(rows::BY_ID)?.query_row([id], rows::kept).optional()?;
    found.map(|request| standing::with_text(connection, request)).transpose()
}

/// Writes a request that changed, with its event.
pub(super) fn changed(
    transaction: &Transaction<'_>,
    request: &mut Kept,
    at: Wall,
    kind: &str,
    data: &Value,
) -> Result<(), rusqlite::Error> {
    request.version += 1;
    if request.state.is_over() {
        request.plan.ended = request.plan.ended.or(Some(at));
    }
    rows::update(transaction, request)?;
    add_event(transaction, at, kind, Some(&request.id), data).map(drop)
}

impl Store for Sqlite {
    fn create_within(&self, mut request: Kept, limits: Limits) -> Answer<'_, Created> {
        self.write(move |transaction| {
            if rows::item(transaction, STOP, "", request.created)?.is_some() {
                return Ok(Created::Stopped);
            }
            let waiting = transaction
                .prepare_cached(rows::WAITING)?
                .query_row(params![request.key, request.requester.way, request.requester.name], rows::kept);
            let mut rests = None;
            if let Some(mut old) = waiting.optional()?.filter(|old| !old.at(request.created).is_over()) {
                if old.client_nonce_sha256 == request.client_nonce_sha256 && old.digest() == request.digest() {
                    return Ok(Created::Again(standing::with_text(transaction, old)?));
                }
                // Whoever asks anew has lost what the old one could be used with.
                old.state = State::Cancelled;
                changed(transaction, &mut old, request.created, "request.cancelled", &serde_json::json!({ "replaced_by": request.id }))?;
            } else if rows::has_too_many(transaction, &request, limits.waiting)? {
                return Ok(Created::TooMany);
            } else {
                rests = duties::cooling(transaction, &mut request, limits)?;
            }
            let drawn = standing::draw(transaction, &mut request)?;
            if let (None, Some(until)) = (&drawn, rests) {
                return Ok(Created::Cooling(until));
            }
            rows::insert(transaction, &request)?;
            let data = serde_json::json!({ "digest": request.digest().to_string() });
            add_event(transaction, request.created, "request.created", Some(&request.id), &data)?;
            if let Some(told) = drawn {
                add_event(transaction, request.created, "request.approved", Some(&request.id), &told)?;
            }
            Ok(Created::New(request))
        })
    }

    fn request(&self, id: &str) -> Answer<'_, Option<Kept>> {
        let id = id.to_owned();
        self.read_one(move |connection| one(connection, &id))
    }

    fn list(&self, filter: Filter) -> Answer<'_, Vec<Kept>> {
        self.read(move |connection| rows::list(connection, &filter))
    }

    fn count(&self, state: State) -> Answer<'_, u64> {
        self.read(move |connection| {
            let count: i64 = connection.query_row("SELECT count(*) FROM request WHERE state=?1", [state.word()], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }

    fn review(&self, id: &str, review: KeptReview, judge: Judge) -> Answer<'_, Reviewed> {
        let id = id.to_owned();
        self.write(move |transaction| {
            let Some(mut request) = one(transaction, &id)? else { return Ok(Reviewed::Missing) };
            let again = request.reviews.iter().any(|said| said.approver == review.approver);
            if request.at(review.at) != State::Pending || again {
                return Ok(Reviewed::Late(request));
            }
            let effect = judge(&request, &review);
            let kind = match effect {
                Effect::Refused(why) => return Ok(Reviewed::Refused(why)),
                Effect::Waits => "request.reviewed",
                Effect::Approved { until } => {
                    request.state = State::Approved;
                    request.valid_until = Some(until);
                    "request.approved"
                }
                Effect::Rejected => {
                    request.state = State::Rejected;
                    "request.rejected"
                }
            };
            if request.state != State::Pending {
                request.decided = Some(review.at);
            }
            let (at, data) = (review.at, rows::review_value(&review));
            if kind == "request.approved" && review.slots.iter().any(|slot| slot == crate::approval::BREAK_GLASS) {
                duties::owed(transaction, &request, &review)?;
            }
            request.reviews.push(review);
            if request.state == State::Approved {
                standing::made(transaction, &request, at)?;
            }
            changed(transaction, &mut request, at, kind, &data)?;
            Ok(Reviewed::Kept(request))
        })
    }

    fn change(&self, id: &str, at: Wall, change: Change) -> Answer<'_, Changed> {
        let id = id.to_owned();
        self.write(move |transaction| {
            let Some(mut request) = one(transaction, &id)? else { return Ok(Changed::Missing) };
            let before = request.clone();
            let Some((kind, data)) = change(&mut request) else { return Ok(Changed::Not(before)) };
            changed(transaction, &mut request, at, kind, &data)?;
            Ok(Changed::To(request))
        })
    }

    fn expire(&self, now: Wall, limit: usize) -> Answer<'_, Vec<String>> {
        self.write(move |transaction| {
            let over = rows::run_out(transaction, now, limit)?;
            let mut ids = Vec::with_capacity(over.len());
            for mut request in over {
                let was = request.state.word();
                request.state = State::Expired;
                changed(transaction, &mut request, now, "request.expired", &serde_json::json!({ "was": was }))?;
                ids.push(request.id);
            }
            Ok(ids)
        })
    }

    fn due(&self, now: Wall, limit: usize) -> Answer<'_, Vec<Kept>> {
        self.read(move |connection| rows::due_by(connection, now, limit))
    }

    fn stop(&self, stop: Item, review: KeptReview) -> Answer<'_, Option<Vec<String>>> {
        self.write(move |transaction| duties::stop(transaction, &stop, &review))
    }

    fn amend(&self, kind: &'static str, key: &str, at: Wall, amend: Amend) -> Answer<'_, (bool, Option<Item>)> {
        let key = key.to_owned();
        self.write(move |transaction| {
            let found = rows::item(transaction, kind, &key, at)?;
            let Some(amended) = amend(found.as_ref()) else { return Ok((false, found)) };
            match &amended.item {
                Some(item) => drop(rows::put(transaction, item, true)?),
                None => drop(transaction.execute("DELETE FROM item WHERE kind=?1 AND key=?2", params![kind, key])?),
            }
            add_event(transaction, at, amended.kind, None, &amended.data)?;
            Ok((true, amended.item))
        })
    }

    fn event(&self, kind: &'static str, at: Wall, data: Value) -> Answer<'_, u64> {
        self.write(move |transaction| add_event(transaction, at, kind, None, &data))
    }

    fn events(&self, after: u64, limit: usize) -> Answer<'_, Vec<Event>> {
        self.read(move |connection| rows::events(connection, after, limit))
    }

    fn cursor(&self, reader: &str) -> Answer<'_, u64> {
        let reader = reader.to_owned();
        self.read_one(move |connection| {
            let mut select = connection.prepare_cached("SELECT seq FROM cursor WHERE reader=?1")?;
            let found = select.query_row([&reader], |row| row.get::<_, i64>(0)).optional()?;
            Ok(found.and_then(|seq| u64::try_from(seq).ok()).unwrap_or_default())
        })
    }

    fn advance(&self, reader: &str, seq: u64) -> Answer<'_, ()> {
        let reader = reader.to_owned();
        self.write(move |transaction| {
            let seq = i64::try_from(seq).unwrap_or(i64::MAX);
            // A reader never goes back, whoever else read in its name.
            let advance = "INSERT INTO cursor(reader,seq) VALUES(?1,?2) ON CONFLICT(reader) DO UPDATE SET seq=max(seq,excluded.seq)";
            transaction.prepare_cached(advance)?.execute(params![reader, seq]).map(drop)
        })
    }

    fn put(&self, item: Item) -> Answer<'_, ()> {
        self.write(move |transaction| rows::put(transaction, &item, true).map(drop))
    }

    fn put_new(&self, item: Item, now: Wall) -> Answer<'_, bool> {
        self.write(move |transaction| {
            let drop = "DELETE FROM item WHERE kind=?1 AND key=?2 AND expires<=?3";
            transaction.prepare_cached(drop)?.execute(params![item.kind, item.key, now])?;
            rows::put(transaction, &item, false)
        })
    }

    fn swap(&self, before: Option<&str>, item: Item) -> Answer<'_, bool> {
        let before = before.map(str::to_owned);
        self.write(move |transaction| {
            let select = "SELECT data FROM item WHERE kind=?1 AND key=?2";
            let kept: Option<String> = transaction.query_row(select, params![item.kind, item.key], |row| row.get(0)).optional()?;
            if kept == before { rows::put(transaction, &item, true) } else { Ok(false) }
        })
    }

    fn item(&self, kind: &'static str, key: &str, now: Wall) -> Answer<'_, Option<Item>> {
        let key = key.to_owned();
        self.read_one(move |connection| rows::item(connection, kind, &key, now))
    }

    fn take(&self, kind: &'static str, key: &str, now: Wall) -> Answer<'_, Option<Item>> {
        let key = key.to_owned();
        self.write(move |transaction| {
            let found = rows::item(transaction, kind, &key, now)?;
            transaction.prepare_cached("DELETE FROM item WHERE kind=?1 AND key=?2")?.execute(params![kind, key])?;
            Ok(found)
        })
    }

    fn items(&self, kind: &'static str, owner: Option<&str>, now: Wall) -> Answer<'_, Vec<Item>> {
        let owner = owner.map(str::to_owned);
        self.read(move |connection| rows::items(connection, kind, owner.as_deref(), now))
    }

    fn drop_items(&self, kind: &'static str, owner: &str, handle: Option<&str>) -> Answer<'_, usize> {
        let (owner, handle) = (owner.to_owned(), handle.map(str::to_owned));
        self.write(move |transaction| {
            let drop = "DELETE FROM item WHERE kind=?1 AND owner=?2 AND (?3 IS NULL OR handle=?3)";
            transaction.execute(drop, params![kind, owner, handle])
        })
    }

    fn sweep(&self, now: Wall) -> Answer<'_, usize> {
        self.write(move |transaction| transaction.execute("DELETE FROM item WHERE expires<=?1", [now]))
    }
}
