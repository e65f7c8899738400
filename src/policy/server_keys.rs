//! What a layer's `[server]` says: who decides elsewhere, by which keys that is known, and as whom this host asks there.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::error::PolicyError;
use super::file::{FileKind, Source};
use super::layers::Policy;
use super::reason::Layer;

/// More keys than a change of the server's key needs.
const MOST_KEYS: usize = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    url: Spanned<String>,
    key: Spanned<OneOrMore>,
    ca: Option<Spanned<String>>,
    dev: Option<Spanned<bool>>,
    identity: Option<Spanned<Identity>>,
    token_file: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// As whom a host asks at the server.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// By the key that signs its log.
    Host,
    /// As the person of `gate login`.
    Login,
    /// As the job of GitHub Actions that it runs in.
    Github,
    /// As the service account of the pod that it runs in.
    Kubernetes,
}

/// The server that a layer names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Server {
    /// Its origin, `https://gate.example`; who issues its decisions.
    pub url: String,
    /// The keys that sign its decisions, each `name+id+base64`; one, but while it changes.
    pub keys: Vec<String>,
    /// A PEM file with the certificates that it is trusted by; else the system's.
    pub ca: Option<String>,
    /// Whether it is one for trying things out.
    pub dev: bool,
    /// As whom to ask; where no layer says it, the login if there is one, else the host.
    pub identity: Option<Identity>,
    /// Where a pod finds the token that was made for the server.
    pub token_file: Option<String>,
}

impl Policy {
    /// The server that people decide at, and the layer that names it: the most trusted one that names any.
    pub fn server(&self) -> Option<(Layer, &Server)> {
        self.heads().iter().find_map(|(layer, head)| Some((*layer, head.server.as_ref()?)))
    }
}

pub(super) fn server(source: &Source<'_>, raw: &RawServer) -> Result<Server, PolicyError> {
    if let Some(dev) = raw.dev.as_ref().filter(|dev| *dev.get_ref() && source.kind == FileKind::SystemHead) {
        return Err(source.error(dev.span(), "a server for trying things out decides nothing for the system layer"));
    }
    let url = raw.url.get_ref().trim_end_matches('/');
    if !is_origin(url) {
        return Err(source
            .error(raw.url.span(), format!("`{url}` is not where a server can be"))
            .hint("write it as `https://gate.example`; plain `http` is for 127.0.0.1, [::1] and localhost"));
    }
    let keys = match raw.key.get_ref() {
        OneOrMore::One(key) => vec![key.clone()],
        OneOrMore::More(keys) => keys.clone(),
    };
    if keys.is_empty() || keys.len() > MOST_KEYS || !keys.iter().all(|key| is_key(key)) {
        return Err(source
            .error(raw.key.span(), "that is not the key of a server")
            .hint("`gate serve` prints it when it starts: `gate.example+0123abcd+…`"));
    }
    let absolute = |path: &Option<Spanned<String>>| match path {
        Some(path) if !path.get_ref().starts_with('/') => {
            Err(source.error(path.span(), format!("`{}` is not an absolute path", path.get_ref())))
        }
        path => Ok(path.as_ref().map(|path| path.get_ref().clone())),
    };
    let (identity, token_file) = (raw.identity.as_ref(), absolute(&raw.token_file)?);
    match (identity, &raw.token_file) {
        (Some(identity), None) if *identity.get_ref() == Identity::Kubernetes => {
            return Err(source
                .error(identity.span(), "a pod needs to know where its token is")
                .hint("name the file of the projected volume: `token_file = \"/var/run/secrets/gate/token\"`"));
        }
        (identity, Some(file)) if identity.is_none_or(|identity| *identity.get_ref() != Identity::Kubernetes) => {
            return Err(source.error(file.span(), "only a pod has a token in a file").hint("it goes with `identity = \"kubernetes\"`"));
        }
        _ => {}
    }
    let ca = absolute(&raw.ca)?;
    let dev = raw.dev.as_ref().is_some_and(|dev| *dev.get_ref());
    Ok(Server { url: url.to_owned(), keys, ca, dev, identity: identity.map(|identity| *identity.get_ref()), token_file })
}

/// Whether it is scheme, host and perhaps port, and encrypted wherever others could listen.
fn is_origin(url: &str) -> bool {
    let (place, local_only) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(place), _) => (place, false),
        (None, Some(place)) => (place, true),
        (None, None) => return false,
    };
    let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, port)) => (host, port),
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port_is_one = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let host_is_one = match bracketed {
        Some(_) => host.parse::<core::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        }
    };
    port_is_one && host_is_one && (!local_only || matches!(host, "127.0.0.1" | "::1" | "localhost"))
}

/// Whether it has the form of a key, `name+id+base64`; that it is one is seen where it is used.
fn is_key(key: &str) -> bool {
    let mut parts = key.splitn(3, '+');
    let (name, id, base64) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let plain = key.len() <= 512 && !key.contains(|c: char| c.is_whitespace() || c.is_control());
    plain && !name.is_empty() && id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) && base64.len() == 44
}
