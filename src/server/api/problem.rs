//! Errors of the API: problem+json (RFC 9457).

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::server::store::Unavailable;

/// How much of the framework's words is read, in bytes.
const MOST_WORDS: usize = 4096;

/// What went wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `/problems/NAME`: which kind.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// The kind in words.
    #[schema(value_type = String)]
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What exactly.
    pub detail: String,
    /// The assurance that is needed, where that is what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub needed: Option<&'static str>,
    /// How the request stands, where that is what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub request: Option<Box<serde_json::Value>>,
    /// How many entries of the host's log were seen, where that is what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When to try again, in seconds.
    #[serde(skip)]
    pub retry_after: u64,
}

impl Problem {
    fn new(status: u16, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, title, status, detail: detail.into(), needed: None, request: None, size: None, retry_after: 2 }
    }

    /// The body or a parameter is not what it has to be.
    pub fn validation(detail: impl Into<String>) -> Self {
        Self::new(422, "/problems/validation", "this is not a valid request", detail)
    }

    /// The body is longer than any that is needed here.
    pub fn too_large() -> Self {
        Self::new(413, "/problems/too-large", "the body is too long", "the body is longer than 512 KiB, or broke off")
    }

    /// What the framework refused, before a handler of ours saw it; its words hold what the caller sent.
    pub fn rejected(status: StatusCode, words: &str) -> Self {
        let words = crate::text::escape(words.as_bytes());
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(405, "/problems/method", "this cannot be done here", "the header `Allow` tells what can")
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(415, "/problems/media-type", "the body is not JSON", words),
            _ => Self::validation(words),
        }
    }

    /// Nobody knows who asks.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(401, "/problems/unauthenticated", "who asks is not proved", detail)
    }

    /// Known, and not allowed to.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, "/problems/forbidden", "not yours to do", detail)
    }

    /// There is none, or none for you.
    pub fn not_found() -> Self {
        Self::new(404, "/problems/not-found", "there is no such thing here", "it does not exist, or is not yours to see")
    }

    /// Own request.
    pub fn self_approval() -> Self {
        Self::new(403, "/problems/self-approval", "nobody decides on their own request", "somebody else has to decide this one")
    }

    /// A surer way is needed.
    pub fn insufficient(needed: &'static str) -> Self {
        Self {
            needed: Some(needed),
            ..Self::new(
                403,
                "/problems/insufficient-authentication",
                "the terms want a surer proof of who you are",
                format!("the terms want `{needed}`"),
            )
        }
    }

    /// The number is not the one that the requester was shown.
    pub fn wrong_number(left: u32) -> Self {
        Self::new(
            403,
            "/problems/wrong-number",
            "this is not the number that the requester sees",
            format!("{left} more tries before the request is rejected"),
        )
    }

    /// Somebody was faster, or it is over.
    pub fn already_decided(request: serde_json::Value) -> Self {
        Self {
            request: Some(Box::new(request)),
            ..Self::new(409, "/problems/already-decided", "already decided", "it does not wait for this any more")
        }
    }

    /// It ran out.
    pub fn expired() -> Self {
        Self::new(410, "/problems/expired", "expired", "its time is over")
    }

    /// The header is missing.
    pub fn idempotency_missing() -> Self {
        Self::new(400, "/problems/idempotency-missing", "the header `Idempotency-Key` is missing", "it is the request key, in quotes")
    }

    /// The header is another one.
    pub fn idempotency_mismatch() -> Self {
        Self::new(
            422,
            "/problems/idempotency-mismatch",
            "the header `Idempotency-Key` is not of this request",
            "it has to be the key of the request in the body",
        )
    }

    /// The host's log does not go on from what was seen of it; from which size a proof is wanted, if any helps.
    pub fn conflict(detail: impl Into<String>, size: Option<u64>) -> Self {
        Self { size, ..Self::new(409, "/problems/conflict", "the host's log does not go on from what was seen of it", detail) }
    }

    /// Too much at once.
    pub fn rate_limited(detail: impl Into<String>, wait: std::time::Duration) -> Self {
        let retry_after = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { retry_after, ..Self::new(429, "/problems/rate-limited", "too many at once", detail) }
    }

    /// An emergency stop stands.
    pub fn stopped() -> Self {
        let detail = "an emergency stop stands: nothing is asked, approved or used until two people have lifted it";
        Self { retry_after: 60, ..Self::new(503, "/problems/stopped", "everything is stopped", detail) }
    }

    /// Not now.
    pub fn unavailable() -> Self {
        Self::new(503, "/problems/unavailable", "not available now", "the server cannot do this now; try again")
    }
}

impl From<Unavailable> for Problem {
    /// What exactly failed is for the operator, not for whoever asked.
    fn from(_: Unavailable) -> Self {
        Self::unavailable()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.status {
            401 => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            429 | 503 => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after))),
            _ => {}
        }
        response
    }
}

/// Tells as a problem what the framework refused in plain text or in silence.
pub async fn told_as_problem(request: Request, next: Next) -> Response {
    let of_api = request.uri().path().starts_with("/v1/");
    let response = next.run(request).await;
    let plain = response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !of_api || !plain || !response.status().is_client_error() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let words = to_bytes(body, MOST_WORDS).await.unwrap_or_default();
    let mut told = Problem::rejected(parts.status, &String::from_utf8_lossy(&words)).into_response();
    if let Some(allowed) = parts.headers.get(header::ALLOW) {
        told.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    told
}
