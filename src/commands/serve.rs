//! `gate serve`: the approval server.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::surroundings::{Surroundings, random, refused};
use crate::approval::sha256;
use crate::error::{Error, note};
use crate::exit_codes;
use crate::key::{SigningKey, Vkey};
use crate::policy::Risk;
use crate::server::app::{App, DecisionKey};
use crate::server::confirmed::{self, InForce};
use crate::server::identity::dev::{self, DevProvider};
use crate::server::identity::{self, Identity};
use crate::server::journal::PutBack;
use crate::server::live::Live;
use crate::server::pace::Pace;
use crate::server::routes;
use crate::server::run::{self, Started};
use crate::server::settings::Settings;
use crate::server::store::Sqlite;
use crate::server::witness::Cosigner;
use crate::sys::clock;
use crate::sys::durable::{self, Refused};
use crate::sys::files::Owner;
use crate::sys::names;
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
    #[arg(long, value_name = "FILE", default_value = "/etc/gate/serve.toml", conflicts_with = "dev")]
    config: PathBuf,
    /// Try it out: on a loopback address, with people to choose from instead of an identity provider
    #[arg(long)]
    dev: bool,
    /// Go on although the store or the log is an older copy that was put back; the log says why
    #[arg(long, value_name = "REASON")]
    put_back: Option<String>,
}

/// Serves until it is told to end.
pub fn run(args: &ServeArgs) -> Result<u8, Error> {
    let (settings, in_force) = if args.dev { trial(args)? } else { configured(args)? };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = decision_key(&settings, args.dev)?;
    let seal = <[u8; 32]>::try_from(kept(&settings.state.join("seal.key"), || random::<32>().map(|bytes| bytes.to_vec()))?);
    let seal = seal.map_err(|_| unusable(&settings.state.join("seal.key"), "it is no key"))?;
    let provider = args.dev.then(|| DevProvider::new(&settings.url).map(Arc::new)).transpose().map_err(|wrong| bad(&wrong))?;
    let identity = match &provider {
        Some(provider) => Identity::dev(&settings, provider, seal),
        None => Identity::new(&settings, Owner::User(names::own_uid()), seal),
    };
    let identity = identity.map_err(|wrong| bad(&wrong))?;
    let store = Sqlite::open(&settings.state.join("requests.db")).map_err(|error| Error::internal(error.to_string()))?;
    let cosigner = cosigner(&settings)?;
    let started = Started { configuration: sha256(in_force.text.as_bytes()), put_back: args.put_back.clone().map(PutBack) };
    let (pace, configuration) = (Pace::default(), in_force.digests);
    let app = Arc::new(App { settings, store: Arc::new(store), identity, live: Live::default(), key, cosigner, pace, configuration });
    let router = routes::router(&app);
    let router = match provider {
        Some(provider) => router.merge(dev::routes(provider)),
        None => router,
    };
    if args.dev {
        note(&tried_out(&app));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::internal(format!("the server cannot run: {error}")))?;
    runtime.block_on(run::run(app, router, started)).map(|()| 0).map_err(|why| Error::internal(text::visible(&why)))
}

/// The configuration in force.
fn configured(args: &ServeArgs) -> Result<(Settings, InForce), Error> {
    let shown = text::escape(args.config.as_os_str().as_encoded_bytes());
    let mut bytes = Vec::new();
    let read = File::open(&args.config).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| Error::config(format!("`{shown}` cannot be read: {error}")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Error::config(format!("`{shown}` is longer than 1 MiB")));
    }
    let file = String::from_utf8_lossy(&bytes);
    let parsed = |text: &str| Settings::parse(text).map_err(|wrong| Error::config(format!("`{shown}`: {wrong}")));
    let state = parsed(&file)?.state;
    let in_force = in_force(&state, &file)?;
    let mut settings = Settings { state, ..parsed(&in_force.text)? };
    if let Some(listen) = &args.listen {
        settings.listen.clone_from(listen);
    }
    Ok((settings, in_force))
}

/// The file's configuration, unless that was changed and waits for its administrators.
fn in_force(state: &Path, file: &str) -> Result<InForce, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::internal(error.to_string());
    durable::make_directory(state).map_err(|error| unusable(state, &error.to_string()))?;
    let store = Sqlite::open(&state.join("requests.db")).map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    let now = clock::now().map_err(|error| failed(&error))?.wall;
    let in_force = runtime.block_on(confirmed::settle(&store, file, now)).map_err(|error| failed(&error))?;
    let [used, changed] = &in_force.digests;
    if used != changed {
        note(&format!("the configuration {changed} waits for its administrators to confirm it; {used} stays in force"));
    }
    Ok(in_force)
}

/// What a trial is run with: nothing to write, and nothing that others could reach.
fn trial(args: &ServeArgs) -> Result<(Settings, InForce), Error> {
    let listen = args.listen.clone().unwrap_or_else(|| "127.0.0.1:7443".to_owned());
    let address: SocketAddr = listen
        .parse()
        .map_err(|_| Error::new(exit_codes::USAGE, format!("`{}` is not an address and a port", text::escape(listen.as_bytes()))))?;
    if !address.ip().is_loopback() {
        return Err(Error::new(exit_codes::USAGE, "`--dev` listens on a loopback address only: anybody may sign on as anybody there"));
    }
    let around = Surroundings::capture()?;
    let state = around.config.state().map_err(refused)?.join("serve-dev");
    // Browsers have passkeys for names, and not for addresses.
    let text = format!("url = \"http://localhost:{}\"\nlisten = \"{address}\"\nstate = \"\"\n", address.port());
    let mut settings = Settings::parse(&text).map_err(Error::internal)?;
    settings.state = state;
    settings.teams = dev::teams();
    dev::duties(&mut settings);
    Ok((settings, InForce::of_file(text)))
}

/// What somebody who tries it out does next: a policy that says so, since such a server decides nothing otherwise.
fn tried_out(app: &App) -> String {
    let (url, key) = (&app.settings.url, &app.key.vkey);
    let terms: Vec<String> = Risk::ALL.iter().map(|risk| format!("terms.{}.dev = true\n", risk.word())).collect();
    let terms = terms.concat();
    format!(
        "a trial: anybody may sign on as anybody at {url}\n\
         put this into your policy.toml, and then `gate login`, and ask for something:\n\n\
         version = 1\n{terms}\n[server]\nurl = \"{url}\"\nkey = \"{key}\"\ndev = true\n"
    )
}

fn bad(setting: &identity::settings::BadSetting) -> Error {
    Error::config(text::visible(&setting.0))
}

/// A private file's bytes; it is made on the first start.
fn kept(path: &Path, make: impl FnOnce() -> Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error> {
    match durable::read_private(path, 4096) {
        Ok(bytes) => Ok(bytes),
        Err(Refused::Absent) => {
            let bytes = make()?;
            durable::write_private(path, &bytes).map_err(|error| unusable(path, &error.to_string()))?;
            Ok(bytes)
        }
        Err(refused) => Err(unusable(path, &format!("{refused:?}"))),
    }
}

/// The key that signs decisions.
fn decision_key(settings: &Settings, dev: bool) -> Result<DecisionKey, Error> {
    let secret = kept_key(settings, "decision.key")?;
    let vkey = Vkey::new(settings.name(), secret.public()).map_err(|_| Error::config("`url` cannot be the name of a key"))?;
    Ok(DecisionKey { vkey, dev, secret })
}

/// The key that countersigns checkpoints: one of its own, since a cosignature does not name what it is for.
fn cosigner(settings: &Settings) -> Result<Cosigner, Error> {
    let secret = kept_key(settings, "cosigner.key")?;
    Cosigner::new(settings.name(), secret).ok_or_else(|| Error::config("`url` cannot be the name of a key"))
}

/// A key of the state directory; made on the first start.
fn kept_key(settings: &Settings, name: &str) -> Result<SigningKey, Error> {
    durable::make_directory(&settings.state).map_err(|error| unusable(&settings.state, &error.to_string()))?;
    let path = settings.state.join(name);
    let made = || SigningKey::generate(&ring::rand::SystemRandom::new()).map_err(|_| Error::internal("no key could be made"));
    SigningKey::from_pkcs8(&kept(&path, made)?).map_err(|_| unusable(&path, "it is no key"))
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::internal(format!("`{}`: {why}", text::escape(path.as_os_str().as_encoded_bytes())))
}
