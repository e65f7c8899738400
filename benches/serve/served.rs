//! The real server in a scratch directory, hosts that ask it, and a reviewer who is signed on.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::approval::{Submitted, sha256};
use gate::key::{SigningKey, Vkey};
use gate::server::api::host_signs;
use gate::text::hex;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::wire::{Wire, header};
use super::{Outcome, provider};

/// How many hosts ask.
const HOSTS: usize = 16;

/// A running server; it is killed when dropped.
pub(crate) struct Served {
    dir: TempDir,
    child: Child,
    pub(crate) at: SocketAddr,
    pub(crate) url: String,
    /// The key that hosts pin.
    pub(crate) key: String,
    pub(crate) hosts: Vec<Host>,
    pub(crate) reviewer: Reviewer,
}

/// A host whose key the server knows.
pub(crate) struct Host {
    vkey: Vkey,
    key: SigningKey,
}

/// A browser's session.
pub(crate) struct Reviewer {
    /// `NAME=VALUE`.
    pub(crate) cookie: String,
    csrf: String,
}

/// What a host asks.
pub(crate) struct Ask {
    body: Vec<u8>,
    key: String,
    nonce: String,
    /// What reviewers decide about.
    pub(crate) digest: String,
}

/// What the server's process has used so far.
pub(crate) struct Used {
    /// Time of processors.
    pub(crate) time: Duration,
    /// Resident now, in MB.
    pub(crate) resident: f64,
    /// Resident at most, in MB.
    pub(crate) peak: f64,
}

/// Scratch space on a real disk, not in memory.
pub(crate) fn scratch() -> Outcome<TempDir> {
    Ok(tempfile::Builder::new().prefix("gate-bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn secret() -> Outcome<SigningKey> {
    let key = SigningKey::generate(&ring::rand::SystemRandom::new()).and_then(|pkcs8| SigningKey::from_pkcs8(&pkcs8));
    Ok(key.map_err(|_| "no key could be made")?)
}

impl Served {
    /// Starts it; the keys of further hosts are known to it, too.
    pub(crate) async fn start(gate: &str, more: &[String]) -> Outcome<Self> {
        let dir = scratch()?;
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (url, issuer) = (format!("http://{at}"), provider::start()?);
        let mut hosts = Vec::new();
        for number in 0..HOSTS {
            let key = secret()?;
            hosts.push(Host { vkey: Vkey::new(&format!("gate.bench/h/{number}"), key.public()).map_err(|_| "no name of a key")?, key });
        }
        let known = hosts.iter().map(|host| host.vkey.to_string()).chain(more.iter().cloned());
        let sections = known.fold(String::new(), |all, key| all + &format!("[[host]]\nkey = \"{key}\"\n"));
        let (state, secret) = (dir.path().join("state"), dir.path().join("client.secret"));
        fs::write(&secret, "bench")?;
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let config = format!(
            "url = \"{url}\"\nlisten = \"{at}\"\nstate = \"{}\"\n[requests]\nper_minute = 0\nwaiting = 0\n[teams]\nsre = [\"group:bench:sre\"]\n\
             [[issuer]]\nname = \"bench\"\nurl = \"{issuer}\"\nclient_id = \"gate\"\nclient_secret_file = \"{}\"\ngroups_age = \"24h\"\n{sections}",
            state.display(),
            secret.display()
        );
        fs::write(dir.path().join("serve.toml"), config)?;
        // Its log goes to a file, as with any service; nobody has to read it while it is measured.
        let said = dir.path().join("stderr");
        let mut command = Command::new(gate);
        command.args(["serve", "--config"]).arg(dir.path().join("serve.toml")).stdin(Stdio::null()).stderr(fs::File::create(&said)?);
        let mut child = command.spawn()?;
        let key = match serving(&mut child, &said).await {
            Ok(key) => key,
            Err(error) => {
                drop(child.kill());
                return Err(error);
            }
        };
        let reviewer = Reviewer { cookie: String::new(), csrf: String::new() };
        let mut served = Self { dir, child, at, url, key, hosts, reviewer };
        served.reviewer = sign_on(at, &issuer).await?;
        Ok(served)
    }

    /// Where its files are.
    pub(crate) fn place(&self) -> &Path {
        self.dir.path()
    }

    /// What its process has used.
    pub(crate) fn used(&self) -> Outcome<Used> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let memory = |name: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or_default() / 1000.0
        };
        Ok(Used { time: Duration::from_millis(ticks * 10), resident: memory("VmRSS:"), peak: memory("VmHWM:") })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits until it serves: the key that it signs decisions with.
async fn serving(child: &mut Child, said: &Path) -> Outcome<String> {
    loop {
        let log = fs::read_to_string(said)?;
        let line = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|line| {
            let what = line["what"].as_str()?;
            what.starts_with("serving at").then(|| what.rsplit(' ').next().unwrap_or_default().to_owned())
        });
        if let Some(key) = line {
            return Ok(key);
        }
        if child.try_wait()?.is_some() {
            return Err(format!("the server did not start: {log}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Signs on as a browser does; what the provider would answer is known.
async fn sign_on(at: SocketAddr, issuer: &str) -> Outcome<Reviewer> {
    let mut wire = Wire::open(at).await?;
    let begun = wire.call("GET", "/login?return=/inbox", "", b"").await?;
    let location = header(&begun.head, "location").ok_or("no way to the provider")?;
    let field = |name: &str| location.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
    let back = format!("/auth/callback?code={}&state={}&iss={issuer}", field("nonce"), field("state"));
    let done = wire.call("GET", &back, &format!("cookie: {}\r\n", cookies(&begun.head)), b"").await?;
    let cookie = cookies(&done.head).split("; ").find(|cookie| cookie.starts_with("gate_session=")).map(str::to_owned);
    let cookie = cookie.ok_or_else(|| format!("nobody is signed on: {}{}", done.head, String::from_utf8_lossy(&done.body)))?;
    let page = wire.call("GET", "/inbox", &format!("cookie: {cookie}\r\n"), b"").await?;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let csrf = text.split("name=\"csrf\" content=\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("no token on the page")?;
    Ok(Reviewer { csrf: csrf.to_owned(), cookie })
}

fn cookies(head: &str) -> String {
    let set = head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
    set.collect::<Vec<_>>().join("; ")
}

/// Different things to ask, about as long as real ones.
pub(crate) fn asks(first: usize, count: usize) -> Outcome<Vec<Ask>> {
    (first..first + count).map(|number| ask(number).map_err(Into::into)).collect()
}

fn ask(number: usize) -> Result<Ask, String> {
    let pod = format!("payments-{number}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_nanos()).unwrap_or_default();
    let value = json!({
        "v": 2, "request": format!("0199c7a2-7d5e-7a54-9c1f-{number:012x}"),
        "argv": ["kubectl", "--context", "prod-eu-1", "delete", "namespace", pod, "--wait=false"],
        "program": { "path": "/usr/bin/kubectl", "real": "/usr/bin/kubectl" }, "program_sha256": "6f".repeat(32),
        "cwd": { "path": "/home/ada/payments/deploy", "dev": "1", "ino": "2" }, "environment_sha256": "00".repeat(32),
        "facts": { "kube.context": { "is": ["prod-eu-1"], "files": [] }, "git.branch": { "is": ["main"], "files": [] } },
        "pinned": [{ "path": "/home/ada/.kube/config", "sha256": "9e".repeat(32) }],
        "stdin": "empty", "host": "build-01", "uid": 1000, "user": "ada", "loginuid": 1000,
        "asker": "agent:claude-code", "policy": "b1".repeat(32), "ancestry": ["bash", "claude", "tmux: server", "systemd"],
        "rules": [{ "id": "kubectl.namespace.delete", "layer": "embedded", "effect": "ask", "risk": "critical", "data": ["customer", "payments"],
            "reason": "Deletes the namespace with everything in it: deployments, secrets, volumes. There is no undo.",
            "instead": "delete the one workload that is meant, or scale it to 0",
            "preview": ["kubectl", "--context", "prod-eu-1", "delete", "namespace", pod, "--dry-run=server"] }],
        "target": [{ "name": "cluster", "fact": { "is": ["prod-eu-1"], "files": [] } }, { "name": "namespace", "fact": { "is": [pod], "files": [] } }],
        "justification": "Clean up after the migration to payments-v2, OPS-4711.", "risk": "critical",
        "terms": { "approvers": ["team:sre"], "threshold": 1, "assurance": "second-person", "within_s": 3600, "valid_s": 300,
            "channels": ["server"], "justification": ["text"], "escalate": [{ "after_s": 3000, "approvers": ["team:on-call"] }] },
        "how": {}, "nonce": "00".repeat(16), "created_ns": now.to_string(), "lifetime_s": 3600,
    });
    let submitted = Submitted::read(&value).map_err(|wrong| wrong.0.to_owned())?;
    let nonce = sha256(&number.to_be_bytes());
    let body = json!({ "approval_request": value, "client_nonce_sha256": hex(&sha256(&nonce)), "number": "42" }).to_string().into_bytes();
    Ok(Ask { body, key: submitted.key(), nonce: hex(&nonce), digest: submitted.digest().to_string() })
}

impl Host {
    /// The headers of a call that it signs.
    fn signed(&self, method: &str, path: &str, body: &[u8]) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let signature = STANDARD.encode(self.key.sign(host_signs(method, path, &at, body).as_bytes()));
        format!(
            "authorization: Gate-Host key=\"{}\", at=\"{at}\", signature=\"{signature}\"\r\ncontent-type: application/json\r\n",
            self.vkey
        )
    }

    /// Asks: the request's id.
    pub(crate) async fn ask(&self, wire: &mut Wire, ask: &Ask) -> Outcome<String> {
        let headers = format!("{}idempotency-key: \"{}\"\r\n", self.signed("POST", "/v1/requests", &ask.body), ask.key);
        let made = wire.call("POST", "/v1/requests", &headers, &ask.body).await?.json(201)?;
        Ok(made["id"].as_str().ok_or("a request without an id")?.to_owned())
    }

    /// Waits until it is another than the first version: its state.
    pub(crate) async fn wait(&self, wire: &mut Wire, id: &str) -> Outcome<String> {
        let path = format!("/v1/requests/{id}?wait=30");
        loop {
            let headers = format!("{}if-none-match: \"1\"\r\n", self.signed("GET", &path, b""));
            let reply = wire.call("GET", &path, &headers, b"").await?;
            if reply.status != 304 {
                return Ok(reply.json(200)?["state"].as_str().unwrap_or_default().to_owned());
            }
        }
    }

    /// Uses the approval.
    pub(crate) async fn consume(&self, wire: &mut Wire, id: &str, ask: &Ask) -> Outcome<()> {
        let (path, body) = (format!("/v1/requests/{id}/consume"), format!("{{\"client_nonce\":\"{}\"}}", ask.nonce));
        let used = wire.call("POST", &path, &self.signed("POST", &path, body.as_bytes()), body.as_bytes()).await?.json(200)?;
        used["receipt"].as_str().map(drop).ok_or_else(|| "no receipt".into())
    }
}

impl Reviewer {
    /// Approves.
    pub(crate) async fn approve(&self, wire: &mut Wire, id: &str, digest: &str) -> Outcome<()> {
        let (path, body) = (format!("/v1/requests/{id}/reviews"), format!("{{\"review\":\"approve\",\"digest\":\"{digest}\"}}"));
        let headers = format!(
            "cookie: {}\r\nx-gate-csrf: {}\r\nsec-fetch-site: same-origin\r\ncontent-type: application/json\r\n",
            self.cookie, self.csrf
        );
        wire.call("POST", &path, &headers, body.as_bytes()).await?.json(200).map(drop)
    }

    /// Reads something.
    pub(crate) async fn get(&self, wire: &mut Wire, path: &str) -> Outcome<Value> {
        wire.call("GET", path, &format!("cookie: {}\r\n", self.cookie), b"").await?.json(200)
    }
}
