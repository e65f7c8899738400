//! What the server says of a request. None of it is believed before a receipt shows it; here it is only told to the requester.

use serde_json::Value;

pub use crate::approval::State;

/// A request as the server shows it to its requester.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// The server's id of it.
    pub id: String,
    /// Goes up with every change.
    pub version: u64,
    /// Where it stands.
    pub state: State,
    /// The digest that people are shown, in hex.
    pub digest: String,
    /// Where people decide.
    pub url: String,
    /// Who is asked.
    pub asked: Vec<String>,
    /// How many of each.
    pub threshold: u64,
    /// What people said so far.
    pub reviews: Vec<Said>,
    /// The signed decision, once there is one.
    pub receipt: Option<String>,
}

/// What somebody said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// What the server calls them.
    pub name: String,
    /// Whether they approve.
    pub approves: bool,
    /// How surely it was them, in the server's word.
    pub assurance: String,
    /// When, as the server writes it.
    pub at: String,
}

impl View {
    /// Reads it; none where it is something else.
    pub fn read(body: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(body).ok()?)
    }

    fn of(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let id = text("id").filter(|id| is_id(id))?;
        let state = State::parse(value.get("state")?.as_str()?)?;
        let asked = value.get("asked")?.as_array()?.iter().map(|one| Some(one.as_str()?.to_owned()));
        Some(Self {
            id,
            version: value.get("version")?.as_u64()?,
            state,
            digest: text("digest")?,
            url: text("url")?,
            asked: asked.collect::<Option<_>>()?,
            threshold: value.get("threshold")?.as_u64()?,
            reviews: value.get("reviews")?.as_array()?.iter().map(Said::of).collect::<Option<_>>()?,
            receipt: value.get("receipt").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

impl Said {
    fn of(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        Some(Self {
            name: text("name")?,
            approves: value.get("review")?.as_str()? == "approve",
            assurance: text("assurance")?,
            at: text("at")?,
        })
    }
}

/// Whether it may stand in a path: `req_` and letters and digits.
pub fn is_id(id: &str) -> bool {
    id.len() <= 64 && id.strip_prefix("req_").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
