//! What a layer's `[log]` says: who witnesses the record, where copies go, how long entries stay.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::error::PolicyError;
use super::file::Source;
use super::head_file::duration;
use super::layers::Policy;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    witnesses: Option<Spanned<String>>,
    ca: Option<Spanned<String>>,
    max_unanchored: Option<Spanned<String>>,
    syslog: Option<bool>,
    budget: Option<Spanned<String>>,
    retention: Option<Spanned<String>>,
    key: Option<KeyProvider>,
    epoch_age: Option<Spanned<String>>,
    epoch_records: Option<Spanned<u64>>,
    halt: Option<bool>,
    alert: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    sink: Vec<Spanned<RawSink>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSink {
    name: Spanned<String>,
    to: Spanned<String>,
    format: SinkFormat,
    token_file: Option<Spanned<String>>,
}

/// Who holds the log key.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "lowercase")]
pub enum KeyProvider {
    /// A file beside the log.
    #[default]
    File,
    /// ssh-agent, which never gives it out.
    Agent,
}

/// In which form entries go to a sink.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum SinkFormat {
    /// The entries themselves, one in a line.
    Jsonl,
    /// DSSE envelopes.
    Dsse,
    /// OCSF 1.8.0 events.
    Ocsf,
    /// Elastic Common Schema.
    Ecs,
    /// Common Event Format.
    Cef,
    /// Syslog lines with structured data (RFC 5424).
    Rfc5424,
    /// OpenTelemetry log records.
    Otlp,
}

impl SinkFormat {
    /// All forms.
    pub const ALL: [Self; 7] = [Self::Jsonl, Self::Dsse, Self::Ocsf, Self::Ecs, Self::Cef, Self::Rfc5424, Self::Otlp];

    /// The word that policies and the command line use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Dsse => "dsse",
            Self::Ocsf => "ocsf",
            Self::Ecs => "ecs",
            Self::Cef => "cef",
            Self::Rfc5424 => "rfc5424",
            Self::Otlp => "otlp",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

/// Where copies of entries go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sink {
    /// What the outbox calls it.
    pub name: String,
    /// `file:/PATH`, `unix:/PATH`, `udp://HOST:PORT`, `tcp://HOST:PORT`, `http(s)://…`.
    pub to: String,
    /// In which form.
    pub format: SinkFormat,
    /// A file with the bearer token for `http(s)`.
    pub token_file: Option<String>,
}

/// What one layer says; nothing where it is silent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LogKeys {
    witnesses: Option<String>,
    ca: Option<String>,
    max_unanchored: Option<Duration>,
    syslog: Option<bool>,
    budget: Option<u64>,
    retention: Option<Duration>,
    key: Option<KeyProvider>,
    epoch_age: Option<Duration>,
    epoch_records: Option<u64>,
    halt: Option<bool>,
    alert: Option<Vec<String>>,
    sinks: Vec<Sink>,
}

/// What holds for the log, all layers taken together: the most trusted one that states a thing wins, and sinks add up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSettings {
    /// A tlog-policy file that lists the witnesses and their quorum.
    pub witnesses: Option<String>,
    /// A PEM file with the certificates that witnesses and sinks are trusted by; else the system's.
    pub ca: Option<String>,
    /// Gated commands are refused when the last anchor is older.
    pub max_unanchored: Option<Duration>,
    /// Whether each append leaves a line in the system's own log.
    pub syslog: bool,
    /// How many bytes the log may take on disk.
    pub budget: Option<u64>,
    /// How long entries stay before `gate audit prune` archives them.
    pub retention: Option<Duration>,
    /// Who holds the log key.
    pub key: KeyProvider,
    /// How long a record key signs.
    pub epoch_age: Duration,
    /// How many records a record key signs.
    pub epoch_records: u64,
    /// Whether a failure of the log stops gated commands until somebody looks.
    pub halt: bool,
    /// What is run when the log fails.
    pub alert: Vec<String>,
    /// Where copies go.
    pub sinks: Vec<Sink>,
}

impl Policy {
    /// Whether a layer wants the local syslog told of each entry.
    pub fn announces(&self) -> bool {
        self.heads().iter().any(|(_, head)| head.log.syslog == Some(true))
    }

    /// How many bytes the log may take on disk.
    pub fn log_budget(&self) -> Option<u64> {
        self.heads().iter().find_map(|(_, head)| head.log.budget)
    }

    /// What the layers say about the log.
    pub fn log_settings(&self) -> LogSettings {
        fn first<T>(policy: &Policy, get: impl Fn(&LogKeys) -> Option<T>) -> Option<T> {
            policy.heads().iter().find_map(|(_, head)| get(&head.log))
        }
        let mut sinks: Vec<Sink> = Vec::new();
        for sink in self.heads().iter().flat_map(|(_, head)| &head.log.sinks) {
            if sinks.iter().all(|known| known.name != sink.name) {
                sinks.push(sink.clone());
            }
        }
        let least = |get: fn(&LogKeys) -> Option<Duration>| self.heads().iter().filter_map(|(_, head)| get(&head.log)).min();
        LogSettings {
            witnesses: first(self, |log| log.witnesses.clone()),
            ca: first(self, |log| log.ca.clone()),
            max_unanchored: least(|log| log.max_unanchored),
            syslog: self.announces(),
            budget: self.log_budget(),
            retention: first(self, |log| log.retention),
            key: first(self, |log| log.key).unwrap_or_default(),
            epoch_age: least(|log| log.epoch_age).unwrap_or(EPOCH_AGE),
            epoch_records: self.heads().iter().filter_map(|(_, head)| head.log.epoch_records).min().unwrap_or(EPOCH_RECORDS),
            halt: self.heads().iter().any(|(_, head)| head.log.halt == Some(true)),
            alert: first(self, |log| log.alert.clone()).unwrap_or_default(),
            sinks,
        }
    }
}

/// How long a record key signs where no layer says it.
const EPOCH_AGE: Duration = Duration::from_hours(30 * 24);

/// How many records a record key signs where no layer says it.
const EPOCH_RECORDS: u64 = 10_000;

pub(super) fn log_keys(source: &Source<'_>, raw: &RawLog) -> Result<LogKeys, PolicyError> {
    let time = |text: &Option<Spanned<String>>| text.as_ref().map(|text| duration(source, text)).transpose();
    let mut keys = LogKeys {
        witnesses: raw.witnesses.as_ref().map(|path| absolute(source, path)).transpose()?,
        ca: raw.ca.as_ref().map(|path| absolute(source, path)).transpose()?,
        max_unanchored: time(&raw.max_unanchored)?,
        syslog: raw.syslog,
        budget: raw.budget.as_ref().map(|text| bytes(source, text)).transpose()?,
        retention: raw.retention.as_ref().map(|text| long(source, text)).transpose()?,
        key: raw.key,
        epoch_age: time(&raw.epoch_age)?,
        epoch_records: None,
        halt: raw.halt,
        alert: None,
        sinks: Vec::new(),
    };
    if let Some(count) = &raw.epoch_records {
        if *count.get_ref() == 0 {
            return Err(source.error(count.span(), "a record key that signs nothing is of no use").hint("1 is the least"));
        }
        keys.epoch_records = Some(*count.get_ref());
    }
    if let Some(alert) = &raw.alert {
        if alert.get_ref().first().is_none_or(|program| !program.starts_with('/')) {
            return Err(source
                .error(alert.span(), "the alert needs an absolute path to a program")
                .hint("write `alert = [\"/usr/bin/logger\", \"gate\"]`"));
        }
        keys.alert = Some(alert.get_ref().clone());
    }
    for sink in &raw.sink {
        let sink = self::sink(source, sink.get_ref())?;
        if keys.sinks.iter().any(|known| known.name == sink.name) {
            return Err(source.error(raw.sink[keys.sinks.len()].span(), format!("there are two sinks called `{}`", sink.name)));
        }
        keys.sinks.push(sink);
    }
    Ok(keys)
}

fn sink(source: &Source<'_>, raw: &RawSink) -> Result<Sink, PolicyError> {
    let name = raw.name.get_ref();
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(source.error(raw.name.span(), format!("`{name}` is not a name for a sink")).hint("letters, digits, `-` and `_`"));
    }
    let to = raw.to.get_ref();
    let http = to.starts_with("https://") || to.starts_with("http://");
    let known = http || to.starts_with("file:/") || to.starts_with("unix:/") || to.starts_with("udp://") || to.starts_with("tcp://");
    if !known {
        return Err(source
            .error(raw.to.span(), format!("`{to}` is not a place that entries can go to"))
            .hint("`file:/PATH`, `unix:/PATH`, `udp://HOST:PORT`, `tcp://HOST:PORT` or `https://…`"));
    }
    if raw.format == SinkFormat::Otlp && !http {
        return Err(source.error(raw.to.span(), "OpenTelemetry records go to `https://…`"));
    }
    Ok(Sink {
        name: name.clone(),
        to: to.clone(),
        format: raw.format,
        token_file: raw.token_file.as_ref().map(|path| absolute(source, path)).transpose()?,
    })
}

fn absolute(source: &Source<'_>, path: &Spanned<String>) -> Result<String, PolicyError> {
    let text = path.get_ref();
    if text.starts_with('/') { Ok(text.clone()) } else { Err(source.error(path.span(), format!("`{text}` is not an absolute path"))) }
}

/// `500MiB`, `2GiB`; never zero.
fn bytes(source: &Source<'_>, text: &Spanned<String>) -> Result<u64, PolicyError> {
    let given = text.get_ref();
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1_u64 << 40)];
    let number = units.iter().find_map(|(unit, factor)| given.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*factor));
    number
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| source.error(text.span(), format!("`{given}` is not a size")).hint("write it as `500MiB` or `2GiB`"))
}

/// `400d`; records may stay for many years.
fn long(source: &Source<'_>, text: &Spanned<String>) -> Result<Duration, PolicyError> {
    let days = text.get_ref().strip_suffix('d').and_then(|days| days.parse::<u64>().ok()).filter(|days| (1..=36_600).contains(days));
    days.map(|days| Duration::from_secs(days * 86_400))
        .ok_or_else(|| source.error(text.span(), format!("`{}` is not a number of days", text.get_ref())).hint("write it as `400d`"))
}
