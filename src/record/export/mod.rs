//! Entries in the forms that other systems take. All of them are projections: the record's own bytes are the evidence.

mod cef;
mod ecs;
mod ocsf;
mod otlp;
mod place;
mod syslog;
mod told;

use crate::key::Vkey;
use crate::policy::SinkFormat;
use crate::record::disclosure::{Disclosures, open};
use crate::record::{Body, Hash, NotARecord, ascii_json, envelope};

pub use place::place;
pub use syslog::{SD_ID, wrapped};

use told::Told;

/// One entry, and what an export tells beside its bytes.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    bytes: &'a [u8],
    body: Body<'a>,
    signature: &'a [u8],
    keyid: String,
    leaf: Hash,
    /// The record with what is kept beside it put back.
    opened: Option<serde_json::Value>,
    decision: Option<serde_json::Value>,
}

impl<'a> Entry<'a> {
    /// Reads an entry: its bytes, signature and record key, and its leaf hash.
    pub fn new(bytes: &'a [u8], signature: &'a [u8], key: &Vkey, leaf: Hash) -> Result<Self, NotARecord> {
        Ok(Self { bytes, body: Body::parse(bytes)?, signature, keyid: key.short(), leaf, opened: None, decision: None })
    }

    /// Adds what its digests are of, as far as the log still has it.
    #[must_use]
    pub fn disclosed(self, disclosures: &Disclosures) -> Self {
        let opened = (!disclosures.is_empty()).then(|| opened(self.bytes, disclosures));
        Self { opened, ..self }
    }

    /// Adds the decision of the same request, which says what an execution is about.
    #[must_use]
    pub fn decided(self, decision: Option<(&[u8], &Disclosures)>) -> Self {
        let of_it = |bytes: &[u8]| Body::parse(bytes).is_ok_and(|decision| decision.request == self.body.request);
        let decision = decision.filter(|(bytes, _)| of_it(bytes)).map(|(bytes, disclosures)| opened(bytes, disclosures));
        Self { decision, ..self }
    }

    /// What the log says in it.
    pub fn body(&self) -> &Body<'a> {
        &self.body
    }

    fn get(&self, name: &str) -> Option<serde_json::Value> {
        let own = match &self.opened {
            Some(opened) => opened.get(name).cloned(),
            None => self.body.value(name),
        };
        own.or_else(|| self.decision.as_ref()?.get(name).cloned())
    }
}

fn opened(bytes: &[u8], disclosures: &Disclosures) -> serde_json::Value {
    let mut value = serde_json::from_slice(bytes).unwrap_or_default();
    open(&mut value, disclosures);
    value
}

/// Whether the record's signature goes along in this form.
pub fn carries_signature(format: SinkFormat) -> bool {
    matches!(format, SinkFormat::Dsse | SinkFormat::Ocsf | SinkFormat::Ecs)
}

/// One entry in a form, in one line without its end; the same entry always gives the same bytes. `integrity` adds the profile `record_integrity` of OCSF 1.9 to OCSF events.
pub fn line(entry: &Entry<'_>, format: SinkFormat, integrity: bool) -> Vec<u8> {
    match format {
        SinkFormat::Jsonl => entry.bytes.to_vec(),
        SinkFormat::Dsse => envelope(entry.bytes, entry.signature, &entry.keyid).into_bytes(),
        SinkFormat::Ocsf => ascii_json(&ocsf::event(entry, &Told::of(entry), integrity)).into_bytes(),
        SinkFormat::Ecs => ascii_json(&ecs::document(entry, &Told::of(entry))).into_bytes(),
        SinkFormat::Cef => cef::line(entry, &Told::of(entry)).into_bytes(),
        SinkFormat::Rfc5424 => syslog::line(entry, &Told::of(entry)).into_bytes(),
        SinkFormat::Otlp => ascii_json(&otlp::request(std::slice::from_ref(entry))).into_bytes(),
    }
}

/// Many entries as the body of one HTTP request, and its media type.
pub fn batch(entries: &[Entry<'_>], format: SinkFormat) -> (&'static str, Vec<u8>) {
    let lines = || {
        let mut body = Vec::new();
        for entry in entries {
            body.extend_from_slice(&line(entry, format, false));
            body.push(b'\n');
        }
        body
    };
    match format {
        SinkFormat::Otlp => ("application/json", ascii_json(&otlp::request(entries)).into_bytes()),
        SinkFormat::Cef | SinkFormat::Rfc5424 => ("text/plain; charset=utf-8", lines()),
        SinkFormat::Jsonl | SinkFormat::Dsse | SinkFormat::Ocsf | SinkFormat::Ecs => ("application/x-ndjson", lines()),
    }
}

/// Cuts a text to so many characters, and shows that it did.
fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
