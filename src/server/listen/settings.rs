use std::path::PathBuf;

use serde::Deserialize;

use super::peer::Network;
use super::tls::Tls;

/// The section `[http]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Certificates in PEM, the server's own first; read again when the file changes, and at SIGHUP.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM; nobody but its owner and group may read it.
    pub key: Option<PathBuf>,
    /// Who signs the certificates of clients, in PEM; clients without a certificate are let in all the same.
    pub client_ca: Option<PathBuf>,
    /// Whether a proxy with TLS of its own stands before the server, which then speaks plainly on any address.
    pub behind_proxy: bool,
    /// From which addresses `X-Forwarded-For` is believed: `10.0.0.7`, `10.0.0.0/8`.
    pub proxies: Vec<Network>,
    /// Whether `X-Forwarded-Client-Cert` is believed of them, too: each of them has to set it anew for every request.
    pub forwarded_certificates: bool,
    /// How many connections there may be at once.
    pub connections: usize,
    /// How many of them from one address (IPv6: from one /64); those of loopback and of proxies are not counted so.
    pub per_peer: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            behind_proxy: false,
            proxies: Vec::new(),
            forwarded_certificates: false,
            connections: 16_384,
            per_peer: 1024,
        }
    }
}

impl HttpSettings {
    /// Reads the certificates that are named, if any; an error where the settings contradict each other.
    pub(super) fn tls(&self) -> Result<Option<Tls>, String> {
        if !self.behind_proxy && !self.proxies.is_empty() {
            return Err("`proxies` below `[http]` means nothing without `behind_proxy = true`".to_owned());
        }
        if self.forwarded_certificates && self.proxies.is_empty() {
            return Err("`forwarded_certificates` below `[http]` needs `proxies` to believe".to_owned());
        }
        match (&self.certificate, &self.key) {
            (Some(_), _) | (_, Some(_)) if self.behind_proxy => {
                Err("`[http]` has a certificate and says `behind_proxy = true`: one of them".to_owned())
            }
            (Some(certificate), Some(key)) => Tls::read(certificate.clone(), key.clone(), self.client_ca.clone()).map(Some),
            (None, None) if self.client_ca.is_some() => Err("`client_ca` below `[http]` needs `certificate` and `key`".to_owned()),
            (None, None) => Ok(None),
            _ => Err("`[http]` needs both `certificate` and `key`".to_owned()),
        }
    }
}
