//! The real server's API in this process, so that a test can decide, and can meddle with what it says on the way.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use gate::approval::{Answer, Approver, Claims, WantedStanding};
use gate::key::{SigningKey, Vkey};
use gate::policy::{Assurance, Channel};
use gate::server::api;
use gate::server::app::{App, DecisionKey};
use gate::server::live::Live;
use gate::server::model::{Kept, KeptReview, State};
use gate::server::rules::judge;
use gate::server::settings::Settings;
use gate::server::store::{Filter, Reviewed, Sqlite};
use gate::server::witness::Cosigner;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::proofs::log_key;
use crate::serving::host_key;
use crate::world::World;

/// Longer than anything takes on a busy machine; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of an answer on its way: method, path, the answer's status and JSON.
pub type Meddle = Box<dyn FnMut(&Method, &str, StatusCode, Value) -> Response + Send>;

/// A server in this process.
pub struct Here {
    _dir: TempDir,
    pub url: String,
    at: SocketAddr,
    app: Arc<App>,
    runtime: Runtime,
    /// Its connections end with it.
    serving: Option<Runtime>,
    meddle: Arc<Mutex<Option<Meddle>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Nobody meddles.
pub fn honest(status: StatusCode, body: &Value) -> Response {
    if body.is_null() { status.into_response() } else { (status, axum::Json(body.clone())).into_response() }
}

impl Here {
    /// Starts it for a world, whose log is made where there is none yet; the world's person is `https://idp#asker`.
    pub fn of(world: &World, dev: bool) -> Self {
        let made = world.run(["audit", "init"]);
        assert!(made.code() == 0 || made.err().contains("is there already"), "{made}");
        let dir = tempfile::Builder::new().prefix("gate-here-").tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let url = format!("http://{at}");
        let state = dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let host = format!("[[host]]\nkey = \"{}\"\nperson = \"https://idp#asker\"\n", log_key(world));
        let settings = Settings::parse(&format!("url = \"{url}\"\nstate = \"{}\"\n{host}", state.display())).unwrap();
        let (vkey, secret) = host_key(&at.to_string());
        let store = Arc::new(Sqlite::open(&state.join("requests.db")).unwrap());
        let identity = gate::server::identity::Identity::new(&settings, gate::sys::files::Owner::Root, [7; 32]).unwrap();
        let app = Arc::new(App {
            settings,
            store,
            identity,
            live: Live::default(),
            key: DecisionKey { vkey, dev, secret },
            cosigner: Cosigner::new(&at.to_string(), host_key("unused").1).unwrap(),
            pace: gate::server::pace::Pace::default(),
            configuration: [String::new(), String::new()],
        });
        let runtime = runtime();
        let (meddle, calls) = (Arc::default(), Arc::default());
        let mut here = Self { _dir: dir, url, at, app, runtime, serving: None, meddle, calls };
        here.serve(listener);
        here
    }

    fn serve(&mut self, listener: TcpListener) {
        let (meddle, calls) = (Arc::clone(&self.meddle), Arc::clone(&self.calls));
        let layer = middleware::from_fn(move |request: Request, next: Next| {
            let (meddle, calls) = (Arc::clone(&meddle), Arc::clone(&calls));
            async move {
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                calls.lock().unwrap().push(format!("{method} {path}"));
                let (parts, body) = next.run(request).await.into_parts();
                let bytes = to_bytes(body, usize::MAX).await.unwrap();
                match &mut *meddle.lock().unwrap() {
                    Some(hand) => hand(&method, &path, parts.status, serde_json::from_slice(&bytes).unwrap_or_default()),
                    None => Response::from_parts(parts, Body::from(bytes)),
                }
            }
        });
        listener.set_nonblocking(true).unwrap();
        let router = api::router(&self.app).layer(layer);
        let serving = runtime();
        serving.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        self.serving = Some(serving);
    }

    /// From now on every answer goes through this hand.
    pub fn meddle(&self, hand: impl FnMut(&Method, &str, StatusCode, Value) -> Response + Send + 'static) {
        *self.meddle.lock().unwrap() = Some(Box::new(hand));
    }

    /// The server is gone, with all its connections.
    pub fn stop(&mut self) {
        self.serving.take().unwrap().shutdown_timeout(PATIENCE);
    }

    /// The server is back at the same address, with what it kept.
    pub fn start_again(&mut self) {
        let listener = loop {
            match TcpListener::bind(self.at) {
                Ok(listener) => break listener,
                Err(_) => std::thread::yield_now(),
            }
        };
        self.serve(listener);
    }

    /// The key that signs its decisions.
    pub fn key(&self) -> &Vkey {
        &self.app.key.vkey
    }

    /// The `[server]` that names it.
    pub fn named(&self) -> String {
        let dev = if self.app.key.dev { "dev = true\n" } else { "" };
        format!("[server]\nurl = \"{}\"\nkey = \"{}\"\n{dev}", self.url, self.key())
    }

    /// What happened of this kind.
    pub fn told(&self, kind: &str) -> Vec<Value> {
        let events = self.runtime.block_on(self.app.store.events(0, 10_000)).unwrap();
        events.into_iter().filter(|event| event.kind == kind).map(|event| event.data).collect()
    }

    /// Signs claims with its key.
    pub fn sign(&self, claims: &Claims) -> String {
        claims.sign(&self.app.key.vkey, &self.app.key.secret)
    }

    /// A hand needs the key in another thread.
    pub fn secret(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// Method and path of each call so far.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// All requests, the newest first.
    pub fn requests(&self) -> Vec<Kept> {
        let filter = Filter { limit: 100, ..Filter::default() };
        self.runtime.block_on(self.app.store.list(filter)).unwrap()
    }

    /// Waits until there is a request for which this holds.
    #[track_caller]
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Kept) -> bool) -> Kept {
        let began = Instant::now();
        loop {
            if let Some(found) = self.requests().into_iter().find(&wanted) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "no request: {what}: {:?}", self.requests());
            std::thread::yield_now();
        }
    }

    /// Waits for the request that people are to decide.
    #[track_caller]
    pub fn pending(&self) -> Kept {
        self.wait_for("pending", |request| request.state == State::Pending)
    }

    /// Waits until the request is in this state.
    #[track_caller]
    pub fn becomes(&self, id: &str, state: State) -> Kept {
        self.wait_for(state.word(), |request| request.id == id && request.state == state)
    }

    /// Somebody decides, as sure as another person is.
    pub fn decide(&self, request: &Kept, who: &str, answer: Answer, comment: &str) -> Reviewed {
        self.decide_for(request, who, answer, comment, None)
    }

    /// The same, for more runs than one.
    pub fn decide_for(&self, request: &Kept, who: &str, answer: Answer, comment: &str, wanted: Option<&WantedStanding>) -> Reviewed {
        let now = self.app.now().unwrap();
        let review = KeptReview {
            approver: Approver { issuer: "https://idp".to_owned(), subject: who.to_owned() },
            name: format!("{who} \u{1b}[31m"),
            answer,
            assurance: Assurance::SecondPerson,
            proved: now,
            channel: Channel::Server,
            comment: comment.to_owned(),
            slots: vec![format!("person:https://idp#{who}"), "team:sre".to_owned()],
            at: now,
            standing: wanted.map(|wanted| wanted.from(now).unwrap()),
            evidence: None,
        };
        let done = self.runtime.block_on(self.app.store.review(&request.id, review, Box::new(judge))).unwrap();
        self.app.live.tell(&request.id);
        done
    }

    /// Somebody else approves.
    #[track_caller]
    pub fn approve(&self, request: &Kept) {
        let done = self.decide(request, "ada", Answer::Approve, "go ahead");
        assert!(matches!(done, Reviewed::Kept(_)), "{done:?}");
    }
}

/// So many runs within an hour, with these words open.
pub fn runs_in_all(uses: u32, open: &[usize]) -> WantedStanding {
    WantedStanding { uses, seconds: 3600, open: open.to_vec() }
}

/// Starts gate in the background.
pub fn started(world: &World, args: &[&str]) -> Child {
    let mut command = world.command(world.gate(), args);
    command.stdin(Stdio::null()).spawn().unwrap()
}

/// Sends a signal.
pub fn send(child: &Child, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// A key that is nobody's.
pub fn stranger() -> (Vkey, SigningKey) {
    host_key("stranger.example")
}
