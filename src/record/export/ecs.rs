use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Entry;
use super::told::Told;
use crate::record::{Kind, hex, sha256};

/// The version of the Elastic Common Schema whose fields these are.
const VERSION: &str = "9.0.0";

/// An ECS document. What ECS has no name for stands below `gate`.
pub(super) fn document(entry: &Entry<'_>, told: &Told) -> Value {
    let kind = entry.body.kind;
    let (category, types) = categories(kind, told);
    let mut event = json!({
        "kind": "event",
        "category": [category],
        "type": types,
        "action": kind.word(),
        "outcome": told.succeeded(kind).map_or("unknown", |well| if well { "success" } else { "failure" }),
        "module": "gate",
        "dataset": "gate.audit",
        "provider": "gate",
        "id": told.leaf,
        "sequence": entry.body.header.seq,
        "original": String::from_utf8_lossy(entry.bytes),
        "hash": hex(&sha256(&[entry.bytes])),
    });
    if let Some(event) = event.as_object_mut() {
        event.extend(told.duration.filter(|_| kind == Kind::ExecEnd).map(|duration| ("duration".to_owned(), duration.into())));
        event.extend(told.detail(kind).map(|why| ("reason".to_owned(), why.into())));
    }
    let mut document = json!({
        "@timestamp": told.time,
        "ecs": { "version": VERSION },
        "message": told.message(kind),
        "event": event,
        "host": { "name": told.host, "hostname": told.host },
        "observer": { "product": "gate", "vendor": "gate", "version": told.version },
        "gate": gate(entry, told),
    });
    let Some(members) = document.as_object_mut() else { return document };
    let mut put = |name: &str, value: Value| {
        if value.as_object().is_some_and(|members| !members.is_empty()) {
            members.insert(name.to_owned(), value);
        }
    };
    put("user", user(told));
    put("process", process(entry, told));
    put("rule", if told.rules.is_empty() { Value::Null } else { json!({ "id": told.rules }) });
    put("related", related(told));
    document
}

/// `event.category` and `event.type`, from ECS's lists.
fn categories(kind: Kind, told: &Told) -> (&'static str, Vec<&'static str>) {
    match kind {
        Kind::Request | Kind::Review | Kind::RequestState | Kind::BreakGlass => ("process", vec!["info"]),
        Kind::Decision => ("process", vec!["info", if told.refused() { "denied" } else { "allowed" }]),
        Kind::ExecStart | Kind::ExecReplace => ("process", vec!["start"]),
        Kind::ExecEnd => ("process", vec!["end"]),
        Kind::ExecFail => ("process", vec!["start", "error"]),
        Kind::LogOpen => ("configuration", vec!["creation"]),
        Kind::PolicyLoad | Kind::ConfigChange | Kind::SchemaMigrate | Kind::Stop => ("configuration", vec!["change"]),
        Kind::KeyRotate => ("iam", vec!["admin", "change"]),
        Kind::Redact | Kind::Prune => ("configuration", vec!["deletion"]),
        Kind::Anchor | Kind::Heartbeat | Kind::Server => ("configuration", vec!["info"]),
        Kind::AuditFailure => ("configuration", vec!["error"]),
        Kind::Login => ("authentication", vec!["start"]),
        Kind::Logout => ("authentication", vec!["end"]),
    }
}

/// An object of what is there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    Value::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn user(told: &Told) -> Value {
    let effective = told.euid.as_ref().filter(|euid| Some(*euid) != told.uid.as_ref()).map(|euid| json!({ "id": euid }));
    object([("id", told.uid.clone().map(Into::into)), ("name", told.user.clone().map(Into::into)), ("effective", effective)])
}

fn process(entry: &Entry<'_>, told: &Told) -> Value {
    let hash = told.sha256.as_ref().map(|digest| json!({ "sha256": digest }));
    object([
        ("entity_id", entry.body.request.map(Into::into)),
        ("pid", told.pid.map(Into::into)),
        ("name", told.program.clone().map(Into::into)),
        ("executable", told.path.clone().map(Into::into)),
        ("command_line", told.command.clone().map(Into::into)),
        ("args", told.args.clone().map(Into::into)),
        ("args_count", told.args.as_ref().map(|args| args.len().into())),
        ("working_directory", told.cwd.clone().map(Into::into)),
        ("exit_code", told.exit.map(Into::into)),
        ("hash", hash),
    ])
}

fn related(told: &Told) -> Value {
    let user = [&told.user, &told.uid].into_iter().flatten().cloned().collect::<Vec<_>>();
    let some = |list: Vec<String>| (!list.is_empty()).then(|| list.into());
    object([("user", some(user)), ("hosts", some(vec![told.host.clone()])), ("hash", some(told.sha256.iter().cloned().collect()))])
}

fn gate(entry: &Entry<'_>, told: &Told) -> Map<String, Value> {
    let gate = object([
        ("log", Some(entry.body.header.log.into())),
        ("request", entry.body.request.map(Into::into)),
        ("leaf", Some(told.leaf.as_str().into())),
        ("prev", Some(told.prev.as_str().into())),
        ("keyid", Some(entry.keyid.as_str().into())),
        ("sig", Some(STANDARD.encode(entry.signature).into())),
        ("effect", told.effect.clone().map(Into::into)),
        ("decision", told.result.clone().map(Into::into)),
        ("risk", told.risk.clone().map(Into::into)),
        ("policy", told.policy.clone().map(Into::into)),
        ("approvers", (!told.approvers.is_empty()).then(|| told.approvers.clone().into())),
        ("signal", told.signal.map(Into::into)),
        ("asker", told.asker.clone().map(Into::into)),
        ("tty", told.tty.clone().map(Into::into)),
    ]);
    match gate {
        Value::Object(gate) => gate,
        _ => Map::new(),
    }
}
