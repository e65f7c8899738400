//! What the server keeps: requests and where they stand, reviews, and the events that every change leaves.

use serde_json::Value;

pub use crate::approval::State;
use crate::approval::{Answer, Approver, Digest, Drawn, Standing, Submitted};
use crate::policy::{Assurance, Channel};
use crate::request::Job;

/// Nanoseconds since 1970, by the server's clock.
pub type Wall = i64;

/// Who asks, as the server proved it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Requester {
    /// How it was proved: `login`, `host`, `mtls`, `github`, `kubernetes`, `oidc`.
    pub way: String,
    /// What the way calls it: a key's name, a workload's subject, a login's id.
    pub name: String,
    /// The person that it belongs to, who therefore never decides; none for a machine that is nobody's.
    pub person: Option<Approver>,
    /// The CI job that its token is of.
    pub job: Option<Job>,
}

/// A request as the server keeps it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// `req_` and a ULID.
    pub id: String,
    /// What the same command of the same asker has too; free again some time after it is over.
    pub key: String,
    /// Who asks.
    pub requester: Requester,
    /// What is asked: the very text that the digest is taken over.
    pub submitted: Submitted,
    /// The number that is shown to the requester, and that a reviewer types; none where there is nobody to show it to.
    pub number: Option<String>,
    /// How often a wrong number was typed.
    pub wrong_numbers: u32,
    /// SHA-256 of what only the requester knows, and shows to consume or cancel.
    pub client_nonce_sha256: [u8; 32],
    /// The host's signed checkpoint that came with it.
    pub checkpoint: Option<String>,
    /// Where it stands, as last written: see [`Self::at`].
    pub state: State,
    /// Goes up with every change.
    pub version: u64,
    /// When it came.
    pub created: Wall,
    /// Until when people may decide.
    pub expires: Wall,
    /// When it was decided.
    pub decided: Option<Wall>,
    /// Until when the approval may be used.
    pub valid_until: Option<Wall>,
    /// When the approval was used.
    pub consumed: Option<Wall>,
    /// What people said, in their order.
    pub reviews: Vec<KeptReview>,
    /// How the command ended, as the host told it afterwards.
    pub outcome: Option<Value>,
    /// What came before it, and what is told of it when.
    pub plan: Plan,
    /// The standing grant that it is a use of; its reviews are of the request that is named there.
    pub drawn: Option<Drawing>,
}

/// A use of a standing grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drawing {
    /// The request whose approvals stand for this one.
    pub request: String,
    /// How many uses there are in all.
    pub uses: u32,
    /// What the receipt tells of it; lists leave its text out.
    pub drawn: Drawn,
}

/// What came before a request, and what is told of it while it waits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// How often the same requester asked the same before.
    pub asked_before: u32,
    /// The last of those requests.
    pub before: Option<String>,
    /// When it was over; none while it is not.
    pub ended: Option<Wall>,
    /// What is still to be told while it waits, the next first.
    pub due: Vec<Due>,
}

/// Something that is told once a request has waited for so long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// When.
    pub at: Wall,
    /// What.
    pub what: Telling,
}

/// What is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Telling {
    /// People of a step of the terms' escalation are asked, too: which step.
    Escalated(usize),
    /// Those who are asked are reminded.
    Reminder,
}

impl Kept {
    /// Where it stands at a moment: what ran out is expired, whether or not somebody wrote that down.
    pub fn at(&self, now: Wall) -> State {
        match self.state {
            State::Pending if now >= self.expires => State::Expired,
            State::Approved if self.valid_until.is_some_and(|until| now >= until) => State::Expired,
            state => state,
        }
    }

    /// What approvers decide about.
    pub fn digest(&self) -> Digest {
        self.submitted.digest()
    }
}

/// A review as the server keeps it.
#[derive(Clone, PartialEq, Debug)]
pub struct KeptReview {
    /// Who.
    pub approver: Approver,
    /// What to call them; never used to decide anything.
    pub name: String,
    /// What they said.
    pub answer: Answer,
    /// How surely it was them.
    pub assurance: Assurance,
    /// When that was proved: for `fresh`.
    pub proved: Wall,
    /// By which way.
    pub channel: Channel,
    /// Why, in their words.
    pub comment: String,
    /// The slots of the terms that they may fill, as their groups were when they decided.
    pub slots: Vec<String>,
    /// When.
    pub at: Wall,
    /// What it lets run beyond the one request.
    pub standing: Option<Standing>,
    /// What shows it to others: `{"statement": BASE64, "sshsig": …}` or `{"statement": BASE64, "webauthn": …}`.
    pub evidence: Option<Value>,
}

/// What happened, in the order in which it did: the one source of live updates, webhooks and the server's log.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Its number, from 1.
    pub seq: u64,
    /// When.
    pub at: Wall,
    /// `request.created`, `request.reviewed`, `request.approved`, `request.rejected`, `request.expired`, `request.cancelled`,
    /// `request.consumed`, `request.outcome`, `request.escalated`, `request.reminder`, `stop.begun`, `stop.lifted`, `login`, `logout`, …
    pub kind: String,
    /// The request's id, where it is of one.
    pub request: Option<String>,
    /// What else there is to say; no secrets.
    pub data: Value,
}
