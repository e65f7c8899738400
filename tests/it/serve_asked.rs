//! What the tests of the server's rules ask, and who answers.

use std::collections::BTreeSet;
use std::time::Duration;

use gate::approval::{Answer, ApprovalRequest, Approver, Stamp, Submitted, sha256};
use gate::policy::{Asked, Assurance, Channel, Risk, RunHow, Terms};
use gate::request::{Argv, Context, Program, Request, RequestId};
use gate::server::model::{Kept, KeptReview, Plan, Requester, State, Wall};

/// One second on the server's clock.
pub const SECOND: Wall = 1_000_000_000;

/// When these tests begin.
pub const START: Wall = 1_700_000_000 * SECOND;

/// An approval request as a host makes it; each number is another command.
pub fn asked(number: u32, terms: Terms) -> ApprovalRequest {
    let argv = Argv::new(vec!["deploy".into(), number.to_string().into()]).unwrap();
    let context = Context { host: "host.example".into(), ..Context::default() };
    let mut program = Program::unresolved("deploy".into());
    program.sha256 = Some([1; 32]);
    let request = Request::new(RequestId::new(1, &[1; 10]), argv, program, context);
    let asked = Asked {
        reasons: Vec::new(),
        terms,
        terms_layer: None,
        risk: Risk::Medium,
        how: RunHow::default(),
        hidden: Vec::new(),
        target: Vec::new(),
        policy_digest: [4; 32],
    };
    ApprovalRequest::new(request, asked, [5; 16], Stamp { wall: START, boot: Duration::from_secs(100) }, "because".to_owned())
}

/// A person of the provider.
pub fn person(subject: impl Into<String>) -> Approver {
    Approver { issuer: "https://idp.example".to_owned(), subject: subject.into() }
}

/// Terms that a server can meet.
pub fn terms() -> Terms {
    Terms { channels: BTreeSet::from([Channel::Server, Channel::Slack]), assurance: Assurance::SecondPerson, ..Terms::default() }
}

/// The secret that a request is used with.
pub fn nonce(number: u32) -> [u8; 32] {
    sha256(&number.to_be_bytes())
}

/// A request as the server keeps it when it comes.
pub fn kept(id: impl Into<String>, asked: &ApprovalRequest, secret: u32, created: Wall) -> Kept {
    let submitted = Submitted::parse(asked.text()).unwrap();
    Kept {
        id: id.into(),
        key: submitted.key(),
        requester: Requester { way: "host".to_owned(), name: "laptop".to_owned(), person: Some(person("requester")), job: None },
        number: None,
        wrong_numbers: 0,
        client_nonce_sha256: sha256(&nonce(secret)),
        checkpoint: None,
        state: State::Pending,
        version: 1,
        created,
        expires: gate::server::rules::later(created, submitted.said().terms.within),
        decided: None,
        valid_until: None,
        consumed: None,
        reviews: Vec::new(),
        outcome: None,
        plan: Plan::default(),
        drawn: None,
        submitted,
    }
}

/// What somebody says, proved when they said it.
pub fn said(who: &Approver, answer: Answer, slots: &[&str], at: Wall) -> KeptReview {
    KeptReview {
        approver: who.clone(),
        name: "somebody".to_owned(),
        answer,
        assurance: Assurance::SecondPerson,
        proved: at,
        channel: Channel::Server,
        comment: String::new(),
        slots: slots.iter().map(|slot| (*slot).to_owned()).collect(),
        at,
        standing: None,
        evidence: None,
    }
}
