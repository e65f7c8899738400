use serde_json::{Value, json};

use crate::approval::{Act, Approver, ApproversFile, Enrolled, SignedChange, sha256};
use crate::audit::ascii_json;
use crate::text::{self, hex};

/// The whole file for people, or for programs.
pub(super) fn shown(file: &ApproversFile, json: bool) -> String {
    if json { format!("{}\n", ascii_json(&value(file))) } else { words(file) }
}

fn words(file: &ApproversFile) -> String {
    let approvers = file.approvers();
    let mut out = match approvers.party(i64::MAX) {
        Some(party) => format!("passkeys of {} on {}\n", party.id(), party.origin()),
        None => "no passkeys\n".to_owned(),
    };
    let attesters = approvers.attesters();
    if !attesters.roots.is_empty() {
        let models = if attesters.aaguids.is_empty() { "all models".to_owned() } else { format!("{} models", attesters.aaguids.len()) };
        out.push_str(&format!("{} certificates of makers, {models}\n", attesters.roots.len()));
    }
    for one in approvers.enrolled() {
        let (from, until) = one.span();
        let gone = until.map(|until| format!(", removed {}", time(until))).unwrap_or_default();
        let vouched: Vec<String> = one.vouched().iter().map(person).collect();
        out.push_str(&format!(
            "{}{}\n  {} {}\n  up to {}, since {}{gone}\n  signed by {}\n",
            person(one.approver()),
            called(one.name()),
            one.fingerprint(),
            kind(one),
            one.assurance().word(),
            time(from),
            vouched.join(" and ")
        ));
    }
    if let Some(head) = approvers.head() {
        out.push_str(&format!("{} changes, the last one {}\n", file.changes().len(), hex(head)));
    }
    out + &waiting(file)
}

/// The change that waits, and for how many signatures.
pub(super) fn waiting(file: &ApproversFile) -> String {
    let Some(pending) = file.pending() else { return String::new() };
    let wanted = file.approvers().wanted();
    let signers = match file.approvers().signers(pending) {
        Ok(signers) if signers.is_empty() => "by nobody yet".to_owned(),
        Ok(signers) => format!("by {}", signers.iter().map(person).collect::<Vec<_>>().join(" and ")),
        Err(why) => format!("and does not count: {}", text::escape(why.to_string().as_bytes())),
    };
    let people = if wanted == 1 { "person" } else { "people" };
    let mut out = format!("waits for signatures of {wanted} {people}; signed {signers}\n");
    for act in acts(file, pending) {
        out.push_str(&format!("  {act}\n"));
    }
    out.push_str(&format!("  counts since {}, SHA-256 {}\n", time(pending.change().at()), hex(&pending.change().sha256())));
    out
}

/// What a change does, with all that its signers have to compare: nothing else shows it to them.
fn acts(file: &ApproversFile, pending: &SignedChange) -> Vec<String> {
    let mut new = file.would_enrol().into_iter();
    pending.change().acts().iter().flat_map(|act| told(act, &mut new)).collect()
}

fn told(act: &Act, new: &mut impl Iterator<Item = Enrolled>) -> Vec<String> {
    match act {
        Act::Party(party) => vec![format!("passkeys of {} on {}", party.id(), party.origin())],
        Act::Attesters(attesters) => {
            let roots = attesters.roots.iter().map(|root| format!("a maker's certificate, SHA-256 {}", hex(&sha256(root))));
            let models = attesters.aaguids.iter().map(|aaguid| format!("of its models only {}", uuid::Uuid::from_bytes(*aaguid)));
            roots.chain(models).collect()
        }
        Act::Add { approver, name, .. } => {
            let key = new.next().map_or_else(
                || "a key that is not taken".to_owned(),
                |one| format!("{} {}, up to {}", kind(&one), one.fingerprint(), one.assurance().word()),
            );
            vec![format!("add to {}{}: {key}", person(approver), called(name))]
        }
        Act::Remove { approver, key } => vec![format!("remove from {}: {}", person(approver), text::escape(key.as_bytes()))],
    }
}

fn value(file: &ApproversFile) -> Value {
    let approvers = file.approvers();
    let keys: Vec<Value> = approvers
        .enrolled()
        .iter()
        .map(|one| {
            let (from, until) = one.span();
            let vouched: Vec<Value> = one.vouched().iter().map(person_value).collect();
            json!({
                "issuer": one.approver().issuer,
                "subject": one.approver().subject,
                "name": one.name(),
                "key": one.fingerprint(),
                "kind": kind(one),
                "assurance": one.assurance().word(),
                "from": time(from),
                "until": until.map(time),
                "signed_by": vouched,
            })
        })
        .collect();
    json!({
        "party": approvers.party(i64::MAX).map(|party| json!({ "id": party.id(), "origin": party.origin() })),
        "keys": keys,
        "changes": file.changes().len(),
        "head": approvers.head().map(|head| hex(head)),
        "pending": file.pending().map(|pending| pending_value(file, pending)),
    })
}

fn pending_value(file: &ApproversFile, pending: &SignedChange) -> Value {
    let signers: Vec<Value> = file.approvers().signers(pending).unwrap_or_default().iter().map(person_value).collect();
    json!({
        "sha256": hex(&pending.change().sha256()),
        "wanted": file.approvers().wanted(),
        "signed_by": signers,
        "acts": acts(file, pending),
    })
}

fn person_value(approver: &Approver) -> Value {
    json!({ "issuer": approver.issuer, "subject": approver.subject })
}

fn person(approver: &Approver) -> String {
    text::escape(approver.to_string().as_bytes())
}

fn called(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" ({})", text::escape(name.as_bytes())) }
}

fn kind(one: &Enrolled) -> &'static str {
    match one.ssh() {
        Some(key) if key.is_security_key() => "SSH security key",
        Some(_) => "SSH key",
        None => "passkey",
    }
}

fn time(wall: i64) -> String {
    jiff::Timestamp::from_nanosecond(wall.into()).map_or_else(|_| "?".to_owned(), |time| format!("{time:.0}"))
}
