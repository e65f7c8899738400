//! The running server: what is started in which order, and ended in the reverse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{interval, timeout};

use super::app::App;
use super::asking;
use super::health::{self, Health, Recording};
use super::journal::{Journal, PutBack};
use super::listen::{Front, Tls};
use super::logs::{self, Severity};
use super::stop::{Stop, Stopper, stop};
use super::store::{Item, Unavailable};
use super::{metrics, webhook, witness};
use crate::audit::Place;
use crate::policy::KeyProvider;
use crate::record::hex;
use crate::text;

/// How often it is looked whether a certificate changed.
const LOOK: Duration = Duration::from_secs(10);

/// How many requests are written down as expired at once.
const EXPIRED: usize = 100;

/// How long tries to send a webhook may take once the server ends.
const LAST_TRIES: Duration = Duration::from_secs(3);

/// What stands in the store of the configuration that was used last.
const CONFIGURATION: &str = "configuration";

/// What only the start knows.
#[derive(Debug, Default)]
pub struct Started {
    /// SHA-256 of the configuration's file.
    pub configuration: [u8; 32],
    /// Why log and store may tell two histories.
    pub put_back: Option<PutBack>,
}

/// Where the server keeps its own log.
pub fn log_place(app: &App) -> Place {
    let name = format!("{}/server", app.settings.name());
    Place { directory: app.settings.state.join("log"), name, log_key: KeyProvider::File }
}

/// Serves until it is told to end. The error is in words.
pub async fn run(app: Arc<App>, router: Router, started: Started) -> Result<(), String> {
    let address: SocketAddr = app
        .settings
        .listen
        .parse()
        .map_err(|_| format!("`{}` is not an address and a port to listen at", text::escape(app.settings.listen.as_bytes())))?;
    let (stopper, stop) = stop();
    signals(Arc::clone(&app), stopper)?;
    let (unwritten, written) = super::stop::stop();
    let recording = Arc::new(Recording::default());
    let front = Front::bind(address, &app.settings.http).await?;
    let store = Arc::clone(&app.store);
    let journal = Journal::start(log_place(&app), Arc::clone(&store), Arc::clone(&recording), started.put_back, written).await?;
    configured(&app, &started.configuration).await.map_err(|error| error.to_string())?;
    let health = Health::new(store, Arc::clone(&recording), stop.clone());
    let router = router
        .merge(witness::routes(Arc::clone(&app)))
        .layer(middleware::from_fn_with_state(Arc::clone(&recording), health::only_what_is_recorded))
        .layer(middleware::from_fn_with_state(Arc::clone(&recording), metrics::observe))
        .merge(health::routes(health));
    let mut webhooks = webhook::start(&app, &recording.metrics(), &stop).await?;
    if let Some(address) = app.settings.metrics.listen {
        metrics::serve(address, Arc::clone(&app), Arc::clone(&recording), stop.clone()).await?;
    }
    let sweeping = tokio::spawn(sweep(Arc::clone(&app)));
    tokio::spawn(keep_certificates(front.tls(), stop.clone())?);
    let what = format!("serving at {}; decisions are signed with {}", front.address(), app.key.vkey);
    logs::tell(Severity::Info, &what, &[("version", env!("CARGO_PKG_VERSION").into())]);
    front.serve(router, stop).await;
    sweeping.abort();
    // A try that is cut off is made again after the start.
    let _ = timeout(LAST_TRIES, async { while webhooks.join_next().await.is_some() {} }).await;
    // What was answered last is recorded before the process ends.
    unwritten.stop();
    journal.finish().await;
    logs::tell(Severity::Info, "ended", &[]);
    Ok(())
}

/// Tells the log which configuration is used, and whether it is another one than before.
async fn configured(app: &App, sha256: &[u8; 32]) -> Result<(), Unavailable> {
    let now = app.now()?;
    let before = app.store.item(CONFIGURATION, CONFIGURATION, now).await?.map(|item| item.data);
    let digest = hex(sha256);
    let same = before.as_deref() == Some(&digest);
    let said = json!({ "sha256": digest, "before": before, "version": env!("CARGO_PKG_VERSION"), "url": app.settings.url });
    app.store.event(if same { "server.started" } else { "config.changed" }, now, said).await?;
    let item = Item {
        kind: CONFIGURATION,
        key: CONFIGURATION.to_owned(),
        owner: String::new(),
        handle: String::new(),
        data: digest,
        expires: i64::MAX,
    };
    if same { Ok(()) } else { app.store.put(item).await }
}

fn listened(kind: SignalKind) -> Result<Signal, String> {
    signal(kind).map_err(|error| format!("signals cannot be heard: {error}"))
}

/// Ends the server at SIGTERM and SIGINT; who waits is answered at once.
fn signals(app: Arc<App>, stopper: Stopper) -> Result<(), String> {
    let (mut terminate, mut interrupt) = (listened(SignalKind::terminate())?, listened(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        logs::tell(Severity::Info, "ending", &[]);
        stopper.stop();
        app.live.close();
    });
    Ok(())
}

/// Reads certificates again at SIGHUP, and when their files change.
fn keep_certificates(tls: Option<Arc<Tls>>, stop: Stop) -> Result<impl Future<Output = ()> + Send + 'static, String> {
    let mut hangup = listened(SignalKind::hangup())?;
    Ok(async move {
        let mut look = interval(LOOK);
        loop {
            let again = tokio::select! {
                () = stop.wait() => return,
                _ = hangup.recv() => true,
                _ = look.tick() => tls.as_ref().is_some_and(|tls| tls.changed()),
            };
            if let Some(tls) = tls.as_ref().filter(|_| again) {
                match tls.reload() {
                    Ok(()) => logs::tell(Severity::Info, "certificates read again", &[]),
                    Err(why) => logs::failed("the certificates in use are kept", &why),
                }
            }
        }
    })
}

/// Writes down what ran out, and drops what nobody can use any more.
async fn sweep(app: Arc<App>) {
    let mut every = interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        let Ok(now) = app.now() else { continue };
        match app.store.expire(now, EXPIRED).await {
            Ok(over) => over.iter().for_each(|id| app.live.tell(id)),
            Err(error) => logs::failed("what ran out is not written down", &error.to_string()),
        }
        if let Err(error) = asking::tell_due(&app, now).await {
            logs::failed("what is due is not told", &error.to_string());
        }
        if let Err(error) = app.store.sweep(now).await {
            logs::failed("what is over is not dropped", &error.to_string());
        }
    }
}
