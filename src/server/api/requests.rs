//! The requester's side: ask, wait, cancel, consume, tell how it ended.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Proof};
use super::checkpoints::{HostCheckpoint, countersigned};
use super::problem::Problem;
use super::receipt::receipt;
use super::view::RequestView;
use crate::approval::{Submitted, sha256};
use crate::policy::{Assurance, Channel};
use crate::server::app::{App, request_id};
use crate::server::model::{Kept, State as Stands, Wall};
use crate::server::rules::later;
use crate::server::store::{Created, Filter};
use crate::text::{hex, unhex};

/// Nobody is kept waiting for longer at once, whatever they ask for, in seconds.
const LONGEST_WAIT: u32 = 30;

/// So often it is looked whether those who follow a request may still do so, where nothing changes.
const LOOKED_AT: Duration = Duration::from_mins(5);

/// What is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The canonical approval request, as an object.
    #[schema(value_type = Object)]
    approval_request: Value,
    /// SHA-256, in hexadecimal digits, of what only the requester knows, and shows to consume.
    client_nonce_sha256: String,
    /// Two digits that the requester is shown, and that a reviewer types.
    #[serde(default)]
    number: Option<String>,
    /// The end of the host's log, to be countersigned.
    #[serde(default)]
    checkpoint: Option<HostCheckpoint>,
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// So many seconds, 30 at most, unless it changes before.
    #[serde(default)]
    #[param(maximum = 4_294_967_295_u32)]
    wait: u32,
}

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only those in this state.
    state: Option<String>,
    /// So many at most, of 100.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// So many seconds, 30 at most, unless the page becomes another than `If-None-Match` names.
    #[serde(default)]
    #[param(maximum = 4_294_967_295_u32)]
    wait: u32,
}

/// Requests, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page {
    requests: Vec<RequestView>,
    /// For the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A body that is what it has to be.
pub(super) fn body<T>(given: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    given.map(|Json(value)| value).map_err(|rejection| Problem::rejected(rejection.status(), &rejection.body_text()))
}

/// Asks people. The same key of the same requester finds the request that waits already.
#[utoipa::path(post, path = "/v1/requests", operation_id = "create_request", request_body = Ask, params(("Idempotency-Key" = String, Header, description = "the request key, in quotes")),
    responses((status = 201, body = RequestView), (status = 200, description = "it waits already", body = RequestView),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    given: Result<Json<Ask>, JsonRejection>,
) -> Result<Response, Problem> {
    let requester = caller.requester()?.clone();
    let ask = body(given)?;
    let submitted =
        Submitted::read(&ask.approval_request).map_err(|wrong| Problem::validation(format!("`approval_request`: {}", wrong.0)))?;
    let key = headers.get("idempotency-key").ok_or_else(Problem::idempotency_missing)?;
    let wanted = submitted.key();
    if key.to_str().ok().and_then(|key| key.strip_prefix('"')?.strip_suffix('"')) != Some(wanted.as_str()) {
        return Err(Problem::idempotency_mismatch());
    }
    let client_nonce_sha256 = digits(&ask.client_nonce_sha256)?;
    if ask.number.as_deref().is_some_and(|number| number.len() != 2 || !number.bytes().all(|digit| digit.is_ascii_digit())) {
        return Err(Problem::validation("`number` is two digits"));
    }
    can_be_decided(&submitted, ask.number.is_some())?;
    let now = app.now()?;
    let paced = app.pace.ask(&requester.way, &requester.name, app.settings.requests.per_minute, now);
    paced.map_err(|wait| Problem::rate_limited("this requester asks too often", wait))?;
    let countersigned = countersigned(&app, &requester, ask.checkpoint).await?;
    let expires = later(now, submitted.said().terms.within);
    let plan = app.settings.requests.plan(&submitted.said().terms, now, expires);
    let request = Kept {
        id: request_id(now)?,
        key: wanted,
        requester,
        number: ask.number,
        wrong_numbers: 0,
        client_nonce_sha256,
        checkpoint: countersigned.as_ref().map(|checkpoint| checkpoint.note().to_owned()),
        state: Stands::Pending,
        version: 1,
        created: now,
        expires,
        decided: None,
        valid_until: None,
        consumed: None,
        reviews: Vec::new(),
        outcome: None,
        drawn: None,
        plan,
        submitted,
    };
    let (status, request) = match app.store.create_within(request, app.settings.requests.limits()).await? {
        Created::New(request) => (StatusCode::CREATED, request),
        Created::Again(request) => (StatusCode::OK, request),
        other => return Err(not_now(&other, now)),
    };
    app.live.tell(&request.id);
    let view = RequestView { countersigned, ..for_requester(&app, &request, now) };
    let mut response = (status, Json(view)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/requests/{}", request.id)) {
        headers.insert(header::LOCATION, location);
    }
    version(headers, request.version);
    Ok(response)
}

/// Why nothing was made.
fn not_now(created: &Created, now: Wall) -> Problem {
    match created {
        Created::Stopped => Problem::stopped(),
        Created::Cooling(until) => {
            let wait = Duration::from_nanos(u64::try_from(until.saturating_sub(now)).unwrap_or_default());
            Problem::rate_limited("the very same was decided a moment ago", wait)
        }
        Created::TooMany => Problem::rate_limited("this requester has as many waiting as they may", Duration::from_secs(10)),
        Created::New(_) | Created::Again(_) => Problem::unavailable(),
    }
}

/// Terms that nobody here could ever meet are refused at once, not after the requester waited.
fn can_be_decided(submitted: &Submitted, numbered: bool) -> Result<(), Problem> {
    let terms = &submitted.said().terms;
    if !terms.channels.iter().any(|channel| *channel != Channel::Tty) {
        return Err(Problem::validation("its terms allow answers at a terminal only"));
    }
    if !terms.justification.iter().all(|wanted| wanted.satisfied_by(&submitted.said().justification)) {
        return Err(Problem::validation("its terms want a justification, and it has none, or not as they want it"));
    }
    if terms.assurance == Assurance::FreshMfa && !numbered {
        return Err(Problem::validation("its terms want `fresh-mfa`, for which the requester is shown a `number`"));
    }
    Ok(())
}

/// Reads a request; with `wait`, as soon as it is another than `If-None-Match` names.
#[utoipa::path(get, path = "/v1/requests/{id}", operation_id = "read_request", params(("id" = String, Path), Wait, ("If-None-Match" = Option<String>, Header, description = "the version that is known, in quotes")),
    responses((status = 200, body = RequestView), (status = 304, description = "unchanged"), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut waiter = app.live.wait_for(&id);
    let mut request = own(&app, &caller, &id).await?;
    let mut now = app.now()?;
    let unchanged = |request: &Kept, now: Wall| known.as_deref() == Some(&tag(request, now));
    if wait.wait > 0 && unchanged(&request, now) {
        let patience = Duration::from_secs(wait.wait.min(LONGEST_WAIT).into()).min(until_over(&request, now));
        // Thousands may wait at once: none of them keeps what is read again anyway.
        drop(request);
        tokio::select! {
            () = waiter.changed() => {}
            () = tokio::time::sleep(patience) => {}
            () = app.live.closing() => {}
        }
        request = own(&app, &caller, &id).await?;
        now = app.now()?;
    }
    let mut response = if unchanged(&request, now) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(for_caller(&app, &caller, &request, now)).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag(&request, now)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The version as a tag; what ran out is another version than what was written last.
fn tag(request: &Kept, now: Wall) -> String {
    let ran_out = request.at(now) != request.state;
    format!("\"{}{}\"", request.version, if ran_out { "x" } else { "" })
}

fn version(headers: &mut HeaderMap, version: u64) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(header::ETAG, tag);
    }
}

/// How long until it runs out; a little more, so that it has.
fn until_over(request: &Kept, now: Wall) -> Duration {
    let ends = match request.state {
        Stands::Pending => request.expires,
        Stands::Approved => request.valid_until.unwrap_or(request.expires),
        _ => return Duration::MAX,
    };
    Duration::from_nanos(u64::try_from(ends.saturating_sub(now)).unwrap_or_default()) + Duration::from_millis(1)
}

/// Tells each change of a request as it comes (server-sent events).
#[utoipa::path(get, path = "/v1/requests/{id}/events", operation_id = "follow_request", params(("id" = String, Path)),
    responses((status = 200, description = "`event: state` with the request", content_type = "text/event-stream"), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(proof): Extension<Proof>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    own(&app, &caller, &id).await?;
    let known = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(|tag| format!("\"{tag}\"")).unwrap_or_default();
    let told = stream::unfold((app, proof, id, known, false), |(app, proof, id, known, over)| async move {
        if over {
            return None;
        }
        loop {
            let mut waiter = app.live.wait_for(&id);
            // Whoever logged out meanwhile, or lost what let them see it, is told nothing more.
            let caller = proof.again(&app).await?;
            let request = own(&app, &caller, &id).await.ok()?;
            let now = app.now().ok()?;
            let tag = tag(&request, now);
            if tag != known {
                let view = for_caller(&app, &caller, &request, now);
                let event = Event::default().id(tag.trim_matches('"')).event("state").json_data(&view).ok()?;
                let over = request.at(now).is_over();
                return Some((Ok(event), (app, proof, id, tag, over)));
            }
            tokio::select! {
                () = waiter.changed() => {}
                () = tokio::time::sleep(until_over(&request, now).min(LOOKED_AT)) => {}
                () = app.live.closing() => return None,
            }
        }
    });
    Ok(Sse::new(told).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)).text("ping")))
}

/// Lists requests: a requester's own, or those that a person may see.
#[utoipa::path(get, path = "/v1/requests", operation_id = "list_requests", params(Which, ("If-None-Match" = Option<String>, Header, description = "the page that is known, by its tag")),
    responses((status = 200, body = Page), (status = 304, description = "unchanged"), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let patience = tokio::time::sleep(Duration::from_secs(which.wait.min(LONGEST_WAIT).into()));
    tokio::pin!(patience);
    loop {
        let mut changes = app.live.listen();
        let page = page(&app, &caller, &which).await?;
        let tag = page.tag();
        let unchanged = known == Some(tag.as_str());
        if unchanged && which.wait > 0 && !patience.is_elapsed() {
            tokio::select! {
                // Whoever is too far behind to be told what changed reads everything anew, as all do.
                _ = changes.recv() => continue,
                () = &mut patience => continue,
                () = app.live.closing() => {}
            }
        }
        let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { Json(page).into_response() };
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        return Ok(response);
    }
}

impl Page {
    /// What differs where anything on the page does.
    fn tag(&self) -> String {
        let all = self.requests.iter().fold(String::new(), |all, one| all + &format!("{} {} {}\n", one.id, one.version, one.state));
        format!("\"{}\"", hex(&sha256(all.as_bytes())))
    }
}

async fn page(app: &App, caller: &Caller, which: &Which) -> Result<Page, Problem> {
    let state =
        which.state.as_deref().map(|word| Stands::parse(word).ok_or_else(|| Problem::validation("`state` is no state"))).transpose()?;
    let limit = which.limit.unwrap_or(50).clamp(1, 100);
    let requester = match (&caller.person, &caller.requester) {
        (None, Some(requester)) => Some((requester.way.clone(), requester.name.clone())),
        _ => None,
    };
    let filter = Filter { states: state.into_iter().collect(), requester, before: which.cursor.clone(), limit, ..Filter::default() };
    let found = app.store.list(filter).await?;
    let now = app.now()?;
    let next = (found.len() == limit).then(|| found.last().map(|request| request.id.clone())).flatten();
    let seen = found.iter().filter(|request| may_see(app, caller, request, now) && state.is_none_or(|state| request.at(now) == state));
    Ok(Page { requests: seen.map(|request| RequestView::of(app, request, now)).collect(), next })
}

pub(super) fn digits<const N: usize>(text: &str) -> Result<[u8; N], Problem> {
    let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Problem::validation(format!("a nonce is {} lower-case hexadecimal digits", 2 * N)))
}

/// A request that the caller may see; for others there is none.
pub(super) async fn own(app: &App, caller: &Caller, id: &str) -> Result<Kept, Problem> {
    let request = app.store.request(id).await?.ok_or_else(Problem::not_found)?;
    if may_see(app, caller, &request, app.now()?) { Ok(request) } else { Err(Problem::not_found()) }
}

/// The requester's own, and those that a person may see.
fn may_see(app: &App, caller: &Caller, request: &Kept, now: Wall) -> bool {
    let asked = caller.requester.as_ref().is_some_and(|requester| is_of(requester, request));
    asked || caller.person.as_ref().is_some_and(|person| person.may_see(app, request, now))
}

fn is_of(requester: &crate::server::model::Requester, request: &Kept) -> bool {
    requester.way == request.requester.way && requester.name == request.requester.name
}

pub(super) fn asked_by(caller: &Caller, request: &Kept) -> Result<(), Problem> {
    if is_of(caller.requester()?, request) { Ok(()) } else { Err(Problem::forbidden("only who asked for it can do this")) }
}

fn for_caller(app: &App, caller: &Caller, request: &Kept, now: Wall) -> RequestView {
    let asked = caller.requester.as_ref().is_some_and(|requester| is_of(requester, request));
    if asked { for_requester(app, request, now) } else { RequestView::of(app, request, now) }
}

pub(super) fn for_requester(app: &App, request: &Kept, now: Wall) -> RequestView {
    RequestView { receipt: receipt(app, request, now), ..RequestView::of(app, request, now) }
}
