//! A real `gate serve` in a scratch directory, and a host that asks it with its log's key.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gate::approval::sha256;
use gate::key::{SigningKey, Vkey};
use gate::server::api::host_signs;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::approval::Parts;
use crate::world::GATE;

/// A running server; it is killed when dropped.
pub struct Server {
    dir: TempDir,
    pub url: String,
    child: Child,
}

/// A host whose log key the server knows.
pub struct Host {
    pub vkey: Vkey,
    key: SigningKey,
    client: reqwest::blocking::Client,
    url: String,
}

/// What came back.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub tag: Option<String>,
    pub body: Value,
}

/// A new key for a host, and the line of the server's configuration that makes it known.
pub fn host_key(name: &str) -> (Vkey, SigningKey) {
    let key = SigningKey::from_pkcs8(&SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap()).unwrap();
    (Vkey::new(name, key.public()).unwrap(), key)
}

impl Server {
    /// Starts a server on a free port with these lines in its configuration beside `url`, `listen` and `state`; `OWN_URL` in them is its own.
    pub fn start(more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("gate-serve-").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let state = dir.path().join("state");
        let more = more.replace("OWN_URL", &url);
        let config = format!("url = \"{url}\"\nlisten = \"127.0.0.1:{port}\"\nstate = \"{}\"\n{more}", state.display());
        fs::write(dir.path().join("serve.toml"), config).unwrap();
        let child = spawn(&dir.path().join("serve.toml"));
        Self { dir, url, child }
    }

    /// Where it keeps everything.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("serve.toml")
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Kills it as the machine would, without a chance to finish, and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.config());
    }

    /// A host with this key.
    pub fn host(&self, (vkey, key): (Vkey, SigningKey)) -> Host {
        Host { vkey, key, client: client(), url: self.url.clone() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts it, and waits until it says that it serves.
fn spawn(config: &Path) -> Child {
    let mut child = Command::new(GATE).args(["serve", "--config"]).arg(config).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    loop {
        let Some(line) = lines.next() else { panic!("the server did not start: {}", said.join("\n")) };
        said.push(line.unwrap());
        if said.last().unwrap().contains("serving at") {
            break;
        }
    }
    // Somebody has to read what it says, or it would wait for that.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// A client without proxies and redirects.
pub fn client() -> reqwest::blocking::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::blocking::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// An approval request as a host submits it, and its key.
pub fn submitted(parts: &Parts) -> (Value, String) {
    let value: Value = serde_json::from_str(parts.made().text()).unwrap();
    let key = gate::approval::Submitted::read(&value).unwrap().key();
    (value, key)
}

impl Host {
    /// Calls the API, signed.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Told {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let signature = STANDARD.encode(self.key.sign(host_signs(method, path, &at, &body).as_bytes()));
        let authorization = format!("Gate-Host key=\"{}\", at=\"{at}\", signature=\"{signature}\"", self.vkey);
        self.raw(method, path, &authorization, headers, body)
    }

    /// The signature of a call without a body, at a moment in seconds since 1970.
    pub fn signed(&self, method: &str, path: &str, at: &str) -> String {
        STANDARD.encode(self.key.sign(host_signs(method, path, at, b"").as_bytes()))
    }

    /// Calls the API with another header of authorization.
    pub fn raw(&self, method: &str, path: &str, authorization: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Told {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url)).header("authorization", authorization);
        let request = request.header("content-type", "application/json").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().unwrap();
        let status = response.status().as_u16();
        let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        Told { status, tag, body: serde_json::from_slice(&response.bytes().unwrap()).unwrap_or_default() }
    }

    /// Asks; the nonce is what only this run knows.
    pub fn ask(&self, parts: &Parts, client_nonce: &[u8; 32]) -> Told {
        let (value, key) = submitted(parts);
        let body = json!({ "approval_request": value, "client_nonce_sha256": gate::text::hex(&sha256(client_nonce)), "number": "42" });
        self.call("POST", "/v1/requests", &[("idempotency-key", &format!("\"{key}\""))], Some(&body))
    }
}

/// A key for countersigning.
pub fn cosigner() -> gate::server::witness::Cosigner {
    gate::server::witness::Cosigner::new("gate.example", host_key("gate.example").1).unwrap()
}
