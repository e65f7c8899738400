//! Whether the server lives, and whether it may be sent anything.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::logs;
use super::metrics::Metrics;
use super::stop::Stop;
use super::store::{STOP, Store};
use crate::sys::clock;

/// What was found of the store holds for so long: probes come from several sides.
const FRESH: Duration = Duration::from_secs(1);

/// The reader of events that there is none of; its cursor is what a probe writes.
const PROBE: &str = "probe";

/// Whether the server's own log can be written.
#[derive(Debug, Default)]
pub struct Recording {
    works: AtomicBool,
    entries: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Recording {
    /// Notes that it could be written: so many entries more.
    pub fn worked(&self, entries: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        if !self.works.swap(true, Ordering::Relaxed) {
            logs::tell(logs::Severity::Info, "the log is written", &[]);
        }
    }

    /// Notes that it could not.
    pub fn failed(&self, why: &str) {
        self.works.store(false, Ordering::Relaxed);
        logs::failed("the log cannot be written", why);
    }

    /// Whether it could the last time.
    pub fn works(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    /// What is counted.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// How many entries were written since the server started.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }
}

/// What the answers to probes are made from.
pub struct Health {
    store: Arc<dyn Store>,
    recording: Arc<Recording>,
    stop: Stop,
    /// When the store was tried, since boot, and whether it could be written.
    tried: Mutex<Option<(Duration, bool)>>,
}

impl Health {
    /// Of this store and this log.
    pub fn new(store: Arc<dyn Store>, recording: Arc<Recording>, stop: Stop) -> Arc<Self> {
        Arc::new(Self { store, recording, stop, tried: Mutex::new(None) })
    }

    async fn store_works(&self) -> bool {
        let now = clock::now().map(|now| now.boot).unwrap_or_default();
        let known = *self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, works)) = known.filter(|(at, _)| now.saturating_sub(*at) < FRESH) {
            return works;
        }
        // It never goes back, so this writes, and changes nothing.
        let works = self.store.advance(PROBE, 0).await.is_ok();
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, works));
        works
    }
}

/// `/healthz` and `/readyz`.
pub fn routes(health: Arc<Health>) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let (store, log, ending) = (health.store_works().await, health.recording.works(), health.stop.is_set());
    let status = if store && log && !ending { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Whoever lifts an emergency stop has to reach the server: it is told, and no reason to send nobody.
    let wall = clock::now().map(|now| now.wall).unwrap_or_default();
    let stopped = health.store.item(STOP, "", wall).await.is_ok_and(|item| item.is_some());
    let said = json!({ "store": store, "log": log, "ending": ending, "stopped": stopped });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{said}\n")).into_response()
}

/// Lets nothing change that could not be recorded: while the log cannot be written, only reading is answered.
pub async fn only_what_is_recorded(State(recording): State<Arc<Recording>>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || recording.works() {
        return next.run(request).await;
    }
    let detail = "the server's log cannot be written, so nothing is decided";
    let problem = json!({ "type": "/problems/unavailable", "title": "not available now", "status": 503, "detail": detail });
    let headers = [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "5")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, problem.to_string()).into_response()
}
