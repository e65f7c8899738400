use std::fmt;

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

const SPIFFE: &str = "spiffe://";

/// `2.5.4.3`, the common name.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;

/// No name is longer, in bytes (SPIFFE allows 2048 and nobody needs them).
const LONGEST: usize = 512;

/// What a client's certificate names. The chain was verified before this is made.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ClientName {
    /// A workload: `spiffe://…`.
    Spiffe(String),
    /// The common name of the subject.
    CommonName(String),
}

impl ClientName {
    /// The SPIFFE id, which has to be the only URI; else the only common name.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        let uris: Vec<&str> = certificate.valid_uri_names().collect();
        if uris.is_empty() { common_name(certificate.subject()).map(Self::CommonName) } else { Self::uri(&uris) }
    }

    /// By a SPIFFE id, which has to be the only URI.
    pub(super) fn uri(uris: &[&str]) -> Option<Self> {
        match uris {
            [uri] if uri.starts_with(SPIFFE) => plain(uri).map(Self::Spiffe),
            _ => None,
        }
    }

    /// By a common name.
    pub(super) fn common(name: &str) -> Option<Self> {
        plain(name).map(Self::CommonName)
    }
}

impl fmt::Display for ClientName {
    /// `CN=` keeps a subject from being called like a workload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spiffe(uri) => f.write_str(uri),
            Self::CommonName(name) => write!(f, "CN={name}"),
        }
    }
}

fn plain(name: &str) -> Option<String> {
    let fits = !name.is_empty() && name.len() <= LONGEST && !name.chars().any(|c| c.is_control() || c.is_whitespace() && c != ' ');
    fits.then(|| name.to_owned())
}

/// The one common name in a subject; two of them name nobody.
fn common_name(mut names: &[u8]) -> Option<String> {
    let mut found = None;
    while !names.is_empty() {
        let (set, rest) = element(names, SET)?;
        names = rest;
        let mut attributes = set;
        while !attributes.is_empty() {
            let (attribute, rest) = element(attributes, SEQUENCE)?;
            attributes = rest;
            let (kind, value) = element(attribute, OBJECT_IDENTIFIER)?;
            if kind == COMMON_NAME {
                let text = [UTF8, PRINTABLE].into_iter().find_map(|tag| element(value, tag)).map(|(text, _)| text)?;
                let name = std::str::from_utf8(text).ok().and_then(plain)?;
                if found.replace(name).is_some() {
                    return None;
                }
            }
        }
    }
    found
}

/// One DER element with this tag: its content, and what follows.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(&[tag])?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest.split_first_chunk::<2>().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    rest.split_at_checked(length)
}
