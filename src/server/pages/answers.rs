//! Pages as answers, and what is said where there is none.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::html::{Failed, Page};
use crate::server::api::Problem;
use crate::server::store::Unavailable;

/// Why there is no page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// There is no such thing, or it is not theirs to see.
    Missing,
    /// Nobody is signed on any more.
    SignedOff,
    /// It did not come from the server's own page.
    Elsewhere,
    /// What was sent is not what it has to be: what is wrong.
    Bad(String),
    /// It was decided, or is not theirs to decide: why.
    Refused(&'static str),
    /// The server cannot do it now.
    Unavailable,
}

impl From<Unavailable> for Failure {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem.status {
            404 => Self::Missing,
            403 => Self::Refused("Its terms want other people, or another way."),
            409 | 410 => Self::Refused("It was decided already, or its time is over."),
            _ => Self::Unavailable,
        }
    }
}

impl Failure {
    fn parts(&self) -> (StatusCode, &'static str, String) {
        let said = |detail: &str| detail.to_owned();
        match self {
            Self::Missing => (
                StatusCode::NOT_FOUND,
                "There is no such page",
                said("It may have been removed, the link may not be whole, or it is not yours to see."),
            ),
            Self::SignedOff => (StatusCode::UNAUTHORIZED, "Your session ended", said("Sign on again; nothing was changed.")),
            Self::Elsewhere => (
                StatusCode::FORBIDDEN,
                "This did not come from the server's own page",
                said("Nothing was changed. Open the page again and repeat it there."),
            ),
            Self::Bad(what) => (StatusCode::UNPROCESSABLE_ENTITY, "This cannot be taken", what.clone()),
            Self::Refused(why) => (StatusCode::CONFLICT, "Nothing was changed", said(why)),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "The server cannot do this now", said("Nothing was changed. Try again."))
            }
        }
    }

    /// As the page's own script reads it.
    pub(super) fn problem(&self) -> Response {
        let (status, title, detail) = self.parts();
        let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, title, detail) = self.parts();
        (status, shown(&Failed { page: Page::new("", None, 0), title, detail })).into_response()
    }
}

/// A page.
pub(super) fn shown(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
