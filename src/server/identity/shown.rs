//! The few pages around signing on. They hold no script and lead nowhere but where they say.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::Error;
use crate::approval::sha256;

/// The pages' only style sheet.
const STYLE: &str = include_str!("../../../templates/identity/page.css");

#[derive(Template)]
#[template(path = "identity/choose.html")]
pub(super) struct Choose {
    pub style: &'static str,
    pub issuers: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "identity/told.html")]
struct Told<'a> {
    style: &'static str,
    title: &'a str,
    detail: &'a str,
}

#[derive(Template)]
#[template(path = "identity/let.html")]
pub(super) struct Let<'a> {
    pub style: &'static str,
    pub host: String,
    pub name: &'a str,
    pub decides: bool,
    pub device: bool,
    pub code: &'a str,
    pub binds: bool,
    pub action: &'static str,
    pub fields: Vec<(&'static str, &'a str)>,
}

#[derive(Template)]
#[template(path = "identity/code.html")]
pub(super) struct Code {
    pub style: &'static str,
    pub wrong: bool,
}

#[derive(Template)]
#[template(path = "identity/people.html")]
pub(super) struct People {
    pub style: &'static str,
    pub fields: Vec<(String, String)>,
    pub who: Vec<(&'static str, &'static str, String)>,
}

/// The style sheet, for the templates.
pub(super) fn style() -> &'static str {
    STYLE
}

/// A page with the headers that keep it to itself. `form` is where its forms may lead besides the server.
pub(super) fn page(template: &impl Template, status: u16, form: &str) -> Response {
    let Ok(text) = template.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let style = STANDARD.encode(sha256(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{}{form}; frame-ancestors 'none'; base-uri 'none'",
        if form.is_empty() { "" } else { " " }
    );
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Html(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    response
}

/// Says something, and no more.
pub(super) fn told(status: u16, title: &str, detail: &str) -> Response {
    page(&Told { style: STYLE, title, detail }, status, "")
}

/// Says why somebody is not signed on. What broke inside is for the operator alone.
pub(super) fn failed(error: &Error) -> Response {
    let detail = match error {
        Error::Store(_) | Error::System(_) => "The server cannot do this now; try again.".to_owned(),
        error => {
            let words = error.to_string();
            let mut chars = words.chars();
            chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default() + "."
        }
    };
    told(error.status(), "You are not signed on", &detail)
}
