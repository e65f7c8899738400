//! As whom this host asks: what goes into `Authorization`.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method};
use serde_json::Value;

use super::http::{self, Failed};
use crate::approval::sha256;
use crate::key::Vkey;
use crate::sys::clock;
use crate::sys::http::async_client;
use crate::text::hex;

/// What a token may be long at most, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// How long GitHub may take to give a token.
const PATIENCE: Duration = Duration::from_secs(10);

/// Signs with the key of this host's log.
pub type Sign = Arc<dyn Fn(&[u8]) -> Result<[u8; 64], String> + Send + Sync>;

/// As whom a request is made.
#[derive(Clone)]
pub enum Asker {
    /// This host, by the key that signs its log.
    Host {
        /// The key.
        key: Vkey,
        /// Signs with it.
        sign: Sign,
    },
    /// Somebody who signed on: their token.
    Login(String),
    /// A job of GitHub Actions, which gets a token for the server where it is told.
    Github {
        /// `ACTIONS_ID_TOKEN_REQUEST_URL`.
        url: String,
        /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
        token: String,
    },
    /// A pod, whose token is renewed in this file.
    Kubernetes(PathBuf),
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host { .. } => "Asker::Host",
            Self::Login(_) => "Asker::Login",
            Self::Github { .. } => "Asker::Github",
            Self::Kubernetes(_) => "Asker::Kubernetes",
        })
    }
}

/// Shows who asks, for one request after the other.
#[derive(Debug)]
pub(super) struct Credential {
    asker: Asker,
    audience: String,
}

impl Credential {
    pub(super) fn new(asker: Asker, audience: &str) -> Self {
        Self { asker, audience: audience.to_owned() }
    }

    /// The value of `Authorization` for one request; `target` is its path with the query.
    pub(super) async fn authorization(&self, method: &Method, target: &str, body: &[u8]) -> Result<String, Failed> {
        let bearer = |token: &str| {
            let wrong = || Failed::Here("the token that this host is known by at the server is not one".to_owned());
            if is_token(token) { Ok(format!("Bearer {token}")) } else { Err(wrong()) }
        };
        match &self.asker {
            Asker::Host { key, sign } => signed(key, sign, method, target, body),
            Asker::Login(token) => bearer(token),
            Asker::Github { url, token } => bearer(&github(url, token, &self.audience).await?),
            Asker::Kubernetes(path) => {
                let shown = crate::text::escape(path.as_os_str().as_encoded_bytes());
                let mut text = String::new();
                let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST_TOKEN as u64 + 1).read_to_string(&mut text));
                read.map_err(|error| Failed::Here(format!("the pod's token `{shown}` cannot be read: {error}")))?;
                bearer(text.trim())
            }
        }
    }
}

/// The call, signed by the host's key. The fraction of the second keeps equal calls apart: the server takes each signature once.
fn signed(key: &Vkey, sign: &Sign, method: &Method, target: &str, body: &[u8]) -> Result<String, Failed> {
    let now = clock::now().map_err(|error| Failed::Here(format!("the clock cannot be read: {error}")))?.wall;
    let at = format!("{}.{:09}", now / 1_000_000_000, now % 1_000_000_000);
    let text = format!("gate-host-request-v1\n{method}\n{target}\n{at}\n{}\n", hex(&sha256(body)));
    let signature = STANDARD.encode(sign(text.as_bytes()).map_err(Failed::Here)?);
    Ok(format!("Gate-Host key=\"{key}\", at=\"{at}\", signature=\"{signature}\""))
}

/// Asks GitHub for a token that says which job this is, made for the server alone.
async fn github(url: &str, token: &str, audience: &str) -> Result<String, Failed> {
    let wrong = |what: &str| Failed::Here(format!("GitHub gave no token for this job: {what}"));
    if !url.starts_with("https://") || !is_token(token) {
        return Err(wrong("`ACTIONS_ID_TOKEN_REQUEST_URL` and `…_TOKEN` are not what GitHub sets; does the job have `id-token: write`?"));
    }
    let client: Client = async_client(None, PATIENCE).map_err(|why| wrong(&why))?;
    let url = format!("{url}&audience={}", percent(audience));
    let request = client.get(url).header("authorization", format!("Bearer {token}"));
    let reply = http::read(request, LONGEST_TOKEN).await?;
    if reply.status != 200 {
        return Err(if reply.status >= 500 { reply.busy() } else { wrong(&format!("it answered {}", reply.status)) });
    }
    let value: Value = serde_json::from_slice(&reply.body).map_err(|_| wrong("its answer is not JSON"))?;
    value.get("value").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| wrong("its answer holds none"))
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// All but letters, digits and `-._~` as `%XX` (RFC 3986).
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |out, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out + char::from(byte).encode_utf8(&mut [0; 4]),
        _ => out + &format!("%{byte:02X}"),
    })
}
