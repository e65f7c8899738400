//! Standing grants: made by the approvals that suffice for a request, used by later ones of the same requester.

use rusqlite::{Connection, OptionalExtension, Transaction};
use serde_json::{Value, json};

use super::sqlite::{add_event, one};
use super::{GRANT, Item, rows};
use crate::approval::{Answer, Drawn, Standing};
use crate::server::model::{Drawing, Kept, Requester, State, Wall};
use crate::server::rules::later;

/// What is kept of a standing grant: what it lets run, and how often yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    /// What the approvers let run.
    pub standing: Standing,
    /// How many uses are left.
    pub left: u32,
}

impl Granted {
    /// Reads what an item holds.
    pub fn of(item: &Item) -> Option<Self> {
        let mut value: Value = serde_json::from_str(&item.data).ok()?;
        let left: u32 = value.as_object_mut()?.remove("left")?.as_u64()?.try_into().ok()?;
        // The first use is that of the request itself.
        Standing::read(&value).filter(|standing| left < standing.uses()).map(|standing| Self { standing, left })
    }

    /// What lets one command run, and no other, is found by its key.
    fn item(&self, id: &str, key: &str, requester: &Requester) -> Item {
        let mut data = self.standing.value();
        data["left"] = self.left.into();
        Item {
            kind: GRANT,
            key: id.to_owned(),
            owner: whose(requester),
            handle: if self.standing.open().is_empty() { key.to_owned() } else { String::new() },
            data: data.to_string(),
            expires: self.standing.until(),
        }
    }
}

fn whose(requester: &Requester) -> String {
    format!("{} {}", requester.way, requester.name)
}

/// Keeps what the approvals of a request that was just approved let run beyond it, where all of them do.
pub(super) fn made(transaction: &Transaction<'_>, request: &Kept, at: Wall) -> Result<(), rusqlite::Error> {
    let approvals = request.reviews.iter().filter(|review| review.answer == Answer::Approve);
    let Some(standing) = Standing::of_all(approvals.map(|review| review.standing.as_ref())) else { return Ok(()) };
    let mut data = standing.value();
    data["request"] = request.id.as_str().into();
    // The request itself is the first use.
    let granted = Granted { left: standing.uses() - 1, standing };
    rows::put(transaction, &granted.item(&request.id, &request.key, &request.requester), true)?;
    add_event(transaction, at, "standing.made", None, &data).map(drop)
}

/// A request with the text that its approvers saw, where it is a use of a standing grant: that is kept once, with the first.
pub(super) fn with_text(connection: &Connection, mut request: Kept) -> Result<Kept, rusqlite::Error> {
    if let Some(drawing) = &mut request.drawn {
        let text = connection.prepare_cached("SELECT text FROM request WHERE id=?1")?.query_row([&drawing.request], |row| row.get(0));
        drawing.drawn.text = text.optional()?.unwrap_or_default();
    }
    Ok(request)
}

/// Approves a new request where a standing grant lets it run, and counts that as a use: the event's data, or none.
pub(super) fn draw(transaction: &Transaction<'_>, request: &mut Kept) -> Result<Option<Value>, rusqlite::Error> {
    let now = request.created;
    for item in rows::items(transaction, GRANT, Some(&whose(&request.requester)), now)? {
        let Some(mut granted) = Granted::of(&item).filter(|granted| granted.left > 0) else { continue };
        if granted.standing.open().is_empty() && item.handle != request.key {
            continue;
        }
        let Some(first) = one(transaction, &item.key)? else { continue };
        if first.requester.person != request.requester.person || !granted.standing.covers(&first.submitted, &request.submitted) {
            continue;
        }
        let nth = granted.standing.uses() - granted.left + 1;
        granted.left -= 1;
        rows::put(transaction, &granted.item(&item.key, &first.key, &request.requester), true)?;
        let valid = later(now, request.submitted.said().terms.valid);
        // It came, and was approved: two changes, with an event each.
        request.version += 1;
        request.state = State::Approved;
        request.decided = Some(now);
        request.valid_until = Some(valid.min(granted.standing.until()));
        request.reviews = first.reviews;
        let drawn = Drawn { text: first.submitted.text().to_owned(), created: first.created, nth };
        request.drawn = Some(Drawing { request: item.key, uses: granted.standing.uses(), drawn });
        let told = request.drawn.as_ref().map(|drawing| json!({ "request": drawing.request, "use": nth, "uses": drawing.uses }));
        return Ok(Some(json!({ "grant": told })));
    }
    Ok(None)
}
