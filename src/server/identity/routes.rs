//! The routes of signing on and off.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Path, Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::error::Error;
use super::flow::{self, Answered, StepUp, TX, Wanted, begin, finish};
use super::provider::Provider;
use super::routes_login;
use super::shown::{Choose, failed, page, style, told};
use super::web::form;
use super::{Identity, logout, session};
use crate::server::model::Wall;
use crate::server::store::Store;
use crate::sys::clock;

/// What a form or a body of these routes may be long at most, in bytes.
const LONGEST: usize = 128 * 1024;

/// Who has what these routes need.
pub trait Host: Send + Sync + 'static {
    /// Who people are.
    fn identity(&self) -> &Identity;
    /// Where it is kept.
    fn store(&self) -> &dyn Store;
}

/// `/login`, `/auth/…`, `/device`, `/v1/login/…`.
pub fn routes<H: Host, S>(host: Arc<H>) -> Router<S> {
    Router::new()
        .route("/login", get(choose::<H>))
        .route("/login/{issuer}", get(login::<H>))
        .route("/auth/step-up", get(step_up::<H>))
        .route("/auth/callback", get(callback::<H>))
        .route("/auth/logout", post(sign_off::<H>))
        .route("/auth/backchannel", post(backchannel::<H>))
        .merge(routes_login::routes::<H>())
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(host)
}

#[derive(Default, Deserialize)]
struct Return {
    #[serde(default, rename = "return")]
    to: String,
    max_age: Option<i64>,
}

async fn choose<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap, Query(wanted): Query<Return>) -> Response {
    let identity = host.identity();
    if let [only] = identity.providers() {
        return start(&*host, only, &headers, wanted.to, None).await;
    }
    let href = |provider: &Provider| format!("/login/{}?{}", provider.name(), form(&[("return", &wanted.to)]));
    let issuers = identity.providers().iter().map(|provider| (provider.name().to_owned(), href(provider))).collect();
    page(&Choose { style: style(), issuers }, 200, "")
}

async fn login<H: Host>(
    State(host): State<Arc<H>>,
    Path(issuer): Path<String>,
    headers: HeaderMap,
    Query(wanted): Query<Return>,
) -> Response {
    match host.identity().provider(&issuer) {
        Some(provider) => start(&*host, provider, &headers, wanted.to, None).await,
        None => told(404, "There is no such provider", "Sign on with one that the server knows."),
    }
}

/// Sends somebody who is signed on to prove it anew, by a second factor where the configuration knows one.
async fn step_up<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap, Query(wanted): Query<Return>) -> Response {
    let now = match now() {
        Ok(now) => now,
        Err(error) => return failed(&error),
    };
    let session = match session::read(host.identity(), host.store(), &headers, now).await {
        Ok(session) => session,
        Err(error) => return failed(&error),
    };
    let Some(session) = session else { return to_login(&wanted.to) };
    let on = session.into_signed_on();
    let Some(provider) = host.identity().provider(&on.provider) else { return to_login(&wanted.to) };
    let max_age = wanted.max_age.filter(|age| (0..=86400).contains(age)).or(Some(0));
    let step_up = StepUp { person: on.person, max_age, factor: !provider.demands.is_empty() };
    start(&*host, provider, &headers, wanted.to, Some(step_up)).await
}

async fn start<H: Host>(host: &H, provider: &Provider, headers: &HeaderMap, return_to: String, step_up: Option<StepUp>) -> Response {
    let identity = host.identity();
    let started = async {
        let session = session::key_of(identity, headers);
        begin(identity, host.store(), provider, Wanted { return_to, step_up }, session, now()?).await
    };
    match started.await {
        Ok(flow::Started { location, cookie }) => redirect(&location, &[cookie]),
        Err(error) => failed(&error),
    }
}

async fn callback<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap, Query(answered): Query<Answered>) -> Response {
    let identity = host.identity();
    let cookie = identity.cookies.read(&headers, TX);
    let finished = async { finish(identity, host.store(), cookie.as_deref(), &answered, now()?).await };
    match finished.await {
        Ok(finished) => redirect(&finished.location, &finished.cookies),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
struct Csrf {
    #[serde(default)]
    csrf: String,
}

async fn sign_off<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap, Form(field): Form<Csrf>) -> Response {
    let identity = host.identity();
    let signed_off = async {
        let now = now()?;
        let Some(session) = session::read(identity, host.store(), &headers, now).await? else { return Ok(None) };
        if !session.vouches(identity, &headers, Some(&field.csrf)) {
            return Err(Error::Refused("this did not come from the server's own page".to_owned()));
        }
        logout::sign_off(identity, host.store(), session, now).await.map(Some)
    };
    match signed_off.await {
        Ok(Some((location, cookie))) => redirect(&location, &[cookie]),
        Ok(None) => redirect("/", &[]),
        Err(error) => told(error.status(), "You are still signed on", &error.to_string()),
    }
}

#[derive(Deserialize)]
struct LogoutToken {
    logout_token: String,
}

async fn backchannel<H: Host>(State(host): State<Arc<H>>, Form(field): Form<LogoutToken>) -> Response {
    let ended = async { logout::backchannel(host.identity(), host.store(), &field.logout_token, now()?).await };
    let status = match ended.await {
        Ok(_) => StatusCode::OK,
        Err(error) => StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST),
    };
    (status, [(header::CACHE_CONTROL, "no-store")]).into_response()
}

pub(super) fn now() -> Result<Wall, Error> {
    clock::now().map(|stamp| stamp.wall).map_err(|_| Error::System("time"))
}

/// To sign on, and back.
pub(super) fn to_login(back: &str) -> Response {
    redirect(&format!("/login?{}", form(&[("return", back)])), &[])
}

/// This very page, to come back to.
pub(super) fn here(path: &str, RawQuery(query): &RawQuery) -> String {
    query.as_ref().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

pub(super) fn redirect(location: &str, cookies: &[String]) -> Response {
    let Ok(location) = HeaderValue::try_from(location) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
    for cookie in cookies.iter().filter_map(|cookie| HeaderValue::try_from(cookie).ok()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}
