//! Requests, events and items as rows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use serde_json::{Value, json};

use super::{Filter, Item};
use crate::approval::{Answer, Approver, Submitted};
use crate::policy::{Assurance, Channel};
use crate::server::model::{Event, Kept, KeptReview, Requester, State, Wall};

pub(super) const BY_ID: &str = "SELECT id,key,way,requester,state,created,text,doc FROM request WHERE id=?1";

/// The request of this key that may still be waiting.
pub(super) const WAITING: &str = "SELECT id,key,way,requester,state,created,text,doc FROM request \
     WHERE key=?1 AND way=?2 AND requester=?3 AND state IN ('pending','approved') ORDER BY id DESC LIMIT 1";

pub(super) fn insert(transaction: &Transaction<'_>, request: &Kept) -> Result<(), rusqlite::Error> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO request(id,key,way,requester,state,created,ends,text,doc) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)")?;
    insert.execute(params![
        request.id,
        request.key,
        request.requester.way,
        request.requester.name,
        request.state.word(),
        request.created,
        ends(request),
        request.submitted.text(),
        doc(request).to_string()
    ])?;
    Ok(())
}

pub(super) fn update(transaction: &Transaction<'_>, request: &Kept) -> Result<(), rusqlite::Error> {
    let mut update = transaction.prepare_cached("UPDATE request SET state=?2,ends=?3,doc=?4 WHERE id=?1")?;
    update.execute(params![request.id, request.state.word(), ends(request), doc(request).to_string()])?;
    Ok(())
}

/// When it runs out where it stands.
fn ends(request: &Kept) -> Wall {
    match request.state {
        State::Pending => request.expires,
        State::Approved => request.valid_until.unwrap_or(request.expires),
        _ => Wall::MAX,
    }
}

pub(super) fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Kept>, rusqlite::Error> {
    let mut sql = "SELECT id,key,way,requester,state,created,text,doc FROM request WHERE 1".to_owned();
    let mut values: Vec<String> = Vec::new();
    if !filter.states.is_empty() {
        let marks = vec!["?"; filter.states.len()].join(",");
        sql.push_str(&format!(" AND state IN ({marks})"));
        values.extend(filter.states.iter().map(|state| state.word().to_owned()));
    }
    if let Some((way, name)) = &filter.requester {
        sql.push_str(" AND way=? AND requester=?");
        values.extend([way.clone(), name.clone()]);
    }
    if let Some(before) = &filter.before {
        sql.push_str(" AND id<?");
        values.push(before.clone());
    }
    sql.push_str(&format!(" ORDER BY id DESC LIMIT {}", filter.limit));
    connection.prepare_cached(&sql)?.query_map(params_from_iter(values), kept)?.collect()
}

pub(super) fn run_out(transaction: &Transaction<'_>, now: Wall, limit: usize) -> Result<Vec<Kept>, rusqlite::Error> {
    let sql = "SELECT id,key,way,requester,state,created,text,doc FROM request WHERE state IN ('pending','approved') AND ends<=?1 LIMIT ?2";
    transaction.prepare_cached(sql)?.query_map(params![now, i64::try_from(limit).unwrap_or(i64::MAX)], kept)?.collect()
}

pub(super) fn events(connection: &Connection, after: u64, limit: usize) -> Result<Vec<Event>, rusqlite::Error> {
    let mut select = connection.prepare_cached("SELECT seq,at,kind,request,data FROM event WHERE seq>?1 ORDER BY seq LIMIT ?2")?;
    let read = |row: &Row<'_>| {
        Ok(Event {
            seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
            at: row.get(1)?,
            kind: row.get(2)?,
            request: row.get(3)?,
            data: parsed(&row.get::<_, String>(4)?, 4)?,
        })
    };
    select.query_map(params![i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX)], read)?.collect()
}

pub(super) fn put(transaction: &Transaction<'_>, item: &Item, replace: bool) -> Result<bool, rusqlite::Error> {
    let verb = if replace { "INSERT OR REPLACE" } else { "INSERT OR IGNORE" };
    let sql = format!("{verb} INTO item(kind,key,owner,handle,data,expires) VALUES(?1,?2,?3,?4,?5,?6)");
    let put = transaction.prepare_cached(&sql)?.execute(params![item.kind, item.key, item.owner, item.handle, item.data, item.expires])?;
    Ok(put > 0)
}

pub(super) fn item(connection: &Connection, kind: &'static str, key: &str, now: Wall) -> Result<Option<Item>, rusqlite::Error> {
    let sql = "SELECT key,owner,handle,data,expires FROM item WHERE kind=?1 AND key=?2 AND expires>?3";
    connection.prepare_cached(sql)?.query_row(params![kind, key, now], |row| read_item(kind, row)).optional()
}

pub(super) fn items(connection: &Connection, kind: &'static str, owner: Option<&str>, now: Wall) -> Result<Vec<Item>, rusqlite::Error> {
    let sql = "SELECT key,owner,handle,data,expires FROM item WHERE kind=?1 AND (?2 IS NULL OR owner=?2) AND expires>?3 ORDER BY key";
    connection.prepare_cached(sql)?.query_map(params![kind, owner, now], |row| read_item(kind, row))?.collect()
}

fn read_item(kind: &'static str, row: &Row<'_>) -> Result<Item, rusqlite::Error> {
    Ok(Item { kind, key: row.get(0)?, owner: row.get(1)?, handle: row.get(2)?, data: row.get(3)?, expires: row.get(4)? })
}

/// A row as a request; a row that is none is an error, and never a request with less in it.
pub(super) fn kept(row: &Row<'_>) -> Result<Kept, rusqlite::Error> {
    let doc = parsed(&row.get::<_, String>(7)?, 7)?;
    let submitted = Submitted::parse(&row.get::<_, String>(6)?).map_err(|_| bad(6))?;
    let request = || {
        let requester = Requester { way: row.get(2).ok()?, name: row.get(3).ok()?, person: person(doc.get("person"))? };
        let time = |name: &str| doc.get(name).map_or(Some(None), |time| time.as_i64().map(Some));
        let text = |name: &str| doc.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Kept {
            id: row.get(0).ok()?,
            key: row.get(1).ok()?,
            requester,
            number: text("number"),
            wrong_numbers: u32::try_from(doc.get("wrong_numbers")?.as_u64()?).ok()?,
            client_nonce_sha256: STANDARD.decode(text("client_nonce_sha256")?).ok()?.try_into().ok()?,
            checkpoint: text("checkpoint"),
            state: State::parse(&row.get::<_, String>(4).ok()?)?,
            version: doc.get("version")?.as_u64()?,
            created: row.get(5).ok()?,
            expires: doc.get("expires")?.as_i64()?,
            decided: time("decided")?,
            valid_until: time("valid_until")?,
            consumed: time("consumed")?,
            reviews: doc.get("reviews")?.as_array()?.iter().map(review).collect::<Option<_>>()?,
            outcome: doc.get("outcome").cloned(),
            submitted,
        })
    };
    request().ok_or_else(|| bad(7))
}

fn doc(request: &Kept) -> Value {
    let mut doc = json!({
        "version": request.version,
        "wrong_numbers": request.wrong_numbers,
        "client_nonce_sha256": STANDARD.encode(request.client_nonce_sha256),
        "expires": request.expires,
        "reviews": request.reviews.iter().map(review_value).collect::<Vec<_>>(),
    });
    let optional = [
        ("number", request.number.as_deref().map(Value::from)),
        ("checkpoint", request.checkpoint.as_deref().map(Value::from)),
        ("decided", request.decided.map(Value::from)),
        ("valid_until", request.valid_until.map(Value::from)),
        ("consumed", request.consumed.map(Value::from)),
        ("outcome", request.outcome.clone()),
        ("person", request.requester.person.as_ref().map(person_value)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            doc[name] = value;
        }
    }
    doc
}

/// A review as rows and events tell it.
pub(super) fn review_value(review: &KeptReview) -> Value {
    let mut value = json!({
        "approver": person_value(&review.approver),
        "name": review.name,
        "review": review.answer.word(),
        "assurance": review.assurance.word(),
        "proved": review.proved,
        "channel": review.channel.word(),
        "comment": review.comment,
        "slots": review.slots,
        "at": review.at,
    });
    if let Some(evidence) = &review.evidence {
        value["evidence"] = evidence.clone();
    }
    value
}

fn review(value: &Value) -> Option<KeptReview> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    Some(KeptReview {
        approver: person(value.get("approver"))??,
        name: text("name")?,
        answer: Answer::parse(&text("review")?)?,
        assurance: Assurance::parse(&text("assurance")?)?,
        proved: value.get("proved")?.as_i64()?,
        channel: Channel::parse(&text("channel")?)?,
        comment: text("comment")?,
        slots: value.get("slots")?.as_array()?.iter().map(|slot| Some(slot.as_str()?.to_owned())).collect::<Option<_>>()?,
        at: value.get("at")?.as_i64()?,
        evidence: value.get("evidence").cloned(),
    })
}

fn person_value(person: &Approver) -> Value {
    json!({ "issuer": person.issuer, "subject": person.subject })
}

/// The person, if there is one; the outer none is for what is no person.
#[expect(clippy::option_option, reason = "absent and malformed are two things")]
fn person(value: Option<&Value>) -> Option<Option<Approver>> {
    let Some(value) = value else { return Some(None) };
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    Some(Some(Approver { issuer: text("issuer")?, subject: text("subject")? }))
}

fn parsed(text: &str, column: usize) -> Result<Value, rusqlite::Error> {
    serde_json::from_str(text).map_err(|_| bad(column))
}

fn bad(column: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, "it is not what gate wrote".into())
}
