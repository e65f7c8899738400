use jiff::Timestamp;
use serde_json::Value;

use crate::approval::{Approver, Submitted};
use crate::channel::Subject;
use crate::text;

/// A request as a server tells it, whose digest was taken anew over the text that is shown.
#[derive(Clone, Debug)]
pub struct Told {
    id: String,
    state: String,
    submitted: Submitted,
    requester: String,
    person: Option<Approver>,
    expires: i64,
    url: String,
    reviews: Vec<Spoken>,
    value: Value,
}

/// A standing grant as a server tells it.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The request that was approved so.
    pub told: Told,
    /// How often the command may run in all, and how often yet.
    pub uses: (u64, u64),
    /// Until when, in nanoseconds since 1970.
    pub until: i64,
    /// Which words may be others, as places in the argv.
    pub open: Vec<u64>,
}

impl Granted {
    /// Reads it; the error says what is not as it has to be.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let told = Told::read(value.get("request").unwrap_or_default())?;
        let read = || {
            let number = |name: &str| value.get(name)?.as_u64();
            let until = value.get("until")?.as_str()?.parse::<Timestamp>().ok()?;
            Some(Self {
                uses: (number("uses")?, number("left")?),
                until: i64::try_from(until.as_nanosecond()).ok()?,
                open: value.get("open")?.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?,
                told: told.clone(),
            })
        };
        read().ok_or_else(|| "its answer is not that of a gate server".to_owned())
    }
}

/// A review, in the server's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spoken {
    /// What it calls the approver.
    pub name: String,
    /// `approve` or `reject`.
    pub review: String,
    /// How surely it was them.
    pub assurance: String,
    /// Why.
    pub comment: String,
}

impl Told {
    /// Reads it; the error says what is not as it has to be.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let submitted = value.get("approval_request").map(Submitted::read);
        let submitted = match submitted {
            Some(Ok(submitted)) => submitted,
            Some(Err(wrong)) => return Err(format!("a request of it is none: {}", wrong.0)),
            None => return Err("its answer is not that of a gate server".to_owned()),
        };
        let read = || {
            let text = |name: &str| value.get(name)?.as_str();
            let requester = value.get("requester")?;
            let person = requester.get("person").map_or(Some(None), |person| person_of(person).map(Some))?;
            let reviews = value.get("reviews")?.as_array()?.iter().map(spoken).collect::<Option<_>>()?;
            Some(Self {
                id: text("id").filter(|id| is_id(id))?.to_owned(),
                state: text("state")?.to_owned(),
                requester: format!("{} ({})", shown(requester.get("name")?.as_str()?), shown(requester.get("way")?.as_str()?)),
                person,
                expires: i64::try_from(text("expires")?.parse::<Timestamp>().ok()?.as_nanosecond()).ok()?,
                url: text("url")?.to_owned(),
                reviews,
                submitted: submitted.clone(),
                value: value.clone(),
            })
        };
        let told = read().ok_or_else(|| "its answer is not that of a gate server".to_owned())?;
        // What is shown and what is decided about have to be one thing.
        if told.value.get("digest").and_then(Value::as_str) == Some(told.submitted.digest().to_string().as_str()) {
            Ok(told)
        } else {
            Err("it names another digest than that of the text which it tells".to_owned())
        }
    }

    /// The server's id of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `pending`, `approved`, …
    pub fn state(&self) -> String {
        shown(&self.state)
    }

    /// Whether people may still decide, as the server says it.
    pub fn is_pending(&self) -> bool {
        self.state == "pending"
    }

    /// The canonical text, and the digest over it.
    pub fn submitted(&self) -> &Submitted {
        &self.submitted
    }

    /// How the server knows the requester; not covered by the digest.
    pub fn requester(&self) -> &str {
        &self.requester
    }

    /// Whose request it is.
    pub fn person(&self) -> Option<&Approver> {
        self.person.as_ref()
    }

    /// The page of it.
    pub fn url(&self) -> String {
        shown(&self.url)
    }

    /// What people said so far.
    pub fn reviews(&self) -> &[Spoken] {
        &self.reviews
    }

    /// The server's own answer, for programs.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// How long it may still wait at a moment, in nanoseconds since 1970.
    pub fn left(&self, now: i64) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.expires.saturating_sub(now)).unwrap_or_default())
    }

    /// What a card is drawn from.
    pub fn subject(&self, now: i64) -> Subject<'_> {
        Subject::told(self.submitted.said(), self.submitted.digest(), self.left(now))
    }
}

/// Whether it may stand in a path: `req_` and letters and digits.
pub fn is_id(id: &str) -> bool {
    id.len() <= 64 && id.strip_prefix("req_").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn shown(words: &str) -> String {
    text::escape(words.as_bytes())
}

fn person_of(value: &Value) -> Option<Approver> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    Some(Approver { issuer: text("issuer")?, subject: text("subject")? })
}

fn spoken(value: &Value) -> Option<Spoken> {
    let text = |name: &str| value.get(name)?.as_str().map(shown);
    Some(Spoken { name: text("name")?, review: text("review")?, assurance: text("assurance")?, comment: text("comment")? })
}
