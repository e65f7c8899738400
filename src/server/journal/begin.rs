use serde_json::{Map, Value, json};

use super::{READER, told};
use crate::audit::{Log, Place, Reader, Wanted};
use crate::record::{Body, Draft, Kind, integer};
use crate::server::store::{Store, Unavailable};
use crate::sys::clock;

/// So many entries at the log's end are looked through for the last thing that was recorded: more than one commit holds.
const LOOKED_AT: u32 = 2048;

/// Somebody knows that log or store is an older copy that was put back, and says why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PutBack(pub String);

/// The last thing that the log has recorded: its number, and when it happened.
type Last = Option<(u64, i64)>;

/// From where on events are to be recorded. Log and store have to tell one history: where one of them is an older copy that was put
/// back, the server does not begin, unless somebody said so, and then the log says it too.
pub(super) async fn place(place: &Place, log: &mut Log, store: &dyn Store, accepted: Option<PutBack>) -> Result<u64, String> {
    let failed = |error: Unavailable| error.to_string();
    let last = last(place)?;
    let done = store.cursor(READER).await.map_err(failed)?;
    let (from, wrong) = match last {
        None if done == 0 => return Ok(0),
        None => (0, Some(format!("the store says that {done} events are in the log, and the log has none of them"))),
        Some((number, _)) if number < done => (
            number,
            Some(format!("the log has {number} events, and the store says that {done} are in it: an older copy of the log was put back")),
        ),
        Some((0, _)) => return Ok(0),
        Some((number, at)) => {
            let known = store.events(number - 1, 1).await.map_err(failed)?;
            if known.first().is_some_and(|event| event.seq == number && event.at == at) {
                (number, None)
            } else {
                (done, Some(format!("the log has event {number}, and the store does not: an older copy of the store was put back")))
            }
        }
    };
    if let Some(wrong) = wrong {
        let Some(PutBack(reason)) = accepted else {
            return Err(format!("{wrong}; approvals that were used may be there again; --put-back REASON goes on all the same"));
        };
        confess(log, store, from, &wrong, &reason).await?;
    }
    if from > done {
        store.advance(READER, from).await.map_err(failed)?;
    }
    Ok(from)
}

/// The last event in the log, from its end.
fn last(place: &Place) -> Result<Last, String> {
    let found = Reader::live(place).and_then(|reader| reader.find(&Wanted::Last(LOOKED_AT))).map_err(|error| told(&error))?;
    Ok(found.iter().rev().find_map(|entry| {
        let server = Body::parse(&entry.body).ok()?.value("server")?;
        Some((whole(server.get("event")?)?.try_into().ok()?, whole(server.get("at")?)?))
    }))
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Leaves an entry that says what was put back, and from where the log goes on.
async fn confess(log: &mut Log, store: &dyn Store, from: u64, wrong: &str, reason: &str) -> Result<(), String> {
    let known = match from.checked_sub(1) {
        Some(before) => store.events(before, 1).await.map_err(|error| error.to_string())?,
        None => Vec::new(),
    };
    let at = known.first().map_or(0, |event| event.at);
    let fields = Map::from_iter([
        ("error".to_owned(), Value::from(wrong)),
        ("reason".to_owned(), Value::from(reason)),
        ("server".to_owned(), json!({ "event": integer(from), "at": integer(at) })),
    ]);
    let now = clock::now().map_err(|error| error.to_string())?;
    log.append(&[Draft::new(Kind::AuditFailure, None, fields)], now).map(drop).map_err(|error| told(&error))
}
