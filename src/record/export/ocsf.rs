use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Entry;
use super::told::Told;
use crate::record::{Kind, hex, sha256};

const PROCESS: (u32, &str, u32, &str) = (1007, "Process Activity", 1, "System Activity");
const LOG: (u32, &str, u32, &str) = (1008, "Event Log Activity", 1, "System Activity");
const AUTHENTICATION: (u32, &str, u32, &str) = (3002, "Authentication", 3, "Identity & Access Management");
const ENTITY: (u32, &str, u32, &str) = (3004, "Entity Management", 3, "Identity & Access Management");

/// The number that OCSF has for what its lists do not hold; the name beside it is gate's own.
const OTHER: u32 = 99;

/// Class and activity of a kind.
fn class(kind: Kind, refused: bool) -> ((u32, &'static str, u32, &'static str), u32, &'static str) {
    match kind {
        Kind::Request => (PROCESS, OTHER, "Ask"),
        Kind::Decision if !refused => (PROCESS, OTHER, "Decide"),
        Kind::Decision | Kind::ExecStart | Kind::ExecReplace | Kind::ExecFail => (PROCESS, 1, "Launch"),
        Kind::ExecEnd => (PROCESS, 2, "Terminate"),
        Kind::LogOpen => (LOG, 6, "Start"),
        Kind::Prune => (LOG, 4, "Archive"),
        Kind::Redact => (LOG, OTHER, "Redact"),
        Kind::Anchor => (LOG, OTHER, "Anchor"),
        Kind::Heartbeat => (LOG, OTHER, "Heartbeat"),
        Kind::SchemaMigrate => (LOG, OTHER, "Migrate"),
        Kind::AuditFailure => (LOG, OTHER, "Fail"),
        Kind::PolicyLoad | Kind::ConfigChange | Kind::KeyRotate | Kind::Stop => (ENTITY, 3, "Update"),
        Kind::Review => (PROCESS, OTHER, "Review"),
        Kind::RequestState => (PROCESS, OTHER, "Change"),
        Kind::BreakGlass => (PROCESS, OTHER, "Break glass"),
        Kind::Login => (AUTHENTICATION, 1, "Logon"),
        Kind::Logout => (AUTHENTICATION, 2, "Logoff"),
        Kind::Server => (LOG, OTHER, "Tell"),
    }
}

/// An OCSF 1.8.0 event; with `integrity` one of 1.9 with the profile `record_integrity`.
pub(super) fn event(entry: &Entry<'_>, told: &Told, integrity: bool) -> Value {
    let kind = entry.body.kind;
    let (class, activity, activity_name) = class(kind, told.refused());
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    put("class_uid", class.0.into());
    put("class_name", class.1.into());
    put("category_uid", class.2.into());
    put("category_name", class.3.into());
    put("activity_id", activity.into());
    put("activity_name", activity_name.into());
    put("type_uid", (class.0 * 100 + activity).into());
    // The type's own caption for what has a name of gate's is that of its number.
    put("type_name", format!("{}: {}", class.1, if activity == OTHER { "Other" } else { activity_name }).into());
    put("time", entry.body.header.wall.div_euclid(1_000_000).into());
    let (severity, name) = severity(kind, told);
    put("severity_id", severity.into());
    put("severity", name.into());
    let (status, name) = match told.succeeded(kind) {
        Some(true) => (1, "Success"),
        Some(false) => (2, "Failure"),
        None => (0, "Unknown"),
    };
    put("status_id", status.into());
    put("status", name.into());
    if let Some(detail) = told.detail(kind) {
        put("status_detail", detail.into());
    }
    put("message", told.message(kind).into());
    let body = String::from_utf8_lossy(entry.bytes);
    put("raw_data_size", entry.bytes.len().into());
    put("raw_data_hash", fingerprint(&hex(&sha256(&[entry.bytes]))));
    put("raw_data", body.into());
    put("device", json!({ "hostname": told.host, "name": told.host, "type_id": 0, "type": "Unknown" }));
    put("actor", actor(told));
    put("unmapped", unmapped(entry, told));
    let decided = told.result.is_some() && class == PROCESS || kind == Kind::Request;
    if decided {
        security_control(&mut event, told);
    }
    match class {
        PROCESS => process_activity(&mut event, entry, told),
        LOG => {
            event.insert("log_name".to_owned(), entry.body.header.log.into());
            event.insert("log_provider".to_owned(), "gate".into());
        }
        AUTHENTICATION => {
            event.insert("user".to_owned(), user(told).unwrap_or_else(|| json!({ "name": "unknown" })));
            event.insert("service".to_owned(), json!({ "name": "gate serve" }));
        }
        _ => drop(event.insert("entity".to_owned(), entity(entry, told))),
    }
    event.insert("metadata".to_owned(), metadata(entry, told, decided, integrity));
    if integrity {
        attest(&mut event, entry, told);
    }
    Value::Object(event)
}

fn severity(kind: Kind, told: &Told) -> (u32, &'static str) {
    match told.risk.as_deref() {
        _ if kind == Kind::AuditFailure => (5, "Critical"),
        Some("low") => (2, "Low"),
        Some("medium") => (3, "Medium"),
        Some("high") => (4, "High"),
        Some("critical") => (5, "Critical"),
        _ => (1, "Informational"),
    }
}

fn fingerprint(value: &str) -> Value {
    json!({ "algorithm": "SHA-256", "algorithm_id": 3, "value": value })
}

fn metadata(entry: &Entry<'_>, told: &Told, decided: bool, integrity: bool) -> Value {
    let mut profiles = vec!["host"];
    if decided {
        profiles.push("security_control");
    }
    if integrity {
        profiles.push("record_integrity");
    }
    let mut metadata = json!({
        "version": if integrity { "1.9.0-dev" } else { "1.8.0" },
        "product": { "name": "gate", "vendor_name": "gate", "version": told.version },
        "profiles": profiles,
        "uid": told.leaf,
        "sequence": entry.body.header.seq,
        "log_name": entry.body.header.log,
        "log_provider": "gate",
        "event_code": entry.body.kind.word(),
        "original_time": told.time,
    });
    if let (Some(request), Some(metadata)) = (entry.body.request, metadata.as_object_mut()) {
        metadata.insert("correlation_uid".to_owned(), request.into());
    }
    metadata
}

fn user(told: &Told) -> Option<Value> {
    let members = [("name", &told.user), ("uid", &told.uid)];
    let user: Map<String, Value> = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))).collect();
    (!user.is_empty()).then_some(Value::Object(user))
}

fn actor(told: &Told) -> Value {
    let session = [("terminal", &told.tty), ("uid", &told.session)];
    let session: Map<String, Value> =
        session.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))).collect();
    let mut actor = Map::new();
    actor.insert("app_name".to_owned(), told.asker.as_deref().unwrap_or("gate").into());
    actor.extend(user(told).map(|user| ("user".to_owned(), user)));
    if !session.is_empty() {
        actor.insert("session".to_owned(), Value::Object(session));
    }
    Value::Object(actor)
}

/// What OCSF has no name for: how to find the record in the tree, and its signature.
fn unmapped(entry: &Entry<'_>, told: &Told) -> Value {
    let mut unmapped = json!({
        "leaf": told.leaf,
        "prev": told.prev,
        "keyid": entry.keyid.as_str(),
        "sig": STANDARD.encode(entry.signature),
    });
    if let Some(unmapped) = unmapped.as_object_mut().filter(|_| !told.approvers.is_empty()) {
        unmapped.insert("approvers".to_owned(), told.approvers.clone().into());
    }
    unmapped
}

fn security_control(event: &mut Map<String, Value>, told: &Told) {
    let (action, action_name, disposition, disposition_name) = match told.result.as_deref() {
        None => (OTHER, "Asked", 14, "Delayed"),
        Some("allowed") => (1, "Allowed", 1, "Allowed"),
        Some("approved") => (1, "Allowed", 8, "Approved"),
        Some("observed") => (3, "Observed", 17, "Logged"),
        Some("rejected") => (2, "Denied", 25, "Rejected"),
        Some("pending") => (2, "Denied", 14, "Delayed"),
        Some("expired" | "cancelled") => (2, "Denied", 26, "Unauthorized"),
        Some("unreachable" | "halted") => (2, "Denied", 27, "Error"),
        Some(_) => (2, "Denied", 2, "Blocked"),
    };
    let mut put = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    put("action_id", action.into());
    put("action", action_name.into());
    put("disposition_id", disposition.into());
    put("disposition", disposition_name.into());
    let decision = told.result.as_deref().unwrap_or("asked");
    let rules = told.rules.iter().map(|rule| json!({ "decision": decision, "policy": { "uid": rule, "is_applied": true } }));
    put("authorizations", rules.collect());
    if let Some(policy) = &told.policy {
        put("policy", json!({ "name": "gate", "uid": policy, "is_applied": true }));
    }
    let level = ["low", "medium", "high", "critical"].iter().position(|risk| told.risk.as_deref() == Some(risk));
    if let Some(level) = level {
        put("risk_level_id", (level + 1).into());
        put("risk_level", ["Low", "Medium", "High", "Critical"][level].into());
    }
}

fn process_activity(event: &mut Map<String, Value>, entry: &Entry<'_>, told: &Told) {
    let mut process = Map::new();
    let mut put = |name: &str, value: Option<Value>| process.extend(value.map(|value| (name.to_owned(), value)));
    put("uid", Some(entry.body.request.unwrap_or(&told.leaf).into()));
    put("pid", told.pid.map(Into::into));
    put("name", told.program.clone().map(Into::into));
    put("cmd_line", told.command.clone().map(Into::into));
    put("working_directory", told.cwd.clone().map(Into::into));
    put("user", user(told));
    if let Some(path) = &told.path {
        put("path", Some(path.as_str().into()));
        let name = path.rsplit('/').next().unwrap_or_default();
        let mut file = json!({ "name": name, "path": path, "type": "Executable File", "type_id": 8 });
        if let (Some(digest), Some(file)) = (&told.sha256, file.as_object_mut()) {
            file.insert("hashes".to_owned(), json!([fingerprint(digest)]));
        }
        put("file", Some(file));
    }
    event.insert("process".to_owned(), Value::Object(process));
    match entry.body.kind {
        Kind::ExecStart | Kind::ExecReplace => {
            event.insert("launch_type_id".to_owned(), 3.into());
            event.insert("launch_type".to_owned(), "Exec".into());
        }
        Kind::ExecEnd => {
            event.extend(told.exit.map(|exit| ("exit_code".to_owned(), exit.into())));
            event.extend(told.duration.map(|duration| ("duration".to_owned(), (duration / 1_000_000).into())));
        }
        _ => {}
    }
}

fn entity(entry: &Entry<'_>, told: &Told) -> Value {
    match entry.body.kind {
        Kind::PolicyLoad => {
            let mut policy = json!({ "name": "gate", "is_applied": true });
            if let (Some(digest), Some(policy)) = (&told.policy, policy.as_object_mut()) {
                policy.insert("uid".to_owned(), digest.as_str().into());
            }
            json!({ "name": "policy", "type": "Policy", "type_id": 5, "policy": policy })
        }
        Kind::KeyRotate => json!({ "name": "record key", "type": "Key", "type_id": OTHER }),
        _ => json!({ "name": "settings", "type": "Configuration", "type_id": OTHER }),
    }
}

/// Attests the event itself, as the profile says: the hash of its canonical bytes without this very hash.
fn attest(event: &mut Map<String, Value>, entry: &Entry<'_>, told: &Told) {
    let mut attestation = json!({
        "uid": told.leaf,
        "authority_uid": format!("{}/record", entry.body.header.log),
        "chain_uid": entry.body.header.log,
    });
    let Some(members) = attestation.as_object_mut() else { return };
    if entry.body.header.seq > 0 {
        members.insert("prev_event".to_owned(), json!({ "uid": told.prev }));
    }
    event.insert("attestation_list".to_owned(), json!([members]));
    // Sorted members, whole numbers and no nulls: these are RFC 8785 bytes.
    let canonical = Value::Object(event.clone()).to_string();
    let mut fingerprint = fingerprint(&hex(&sha256(&[canonical.as_bytes()])));
    if let Some(fingerprint) = fingerprint.as_object_mut() {
        fingerprint.insert("encoding_id".to_owned(), 1.into());
        fingerprint.insert("serialization_id".to_owned(), 2.into());
    }
    members.insert("fingerprint".to_owned(), fingerprint);
    event.insert("attestation_list".to_owned(), json!([members]));
}
