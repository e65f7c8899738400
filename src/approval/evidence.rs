use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::review::Approver;
use crate::text::hex;

/// What approvers sign for, so that no signature made for something else is an approval.
pub const NAMESPACE: &str = "approval@gate";

/// The largest whole number that every reader of JSON reads as it is.
const MOST: u64 = (1 << 53) - 1;

/// What shows an approval to somebody who does not trust this host: the bytes that were signed, and the armored signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// The exact bytes; see [`Statement`].
    pub statement: Vec<u8>,
    /// The signature over them, in the namespace [`NAMESPACE`].
    pub sshsig: String,
}

/// What an approver says: that this request, with this digest, asked in this log, may run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// The log's origin.
    pub log: String,
    /// The request's id.
    pub request: String,
    /// The approval's digest.
    pub digest: [u8; 32],
    /// Who approves.
    pub approver: Approver,
    /// When, in nanoseconds since 1970, by the approver's clock.
    pub at: i64,
    /// How many entries the log had that the approver was shown.
    pub size: u64,
    /// The root over them.
    pub root: [u8; 32],
}

impl Statement {
    /// The bytes to sign: RFC 8785 JSON.
    pub fn bytes(&self) -> Vec<u8> {
        json!({
            "v": 1,
            "log": self.log,
            "request": self.request,
            "digest": hex(&self.digest),
            "answer": "approve",
            "approver": { "issuer": self.approver.issuer, "subject": self.approver.subject },
            "at": self.at.to_string(),
            "checkpoint": { "size": self.size, "root": STANDARD.encode(self.root) },
        })
        .to_string()
        .into_bytes()
    }

    /// Reads the very bytes that [`Self::bytes`] writes; none where they are others.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
        let (approver, checkpoint) = (value.get("approver")?, value.get("checkpoint")?);
        let read = Self {
            log: text(&value, "log")?,
            request: text(&value, "request")?,
            digest: unhex(&text(&value, "digest")?)?,
            approver: Approver { issuer: text(approver, "issuer")?, subject: text(approver, "subject")? },
            at: text(&value, "at")?.parse().ok()?,
            size: checkpoint.get("size")?.as_u64().filter(|size| *size <= MOST)?,
            root: STANDARD.decode(text(checkpoint, "root")?).ok()?.try_into().ok()?,
        };
        (read.bytes() == bytes).then_some(read)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let bytes: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect::<Option<_>>()?;
    bytes.try_into().ok()
}
