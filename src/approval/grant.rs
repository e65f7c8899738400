use super::digest::{Digest, Stamp};
use super::review::Review;
use super::standing::Use;
use super::verify::Sufficient;
use crate::policy::{Allowed, Asked, Hidden, Reason, RunHow};
use crate::request::Request;

/// The right to run one request once. It cannot be copied, and exec takes it by value.
#[derive(Debug)]
#[must_use = "a grant that is not used must be recorded as unused"]
pub struct Grant {
    request: Request,
    reasons: Vec<Reason>,
    how: RunHow,
    hidden: Vec<Hidden>,
    policy_digest: [u8; 32],
    basis: Basis,
}

/// What a grant rests on.
#[derive(Clone, Debug)]
pub enum Basis {
    /// Rules allow it.
    Rule,
    /// Rules ask, but their layer only observes.
    Observed,
    /// People approved it.
    Reviews {
        /// What they approved.
        digest: Digest,
        /// Their answers.
        reviews: Vec<Review>,
        /// The last moment at which it may be used, on the boot clock.
        until: Stamp,
        /// The use of a standing grant that it is.
        standing: Option<Use>,
    },
}

impl Grant {
    /// The rules allow it: only a policy's own decision makes an [`Allowed`].
    pub fn by_rule(request: Request, allowed: Allowed) -> Self {
        let basis = if allowed.observed() { Basis::Observed } else { Basis::Rule };
        let (reasons, how, hidden, policy_digest) = allowed.into_parts();
        Self { request, reasons, how, hidden, policy_digest, basis }
    }

    /// People approved it: only [`super::verify`] calls this.
    pub(super) fn by_reviews(request: Request, asked: Asked, digest: Digest, sufficient: Sufficient) -> Self {
        let how = RunHow { outcome: true, ..asked.how };
        Self {
            request,
            reasons: asked.reasons,
            how,
            hidden: asked.hidden,
            policy_digest: asked.policy_digest,
            basis: Basis::Reviews { digest, reviews: sufficient.reviews, until: sufficient.until, standing: sufficient.standing },
        }
    }

    /// The same, supervised: somebody wants to know how it ends.
    pub fn watched(mut self) -> Self {
        self.how.outcome = true;
        self
    }

    /// What may run.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The rules that took part.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// How it is to be run.
    pub fn how(&self) -> &RunHow {
        &self.how
    }

    /// What nobody is shown of its argv.
    pub fn hidden(&self) -> &[Hidden] {
        &self.hidden
    }

    /// SHA-256 over the policy files that took part.
    pub fn policy_digest(&self) -> &[u8; 32] {
        &self.policy_digest
    }

    /// What it rests on.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
}
