//! One request to the server and what became of it, by the retry rules that both sides keep.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::identity::Credential;
use super::view::View;
use crate::sys::random;
use crate::text;

/// An answer that is longer is none.
const LONGEST_ANSWER: usize = 2 * 1024 * 1024;

/// What is shown of the server's words, in characters.
const LONGEST_WORDS: usize = 300;

/// The first and the longest time to wait before asking again.
const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(8);

/// The kind of a no that says that this host's log does not go on from what the server saw of it.
const CONFLICT: &str = "conflict";

/// Why there is no answer that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Failed {
    /// Nobody answered, or what answered did not end: why. Worth another try.
    Lost(String),
    /// The server cannot now; perhaps it says when. Worth another try.
    Busy(String, Option<Duration>),
    /// The server says no.
    No(Problem),
    /// This host cannot ask: why.
    Here(String),
}

/// The server's no (RFC 9457).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Problem {
    pub(super) status: u16,
    /// The last part of its `type`.
    pub(super) kind: String,
    /// What it says, fit to be shown.
    pub(super) words: String,
    /// How many entries of this host's log it saw, where it says that.
    pub(super) size: Option<u64>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<&'a Value>,
    pub(super) patience: Duration,
}

impl Failed {
    /// It in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Lost(why) | Self::Here(why) | Self::Busy(why, _) => why.clone(),
            Self::No(problem) => problem.words.clone(),
        }
    }
}

impl Reply {
    /// The server is there and cannot now.
    pub(super) fn busy(&self) -> Failed {
        Failed::Busy(format!("it answered {}", self.status), self.retry_after)
    }

    /// Sorts it: what holds, what may be tried again, and what is final.
    fn sorted(self) -> Result<Self, Failed> {
        match self.status {
            200..=299 | 304 => Ok(self),
            408 | 425 | 429 | 500..=599 => Err(self.busy()),
            _ => Err(Failed::No(Problem::of(&self))),
        }
    }

    /// The request in it.
    pub(super) fn view(&self) -> Result<View, Failed> {
        View::read(&self.body).ok_or_else(|| Failed::No(Problem::strange("its answer is not that of a gate server")))
    }
}

impl Problem {
    pub(super) fn strange(words: &str) -> Self {
        Self { words: words.to_owned(), ..Self::default() }
    }

    /// It knows something of this host's log that the log does not: what.
    pub(super) fn conflict(words: &str) -> Self {
        Self { kind: CONFLICT.to_owned(), words: words.to_owned(), ..Self::default() }
    }

    pub(super) fn is_conflict(&self) -> bool {
        self.kind == CONFLICT
    }

    fn of(reply: &Reply) -> Self {
        let value: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let said = [text("title"), text("detail")].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(": ");
        let said: String = text::escape(said.as_bytes()).chars().take(LONGEST_WORDS).collect();
        let words = match said.as_str() {
            "" => format!("it answered {}", reply.status),
            said => format!("it answered {}, {said}", reply.status),
        };
        let kind = text("type").rsplit('/').next().unwrap_or_default().to_owned();
        Self { status: reply.status, kind, words, size: value.get("size").and_then(Value::as_u64) }
    }
}

/// Asks once.
pub(super) async fn ask(client: &Client, origin: &str, credential: &Credential, call: &Call<'_>) -> Result<Reply, Failed> {
    let body = call.body.map(Value::to_string).unwrap_or_default().into_bytes();
    let authorization = credential.authorization(&call.method, &call.target, &body).await?;
    let mut request = client.request(call.method.clone(), format!("{origin}{}", call.target)).timeout(call.patience);
    request = request.header("authorization", authorization).header("accept", "application/json");
    request = call.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    if call.body.is_some() {
        request = request.header("content-type", "application/json").body(body);
    }
    read(request, LONGEST_ANSWER).await?.sorted()
}

/// Sends it, and reads no more of the answer than `limit` bytes.
pub(super) async fn read(request: RequestBuilder, limit: usize) -> Result<Reply, Failed> {
    let lost = |error: reqwest::Error| Failed::Lost(told(&error));
    let mut response = request.send().await.map_err(lost)?;
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(lost)? {
        if body.len() + part.len() > limit {
            return Err(Failed::No(Problem::strange("its answer is too large")));
        }
        body.extend_from_slice(&part);
    }
    Ok(Reply { status: response.status().as_u16(), retry_after: retry_after.map(Duration::from_secs), body })
}

/// How long to wait before the next try: any time up to a bound that doubles (full jitter), or what the server said.
pub(super) fn pause(failures: u32, failed: &Failed) -> Duration {
    if let Failed::Busy(_, Some(after)) = failed {
        return *after;
    }
    let bound = FIRST.saturating_mul(1 << failures.min(6)).min(LAST);
    let mut bytes = [0; 4];
    // Without random bytes all would come back at once, which is the worse that can happen of it.
    let _ = random::fill(&mut bytes);
    bound.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

/// The error with its causes, without the address, which the caller names.
fn told(error: &reqwest::Error) -> String {
    let mut words = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        words = if words.is_empty() { deeper.to_string() } else { format!("{words}: {deeper}") };
        cause = deeper.source();
    }
    if words.is_empty() && error.is_timeout() {
        words.push_str("it takes too long");
    }
    let words = if words.is_empty() { error.to_string() } else { words };
    text::escape(words.as_bytes()).chars().take(LONGEST_WORDS).collect()
}
