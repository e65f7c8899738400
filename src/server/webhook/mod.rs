//! Webhooks out (Standard Webhooks 1.0.0): every event, to whoever is listed, until they took it or the tries are used up.

pub mod dead;
pub mod guard;
mod message;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::app::App;
use super::logs::{self, Severity};
use super::metrics::Metrics;
use super::model::{Event, Wall};
use super::stop::Stop;
use super::store::{Item, Unavailable};
use crate::sys::{http, random};

pub use settings::{Signers, WebhookSettings};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long after each try that failed the next one comes.
const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// How long to wait for the next event.
const PAUSE: Duration = Duration::from_millis(250);

/// How long to leave a receiver alone that has too much to do.
const BUSY: Duration = Duration::from_secs(5);

/// So many events are read at once.
const BATCH: usize = 64;

/// So many events of one webhook may wait for another try; more are dead at once.
const MOST_WAITING: usize = 10_000;

/// How long what never arrived is kept to be looked at.
const KEPT_DEAD: Duration = Duration::from_hours(30 * 24);

/// In the store: that a webhook is known, and whether its receiver wants no more (410).
const KNOWN: &str = "webhook";
/// What waits for another try.
const WAITING: &str = "webhook_waiting";
/// What never arrived.
const DEAD: &str = "webhook_dead";

/// One webhook, ready to be sent.
struct Webhook {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    settings: WebhookSettings,
    url: Url,
    signers: Signers,
    client: Client,
}

/// What came of a try.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Tried {
    Arrived,
    Gone,
    Failed { why: String, busy: bool },
}

impl Tried {
    fn word(&self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Gone => "gone",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Starts them all; an error where a section cannot be meant.
pub async fn start(app: &Arc<App>, metrics: &Arc<Metrics>, stop: &Stop) -> Result<JoinSet<()>, String> {
    let mut running = JoinSet::new();
    for settings in &app.settings.webhooks {
        if app.settings.webhooks.iter().filter(|other| other.name == settings.name).count() > 1 {
            return Err(format!("there are two webhooks `{}`", crate::text::escape(settings.name.as_bytes())));
        }
        let webhook = Webhook::new(app, metrics, settings)?;
        webhook.begin().await.map_err(|error| error.to_string())?;
        running.spawn(webhook.run(stop.clone()));
    }
    Ok(running)
}

impl Webhook {
    fn new(app: &Arc<App>, metrics: &Arc<Metrics>, settings: &WebhookSettings) -> Result<Self, String> {
        let url = settings.url()?;
        let builder = http::async_builder(settings.ca.as_deref(), PATIENCE)?;
        let builder = if settings.allow_private { builder } else { builder.dns_resolver(Arc::new(guard::Guard)) };
        let client = builder.build().map_err(|error| http::told(&error))?;
        let signers = Signers::read(&settings.secret_file)?;
        Ok(Self { app: Arc::clone(app), metrics: Arc::clone(metrics), settings: settings.clone(), url, signers, client })
    }

    fn reader(&self) -> String {
        format!("webhook/{}", self.settings.name)
    }

    /// A webhook that is new is told what happens from now on, and nothing of what was; one whose receiver moved is no longer gone.
    async fn begin(&self) -> Result<(), Unavailable> {
        let (store, now) = (&self.app.store, self.app.now()?);
        match store.item(KNOWN, &self.settings.name, now).await? {
            Some(known) if known.data == self.known(false) || known.data == self.known(true) => Ok(()),
            Some(_) => store.put(self.item(KNOWN, &self.settings.name, self.known(false), i64::MAX)).await,
            None => {
                let mut newest = store.cursor(&self.reader()).await?;
                while let Some(last) = store.events(newest, 1000).await?.last() {
                    newest = last.seq;
                }
                store.advance(&self.reader(), newest).await?;
                store.put(self.item(KNOWN, &self.settings.name, self.known(false), i64::MAX)).await
            }
        }
    }

    fn known(&self, gone: bool) -> String {
        json!({ "url": self.url.as_str(), "gone": gone }).to_string()
    }

    async fn run(self, stop: Stop) {
        while !stop.is_set() {
            let pause = match self.round(&stop).await {
                Ok(pause) => pause,
                Err(error) => {
                    logs::failed("webhooks cannot be sent", &error.to_string());
                    BUSY
                }
            };
            tokio::select! { () = sleep(pause) => {}, () = stop.wait() => {} }
        }
    }

    /// Sends what is due again, and what is new. How long to wait then.
    async fn round(&self, stop: &Stop) -> Result<Duration, Unavailable> {
        let (store, now) = (&self.app.store, self.app.now()?);
        let known = store.item(KNOWN, &self.settings.name, now).await?;
        if known.is_some_and(|known| known.data == self.known(true)) {
            return Ok(BUSY);
        }
        let waiting = store.items(WAITING, Some(&self.settings.name), now).await?;
        for item in &waiting {
            let Some((seq, tries, due)) = waits(&item.data) else { continue };
            if due <= now && !stop.is_set() {
                let Some(event) = store.events(seq.saturating_sub(1), 1).await?.into_iter().find(|event| event.seq == seq) else {
                    continue;
                };
                if self.once(&event, tries, waiting.len()).await? {
                    return Ok(BUSY);
                }
            }
        }
        for event in store.events(store.cursor(&self.reader()).await?, BATCH).await? {
            if stop.is_set() {
                break;
            }
            let busy = self.settings.wants(&event.kind) && self.once(&event, 0, waiting.len()).await?;
            // Killed before this, it is sent again under the same id, which receivers know.
            store.advance(&self.reader(), event.seq).await?;
            if busy {
                return Ok(BUSY);
            }
        }
        Ok(PAUSE)
    }

    /// Tries once, and notes what comes next. Whether the receiver is to be left alone for a while.
    async fn once(&self, event: &Event, tries: usize, waiting: usize) -> Result<bool, Unavailable> {
        let tried = self.send(event).await?;
        self.metrics.webhook(&self.settings.name, tried.word());
        let (store, now) = (&self.app.store, self.app.now()?);
        let key = key(&self.settings.name, event.seq);
        let Tried::Failed { why, busy } = tried else {
            store.take(WAITING, &key, now).await?;
            if tried == Tried::Gone {
                logs::tell(Severity::Warning, "a webhook's receiver wants no more", &[("webhook", self.settings.name.as_str().into())]);
                store.put(self.item(KNOWN, &self.settings.name, self.known(true), i64::MAX)).await?;
                return Ok(true);
            }
            return Ok(false);
        };
        let fields = [("webhook", self.settings.name.as_str().into()), ("event", event.seq.into()), ("why", why.as_str().into())];
        let next = SCHEDULE.get(tries).filter(|_| tries > 0 || waiting < MOST_WAITING);
        let Some(next) = next else {
            logs::tell(Severity::Error, "a webhook never arrived", &fields);
            let said = json!({ "event": event.seq, "kind": event.kind, "tries": tries + 1, "why": why }).to_string();
            store.put(self.item(DEAD, &key, said, after(now, KEPT_DEAD))).await?;
            store.take(WAITING, &key, now).await?;
            return Ok(busy);
        };
        logs::tell(Severity::Warning, "a webhook did not arrive", &fields);
        let due = after(now, jittered(*next)?);
        let said = json!({ "event": event.seq, "tries": tries + 1, "due": due }).to_string();
        store.put(self.item(WAITING, &key, said, i64::MAX)).await?;
        Ok(busy)
    }

    async fn send(&self, event: &Event) -> Result<Tried, Unavailable> {
        let body = message::payload(event, &self.app.settings.url);
        let (id, seconds) = (message::id(event.seq), u64::try_from(self.app.now()? / 1_000_000_000).unwrap_or_default());
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.signers.sign(&id, seconds, &body))
            .body(body);
        Ok(match request.send().await {
            Ok(answer) if answer.status().is_success() => Tried::Arrived,
            Ok(answer) if answer.status() == StatusCode::GONE => Tried::Gone,
            Ok(answer) => {
                let busy = matches!(answer.status().as_u16(), 429 | 502 | 504);
                Tried::Failed { why: format!("answered {}", answer.status().as_u16()), busy }
            }
            // The URL may hold what only the receiver should know.
            Err(error) => Tried::Failed { why: http::told(&error.without_url()), busy: false },
        })
    }

    fn item(&self, kind: &'static str, key: &str, data: String, expires: Wall) -> Item {
        Item { kind, key: key.to_owned(), owner: self.settings.name.clone(), handle: String::new(), data, expires }
    }
}

/// Under which key what waits, or never arrived, is kept.
fn key(webhook: &str, event: u64) -> String {
    format!("{webhook}/{event:020}")
}

/// Event, tries so far, and when it is due.
fn waits(data: &str) -> Option<(u64, usize, Wall)> {
    let value: Value = serde_json::from_str(data).ok()?;
    Some((value.get("event")?.as_u64()?, value.get("tries")?.as_u64()?.try_into().ok()?, value.get("due")?.as_i64()?))
}

fn after(now: Wall, wait: Duration) -> Wall {
    now.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX))
}

/// A tenth more or less, so that those who failed together do not come back together.
fn jittered(wait: Duration) -> Result<Duration, Unavailable> {
    let mut byte = [0];
    random::fill(&mut byte).map_err(|error| Unavailable(error.to_string()))?;
    Ok(wait * (922 + u32::from(byte[0]) * 8 / 13) / 1000)
}
