use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::SD_ID;
use crate::policy::SinkFormat;
use crate::record::Body;

/// Which entry of which log a line in this form is: origin and place. None where it is no such line.
pub fn place(line: &[u8], format: SinkFormat) -> Option<(String, u64)> {
    match format {
        SinkFormat::Jsonl => of_body(line),
        SinkFormat::Dsse => of_body(&STANDARD.decode(json(line)?.get("payload")?.as_str()?).ok()?),
        SinkFormat::Ocsf => {
            let event = json(line)?;
            let metadata = event.get("metadata")?;
            Some((metadata.get("log_name")?.as_str()?.to_owned(), metadata.get("sequence")?.as_u64()?))
        }
        SinkFormat::Ecs => {
            let document = json(line)?;
            Some((document.get("gate")?.get("log")?.as_str()?.to_owned(), document.get("event")?.get("sequence")?.as_u64()?))
        }
        SinkFormat::Cef => of_cef(std::str::from_utf8(line).ok()?),
        SinkFormat::Rfc5424 => of_syslog(std::str::from_utf8(line).ok()?),
        // What goes over HTTP only leaves no lines behind.
        SinkFormat::Otlp => None,
    }
}

fn json(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok()
}

fn of_body(bytes: &[u8]) -> Option<(String, u64)> {
    let body = Body::parse(bytes).ok()?;
    Some((body.header.log.to_owned(), body.header.seq))
}

/// The first keys of the extension; a `=` inside a value would be escaped.
fn of_cef(line: &str) -> Option<(String, u64)> {
    let extension = line.strip_prefix("CEF:0|gate|gate|")?;
    let value = |key: &str| extension.split([' ', '|']).find_map(|word| word.strip_prefix(key));
    Some((value("cs3=")?.to_owned(), value("cn1=")?.parse().ok()?))
}

/// The first parameters of the structured data, which is the seventh word.
fn of_syslog(line: &str) -> Option<(String, u64)> {
    let mut words = line.splitn(10, ' ').skip(6);
    if words.next()?.strip_prefix('[')? != SD_ID {
        return None;
    }
    let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_suffix('"');
    let origin = value("origin=\"")?.to_owned();
    Some((origin, value("seq=\"")?.parse().ok()?))
}
