//! How much may be asked, how soon again, and what those who are asked are told while a request waits.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::json;

use super::app::App;
use super::model::{Due, Kept, Plan, Telling, Wall};
use super::rules::later;
use super::store::{Changed, Limits, Unavailable};
use crate::policy::Terms;

/// A time that one sweep of those that are due takes on at most.
const AT_ONCE: usize = 100;

/// The section `[requests]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asking {
    /// How long the same may not be asked again after it was rejected.
    pub after_rejected: Span,
    /// How long not after the requester gave up.
    pub after_cancelled: Span,
    /// How long not after it was approved and used.
    pub after_consumed: Span,
    /// How many requests of one requester may wait at once; 0 for any number.
    pub waiting: usize,
    /// How many requests one requester may make in a minute; 0 for any number.
    pub per_minute: u32,
    /// How long after a request was made those who are asked are reminded; two at most.
    pub reminders: Reminders,
    /// Whether a host has to send its log's checkpoint with what it asks and uses, and its key has to be known.
    pub checkpoint: bool,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            after_rejected: Span(Duration::from_secs(30)),
            after_cancelled: Span(Duration::ZERO),
            after_consumed: Span(Duration::ZERO),
            waiting: 1000,
            per_minute: 600,
            reminders: Reminders(vec![Span(Duration::from_mins(5))]),
            checkpoint: false,
        }
    }
}

/// A length of time as the configuration writes it: `30s`, `5m`, `2h`, `1d`; also `0s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bad = || de::Error::custom("a duration is written as `90s`, `5m`, `2h` or `1d`, a year at most");
        let seconds = crate::text::span(&text).filter(|seconds| *seconds <= 366 * 86400).ok_or_else(bad)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

/// When those who are asked are reminded: two times at most, so that nobody learns to look away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reminders(Vec<Span>);

impl<'de> Deserialize<'de> for Reminders {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spans = Vec::<Span>::deserialize(from)?;
        if spans.len() > 2 || spans.iter().any(|span| span.0.is_zero()) {
            return Err(de::Error::custom("`reminders` are two at most, and none at once"));
        }
        Ok(Self(spans))
    }
}

impl Asking {
    /// What the store holds each requester to.
    pub fn limits(&self) -> Limits {
        Limits {
            rejected: self.after_rejected.0,
            cancelled: self.after_cancelled.0,
            consumed: self.after_consumed.0,
            waiting: self.waiting,
        }
    }

    /// What is to be told of a request while it waits.
    pub fn plan(&self, terms: &Terms, created: Wall, expires: Wall) -> Plan {
        let escalated = terms.escalate.iter().enumerate().map(|(step, wanted)| (wanted.after, Telling::Escalated(step)));
        let reminders = self.reminders.0.iter().map(|span| (span.0, Telling::Reminder));
        let due = escalated.chain(reminders).map(|(after, what)| Due { at: later(created, after), what });
        let mut due: Vec<Due> = due.filter(|due| due.at < expires).collect();
        due.sort_by_key(|due| due.at);
        Plan { due, ..Plan::default() }
    }
}

/// Tells what is due: events for people who are asked from now on, and reminders.
pub async fn tell_due(app: &App, now: Wall) -> Result<(), Unavailable> {
    for request in app.store.due(now, AT_ONCE).await? {
        if let Changed::To(told) = app.store.change(&request.id, now, Box::new(move |request| tell(request, now))).await? {
            app.live.tell(&told.id);
        }
    }
    super::duties::chase(app, now).await
}

/// Takes the next thing that is due off a request's plan, as the event that tells it.
pub fn tell(request: &mut Kept, now: Wall) -> Option<(&'static str, serde_json::Value)> {
    request.plan.due.first().filter(|due| due.at <= now && request.at(now) == super::model::State::Pending)?;
    let due = request.plan.due.remove(0);
    let terms = &request.submitted.said().terms;
    Some(match due.what {
        Telling::Escalated(step) => {
            ("request.escalated", json!({ "approvers": terms.escalate.get(step).map(|step| &step.approvers).cloned().unwrap_or_default() }))
        }
        Telling::Reminder => ("request.reminder", json!({ "approvers": asked_at(terms, request.created, now) })),
    })
}

/// The slots that may decide at a moment: those of the terms, and those that escalation has added by then.
pub fn asked_at(terms: &Terms, created: Wall, now: Wall) -> Vec<String> {
    let added = terms.escalate.iter().filter(|step| later(created, step.after) <= now).flat_map(|step| &step.approvers);
    let mut asked: Vec<String> = Vec::new();
    for slot in terms.approvers.iter().chain(added) {
        if !asked.contains(slot) {
            asked.push(slot.clone());
        }
    }
    asked
}
