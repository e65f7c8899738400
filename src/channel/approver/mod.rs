//! The approver's side of a `gate serve`: what waits there, and saying yes or no to it.
//!
//! What is shown and signed is the canonical text and the digest that is taken over it here; what the server says beside it is told as its words.

mod decide;
mod screen;
mod told;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub use decide::{Beyond, Decided, How, comment, decide, lines};
pub use screen::{Screen, Wish};
pub use told::{Granted, Spoken, Told, is_id};

use crate::approval::{Answer, WantedStanding};
use crate::sys::http::{Http, Reply};
use crate::text;

/// An answer that is longer is none, in bytes.
const LONGEST: u64 = 32 * 1024 * 1024;

/// The server keeps an answer back for half a minute at most.
const PATIENCE: Duration = Duration::from_secs(40);

/// What is shown of the server's words, in characters.
const LONGEST_WORDS: usize = 400;

/// A server, and as whom to speak to it.
pub struct Server {
    http: Http,
    url: String,
    token: Option<String>,
}

/// Why there is no answer that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failed {
    /// Nobody answered, or what answered cannot now: why.
    Unreachable(String),
    /// The server does not know who asks: why.
    Unknown(String),
    /// The server says no.
    No {
        /// The last part of its `type`: `forbidden`, `expired`, …
        kind: String,
        /// What it says, fit to be shown.
        words: String,
        /// The assurance that it needs, where that is what is wrong.
        needed: Option<String>,
    },
    /// Its answer is not that of a gate server, or is not true: what is wrong.
    Strange(String),
}

/// What waits, and the tag by which it is known again.
#[derive(Debug)]
pub struct Waiting {
    /// The requests, the oldest first.
    pub requests: Vec<Told>,
    /// For [`Server::waiting`].
    pub tag: String,
}

/// An answer to one request.
#[derive(Clone, Debug)]
pub struct Saying<'a> {
    /// What is said.
    pub answer: Answer,
    /// Why.
    pub comment: &'a str,
    /// The number that the requester sees.
    pub number: Option<&'a str>,
    /// What it lets run beyond the one request.
    pub standing: Option<&'a WantedStanding>,
    /// What a key made of a statement.
    pub evidence: Option<Value>,
}

impl Server {
    /// A server at this origin, trusted by the certificates of a file or else the system's.
    pub fn new(url: &str, ca: Option<&Path>, token: Option<String>) -> Result<Self, String> {
        Ok(Self { http: Http::new(ca, PATIENCE)?, url: url.to_owned(), token })
    }

    /// What waits for somebody: at once, or, where the tag is known, when there is something else, within so many seconds. None where
    /// nothing changed.
    pub fn waiting(&self, known: Option<&str>, wait: u64) -> Result<Option<Waiting>, Failed> {
        let mut requests = Vec::new();
        let mut tag = String::new();
        let mut cursor = None;
        loop {
            let more = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let wait = if cursor.is_none() { wait } else { 0 };
            let known = known.filter(|_| cursor.is_none());
            let reply = self.get(&format!("/v1/requests?state=pending&limit=100&wait={wait}{more}"), known)?;
            if reply.status == 304 {
                return Ok(None);
            }
            if cursor.is_none() {
                tag.clone_from(&reply.tag);
            }
            let value = object(&reply)?;
            let page = value.get("requests").and_then(Value::as_array).ok_or_else(strange)?;
            for one in page {
                requests.push(Told::read(one).map_err(Failed::Strange)?);
            }
            cursor = value.get("next").and_then(Value::as_str).filter(|next| is_id(next)).map(str::to_owned);
            if cursor.is_none() {
                requests.reverse();
                return Ok(Some(Waiting { requests, tag }));
            }
        }
    }

    /// One request.
    pub fn request(&self, id: &str) -> Result<Told, Failed> {
        Told::read(&object(&self.get(&format!("/v1/requests/{id}"), None)?)?).map_err(Failed::Strange)
    }

    /// The bytes to sign for an answer.
    pub fn statement(&self, id: &str, answer: Answer, standing: Option<&WantedStanding>) -> Result<Vec<u8>, Failed> {
        use base64::Engine as _;
        let mut body = json!({ "answer": answer.word() });
        if let Some(standing) = standing {
            body["standing"] = standing.value();
        }
        let value = self.post(&format!("/v1/requests/{id}/statement"), &body)?;
        let bytes =
            value.get("statement").and_then(Value::as_str).and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        bytes.ok_or_else(strange)
    }

    /// Says yes or no to what was shown.
    pub fn review(&self, told: &Told, saying: &Saying<'_>) -> Result<Told, Failed> {
        let mut body =
            json!({ "review": saying.answer.word(), "digest": told.submitted().digest().to_string(), "comment": saying.comment });
        if let Some(number) = saying.number {
            body["number"] = number.into();
        }
        if let Some(standing) = saying.standing {
            body["standing"] = standing.value();
        }
        if let Some(evidence) = &saying.evidence {
            body["evidence"] = evidence.clone();
        }
        Told::read(&self.post(&format!("/v1/requests/{}/reviews", told.id()), &body)?).map_err(Failed::Strange)
    }

    /// Standing grants that one may see, and the same in the server's own words for programs.
    pub fn grants(&self) -> Result<(Vec<Granted>, Value), Failed> {
        let (mut all, mut values, mut more) = (Vec::new(), Vec::new(), String::new());
        loop {
            let mut value = object(&self.get(&format!("/v1/grants{more}"), None)?)?;
            let page = value.get_mut("grants").and_then(Value::as_array_mut).map(std::mem::take).ok_or_else(strange)?;
            for one in &page {
                all.push(Granted::read(one).map_err(Failed::Strange)?);
            }
            values.extend(page);
            match value.get("next").and_then(Value::as_str).filter(|next| is_id(next)) {
                Some(next) => more = format!("?cursor={next}"),
                None => return Ok((all, json!({ "grants": values }))),
            }
        }
    }

    /// Ends one.
    pub fn end_grant(&self, id: &str) -> Result<(), Failed> {
        self.delete(&format!("/v1/grants/{id}"))
    }

    /// Posts an object and reads one; any of the statuses given beside those that hold is read, too.
    pub fn say(&self, target: &str, body: &Value, also: &[u16]) -> Result<(u16, Value), Failed> {
        let headers = self.headers(None);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers = [headers.as_slice(), &[("content-type", "application/json")]].concat();
        let reply = self.http.post(&format!("{}{target}", self.url), &headers, body.to_string().into_bytes(), LONGEST);
        let reply = reply.map_err(|why| unreachable(&why))?;
        if also.contains(&reply.status) {
            Ok((reply.status, object(&reply)?))
        } else {
            sorted(reply).and_then(|reply| Ok((reply.status, object(&reply)?)))
        }
    }

    /// Whether the server still takes this login.
    pub fn accepted(&self) -> Result<(), Failed> {
        self.get("/v1/requests?limit=1", None).map(drop)
    }

    /// Ends this login at the server.
    pub fn revoke(&self) -> Result<(), Failed> {
        self.delete("/v1/login/token")
    }

    fn delete(&self, target: &str) -> Result<(), Failed> {
        let headers = self.headers(None);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        sorted(self.http.delete(&format!("{}{target}", self.url), &headers, LONGEST).map_err(|why| unreachable(&why))?).map(drop)
    }

    fn post(&self, target: &str, body: &Value) -> Result<Value, Failed> {
        self.say(target, body, &[]).map(|(_, value)| value)
    }

    fn get(&self, target: &str, known: Option<&str>) -> Result<Reply, Failed> {
        let headers = self.headers(known);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        sorted(self.http.get(&format!("{}{target}", self.url), &headers, LONGEST).map_err(|why| unreachable(&why))?)
    }

    fn headers(&self, known: Option<&str>) -> Vec<(&'static str, String)> {
        let mut headers = vec![("accept", "application/json".to_owned())];
        headers.extend(self.token.as_ref().map(|token| ("authorization", format!("Bearer {token}"))));
        headers.extend(known.map(|known| ("if-none-match", known.to_owned())));
        headers
    }
}

fn unreachable(why: &str) -> Failed {
    Failed::Unreachable(short(why))
}

fn strange() -> Failed {
    Failed::Strange("its answer is not that of a gate server".to_owned())
}

fn short(words: &str) -> String {
    text::visible(words).chars().take(LONGEST_WORDS).collect()
}

fn object(reply: &Reply) -> Result<Value, Failed> {
    serde_json::from_slice::<Value>(&reply.body).ok().filter(Value::is_object).ok_or_else(strange)
}

/// Sorts what the server says: what holds, what it cannot now, what is final.
fn sorted(reply: Reply) -> Result<Reply, Failed> {
    if matches!(reply.status, 200..=299 | 304) {
        return Ok(reply);
    }
    let value: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let member = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let said = [member("title"), member("detail")].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(": ");
    let words = if said.is_empty() { format!("it answered {}", reply.status) } else { short(&said) };
    Err(match reply.status {
        401 => Failed::Unknown(words),
        408 | 425 | 429 | 500..=599 => Failed::Unreachable(words),
        _ => Failed::No {
            kind: member("type").rsplit('/').next().unwrap_or_default().to_owned(),
            words,
            needed: value.get("needed").and_then(Value::as_str).map(text::visible),
        },
    })
}
