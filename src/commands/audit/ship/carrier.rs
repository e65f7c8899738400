use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::courier::Stopped;
use crate::policy::{Sink, SinkFormat};
use crate::record::export::{self, Entry};
use crate::sys::durable::{self, Refused};
use crate::sys::http::Http;
use crate::sys::line_file::LineFile;
use crate::sys::syslog;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an HTTP receiver may answer, in bytes.
const MOST_HEARD: u64 = 1024 * 1024;

/// What a file with a token may hold, in bytes.
const LONGEST_TOKEN: u64 = 16 * 1024;

/// What fits into one datagram; of an entry that does not fit, the short RFC 5424 message goes out.
const LARGEST_DATAGRAM: usize = 60_000;

/// The way to a sink.
pub(super) struct Carrier {
    format: SinkFormat,
    way: Way,
}

enum Way {
    File { path: PathBuf, open: Option<LineFile> },
    Http { http: Http, url: String, token: Option<String> },
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(PathBuf),
}

/// Where a sink stands.
pub(super) enum Position {
    /// Where the outbox says. A file may hold half a first line then.
    Noted(Option<Vec<u8>>),
    /// After this entry.
    After(u64),
}

impl Carrier {
    /// Finds the way. The error says in words what is wrong with the setting.
    pub(super) fn new(sink: &Sink, ca: Option<&str>) -> Result<Self, String> {
        let to = sink.to.as_str();
        let way = if let Some(path) = to.strip_prefix("file:") {
            Way::File { path: path.into(), open: None }
        } else if let Some(path) = to.strip_prefix("unix:") {
            Way::Unix(path.into())
        } else if let Some(address) = to.strip_prefix("tcp://") {
            Way::Tcp(syslog::address(address)?)
        } else if let Some(address) = to.strip_prefix("udp://") {
            Way::Udp(syslog::address(address)?)
        } else {
            let token = sink.token_file.as_deref().map(token).transpose()?;
            if token.is_some() && !is_private(to) {
                return Err("a token goes over `https://` only, or to this very host".to_owned());
            }
            Way::Http { http: Http::new(ca.map(Path::new), PATIENCE)?, url: to.to_owned(), token }
        };
        if sink.token_file.is_some() && !matches!(way, Way::Http { .. }) {
            return Err("a token is of use for HTTP only".to_owned());
        }
        Ok(Self { format: sink.format, way })
    }

    /// Where the sink stands in the log of this origin. A file stays open and locked until the batch is delivered.
    pub(super) fn position(&mut self, origin: &str) -> Result<Position, Stopped> {
        let Way::File { path, open } = &mut self.way else { return Ok(Position::Noted(None)) };
        // The one of the last batch is closed first: it holds the lock, and may have been renamed since.
        *open = None;
        let mut file = LineFile::open(path).map_err(Stopped::again)?;
        let tail = file.tail().map_err(Stopped::again)?;
        let position = match &tail.last {
            None => Position::Noted((!tail.half.is_empty()).then_some(tail.half)),
            Some(last) => {
                let (log, seq) = export::place(last, self.format).ok_or_else(|| {
                    Stopped::refused(format!("the last line of the file is no entry as {}; gate adds nothing to it", self.format.word()))
                })?;
                if !tail.half.is_empty() {
                    file.cut(tail.at).map_err(Stopped::again)?;
                }
                if log == origin { Position::After(seq) } else { Position::Noted(None) }
            }
        };
        *open = Some(file);
        Ok(position)
    }

    /// Whether a batch that is sent once more has to be the same one: a file tells what it has, others know a batch by its key.
    pub(super) fn needs_fixed_batches(&self) -> bool {
        !matches!(self.way, Way::File { .. })
    }

    /// Delivers a batch. `half` is what stands in a file that has no whole line yet.
    pub(super) fn deliver(&mut self, batch: &[Entry<'_>], half: Option<&[u8]>) -> Result<(), Stopped> {
        let format = self.format;
        match &mut self.way {
            Way::File { open, .. } => {
                let Some(mut file) = open.take() else { return Err(Stopped::again("the file is not open")) };
                let (_, lines) = export::batch(batch, format);
                if let Some(half) = half {
                    if !lines.starts_with(half) {
                        return Err(Stopped::refused("the file holds something else than entries; gate adds nothing to it"));
                    }
                    file.cut(0).map_err(Stopped::again)?;
                }
                file.append(&lines).map_err(Stopped::again)
            }
            Way::Http { http, url, token } => post(http, url, token.as_deref(), batch, format),
            Way::Tcp(to) => {
                syslog::tcp(*to, &messages(batch, format, usize::MAX), PATIENCE).map_err(|error| Stopped::again(error.to_string()))
            }
            Way::Udp(to) => syslog::udp(*to, &messages(batch, format, LARGEST_DATAGRAM)).map_err(|error| Stopped::again(error.to_string())),
            Way::Unix(path) => {
                syslog::unix(path, &messages(batch, format, LARGEST_DATAGRAM), PATIENCE).map_err(|error| Stopped::again(error.to_string()))
            }
        }
    }
}

/// Syslog messages; entries in another form than RFC 5424's own stand in such messages.
fn messages(batch: &[Entry<'_>], format: SinkFormat, most: usize) -> Vec<Vec<u8>> {
    let short = |entry: &Entry<'_>| export::line(entry, SinkFormat::Rfc5424, false);
    let message = |entry: &Entry<'_>| match format {
        SinkFormat::Rfc5424 => short(entry),
        _ => Some(export::wrapped(entry, &export::line(entry, format, false)))
            .filter(|whole| whole.len() <= most)
            .unwrap_or_else(|| short(entry)),
    };
    batch.iter().map(message).collect()
}

fn post(http: &Http, url: &str, token: Option<&str>, batch: &[Entry<'_>], format: SinkFormat) -> Result<(), Stopped> {
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(()) };
    let (first, last) = (&first.body().header, &last.body().header);
    // The same entries always have the same key, so that a receiver knows a batch that it has already.
    let key = format!("\"{}:{}-{}\"", first.log.replace(['"', '\\'], "_"), first.seq, last.seq);
    let (kind, body) = export::batch(batch, format);
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", kind), ("Idempotency-Key", key.as_str())];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let reply = http.post(url, &headers, body, MOST_HEARD).map_err(Stopped::again)?;
    match reply.status {
        200..=299 if format == SinkFormat::Otlp => match rejected(&reply.body) {
            // OTLP has it that such a batch is not sent again.
            Some(count) => {
                crate::error::note(&format!("the receiver rejected {count} of the entries {} to {}", first.seq, last.seq));
                Ok(())
            }
            None => Ok(()),
        },
        200..=299 => Ok(()),
        300..=399 => Err(Stopped::refused(format!("the receiver sends to another place ({}), which gate does not follow", reply.status))),
        408 | 409 | 425 | 429 | 500..=599 => Err(Stopped::again(format!("the receiver answered {}", reply.status))),
        other => Err(Stopped::refused(format!("the receiver refused it ({other})"))),
    }
}

/// How many records an OTLP receiver says that it did not take.
fn rejected(body: &[u8]) -> Option<u64> {
    let reply: Value = serde_json::from_slice(body).ok()?;
    let count = reply.get("partialSuccess")?.get("rejectedLogRecords")?;
    count.as_u64().or_else(|| count.as_str()?.parse().ok()).filter(|count| *count > 0)
}

/// Reads a token from a file that is its owner's alone. The token is in no message.
fn token(path: &str) -> Result<String, String> {
    let shown = crate::text::escape(path.as_bytes());
    let bytes = durable::read_private(Path::new(path), LONGEST_TOKEN).map_err(|refused| match refused {
        Refused::Absent => format!("`{shown}` is missing"),
        Refused::Unsafe(reason) => format!("`{shown}` is not used: {reason}"),
        Refused::Io(error) => format!("`{shown}` cannot be read: {error}"),
    })?;
    let token = String::from_utf8(bytes).unwrap_or_default();
    let token = token.trim_end();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("`{shown}` does not hold one line of visible ASCII"));
    }
    Ok(token.to_owned())
}

/// Whether nobody on the way can read what goes there.
fn is_private(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return true };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
