use serde_json::{Value, json};

use super::approvers::{Approvers, BadApprovers, Enrolled};
use super::change::{Act, MOST_SIGNATURES, SignedChange};
use super::evidence::Signed;

/// An approvers file that is longer is none, in bytes.
pub const LONGEST_APPROVERS: u64 = 8 * 1024 * 1024;

/// A file with more changes is none.
const MOST_CHANGES: usize = 4096;

/// The approvers file: all changes there ever were, and perhaps one that waits for signatures.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ApproversFile {
    changes: Vec<SignedChange>,
    pending: Option<SignedChange>,
    approvers: Approvers,
}

impl ApproversFile {
    /// Reads a whole file and verifies every change in it. What waits is not judged: it has no say yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadApprovers> {
        let wrong = |what: &str| BadApprovers(what.to_owned());
        if bytes.len() as u64 > LONGEST_APPROVERS {
            return Err(wrong("it is longer than 8 MiB"));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| BadApprovers(format!("it is not JSON: {error}")))?;
        let members = value.as_object().ok_or(wrong("it is no approvers file"))?;
        if members.get("v") != Some(&1.into()) || members.keys().any(|name| !["v", "changes", "pending"].contains(&name.as_str())) {
            return Err(wrong("it is of another version than 1"));
        }
        let list = members.get("changes").and_then(Value::as_array).filter(|list| list.len() <= MOST_CHANGES);
        let mut file = Self::default();
        for (at, value) in list.ok_or(wrong("it has no list of changes, or too many"))?.iter().enumerate() {
            let numbered = |what: &dyn std::fmt::Display| BadApprovers(format!("change {}: {what}", at + 1));
            let change = SignedChange::from_json(value).ok_or_else(|| numbered(&"it is malformed"))?;
            file.approvers = file.approvers.with(&change).map_err(|why| numbered(&why))?;
            file.changes.push(change);
        }
        if let Some(value) = members.get("pending") {
            file.pending = Some(SignedChange::from_json(value).ok_or(wrong("the change that waits is malformed"))?);
        }
        Ok(file)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut all = json!({ "v": 1, "changes": self.changes.iter().map(SignedChange::to_json).collect::<Vec<_>>() });
        if let Some(pending) = &self.pending {
            all["pending"] = pending.to_json();
        }
        format!("{all:#}\n")
    }

    /// Who may approve.
    pub fn approvers(&self) -> &Approvers {
        &self.approvers
    }

    /// Who may approve, alone.
    pub fn into_approvers(self) -> Approvers {
        self.approvers
    }

    /// The changes that count, in their order.
    pub fn changes(&self) -> &[SignedChange] {
        &self.changes
    }

    /// The change that waits for signatures.
    pub fn pending(&self) -> Option<&SignedChange> {
        self.pending.as_ref()
    }

    /// The keys that the change that waits would enrol, once it is signed.
    pub fn would_enrol(&self) -> Vec<Enrolled> {
        let acted = self.pending.as_ref().and_then(|pending| self.approvers.clone().acted(&pending.change).ok());
        acted.map(|approvers| approvers.enrolled().iter().skip(self.approvers.enrolled().len()).cloned().collect()).unwrap_or_default()
    }

    /// The same with a change that waits, written at a time in nanoseconds since 1970, in the place of any other that waits.
    pub fn propose(self, acts: Vec<Act>, at: i64) -> Result<Self, BadApprovers> {
        let pending = SignedChange { change: self.approvers.change(acts, at), signatures: Vec::new() };
        self.approvers.signers(&pending)?;
        self.approvers.clone().acted(&pending.change)?;
        Ok(Self { pending: Some(pending), ..self })
    }

    /// The same with one more signature under the change that waits, which counts from the last that it needs on.
    pub fn sign(self, signature: Signed) -> Result<Self, BadApprovers> {
        let Some(mut pending) = self.pending else { return Err(BadApprovers("no change waits for signatures".to_owned())) };
        let before = self.approvers.signers(&pending)?.len();
        pending.signatures.push(signature);
        let signers = self.approvers.signers(&pending)?.len();
        if signers == before || pending.signatures.len() > MOST_SIGNATURES {
            return Err(BadApprovers("they signed it already".to_owned()));
        }
        if signers < self.approvers.wanted() {
            return Ok(Self { pending: Some(pending), ..self });
        }
        let approvers = self.approvers.with(&pending)?;
        let changes = self.changes.into_iter().chain([pending]).collect();
        Ok(Self { changes, pending: None, approvers })
    }
}
