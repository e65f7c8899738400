use serde_json::{Value, json};

use super::Entry;
use super::told::Told;
use crate::record::Kind;

/// What an OTLP/HTTP endpoint for logs takes (`ExportLogsServiceRequest` as JSON), and what OTLP files hold in each line.
pub(super) fn request(entries: &[Entry<'_>]) -> Value {
    let told: Vec<Told> = entries.iter().map(Told::of).collect();
    let entries: Vec<(&Entry<'_>, &Told)> = entries.iter().zip(&told).collect();
    // A resource is a host: one whose name changed between two entries is told twice.
    let resources = entries.chunk_by(|(_, one), (_, other)| one.host == other.host && one.version == other.version);
    json!({ "resourceLogs": resources.map(resource).collect::<Value>() })
}

fn resource(entries: &[(&Entry<'_>, &Told)]) -> Value {
    let attributes = entries.first().map(|(entry, told)| {
        [
            string("service.name", "gate"),
            string("service.version", &told.version),
            string("service.instance.id", entry.body.header.log),
            string("host.name", &told.host),
        ]
    });
    json!({
        "resource": { "attributes": attributes },
        "scopeLogs": [{
            "scope": { "name": "gate", "version": env!("CARGO_PKG_VERSION") },
            "logRecords": entries.iter().map(|(entry, told)| record(entry, told)).collect::<Value>(),
        }],
    })
}

fn string(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Whole numbers of 64 bits are strings in protobuf's JSON.
fn integer(key: &str, value: impl Into<i128>) -> Value {
    json!({ "key": key, "value": { "intValue": value.into().to_string() } })
}

fn strings(key: &str, values: &[String]) -> Value {
    let values: Vec<Value> = values.iter().map(|value| json!({ "stringValue": value })).collect();
    json!({ "key": key, "value": { "arrayValue": { "values": values } } })
}

fn record(entry: &Entry<'_>, told: &Told) -> Value {
    let kind = entry.body.kind;
    let (severity, text) = match kind {
        Kind::AuditFailure => (17, "ERROR"),
        Kind::Decision if told.refused() => (13, "WARN"),
        Kind::ExecFail => (13, "WARN"),
        _ => (9, "INFO"),
    };
    let time = entry.body.header.wall.to_string();
    json!({
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": severity,
        "severityText": text,
        "eventName": format!("gate.{kind}"),
        "body": { "stringValue": String::from_utf8_lossy(entry.bytes) },
        "attributes": attributes(entry, told),
    })
}

fn attributes(entry: &Entry<'_>, told: &Told) -> Vec<Value> {
    let mut all = vec![
        string("log.record.uid", &told.leaf),
        string("gate.log", entry.body.header.log),
        integer("gate.seq", entry.body.header.seq),
        string("gate.leaf", &told.leaf),
        string("gate.prev", &told.prev),
        string("gate.kind", entry.body.kind.word()),
    ];
    let detail = told.detail(entry.body.kind);
    let texts = [
        ("gate.request", entry.body.request),
        ("gate.decision", told.result.as_deref()),
        ("gate.effect", told.effect.as_deref()),
        ("gate.risk", told.risk.as_deref()),
        ("gate.policy", told.policy.as_deref()),
        ("gate.detail", detail.as_deref()),
        ("user.name", told.user.as_deref()),
        ("user.id", told.uid.as_deref()),
        ("process.command_line", told.command.as_deref()),
        ("process.executable.name", told.program.as_deref()),
        ("process.executable.path", told.path.as_deref()),
        ("process.working_directory", told.cwd.as_deref()),
    ];
    all.extend(texts.into_iter().filter_map(|(key, value)| Some(string(key, value?))));
    all.extend(
        [("process.pid", told.pid), ("process.exit.code", told.exit)].into_iter().filter_map(|(key, value)| Some(integer(key, value?))),
    );
    all.extend(told.args.as_ref().map(|args| strings("process.command_args", args)));
    for (key, values) in [("gate.rules", &told.rules), ("gate.approvers", &told.approvers)] {
        all.extend((!values.is_empty()).then(|| strings(key, values)));
    }
    all
}
