//! Asking people at a `gate serve`: one request made, waited for, consumed, told about.
//!
//! Whatever the server says here is only shown; a receipt of its key is judged by `approval`, and nothing else lets anything run.

mod card;
mod follow;
mod http;
mod identity;
mod view;
mod vouched;
mod wait;

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::UnboundedSender;

use http::{Call, Failed};
use identity::Credential;

pub use identity::{Asker, Sign};
pub use view::{Said, State, View, is_id};
pub use vouched::{HostLog, LogEnd};
pub(super) use wait::{Heard, wait};

use crate::approval::sha256;
use crate::sys::clock;
use crate::sys::http::async_client;
use crate::sys::wake::{Bell, Ending, deaf_thread};
use crate::text::hex;

/// How long one answer may take that is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the server is asked again whether an approval may be used, in all.
const CONSUMING: Duration = Duration::from_secs(30);

/// Where people decide, and as whom this host asks there.
#[derive(Debug)]
pub struct Server {
    url: String,
    ca: Option<PathBuf>,
    asker: Asker,
    /// Reading all the certificates of a system takes a while: not between a decision and its command.
    client: OnceLock<Arc<Client>>,
}

/// What is asked there.
#[derive(Clone)]
pub struct Submission {
    /// What the same command of the same asker has too.
    pub key: String,
    /// The canonical text.
    pub text: String,
    /// Its digest, in hex.
    pub digest: String,
    /// What only this host knows: whoever shows it may use the approval.
    pub client_nonce: [u8; 32],
    /// What a reviewer reads off this terminal and types.
    pub number: String,
    /// The server's id of it, where it waits already.
    pub id: Option<String>,
    /// The log whose end goes with it.
    pub log: Arc<dyn HostLog>,
}

/// What came of using an approval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Consumed {
    /// It is used, by this receipt.
    Receipt(String),
    /// It cannot be used any more: why.
    Over(String),
    /// The server knows something of this host's log that the log does not: what.
    Conflict(String),
    /// It cannot be told now; the same may be tried later.
    Unclear(String),
}

/// What the one who waits is told.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum News {
    /// How it stands.
    Stands(View),
    /// The server is gone for now: why.
    Lost(String),
    /// It is back.
    Back,
    /// Nothing more comes from there: why.
    Failed(End),
}

/// Why a server is not waited for any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It could not be reached, or will not take the request: why.
    Unreachable(String),
    /// It knows something of this host's log that the log does not: what.
    Conflict(String),
}

/// What the thread is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    /// The requester gave up, or somebody else answered first.
    Cancel,
    /// This process ends, and the request stays.
    Leave,
}

/// A request that waits at a server, in a thread of its own. Dropping it leaves the request there.
#[derive(Debug)]
pub struct Waiting {
    url: String,
    number: String,
    bell: Arc<Bell>,
    news: Receiver<News>,
    orders: UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
    /// How it stood last.
    last: Option<View>,
    /// Why nothing comes from there any more.
    gone: Option<String>,
    /// Held from before the request is made: a signal that ends gate says what becomes of it.
    ending: Ending,
}

impl Waiting {
    /// Makes the request there, or takes up one that waits. `kept` is told its id from the thread, once.
    pub fn start(server: &Server, submission: Submission, kept: impl FnOnce(&str) + Send + 'static) -> Result<Self, String> {
        let ending = Ending::take().map_err(|error| error.to_string())?;
        let bell = Arc::new(Bell::new().map_err(|error| error.to_string())?);
        let (tell, news) = std::sync::mpsc::channel();
        let (orders, given) = tokio::sync::mpsc::unbounded_channel();
        let (url, number) = (server.url.clone(), submission.number.clone());
        let client = server.client()?;
        let teller = follow::Teller::new(tell, Arc::clone(&bell));
        let thread = deaf_thread(move || match runtime() {
            Ok(runtime) => runtime.block_on(follow::work(&client, submission, teller, given, kept)),
            Err(why) => teller.say(News::Failed(End::Unreachable(why))),
        });
        let thread = Some(thread.map_err(|error| error.to_string())?);
        Ok(Self { url, number, bell, news, orders, thread, last: None, gone: None, ending })
    }

    /// Takes the request back, best effort and not for long, and ends the thread.
    pub fn cancel(&mut self) {
        self.end(Order::Cancel);
    }

    /// Leaves the request there, and ends the thread.
    pub fn leave(&mut self) {
        self.end(Order::Leave);
    }

    /// Whether the server took the request.
    pub fn is_made(&self) -> bool {
        self.last.is_some()
    }

    fn end(&mut self, order: Order) {
        if let Some(thread) = self.thread.take() {
            let _ = self.orders.send(order);
            let _ = thread.join();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Server {
    /// The server at this origin, trusted by these certificates or else the system's, to be asked as this asker.
    pub fn new(url: String, ca: Option<PathBuf>, asker: Asker) -> Self {
        Self { url, ca, asker, client: OnceLock::new() }
    }

    /// Its origin.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn client(&self) -> Result<Arc<Client>, String> {
        if let Some(client) = self.client.get() {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Client::new(self)?);
        Ok(Arc::clone(self.client.get_or_init(|| client)))
    }

    /// How a request stands; none where the server cannot be asked now, or does not know it.
    pub fn look(&self, id: &str) -> Option<View> {
        let call = Call { method: Method::GET, target: target(id, ""), headers: Vec::new(), body: None, patience: PATIENCE };
        block(self, async |client| client.ask(&call).await?.view()).ok()
    }

    /// Uses an approval up. Asking again with the same nonce gives the same answer, for a minute.
    pub fn consume(&self, id: &str, submission: &Submission) -> Consumed {
        let body = json!({ "client_nonce": hex(&submission.client_nonce) });
        let call = Call { method: Method::POST, target: target(id, "/consume"), headers: Vec::new(), body: None, patience: PATIENCE };
        let answered = block(self, async |client| {
            let began = since_boot();
            let mut failures = 0;
            loop {
                match vouched::ask(client, &*submission.log, &call, body.clone()).await {
                    Err(failed @ (Failed::Lost(_) | Failed::Busy(..))) => {
                        let pause = http::pause(failures, &failed);
                        if since_boot().saturating_sub(began).saturating_add(pause) > CONSUMING {
                            return Err(failed);
                        }
                        tokio::time::sleep(pause).await;
                        failures += 1;
                    }
                    other => return other,
                }
            }
        });
        match answered {
            Ok(reply) => {
                let value: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                match value.get("receipt").and_then(Value::as_str) {
                    Some(receipt) => Consumed::Receipt(receipt.to_owned()),
                    None => Consumed::Over(self.says("its answer holds no receipt")),
                }
            }
            Err(Failed::No(problem)) if problem.is_conflict() => Consumed::Conflict(self.says(&problem.words)),
            Err(Failed::No(problem)) => Consumed::Over(self.says(&problem.words)),
            Err(failed) => Consumed::Unclear(self.says(&failed.words())),
        }
    }

    /// Tells how the command ended: best effort, once, and not for long. Whatever comes of it changes nothing.
    pub fn tell(&self, id: &str, outcome: &Value) {
        let patience = Duration::from_secs(3);
        let call = Call { method: Method::POST, target: target(id, "/outcome"), headers: Vec::new(), body: Some(outcome), patience };
        let _ = block(self, async |client| client.ask(&call).await);
    }

    fn says(&self, words: &str) -> String {
        format!("the server {}: {words}", self.url)
    }
}

/// Path of a request and what is done with it.
fn target(id: &str, what: &str) -> String {
    format!("/v1/requests/{id}{what}")
}

/// Time since boot; it only goes on.
fn since_boot() -> Duration {
    clock::now().map(|now| now.boot).unwrap_or_default()
}

fn runtime() -> Result<Runtime, String> {
    Builder::new_current_thread().enable_io().enable_time().build().map_err(|error| format!("gate cannot wait: {error}"))
}

/// Does it here and now, with a runtime that is gone afterwards.
fn block<T>(server: &Server, work: impl AsyncFnOnce(&Client) -> Result<T, Failed>) -> Result<T, Failed> {
    let client = server.client().map_err(Failed::Here)?;
    runtime().map_err(Failed::Here)?.block_on(work(&client))
}

/// Speaks to one server as one asker.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    url: String,
    credential: Credential,
}

impl Client {
    fn new(server: &Server) -> Result<Self, String> {
        let http = async_client(server.ca.as_deref(), PATIENCE)?;
        Ok(Self { http, url: server.url.clone(), credential: Credential::new(server.asker.clone(), &server.url) })
    }

    async fn ask(&self, call: &Call<'_>) -> Result<http::Reply, Failed> {
        http::ask(&self.http, &self.url, &self.credential, call).await
    }

    /// Makes the request; the same again where it is there already.
    async fn create(&self, submission: &Submission) -> Result<View, Failed> {
        let approval: Value = serde_json::from_str(&submission.text).unwrap_or_default();
        let body = json!({
            "approval_request": approval,
            "client_nonce_sha256": hex(&sha256(&submission.client_nonce)),
            "number": submission.number,
        });
        let headers = vec![("idempotency-key", format!("\"{}\"", submission.key))];
        let call = Call { method: Method::POST, target: "/v1/requests".to_owned(), headers, body: None, patience: PATIENCE };
        vouched::ask(self, &*submission.log, &call, body).await?.view()
    }

    async fn cancel(&self, id: &str) -> Result<(), Failed> {
        let call = Call { method: Method::DELETE, target: target(id, ""), headers: Vec::new(), body: None, patience: PATIENCE };
        self.ask(&call).await.map(drop)
    }
}
