//! Requests, events and items as rows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use serde_json::{Value, json};

use super::{Filter, Item, memo};
use crate::approval::{Answer, Approver, Drawn, Standing};
use crate::policy::{Assurance, Channel};
use crate::request::Job;
use crate::server::model::{Drawing, Due, Event, Kept, KeptReview, Plan, Requester, State, Telling, Wall};

pub(super) const BY_ID: &str = "SELECT id,key,way,requester,state,created,text,doc FROM request WHERE id=?1";

/// The request of this key that may still be waiting; the `+` lets SQLite go by the key, and not by the order.
pub(super) const WAITING: &str = "SELECT id,key,way,requester,state,created,text,doc FROM request \
     WHERE key=?1 AND way=?2 AND requester=?3 AND state IN ('pending','approved') ORDER BY +id DESC LIMIT 1";

pub(super) fn insert(transaction: &Transaction<'_>, request: &Kept) -> Result<(), rusqlite::Error> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO request(id,key,way,requester,state,created,ends,text,doc,due,alike) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    )?;
    insert.execute(params![
        request.id,
        request.key,
        request.requester.way,
        request.requester.name,
        request.state.word(),
        request.created,
        ends(request),
        request.submitted.text(),
        doc(request).to_string(),
        due(request),
        request.submitted.said().alike()
    ])?;
    memo::remember(&request.id, &request.submitted);
    Ok(())
}

pub(super) fn update(transaction: &Transaction<'_>, request: &Kept) -> Result<(), rusqlite::Error> {
    let mut update = transaction.prepare_cached("UPDATE request SET state=?2,ends=?3,doc=?4,due=?5 WHERE id=?1")?;
    update.execute(params![request.id, request.state.word(), ends(request), doc(request).to_string(), due(request)])?;
    Ok(())
}

/// When something is next to be told of it.
fn due(request: &Kept) -> Wall {
    let next = request.plan.due.first().filter(|_| request.state == State::Pending);
    next.map_or(Wall::MAX, |next| next.at)
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
        // Of one state there is an index in the order of ids; by several states SQLite would sort all that there are, which the `+` forbids.
        sql.push_str(&format!(" AND {}state IN ({marks})", if filter.states.len() > 1 { "+" } else { "" }));
        values.extend(filter.states.iter().map(|state| state.word().to_owned()));
    }
    if let Some((way, name)) = &filter.requester {
        sql.push_str(" AND way=? AND requester=?");
        values.extend([way.clone(), name.clone()]);
    }
    if let Some(alike) = &filter.alike {
        sql.push_str(" AND alike=?");
        values.push(alike.clone());
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

/// Requests of this key that are over, the newest first.
pub(super) const BEFORE: &str = "SELECT id,key,way,requester,state,created,text,doc FROM request \
     WHERE key=?1 AND way=?2 AND requester=?3 AND state NOT IN ('pending','approved') ORDER BY +id DESC LIMIT 1";

/// How many there are of this key, and that a count ends somewhere.
pub(super) const HOW_MANY_BEFORE: &str = "SELECT count(*) FROM (SELECT 1 FROM request WHERE key=?1 AND way=?2 AND requester=?3 LIMIT 1000)";

/// Whether a requester has as many waiting as they may; the `+` lets SQLite look at this requester's only.
pub(super) fn has_too_many(transaction: &Transaction<'_>, request: &Kept, most: usize) -> Result<bool, rusqlite::Error> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM request WHERE way=?1 AND requester=?2 AND state IN ('pending','approved') AND +ends>?3 LIMIT ?4)";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let waiting: i64 = transaction
        .prepare_cached(sql)?
        .query_row(params![request.requester.way, request.requester.name, request.created, most], |row| row.get(0))?;
    Ok(most > 0 && waiting >= most)
}

pub(super) fn due_by(connection: &Connection, now: Wall, limit: usize) -> Result<Vec<Kept>, rusqlite::Error> {
    let sql = "SELECT id,key,way,requester,state,created,text,doc FROM request WHERE due<=?1 ORDER BY due LIMIT ?2";
    connection.prepare_cached(sql)?.query_map(params![now, i64::try_from(limit).unwrap_or(i64::MAX)], kept)?.collect()
}

/// All that are not over.
pub(super) fn waiting(transaction: &Transaction<'_>) -> Result<Vec<Kept>, rusqlite::Error> {
    let sql = "SELECT id,key,way,requester,state,created,text,doc FROM request WHERE state IN ('pending','approved')";
    transaction.prepare_cached(sql)?.query_map([], kept)?.collect()
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
    let submitted = memo::submitted(row.get_ref(0)?.as_str()?, row.get_ref(6)?.as_str()?).map_err(|_| bad(6))?;
    let request = || {
        let job = match doc.get("job") {
            Some(job) => Some(Job::new(job.get("name")?.as_str()?, job.get("url")?.as_str()?)?),
            None => None,
        };
        let requester = Requester { way: row.get(2).ok()?, name: row.get(3).ok()?, person: person(doc.get("person"))?, job };
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
            plan: plan(doc.get("plan"))?,
            drawn: match doc.get("drawn") {
                None => None,
                Some(drawn) => Some(drawing(drawn)?),
            },
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
        "plan": plan_value(&request.plan),
    });
    let optional = [
        ("number", request.number.as_deref().map(Value::from)),
        ("checkpoint", request.checkpoint.as_deref().map(Value::from)),
        ("decided", request.decided.map(Value::from)),
        ("valid_until", request.valid_until.map(Value::from)),
        ("consumed", request.consumed.map(Value::from)),
        ("outcome", request.outcome.clone()),
        ("person", request.requester.person.as_ref().map(person_value)),
        ("drawn", request.drawn.as_ref().map(drawing_value)),
        ("job", request.requester.job.as_ref().map(|job| json!({ "name": job.name(), "url": job.url() }))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            doc[name] = value;
        }
    }
    doc
}

fn drawing_value(drawing: &Drawing) -> Value {
    let Drawn { created, nth, .. } = &drawing.drawn;
    json!({ "request": drawing.request, "uses": drawing.uses, "created": created, "nth": nth })
}

fn drawing(value: &Value) -> Option<Drawing> {
    let number = |name: &str| value.get(name)?.as_u64()?.try_into().ok();
    let drawn = Drawn { text: String::new(), created: value.get("created")?.as_i64()?, nth: number("nth")? };
    Some(Drawing { request: value.get("request")?.as_str()?.to_owned(), uses: number("uses")?, drawn })
}

fn plan_value(plan: &Plan) -> Value {
    let due = plan.due.iter().map(|due| match due.what {
        Telling::Reminder => json!({ "at": due.at }),
        Telling::Escalated(step) => json!({ "at": due.at, "step": step }),
    });
    let mut value = json!({ "asked_before": plan.asked_before, "due": due.collect::<Vec<_>>() });
    if let Some(before) = &plan.before {
        value["before"] = before.as_str().into();
    }
    if let Some(ended) = plan.ended {
        value["ended"] = ended.into();
    }
    value
}

/// What a request of before this was kept has none of.
fn plan(value: Option<&Value>) -> Option<Plan> {
    let Some(value) = value else { return Some(Plan::default()) };
    let due = |due: &Value| {
        let step = due.get("step").map(|step| step.as_u64().and_then(|step| usize::try_from(step).ok()));
        let what = step.map_or(Some(Telling::Reminder), |step| step.map(Telling::Escalated))?;
        Some(Due { at: due.get("at")?.as_i64()?, what })
    };
    Some(Plan {
        asked_before: u32::try_from(value.get("asked_before")?.as_u64()?).ok()?,
        before: value.get("before").and_then(Value::as_str).map(str::to_owned),
        ended: value.get("ended").map_or(Some(None), |ended| ended.as_i64().map(Some))?,
        due: value.get("due")?.as_array()?.iter().map(due).collect::<Option<_>>()?,
    })
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
    if let Some(standing) = &review.standing {
        value["standing"] = standing.value();
    }
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
        standing: match value.get("standing") {
            None => None,
            Some(standing) => Some(Standing::read(standing)?),
        },
        evidence: value.get("evidence").cloned(),
    })
}

pub(super) fn person_value(person: &Approver) -> Value {
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
