//! What tests of the server's parts share: a store, requests in it, certificates.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gate::approval::{Answer, Approver, Submitted, sha256};
use gate::key::{SigningKey, Vkey};
use gate::policy::{Assurance, Channel};
use gate::server::api::host_signs;
use gate::server::model::{Kept, KeptReview, Requester, State, Wall};
use gate::server::store::{Effect, Sqlite, Store};
use gate::text::hex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use super::approval::Parts;
use super::world::{World, set_mode};

/// Opens the store of a directory.
pub fn store(directory: &Path) -> Arc<Sqlite> {
    Arc::new(Sqlite::open(&directory.join("store.db")).unwrap())
}

/// A pending request; `number` makes it another one.
pub fn request(number: u8, now: Wall) -> Kept {
    let mut parts = Parts::new();
    parts.nonce = [number; 16];
    let text = parts.made().text().to_owned();
    let submitted = Submitted::parse(&text).unwrap();
    Kept {
        id: format!("req_01J0000000000000000000{number:04}"),
        key: format!("{number:064}"),
        requester: Requester { way: "host".into(), name: "gate.test/h/1".into(), person: None, job: None },
        submitted,
        number: None,
        wrong_numbers: 0,
        client_nonce_sha256: sha256(&[number]),
        checkpoint: None,
        state: State::Pending,
        version: 1,
        created: now,
        expires: now + 60_000_000_000,
        decided: None,
        valid_until: None,
        consumed: None,
        reviews: Vec::new(),
        outcome: None,
        plan: gate::server::model::Plan::default(),
        drawn: None,
    }
}

/// A review of somebody.
pub fn review(who: &str, answer: Answer, at: Wall) -> KeptReview {
    KeptReview {
        approver: Approver { issuer: "https://id.example".into(), subject: who.into() },
        name: who.into(),
        answer,
        assurance: Assurance::Passkey,
        proved: at,
        channel: Channel::Server,
        comment: "looks \u{202e}right".into(),
        slots: vec!["team:sre".into()],
        at,
        standing: None,
        evidence: Some(serde_json::json!({ "statement": "e30=", "webauthn": { "n": 1 } })),
    }
}

/// One request that two people approve.
pub async fn approved(store: &Sqlite, number: u8, now: Wall) -> String {
    let id = request(number, now).id;
    store.create(request(number, now)).await.unwrap();
    store.review(&id, review("alice", Answer::Approve, now + 1), Box::new(|_, _| Effect::Waits)).await.unwrap();
    store.review(&id, review("bob", Answer::Approve, now + 2), Box::new(move |_, _| Effect::Approved { until: now + 1000 })).await.unwrap();
    id
}

/// The key of a host's log, under its name.
pub struct Host {
    pub vkey: Vkey,
    pub secret: SigningKey,
    pub pkcs8: Vec<u8>,
}

impl Host {
    pub fn new(name: &str) -> Self {
        let pkcs8 = SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap();
        let secret = SigningKey::from_pkcs8(&pkcs8).unwrap();
        Self { vkey: Vkey::new(name, secret.public()).unwrap(), secret, pkcs8 }
    }

    /// The section that makes it known to a server.
    pub fn section(&self) -> String {
        format!("[[host]]\nkey = \"{}\"\n", self.vkey)
    }
}

/// A real `gate serve`, killed when dropped.
pub struct Server {
    pub child: Child,
    pub url: String,
    pub address: std::net::SocketAddr,
    /// What it said before it served.
    pub before: Vec<String>,
    lines: std::thread::JoinHandle<Vec<String>>,
}

impl Server {
    /// Starts it in the directory `serve` of the world, with these lines before the sections of its configuration, and those sections.
    pub fn start(world: &World, sections: &str, args: &[&str]) -> Self {
        Self::tried(world, sections, args).unwrap_or_else(|lines| panic!("the server did not start: {lines:?}"))
    }

    /// The same; what it said where it does not start.
    pub fn tried(world: &World, sections: &str, args: &[&str]) -> Result<Self, Vec<String>> {
        let state = world.root().join("serve");
        let config = world.root().join("serve.toml");
        let url = "https://gate.test";
        std::fs::write(&config, format!("url = \"{url}\"\nlisten = \"127.0.0.1:0\"\nstate = \"{}\"\n{sections}", state.display())).unwrap();
        let words = ["serve", "--config", config.to_str().unwrap()];
        let mut command = world.command(world.gate(), words.iter().chain(args));
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut said = Vec::new();
        let address = loop {
            let mut line = String::new();
            if err.read_line(&mut line).unwrap() == 0 {
                child.wait().unwrap();
                return Err(said);
            }
            let at = line.split("serving at ").nth(1).and_then(|rest| rest.split(';').next()?.parse().ok());
            said.push(line);
            if let Some(address) = at {
                break address;
            }
        };
        let before = said.clone();
        let lines = std::thread::spawn(move || said.into_iter().chain(err.lines().map_while(Result::ok)).collect());
        let url = format!("{}://{address}", if sections.contains("certificate") { "https" } else { "http" });
        Ok(Self { child, url, address, before, lines })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for its end: its status and what it said.
    pub fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let status = self.child.wait().unwrap();
        let lines = std::mem::replace(&mut self.lines, std::thread::spawn(Vec::new));
        (status.code(), lines.join().unwrap())
    }

    /// Kills it as a power cut would.
    pub fn killed(self) {
        self.signal(nix::sys::signal::Signal::SIGKILL);
        self.ended();
    }

    /// Ends it in order.
    pub fn stopped(self) -> (Option<i32>, Vec<String>) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.ended()
    }

    /// A call that a host signs: status and body. No answer is status 0.
    pub fn call(
        &self,
        host: &Host,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
        key: Option<&str>,
    ) -> (u16, serde_json::Value) {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let now = gate::sys::clock::now().unwrap().wall;
        let at = format!("{}.{:09}", now / 1_000_000_000, now % 1_000_000_000);
        let signature = STANDARD.encode(host.secret.sign(host_signs(method, path, &at, body.as_bytes()).as_bytes()));
        let signed = format!("Gate-Host key=\"{}\", at=\"{at}\", signature=\"{signature}\"", host.vkey);
        let mut request = plainly().request(method.parse().unwrap(), format!("{}{path}", self.url)).header("authorization", signed);
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", format!("\"{key}\""));
        }
        match request.send() {
            Ok(answer) => {
                (answer.status().as_u16(), answer.bytes().ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default())
            }
            Err(_) => (0, serde_json::Value::Null),
        }
    }

    /// Asks for approval; the words make it another request.
    pub fn ask(&self, host: &Host, words: &str) -> (u16, serde_json::Value) {
        let mut asked: serde_json::Value = serde_json::from_str(Parts::new().made().text()).unwrap();
        asked["argv"] = serde_json::json!(["deploy", words]);
        asked["terms"]["channels"] = serde_json::json!(["server"]);
        asked["terms"]["assurance"] = "second-person".into();
        let key = Submitted::read(&asked).unwrap().key();
        let body = serde_json::json!({ "approval_request": asked, "client_nonce_sha256": hex(&sha256(words.as_bytes())) });
        self.call(host, "POST", "/v1/requests", Some(&body), Some(&key))
    }

    /// Gets something without saying who asks.
    pub fn get(&self, path: &str) -> (u16, String) {
        let answer = plainly().get(format!("{}{path}", self.url)).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client without TLS.
pub fn plainly() -> reqwest::blocking::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap()
}

/// An authority, and what it signed.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key, in PEM.
    pub fn signed(&self, names: &[&str], uris: &[&str], common_name: &str) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The same as files of a directory.
    pub fn files(&self, directory: &Path, names: &[&str]) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.signed(names, &[], "server");
        let paths = (directory.join("tls.crt"), directory.join("tls.key"));
        std::fs::write(&paths.0, certificate).unwrap();
        std::fs::write(&paths.1, key).unwrap();
        set_mode(&paths.1, 0o600);
        paths
    }
}
