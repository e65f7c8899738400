//! What the store does beyond single requests: rest after a decision, reviews that are owed, the emergency stop.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::sqlite::{add_event, changed};
use super::{BREAK_GLASS, GRANT, Item, Limits, STOP, rows};
use crate::server::model::{Kept, KeptReview, State, Wall};
use crate::server::rules::later;

/// An approval by break-glass is told at once, and a review of it owed from the same moment on.
pub(super) fn owed(transaction: &Transaction<'_>, request: &Kept, review: &KeptReview) -> Result<(), rusqlite::Error> {
    let by = review.approver.named();
    let data = serde_json::json!({
        "request": request.id,
        "by": rows::person_value(&review.approver),
        "name": review.name,
        "reason": review.comment,
        "at": review.at,
        "told": review.at,
    });
    let item =
        Item { kind: BREAK_GLASS, key: request.id.clone(), owner: by, handle: String::new(), data: data.to_string(), expires: Wall::MAX };
    rows::put(transaction, &item, true)?;
    add_event(transaction, review.at, "break_glass.used", None, &data).map(drop)
}

/// Until when the key of a request has to rest; what came before is put down in its plan.
pub(super) fn cooling(transaction: &Transaction<'_>, request: &mut Kept, limits: Limits) -> Result<Option<Wall>, rusqlite::Error> {
    let of = params![request.key, request.requester.way, request.requester.name];
    let Some(last) = transaction.prepare_cached(rows::BEFORE)?.query_row(of, rows::kept).optional()? else { return Ok(None) };
    request.plan.asked_before = transaction.prepare_cached(rows::HOW_MANY_BEFORE)?.query_row(of, |row| row.get(0))?;
    let rest = match last.state {
        State::Rejected => limits.rejected,
        State::Cancelled => limits.cancelled,
        State::Consumed => limits.consumed,
        State::Pending | State::Approved | State::Expired => Duration::ZERO,
    };
    let until = later(last.plan.ended.unwrap_or(last.created), rest);
    request.plan.before = Some(last.id);
    Ok(Some(until).filter(|until| *until > request.created))
}

/// Rejects all that is not over with this review, and puts the stop down: the ids, or none where it stands already.
pub(super) fn stop(transaction: &Transaction<'_>, stop: &Item, review: &KeptReview) -> Result<Option<Vec<String>>, rusqlite::Error> {
    if rows::item(transaction, STOP, "", review.at)?.is_some() {
        return Ok(None);
    }
    rows::put(transaction, stop, true)?;
    let ended = transaction.execute("DELETE FROM item WHERE kind=?1", [GRANT])?;
    let mut stopped = Vec::new();
    for mut request in rows::waiting(transaction)? {
        request.state = State::Rejected;
        request.decided = Some(review.at);
        request.reviews.push(review.clone());
        changed(transaction, &mut request, review.at, "request.rejected", &rows::review_value(review))?;
        stopped.push(request.id);
    }
    let by = rows::person_value(&review.approver);
    let data = serde_json::json!({ "by": by, "reason": review.comment, "rejected": stopped.len(), "grants_ended": ended });
    add_event(transaction, review.at, "stop.begun", None, &data)?;
    Ok(Some(stopped))
}
