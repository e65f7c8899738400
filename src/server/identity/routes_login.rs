//! The routes of `gate login`: pages on which a person lets a command line act as them, and the calls by which it gets its token.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Form, Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::error::Error;
use super::login::{self, DEVICE_SECONDS, INTERVAL, Polled, RawWish, Wish};
use super::routes::{Host, here, now, redirect, to_login};
use super::session::{self, Session};
use super::shown::{Code, Let, failed, page, style, told};
use super::tokens::{self, Login, Scope};
use super::web::with_query;

/// How many device logins may begin in a minute.
const MOST_DEVICES: u32 = 300;

/// How many codes one person may try in a minute.
const MOST_CODES: u32 = 10;

pub(super) fn routes<H: Host>() -> Router<Arc<H>> {
    Router::new()
        .route("/login/cli", get(ask_cli::<H>).post(answer_cli::<H>))
        .route("/device", get(ask_device::<H>).post(answer_device::<H>))
        .route("/v1/login/device", post(device::<H>))
        .route("/v1/login/token", post(token::<H>).delete(revoke::<H>))
}

#[derive(Deserialize)]
struct CliAsked {
    #[serde(flatten)]
    wish: RawWish,
    redirect_uri: String,
    state: String,
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    answer: String,
}

/// Who is signed on; else the answer that sends them to sign on, and back to this path.
async fn signed_on<H: Host>(host: &H, headers: &HeaderMap, back: &str) -> Result<Session, Response> {
    let read = async { session::read(host.identity(), host.store(), headers, now()?).await };
    match read.await {
        Ok(Some(session)) => Ok(session),
        Ok(None) => Err(to_login(back)),
        Err(error) => Err(failed(&error)),
    }
}

fn refused(error: &Error) -> Response {
    told(error.status(), "This login cannot go on", &error.to_string())
}

fn checked<H: Host>(host: &H, asked: &CliAsked) -> Result<(Wish, reqwest::Url), Error> {
    let target = login::loopback(&asked.redirect_uri)?;
    if asked.state.is_empty() || asked.state.len() > 256 {
        return Err(Error::Refused("`state` has 1 to 256 bytes".to_owned()));
    }
    Ok((asked.wish.checked(host.identity())?, target))
}

async fn ask_cli<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap, query: RawQuery, Query(asked): Query<CliAsked>) -> Response {
    let (wish, target) = match checked(&*host, &asked) {
        Ok(checked) => checked,
        Err(error) => return refused(&error),
    };
    let session = match signed_on(&*host, &headers, &here("/login/cli", &query)).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let mut fields = vec![
        ("csrf", session.csrf()),
        ("host", asked.wish.host.as_str()),
        ("scope", wish.scope.word()),
        ("code_challenge", asked.wish.code_challenge.as_str()),
        ("redirect_uri", asked.redirect_uri.as_str()),
        ("state", asked.state.as_str()),
    ];
    fields.extend(asked.wish.key.as_deref().map(|key| ("key", key)));
    fields.extend(asked.wish.key_proof.as_deref().map(|proof| ("key_proof", proof)));
    let shown = question(&wish, &session, "", fields, "/login/cli");
    // The browser follows the answer's redirect only where the form may lead.
    page(&shown, 200, &target.origin().ascii_serialization())
}

fn question<'a>(wish: &Wish, session: &'a Session, code: &'a str, fields: Vec<(&'static str, &'a str)>, action: &'static str) -> Let<'a> {
    Let {
        style: style(),
        host: crate::text::escape(wish.host.as_bytes()),
        name: &session.on().name,
        decides: wish.scope == Scope::Decide,
        device: !code.is_empty(),
        code,
        binds: wish.key.is_some(),
        action,
        fields,
    }
}

async fn answer_cli<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap, Form(asked): Form<CliAsked>) -> Response {
    let session = match signed_on(&*host, &headers, "/").await {
        Ok(session) => session,
        Err(response) => return response,
    };
    if !session.vouches(host.identity(), &headers, Some(&asked.csrf)) {
        return refused(&Error::Refused("this did not come from the server's own page".to_owned()));
    }
    let granted = async {
        let (wish, target) = checked(&*host, &asked)?;
        if asked.answer != "yes" {
            return Ok(with_query(target.as_str(), &[("error", "access_denied"), ("state", &asked.state)]));
        }
        login::grant_code(host.store(), wish, session.on(), &target, &asked.state, now()?).await
    };
    match granted.await {
        Ok(location) => redirect(&location, &[]),
        Err(error) => refused(&error),
    }
}

#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    user_code: String,
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    answer: String,
}

async fn ask_device<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap, query: RawQuery, Query(typed): Query<Typed>) -> Response {
    let session = match signed_on(&*host, &headers, &here("/device", &query)).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    if typed.user_code.is_empty() {
        return page(&Code { style: style(), wrong: false }, 200, "");
    }
    let found = async {
        let now = now()?;
        host.identity().pace.tried(&format!("code {}", session.on().person), MOST_CODES, now)?;
        login::shown(host.store(), &typed.user_code, now).await
    };
    match found.await {
        Ok(Some((_, wish))) => {
            let fields = vec![("csrf", session.csrf()), ("user_code", typed.user_code.as_str())];
            page(&question(&wish, &session, &typed.user_code, fields, "/device"), 200, "")
        }
        Ok(None) => page(&Code { style: style(), wrong: true }, 404, ""),
        Err(error) => refused(&error),
    }
}

async fn answer_device<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap, Form(typed): Form<Typed>) -> Response {
    let session = match signed_on(&*host, &headers, "/device").await {
        Ok(session) => session,
        Err(response) => return response,
    };
    if !session.vouches(host.identity(), &headers, Some(&typed.csrf)) {
        return refused(&Error::Refused("this did not come from the server's own page".to_owned()));
    }
    let yes = typed.answer == "yes";
    let answered = async {
        let now = now()?;
        host.identity().pace.tried(&format!("code {}", session.on().person), MOST_CODES, now)?;
        login::answer(host.store(), &typed.user_code, session.on(), yes, now).await
    };
    match answered.await {
        Ok(true) if yes => told(200, "The command line acts as you now", "Go back to it; you may close this page."),
        Ok(true) => told(200, "The command line got nothing", "You may close this page."),
        Ok(false) => page(&Code { style: style(), wrong: true }, 404, ""),
        Err(error) => refused(&error),
    }
}

/// What a command line shows, and what it asks with.
#[derive(Serialize, ToSchema)]
struct Begun {
    /// What the command line keeps to itself.
    device_code: String,
    /// What the person types.
    user_code: String,
    /// Where they type it.
    verification_uri: String,
    /// The same with the code filled in.
    verification_uri_complete: String,
    /// How long they may take, in seconds.
    expires_in: u32,
    /// The seconds between two questions.
    interval: u32,
}

/// Begins a login of a command line without a browser (RFC 8628).
#[utoipa::path(post, path = "/v1/login/device", operation_id = "begin_device_login", request_body = RawWish,
    responses((status = 200, body = Begun), (status = 400, body = Refused), (status = 429, body = Refused), (status = 503, body = Refused)))]
async fn device<H: Host>(State(host): State<Arc<H>>, given: Result<Json<RawWish>, JsonRejection>) -> Response {
    let identity = host.identity();
    let begun = async {
        let raw = body(given)?;
        let now = now()?;
        identity.pace.tried("device", MOST_DEVICES, now)?;
        login::device(host.store(), &raw.checked(identity)?, now).await
    };
    match begun.await {
        Ok(device) => {
            let at = format!("{}/device", identity.url());
            let begun = Begun {
                verification_uri_complete: with_query(&at, &[("user_code", &device.user_code)]),
                verification_uri: at,
                device_code: device.device_code,
                user_code: device.user_code,
                expires_in: DEVICE_SECONDS,
                interval: INTERVAL,
            };
            answer(StatusCode::OK, &begun)
        }
        Err(error) => wrong(&error),
    }
}

/// What is exchanged for a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Redeemed {
    /// Of a login by redirect.
    code: Option<String>,
    /// Of a login without a browser.
    device_code: Option<String>,
    /// What the challenge was made of.
    code_verifier: String,
}

/// A token, told once.
#[derive(Serialize, ToSchema)]
struct LoggedIn {
    /// `gate_pat_…`.
    token: String,
    /// What names it; no secret.
    login: String,
    person: Whose,
    /// What to call them.
    name: String,
    /// `request` or `request+decide`.
    scope: &'static str,
    /// How long it lasts, in seconds.
    expires_in: i64,
}

/// Whose token it is.
#[derive(Serialize, ToSchema)]
struct Whose {
    issuer: String,
    subject: String,
}

/// Why there is no token (RFC 6749, RFC 8628).
#[derive(Serialize, ToSchema)]
struct Refused {
    /// `authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_request`, `invalid_grant`, `invalid_token` or
    /// `temporarily_unavailable`.
    error: &'static str,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<String>,
}

/// Exchanges a code for a token.
#[utoipa::path(post, path = "/v1/login/token", operation_id = "redeem_login", request_body = Redeemed,
    responses((status = 200, body = LoggedIn), (status = 400, body = Refused), (status = 401, body = Refused), (status = 429, body = Refused), (status = 503, body = Refused)))]
async fn token<H: Host>(State(host): State<Arc<H>>, given: Result<Json<Redeemed>, JsonRejection>) -> Response {
    let (identity, store) = (host.identity(), host.store());
    let redeemed = async {
        let asked = body(given)?;
        let now = now()?;
        match (&asked.code, &asked.device_code) {
            (Some(code), None) => {
                let (token, login) = login::redeem(identity, store, code, &asked.code_verifier, now).await?;
                Ok(Polled::Granted(token, login))
            }
            (None, Some(code)) => login::poll(identity, store, code, &asked.code_verifier, now).await,
            _ => Err(Error::Malformed("there must be one of `code` and `device_code`".to_owned())),
        }
    };
    let error = |error: &'static str| answer(StatusCode::BAD_REQUEST, &Refused { error, error_description: None });
    match redeemed.await {
        Ok(Polled::Granted(token, login)) => answer(StatusCode::OK, &granted(token, login)),
        Ok(Polled::Pending) => error("authorization_pending"),
        Ok(Polled::TooOften) => error("slow_down"),
        Ok(Polled::Denied) => error("access_denied"),
        Ok(Polled::Expired) => error("expired_token"),
        Err(error) => wrong(&error),
    }
}

fn granted(token: String, login: Login) -> LoggedIn {
    LoggedIn {
        token,
        login: login.id,
        person: Whose { issuer: login.person.issuer, subject: login.person.subject },
        name: login.name,
        scope: login.scope.word(),
        expires_in: (login.expires - login.created) / 1_000_000_000,
    }
}

/// Ends the token that it is called with.
#[utoipa::path(delete, path = "/v1/login/token", operation_id = "end_login", security(("bearer" = [])),
    responses((status = 204, description = "ended"), (status = 401, body = Refused), (status = 503, body = Refused)))]
async fn revoke<H: Host>(State(host): State<Arc<H>>, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
    let revoked = async {
        let now = now()?;
        let Some(login) = tokens::check(host.identity(), host.store(), bearer.unwrap_or_default(), now).await? else { return Ok(false) };
        tokens::revoke(host.store(), &login.person, &login.id, now).await
    };
    match revoked.await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => answer(StatusCode::UNAUTHORIZED, &Refused { error: "invalid_token", error_description: None }),
        Err(error) => wrong(&error),
    }
}

/// A body that is what it has to be.
fn body<T>(given: Result<Json<T>, JsonRejection>) -> Result<T, Error> {
    given.map(|Json(value)| value).map_err(|rejection| Error::Malformed(crate::text::escape(rejection.body_text().as_bytes())))
}

fn wrong(error: &Error) -> Response {
    let word = match error {
        Error::Store(_) | Error::System(_) => "temporarily_unavailable",
        Error::TooMany => "slow_down",
        Error::Malformed(_) => "invalid_request",
        _ => "invalid_grant",
    };
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    answer(status, &Refused { error: word, error_description: Some(error.to_string()) })
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

#[derive(OpenApi)]
#[openapi(paths(device, token, revoke))]
struct Described;

/// What the API's description says of these calls.
pub fn login_described() -> utoipa::openapi::OpenApi {
    Described::openapi()
}
