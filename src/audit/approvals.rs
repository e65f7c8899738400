//! Approvals that somebody who does not trust this host can check: signatures by keys that it never had.

use serde_json::Value;

use super::reader::Reader;
use crate::approval::{AllowedSigners, Answer, Evidence, NAMESPACE, Seen, Signed, Statement, Wanted};
use crate::record::{Body, Kind, hex, range_root};

/// Against what to check approvals.
#[derive(Clone, Debug)]
pub struct Signers {
    /// Who may approve.
    pub allowed: AllowedSigners,
    /// Whether a security key has to know who touches it.
    pub user_verified: bool,
}

/// What was found of approvals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Approvals {
    /// So many are shown by a signature that holds.
    pub verified: u64,
    /// So many are only said by the record.
    pub bare: u64,
}

impl Approvals {
    /// Checks the approvals of an entry, and says what is wrong with each that does not hold.
    pub(super) fn see(&mut self, body: &Body<'_>, signers: &Signers, reader: &Reader) -> Vec<String> {
        if body.kind != Kind::Decision {
            return Vec::new();
        }
        let decision = body.value("decision").unwrap_or_default();
        let mut wrong = Vec::new();
        for approver in decision.get("approvers").and_then(Value::as_array).into_iter().flatten() {
            match approver.get("evidence").map(|evidence| shown(body, approver, evidence, signers, reader)) {
                None => self.bare += 1,
                Some(Ok(())) => self.verified += 1,
                Some(Err(why)) => wrong.push(format!("holds an approval that does not hold: {why}")),
            }
        }
        wrong
    }
}

/// Whether the evidence is of this very approval.
fn shown(body: &Body<'_>, approver: &Value, evidence: &Value, signers: &Signers, reader: &Reader) -> Result<(), String> {
    let evidence = Evidence::from_json(evidence).ok_or("its evidence is malformed")?;
    let statement = Statement::parse(&evidence.statement).ok_or("its statement is malformed")?;
    let is = |name: &str, text: &str| approver.get(name).and_then(Value::as_str) == Some(text);
    if Some(statement.request()) != body.request || Some(hex(statement.digest()).as_str()) != body.text("digest") {
        return Err("it was given to another request".to_owned());
    }
    if statement.answer() != Answer::Approve {
        return Err("it gives another answer".to_owned());
    }
    if !is("issuer", &statement.approver().issuer) || !is("subject", &statement.approver().subject) {
        return Err("it was given by somebody else than the record says".to_owned());
    }
    if let Some(seen) = statement.seen() {
        known(seen, body, reader)?;
    }
    let Signed::Sshsig(sshsig) = &evidence.signed else { return Err("it is a passkey's".to_owned()) };
    let wanted =
        Wanted { identity: &statement.approver().subject, namespace: NAMESPACE, at: body.header.wall, user_verified: signers.user_verified };
    signers.allowed.vouch(&wanted, &evidence.statement, sshsig).map(drop).map_err(|why| why.to_string())
}

/// Whether the log that the approver was shown is this one, before the decision.
fn known(seen: &Seen, body: &Body<'_>, reader: &Reader) -> Result<(), String> {
    if seen.log != body.header.log {
        return Err("it was given in another log".to_owned());
    }
    if seen.size > body.header.seq {
        return Err("it names a checkpoint that is later than the decision".to_owned());
    }
    // A tree that ends among archived entries is not known here any more; the archive's is.
    let known = reader.knows_tree(seen.size).map_err(|error| error.to_string())?;
    let root = || range_root(0, seen.size, &mut |level, index| reader.node(level, index)).map_err(|error| error.to_string());
    if known && root()? != seen.root {
        return Err("it names a checkpoint of another history".to_owned());
    }
    Ok(())
}
