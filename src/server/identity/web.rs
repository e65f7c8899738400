//! Small things of the web: cookies, forms, random words, paths that lead back into the server.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::Error;
use crate::approval::sha256;
use crate::text::hex;

/// What a path to return to may be long at most.
const LONGEST_PATH: usize = 2048;

/// Where people go who came from nowhere.
const HOME: &str = "/";

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    crate::sys::random::fill(&mut bytes).map_err(|_| Error::System("random bytes"))?;
    Ok(bytes)
}

/// A word of 256 random bits.
pub(super) fn word() -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// What is kept of such a word: its SHA-256, in hex.
pub(super) fn kept(word: &str) -> String {
    hex(&sha256(word.as_bytes()))
}

/// The `S256` challenge of a verifier (RFC 7636).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))
}

/// Whether two texts are equal, in a time that tells nothing of where they differ.
pub(super) fn same(one: &str, other: &str) -> bool {
    sha256(one.as_bytes()) == sha256(other.as_bytes())
}

/// A query or form: each name and value with everything but letters, digits and `-._~` written as bytes.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| format!("{}={}", percent(name), percent(value));
    pairs.iter().map(one).collect::<Vec<_>>().join("&")
}

pub(super) fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// An address with more in its query.
pub(super) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    format!("{url}{}{}", if url.contains('?') { '&' } else { '?' }, form(pairs))
}

/// Where somebody goes back to: this path of the server, or home where it is none.
pub fn return_path(path: &str) -> &str {
    own_path(path).unwrap_or(HOME)
}

/// A path of this server: it starts with one slash, so that no browser reads another host in it.
fn own_path(path: &str) -> Option<&str> {
    let inside = path.starts_with('/') && !path.starts_with("//");
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (inside && plain && path.len() <= LONGEST_PATH).then_some(path)
}

/// The cookies of a server: their names say that no other host could have set them, where the browser keeps that promise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    /// Whether people come by `https`.
    pub secure: bool,
}

impl Cookies {
    fn full(self, name: &str) -> String {
        if self.secure { format!("__Host-gate_{name}") } else { format!("gate_{name}") }
    }

    /// The cookie's value; none where it is there twice, since nobody knows who set the other.
    pub(super) fn read(self, headers: &HeaderMap, name: &str) -> Option<String> {
        let full = self.full(name);
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
        let mut values = all.filter_map(|pair| pair.trim().split_once('=')).filter(|(found, _)| *found == full).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) if value.len() <= 128 => Some(value.to_owned()),
            _ => None,
        }
    }

    /// Sets a cookie for so many seconds; 0 takes it away.
    pub(super) fn set(self, name: &str, value: &str, seconds: i64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", self.full(name))
    }
}
