use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::canonical::{Members, NotCanonical, canonical, members};
use super::kind::Kind;
use super::time;
use super::tree::{Hash, unhex};
use super::value::integer;
use crate::request::RequestId;
use crate::text::hex;

/// The version of the record format.
pub const VERSION: u8 = 1;

/// What fits into an entry of the archive format (its length is 16 bits).
pub const MAX_BODY: usize = 65_535;

/// A record before the log gives it its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    /// What it is about.
    pub kind: Kind,
    /// Which request it belongs to.
    pub request: Option<RequestId>,
    /// What happened. The names that [`Header`] holds are the log's own.
    pub fields: Map<String, Value>,
    /// What stands in `fields` only as a digest, and may be erased.
    pub disclosures: Vec<Disclosure>,
    /// What is too large for a record and stands in `fields` by its SHA-256 (see [`super::argv_value`]).
    pub blobs: Vec<Vec<u8>>,
}

impl Draft {
    /// A draft without anything beside its fields.
    pub fn new(kind: Kind, request: Option<RequestId>, fields: Map<String, Value>) -> Self {
        Self { kind, request, fields, disclosures: Vec::new(), blobs: Vec::new() }
    }
}

/// A value that stands in a record as a salted digest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disclosure {
    /// The digest as it stands in the record.
    pub digest: String,
    /// What it is the digest of.
    pub data: Vec<u8>,
}

/// Where a record ended up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Its place in the log, from 0.
    pub seq: u64,
    /// Its leaf hash.
    pub leaf: Hash,
    /// The size of the signed checkpoint that covers it.
    pub size: u64,
}

/// What the log itself says in a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// The log's origin.
    pub log: &'a str,
    /// Its place, from 0.
    pub seq: u64,
    /// The leaf hash of the entry before; zeros for the first one.
    pub prev: Hash,
    /// Nanoseconds since 1970.
    pub wall: i64,
    /// The boot id.
    pub boot: &'a str,
    /// Time since boot.
    pub monotonic: Duration,
}

/// A record that is not what gate writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotARecord {
    /// It is not canonical.
    Bytes(NotCanonical),
    /// A member of the header is missing or of another form.
    Member(&'static str),
    /// A draft names a member that the log sets.
    Reserved(String),
    /// It does not fit.
    TooLarge(usize),
}

impl fmt::Display for NotARecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(wrong) => write!(f, "not canonical at byte {}: {}", wrong.at, wrong.what),
            Self::Member(name) => write!(f, "`{name}` is missing or malformed"),
            Self::Reserved(name) => write!(f, "`{name}` is set by the log itself"),
            Self::TooLarge(size) => write!(f, "{size} bytes where {MAX_BODY} fit"),
        }
    }
}

impl From<NotCanonical> for NotARecord {
    fn from(wrong: NotCanonical) -> Self {
        Self::Bytes(wrong)
    }
}

impl Header<'_> {
    /// The bytes that are hashed and signed.
    pub fn body(&self, draft: &Draft) -> Result<Vec<u8>, NotARecord> {
        let wall = jiff::Timestamp::from_nanosecond(self.wall.into()).map_err(|_| NotARecord::Member("ts"))?;
        let mut own = vec![
            ("v", Value::from(VERSION)),
            ("log", Value::from(self.log)),
            ("seq", integer(self.seq)),
            ("prev", Value::from(hex(&self.prev))),
            ("ts", Value::from(format!("{wall:.9}"))),
            ("boot", Value::from(self.boot)),
            ("monotonic", integer(i128::try_from(self.monotonic.as_micros()).unwrap_or(i128::MAX))),
            ("kind", Value::from(draft.kind.word())),
        ];
        own.extend(draft.request.map(|id| ("req", Value::from(id.to_string()))));
        let mut fields = draft.fields.clone();
        for (name, value) in own {
            if fields.insert(name.to_owned(), value.clone()).is_some_and(|given| given != value) {
                return Err(NotARecord::Reserved(name.to_owned()));
            }
        }
        let body = canonical(&Value::Object(fields))?;
        if body.len() > MAX_BODY { Err(NotARecord::TooLarge(body.len())) } else { Ok(body) }
    }
}

/// A record's bytes, checked: canonical, and with a whole header.
#[derive(Clone, Debug)]
pub struct Body<'a> {
    /// What the log says in it.
    pub header: Header<'a>,
    /// What it is about.
    pub kind: Kind,
    /// The request's id.
    pub request: Option<&'a str>,
    members: Members<'a>,
}

impl<'a> Body<'a> {
    /// Reads a record strictly: only the very bytes that gate would write for it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotARecord> {
        if bytes.len() > MAX_BODY {
            return Err(NotARecord::TooLarge(bytes.len()));
        }
        let members = members(bytes)?;
        let text = |name: &'static str| plain(&members, name).ok_or(NotARecord::Member(name));
        let number = |name: &'static str| whole(&members, name).ok_or(NotARecord::Member(name));
        if number("v")? != u64::from(VERSION) {
            return Err(NotARecord::Member("v"));
        }
        let header = Header {
            log: text("log")?,
            seq: number("seq")?,
            prev: unhex(text("prev")?).ok_or(NotARecord::Member("prev"))?,
            wall: time::read(text("ts")?).ok_or(NotARecord::Member("ts"))?,
            boot: text("boot")?,
            monotonic: Duration::from_micros(number("monotonic")?),
        };
        let kind = Kind::parse(text("kind")?).ok_or(NotARecord::Member("kind"))?;
        let request = raw(&members, "req").map(|_| text("req")).transpose()?;
        if request.is_some_and(|id| !is_request(id)) {
            return Err(NotARecord::Member("req"));
        }
        Ok(Self { header, kind, request, members })
    }

    /// A member as JSON text.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        raw(&self.members, name)
    }

    /// A member that is a string without escapes.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        plain(&self.members, name)
    }

    /// A member as a value.
    pub fn value(&self, name: &str) -> Option<Value> {
        self.raw(name).and_then(|raw| serde_json::from_str(raw).ok())
    }
}

/// A record has few members, and most differ in length already: one after the other is faster than by halves.
fn raw<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    members.iter().find(|(key, _)| *key == name).map(|(_, raw)| *raw)
}

fn plain<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    let inner = raw(members, name)?.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

fn whole(members: &Members<'_>, name: &str) -> Option<u64> {
    raw(members, name)?.parse().ok()
}

/// Whether a text is a UUID in the one spelling that records have.
fn is_request(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}
