//! HTTP to others: witnesses, sinks, servers. Nothing of the caller's environment has a say in it: no proxy and no certificates of theirs.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::Client;
use reqwest::{Certificate, redirect};

/// Where systems keep the certificates that they trust.
const BUNDLES: [&str; 4] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"];

/// What a file of certificates may hold at most.
const MAX_BUNDLE: u64 = 4 * 1024 * 1024;

/// Somebody to talk to by HTTP.
#[derive(Debug)]
pub struct Http {
    client: Client,
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Content-Type`, or nothing.
    pub kind: String,
    /// `ETag`, or nothing.
    pub tag: String,
    /// At most as much as was asked for.
    pub body: Vec<u8>,
}

impl Http {
    /// Trusts the certificates of a file, or else the system's. The error says in words what is wrong.
    pub fn new(ca: Option<&Path>, patience: Duration) -> Result<Self, String> {
        let client = Client::builder()
            .tls_certs_only(certificates(ca)?)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(patience)
            .connect_timeout(patience)
            .user_agent(concat!("gate/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(|client| Self { client }).map_err(|error| told(&error))
    }

    /// Posts a body, and reads at most `limit` bytes of the answer; more is an error.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: Vec<u8>, limit: u64) -> Result<Reply, String> {
        let request = headers.iter().fold(self.client.post(url), |request, (name, value)| request.header(*name, *value));
        read(request.body(body).send().map_err(|error| told(&error))?, limit)
    }

    /// Deletes a resource, and reads at most `limit` bytes of the answer; more is an error.
    pub fn delete(&self, url: &str, headers: &[(&str, &str)], limit: u64) -> Result<Reply, String> {
        let request = headers.iter().fold(self.client.delete(url), |request, (name, value)| request.header(*name, *value));
        read(request.send().map_err(|error| told(&error))?, limit)
    }

    /// Gets a resource, and reads at most `limit` bytes of it; more is an error.
    pub fn get(&self, url: &str, headers: &[(&str, &str)], limit: u64) -> Result<Reply, String> {
        let request = headers.iter().fold(self.client.get(url), |request, (name, value)| request.header(*name, *value));
        read(request.send().map_err(|error| told(&error))?, limit)
    }
}

/// The same for those who wait for many at once: no proxy, no redirects, the certificates of a file or else the system's.
pub fn async_client(ca: Option<&Path>, patience: Duration) -> Result<reqwest::Client, String> {
    async_builder(ca, patience)?.build().map_err(|error| told(&error))
}

/// The same, of which more may be said.
pub fn async_builder(ca: Option<&Path>, patience: Duration) -> Result<reqwest::ClientBuilder, String> {
    let builder = reqwest::Client::builder()
        .tls_certs_only(certificates(ca)?)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(patience)
        .connect_timeout(patience)
        .user_agent(concat!("gate/", env!("CARGO_PKG_VERSION")));
    Ok(builder)
}

fn certificates(ca: Option<&Path>) -> Result<Vec<Certificate>, String> {
    // It is installed already where this is the second client.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match ca {
        Some(path) => bundle(path),
        None => Ok(BUNDLES.iter().find_map(|path| bundle(Path::new(path)).ok()).unwrap_or_default()),
    }
}

fn read(response: reqwest::blocking::Response, limit: u64) -> Result<Reply, String> {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (kind, tag) = (header("content-type"), header("etag"));
    let mut body = Vec::new();
    response.take(limit + 1).read_to_end(&mut body).map_err(|error| error.to_string())?;
    if body.len() as u64 > limit {
        return Err(format!("the answer is larger than {limit} bytes"));
    }
    Ok(Reply { status, kind, tag, body })
}

fn bundle(path: &Path) -> Result<Vec<Certificate>, String> {
    let shown = || crate::text::escape(path.as_os_str().as_encoded_bytes());
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| format!("`{}`: {error}", shown()))?;
    file.take(MAX_BUNDLE).read_to_end(&mut pem).map_err(|error| format!("`{}`: {error}", shown()))?;
    Certificate::from_pem_bundle(&pem).map_err(|_| format!("`{}` holds no certificates", shown()))
}

/// The error with its causes: what reqwest says alone is only that something failed.
pub fn told(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        words = format!("{words}: {deeper}");
        cause = deeper.source();
    }
    words
}
