use super::canonical::canonical;
use super::digest::{Digest, Stamp};
use super::previewed::Previewed;
use crate::policy::Asked;
use crate::request::Request;

/// A request that waits for people, with the terms they decide under. Its digest is what they sign.
#[derive(Clone, Debug)]
pub struct ApprovalRequest {
    request: Request,
    asked: Asked,
    nonce: [u8; 16],
    created: Stamp,
    justification: String,
    previews: Vec<Previewed>,
    text: String,
    digest: Digest,
}

impl ApprovalRequest {
    /// Puts request and terms together and computes the digest over both.
    pub fn new(request: Request, asked: Asked, nonce: [u8; 16], created: Stamp, justification: String) -> Self {
        let text = canonical(&request, &asked, &nonce, created, &justification, &[]);
        let digest = Digest::of(text.as_bytes());
        Self { request, asked, nonce, created, justification, previews: Vec::new(), text, digest }
    }

    /// The same with what previews showed, which people decide about, too.
    #[must_use]
    pub fn with_previews(self, previews: Vec<Previewed>) -> Self {
        let text = canonical(&self.request, &self.asked, &self.nonce, self.created, &self.justification, &previews);
        let digest = Digest::of(text.as_bytes());
        Self { previews, text, digest, ..self }
    }

    /// The same with the text that people were shown, which the caller compared.
    pub(super) fn with_text(self, shown: &super::submitted::Submitted) -> Self {
        Self { text: shown.text().to_owned(), digest: shown.digest(), previews: shown.said().previews.clone(), ..self }
    }

    /// The canonical text that the digest is taken over: what a server is told, and what reviewers are shown.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the requester gave as justification before anybody was asked; may be empty.
    pub fn justification(&self) -> &str {
        &self.justification
    }

    /// What the previews of its rules showed; empty where there are none.
    pub fn previews(&self) -> &[Previewed] {
        &self.previews
    }

    /// What was asked.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The rules that ask, the terms, and how the command would run.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// When it was asked.
    pub fn created(&self) -> Stamp {
        self.created
    }

    /// What approvers sign.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Drawn once for this request, so that no two requests share a digest and none is used twice.
    pub fn nonce(&self) -> &[u8; 16] {
        &self.nonce
    }

    /// Takes it apart once it is decided.
    pub(super) fn into_parts(self) -> (Request, Asked) {
        (self.request, self.asked)
    }
}

/// A similar command of earlier, as the log has it, for the card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Past {
    /// When, in nanoseconds since 1970.
    pub wall: i64,
    /// The command as the log may show it: quoted, secrets hidden.
    pub command: String,
    /// `allowed`, `approved`, `denied`, `rejected`, …
    pub decision: String,
    /// How it ended, in words: `exit 0`, `signal 9`, `unknown`, or empty.
    pub outcome: String,
}
