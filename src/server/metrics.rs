//! What Prometheus reads, on a listener of its own. Labels hold words of the server's only: no name, no path, no id.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use serde::Deserialize;
use serde_json::Value;

use super::api::Caller;
use super::app::App;
use super::health::Recording;
use super::logs::{self, Severity};
use super::model::{Event, Kept, State as Stands};
use super::stop::Stop;
use crate::sys::clock;

/// The section `[metrics]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Where Prometheus asks: address and port. Nowhere, where nothing is said.
    pub listen: Option<SocketAddr>,
}

type Labels<const N: usize> = [(&'static str, String); N];

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels<1>, Counter>,
    reviews: Family<Labels<3>, Counter>,
    until_decided: Histogram,
    open: Family<Labels<1>, Gauge>,
    waiting: Gauge,
    http: Family<Labels<3>, Counter>,
    answering: Histogram,
    webhooks: Family<Labels<2>, Counter>,
    entries: Counter,
    store: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
        let mut metrics = Self {
            registry: Registry::with_prefix("gate"),
            requests: Family::default(),
            reviews: Family::default(),
            until_decided: Histogram::new([1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0]),
            open: Family::default(),
            waiting: Gauge::default(),
            http: Family::default(),
            answering: Histogram::new(seconds()),
            webhooks: Family::default(),
            entries: Counter::default(),
            store: Histogram::new(seconds()),
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let registry = &mut metrics.registry;
        registry.register("requests", "Changes of requests, by what they became", metrics.requests.clone());
        registry.register("reviews", "Answers of people, by answer, assurance and channel", metrics.reviews.clone());
        registry.register_with_unit("until_decided", "From request to decision", Unit::Seconds, metrics.until_decided.clone());
        registry.register("open_requests", "Requests that are pending, or approved and not used yet", metrics.open.clone());
        registry.register("waiting", "Calls that wait for a decision", metrics.waiting.clone());
        registry.register("http_requests", "Calls, by method, route and status", metrics.http.clone());
        registry.register_with_unit("http_answer", "Time to answer calls that do not wait", Unit::Seconds, metrics.answering.clone());
        registry.register("webhooks", "Tries to send webhooks, by webhook and what came of them", metrics.webhooks.clone());
        registry.register("log_entries", "Entries written to the server's log", metrics.entries.clone());
        registry.register_with_unit("store_write", "A durable write, tried whenever this is read", Unit::Seconds, metrics.store.clone());
        registry.register("build", "What is running", build);
        metrics
    }
}

impl Metrics {
    /// Counts what happened, as the log records it.
    pub fn saw(&self, event: &Event, request: Option<&Kept>) {
        let word = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or("none").to_owned();
        if let Some(what) = event.kind.strip_prefix("request.") {
            self.requests.get_or_create(&[("state", what.to_owned())]).inc();
        }
        // Nobody answered where a standing grant did.
        if event.data.get("grant").is_some() {
            return;
        }
        if matches!(event.kind.as_str(), "request.reviewed" | "request.approved" | "request.rejected") {
            let labels = [("review", word("review")), ("assurance", word("assurance")), ("channel", word("channel"))];
            self.reviews.get_or_create(&labels).inc();
        }
        if let (Some(request), "request.approved" | "request.rejected") = (request, event.kind.as_str()) {
            let took = Duration::from_nanos(u64::try_from(event.at.saturating_sub(request.created)).unwrap_or_default());
            self.until_decided.observe(took.as_secs_f64());
        }
    }

    /// Counts a try to send a webhook.
    pub(super) fn webhook(&self, name: &str, came: &str) {
        self.webhooks.get_or_create(&[("webhook", name.to_owned()), ("result", came.to_owned())]).inc();
    }
}

/// What the listener needs.
struct Scraped {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    recording: Arc<Recording>,
}

/// Answers `/metrics` until the server ends. The error is in words.
pub async fn serve(address: SocketAddr, app: Arc<App>, recording: Arc<Recording>, stop: Stop) -> Result<(), String> {
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("`{address}` cannot be listened on for metrics: {error}"))?;
    let at = listener.local_addr().map_err(|error| error.to_string())?;
    let scraped = Arc::new(Scraped { app, metrics: recording.metrics(), recording });
    let router = Router::new().route("/metrics", get(scrape)).with_state(scraped);
    logs::tell(Severity::Info, &format!("metrics at {at};"), &[]);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(async move { stop.wait().await }).await {
            logs::failed("metrics are not served any more", &error.to_string());
        }
    });
    Ok(())
}

async fn scrape(State(scraped): State<Arc<Scraped>>) -> Response {
    let Scraped { app, metrics, recording } = scraped.as_ref();
    for state in [Stands::Pending, Stands::Approved] {
        if let Ok(count) = app.store.count(state).await {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            metrics.open.get_or_create(&[("state", state.word().to_owned())]).set(count);
        }
    }
    metrics.waiting.set(i64::try_from(app.live.waiting()).unwrap_or(i64::MAX));
    metrics.entries.inner().store(recording.entries(), std::sync::atomic::Ordering::Relaxed);
    let before = boot();
    if app.store.advance("metrics", 0).await.is_ok() {
        metrics.store.observe(boot().saturating_sub(before).as_secs_f64());
    }
    let mut text = String::new();
    match encode(&mut text, &metrics.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Counts a call, and tells of it where it changed something or failed: by its route, never by its path or query.
pub async fn observe(State(recording): State<Arc<Recording>>, route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let method = known(request.method());
    let waits = request.uri().query().is_some_and(|query| query.contains("wait=")) || route.ends_with("/events");
    let before = boot();
    let answer = next.run(request).await;
    let took = boot().saturating_sub(before);
    let (metrics, status) = (recording.metrics(), answer.status());
    metrics.http.get_or_create(&[("method", method.to_owned()), ("route", route.clone()), ("status", status.as_str().to_owned())]).inc();
    if !waits {
        metrics.answering.observe(took.as_secs_f64());
    }
    if method != "GET" || status.is_server_error() || status.is_client_error() {
        let severity = if status.is_server_error() { Severity::Error } else { Severity::Info };
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let caller = answer.extensions().get::<Caller>();
        let requester = caller.and_then(|caller| caller.requester.as_ref()).map(|asks| format!("{}:{}", asks.way, asks.name));
        let person = caller.and_then(|caller| caller.person.as_ref()).map(|person| person.approver.to_string());
        let fields = [
            ("method", method.into()),
            ("route", route.into()),
            ("status", status.as_u16().into()),
            ("duration_us", took.into()),
            ("requester", requester.into()),
            ("person", person.into()),
        ];
        logs::tell(severity, "answered", &fields);
    }
    answer
}

/// A stranger may call a method anything.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn boot() -> Duration {
    clock::now().map(|now| now.boot).unwrap_or_default()
}
