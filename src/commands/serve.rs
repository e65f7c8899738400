//! `gate serve`: the approval server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::approval::sha256;
use crate::error::{Error, note};
use crate::key::{SigningKey, Vkey};
use crate::server::api;
use crate::server::app::{App, DecisionKey};
use crate::server::confirmed::{self, InForce};
use crate::server::journal::PutBack;
use crate::server::live::Live;
use crate::server::pace::Pace;
use crate::server::run::{self, Started};
use crate::server::settings::Settings;
use crate::server::store::Sqlite;
use crate::sys::clock;
use crate::sys::durable::{self, Refused};
use crate::text;

/// What a configuration may be long at most.
const LONGEST: u64 = 1024 * 1024;

/// Runs the approval server
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where to listen, instead of where the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/gate/serve.toml")]
    config: PathBuf,
    /// Go on although the store or the log is an older copy that was put back; the log says why
    #[arg(long, value_name = "REASON")]
    put_back: Option<String>,
}

/// Serves until it is told to end.
pub fn run(args: &ServeArgs) -> Result<u8, Error> {
    let shown = text::escape(args.config.as_os_str().as_encoded_bytes());
    let bytes = std::fs::read(&args.config).map_err(|error| Error::config(format!("`{shown}` cannot be read: {error}")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Error::config(format!("`{shown}` is longer than 1 MiB")));
    }
    let file = String::from_utf8_lossy(&bytes);
    let parsed = |text: &str| Settings::parse(text).map_err(|wrong| Error::config(format!("`{shown}`: {wrong}")));
    let state = parsed(&file)?.state;
    durable::make_directory(&state).map_err(|error| unusable(&state, &error.to_string()))?;
    let store = Sqlite::open(&state.join("requests.db")).map_err(|error| Error::internal(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::internal(format!("the server cannot run: {error}")))?;
    let in_force = in_force(&runtime, &store, &file)?;
    let mut settings = Settings { state, ..parsed(&in_force.text)? };
    if let Some(listen) = &args.listen {
        settings.listen.clone_from(listen);
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = decision_key(&settings)?;
    let started = Started { configuration: sha256(in_force.text.as_bytes()), put_back: args.put_back.clone().map(PutBack) };
    let configuration = in_force.digests;
    let app = Arc::new(App { settings, store: Arc::new(store), live: Live::default(), key, pace: Pace::default(), configuration });
    let router = api::router(&app);
    runtime.block_on(run::run(app, router, started)).map(|()| 0).map_err(|why| Error::internal(text::visible(&why)))
}

/// The configuration in force: the file's, unless that was changed and waits for its administrators.
fn in_force(runtime: &tokio::runtime::Runtime, store: &Sqlite, file: &str) -> Result<InForce, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::internal(error.to_string());
    let now = clock::now().map_err(|error| failed(&error))?.wall;
    let in_force = runtime.block_on(confirmed::settle(store, file, now)).map_err(|error| failed(&error))?;
    let [used, changed] = &in_force.digests;
    if used != changed {
        note(&format!("the configuration {changed} waits for two administrators to confirm it; {used} stays in force"));
    }
    Ok(in_force)
}

/// The key that signs decisions; made on the first start.
fn decision_key(settings: &Settings) -> Result<DecisionKey, Error> {
    let path = settings.state.join("decision.key");
    let bytes = match durable::read_private(&path, 4096) {
        Ok(bytes) => bytes,
        Err(Refused::Absent) => {
            let bytes = SigningKey::generate(&ring::rand::SystemRandom::new()).map_err(|_| Error::internal("no key could be made"))?;
            durable::write_private(&path, &bytes).map_err(|error| unusable(&path, &error.to_string()))?;
            bytes
        }
        Err(refused) => return Err(unusable(&path, &format!("{refused:?}"))),
    };
    let secret = SigningKey::from_pkcs8(&bytes).map_err(|_| unusable(&path, "it is no key"))?;
    let name = settings.url.trim_start_matches("https://").trim_start_matches("http://");
    let vkey = Vkey::new(name, secret.public()).map_err(|_| Error::config("`url` cannot be the name of a key"))?;
    Ok(DecisionKey { vkey, dev: false, secret })
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::internal(format!("`{}`: {why}", text::escape(path.as_os_str().as_encoded_bytes())))
}
