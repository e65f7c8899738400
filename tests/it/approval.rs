//! Laws of approving: what a digest binds, and when reviews become a grant.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use gate::approval::{Answer, Answers, ApprovalRequest, Approver, Basis, Refusal, Review, Stamp, Trust, verify};
use gate::policy::{
    Asked, Assurance, Channel, Effect, Escalation, Justification, Layer, Reason, Risk, RunHow, StandingLimits, StdinRule, Terms,
};
use gate::request::{Argv, Asker, Context, Cwd, Environment, Fact, FactName, Program, Request, RequestId, Stdin};

fn rule(id: &str) -> Reason {
    Reason {
        rule: id.into(),
        layer: Layer::User,
        effect: Effect::Ask,
        risk: Risk::Medium,
        data: Vec::new(),
        text: String::new(),
        instead: None,
        preview: Vec::new(),
        observed: false,
    }
}

/// Everything that goes into an approval request, open to be changed.
#[derive(Clone, Debug)]
pub struct Parts {
    pub id: RequestId,
    words: Vec<OsString>,
    program: Program,
    context: Context,
    pub asked: Asked,
    pub nonce: [u8; 16],
    created: Stamp,
}

impl Parts {
    pub fn new() -> Self {
        let words: Vec<OsString> = ["deploy", "a", "b"].map(OsString::from).to_vec();
        let mut program = Program::unresolved(words[0].clone());
        program.sha256 = Some([1; 32]);
        let environment = Environment::new(vec![("A".into(), "1".into()), ("B".into(), "2".into())]);
        let cwd = Some(Cwd { path: "/work".into(), dev: 1, ino: 2 });
        let mut context = Context { host: "h".into(), cwd, environment, ..Context::default() };
        context.facts.insert(FactName::GitBranch, Fact::Known { values: vec!["main".into()], files: vec![("/x".into(), [2; 32])] });
        context.pinned.push(("/work/f".into(), [3; 32]));
        let asked = Asked {
            reasons: vec![rule("a.b")],
            terms: Terms { channels: BTreeSet::from([Channel::Tty]), ..Terms::default() },
            terms_layer: None,
            risk: Risk::Medium,
            how: RunHow::default(),
            hidden: Vec::new(),
            target: Vec::new(),
            policy_digest: [4; 32],
        };
        let created = Stamp { wall: 1_000_000_000, boot: Duration::from_secs(100) };
        Self { id: RequestId::new(1, &[1; 10]), words, program, context, asked, nonce: [5; 16], created }
    }

    /// Another command.
    pub fn words(&mut self, words: Vec<String>) {
        self.words = words.into_iter().map(OsString::from).collect();
    }

    /// Something is piped in.
    pub fn piped(&mut self) {
        self.context.stdin = Stdin::Unseen;
    }

    pub fn made(&self) -> ApprovalRequest {
        let argv = Argv::new(self.words.clone()).unwrap();
        let request = Request::new(self.id, argv, self.program.clone(), self.context.clone());
        ApprovalRequest::new(request, self.asked.clone(), self.nonce, self.created, String::new())
    }
}

type Change = fn(&mut Parts);

/// Each of these is something that an approver decided about.
const CHANGES: &[(&str, Change)] = &[
    ("a word", |parts| parts.words[1] = "c".into()),
    ("argv[0]", |parts| parts.words[0] = "./deploy".into()),
    ("an empty word", |parts| parts.words.push(OsString::new())),
    ("two words made one", |parts| parts.words = vec!["deploy".into(), "a b".into()]),
    ("the order of words", |parts| parts.words.swap(1, 2)),
    ("bytes that are no text", |parts| parts.words[1] = OsString::from_vec(vec![b'a', 0xff])),
    ("a word that looks like encoded bytes", |parts| parts.words[1] = "{\"b64\":\"Yf8=\"}".into()),
    ("an environment value", |parts| {
        parts.context.environment = Environment::new(vec![("A".into(), "1".into()), ("B".into(), "3".into())]);
    }),
    ("an environment name", |parts| parts.context.environment = Environment::new(vec![("A".into(), "1".into()), ("C".into(), "2".into())])),
    ("one variable less", |parts| parts.context.environment = Environment::new(vec![("A".into(), "1".into())])),
    ("variables made one", |parts| parts.context.environment = Environment::new(vec![("A".into(), "1\nB=2".into())])),
    ("the directory's path", |parts| parts.context.cwd.as_mut().unwrap().path = "/other".into()),
    ("the directory's inode", |parts| parts.context.cwd.as_mut().unwrap().ino = 3),
    ("the directory's device", |parts| parts.context.cwd.as_mut().unwrap().dev = 3),
    ("no directory", |parts| parts.context.cwd = None),
    ("the program's bytes", |parts| parts.program.sha256 = Some([9; 32])),
    ("an unread program", |parts| parts.program.sha256 = None),
    ("the program's path", |parts| parts.program.path = "/other".into()),
    ("where the program's path leads", |parts| parts.program.real = "/other".into()),
    ("a fact", |parts| {
        parts.context.facts.insert(FactName::GitBranch, Fact::Known { values: vec!["topic".into()], files: vec![("/x".into(), [2; 32])] });
    }),
    ("the file of a fact", |parts| {
        parts.context.facts.insert(FactName::GitBranch, Fact::Known { values: vec!["main".into()], files: vec![("/x".into(), [9; 32])] });
    }),
    ("an absent fact", |parts| parts.context.facts.insert(FactName::GitBranch, Fact::Absent)),
    ("an unknown fact", |parts| parts.context.facts.insert(FactName::GitBranch, Fact::Unknown("x".into()))),
    ("one more fact", |parts| parts.context.facts.insert(FactName::KubeContext, Fact::Absent)),
    ("a pinned file's bytes", |parts| parts.context.pinned[0].1 = [9; 32]),
    ("a pinned file's path", |parts| parts.context.pinned[0].0 = PathBuf::from("/work/g")),
    ("no pinned file", |parts| parts.context.pinned.clear()),
    ("a terminal on stdin", |parts| parts.context.stdin = Stdin::Tty),
    ("a pipe on stdin", |parts| parts.context.stdin = Stdin::Unseen),
    ("a file on stdin", |parts| parts.context.stdin = Stdin::File { offset: 0, size: 1, sha256: Some([1; 32]) }),
    ("the host", |parts| parts.context.host = "i".into()),
    ("the uid", |parts| parts.context.who.uid = 7),
    ("the login uid", |parts| parts.context.who.login_uid = Some(7)),
    ("the asker", |parts| parts.context.asker = Asker::Agent("x".into())),
    ("the policy", |parts| parts.asked.policy_digest = [9; 32]),
    ("the rules", |parts| parts.asked.reasons = vec![rule("a.c")]),
    ("one more rule", |parts| parts.asked.reasons.push(rule("a.c"))),
    ("the risk", |parts| parts.asked.risk = Risk::Low),
    ("the approvers", |parts| parts.asked.terms.approvers = vec!["team:x".into()]),
    ("the threshold", |parts| parts.asked.terms.threshold = 2),
    ("the assurance", |parts| parts.asked.terms.assurance = Assurance::Passkey),
    ("how fresh", |parts| parts.asked.terms.fresh = Some(Duration::from_secs(1))),
    ("how long it may wait", |parts| parts.asked.terms.within = Duration::from_secs(7)),
    ("how long it stays usable", |parts| parts.asked.terms.valid = Duration::from_secs(7)),
    ("the channels", |parts| parts.asked.terms.channels = BTreeSet::from([Channel::Tty, Channel::Slack])),
    ("the justification", |parts| parts.asked.terms.justification = vec![Justification::Text]),
    ("a pattern that is named like a word", |parts| parts.asked.terms.justification = vec![Justification::Pattern("text".into())]),
    ("who is asked later", |parts| {
        parts.asked.terms.escalate = vec![Escalation { after: Duration::from_secs(1), approvers: vec!["x".into()] }];
    }),
    ("that it may be approved for more runs", |parts| {
        parts.asked.terms.standing = Some(StandingLimits { longest: Duration::from_hours(1), uses: 2, patterns: false });
    }),
    ("who may break the glass", |parts| parts.asked.terms.break_glass = vec!["person:i#s".into()]),
    ("what stdin may be", |parts| parts.asked.how.stdin = StdinRule::Pin),
    ("what is stripped", |parts| parts.asked.how.strip = vec!["A".into()]),
    ("the timeout", |parts| parts.asked.how.timeout = Some(Duration::from_secs(1))),
    ("the nonce", |parts| parts.nonce = [9; 16]),
    ("the moment", |parts| parts.created.wall += 1),
    ("the request", |parts| parts.id = RequestId::new(1, &[2; 10])),
];

#[test]
fn the_digest_binds_everything_that_an_approver_decided_about() {
    let base = Parts::new();
    let mut seen = vec![("nothing", base.made().digest())];
    for (what, change) in CHANGES {
        let mut parts = base.clone();
        change(&mut parts);
        let digest = parts.made().digest();
        if let Some((other, _)) = seen.iter().find(|(_, known)| *known == digest) {
            panic!("{what} and {other} have one digest");
        }
        seen.push((*what, digest));
    }
    assert_eq!(base.made().digest(), base.made().digest());
}

fn words() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop::sample::select(vec![b'a', b'"', b',', b'\\', b'\n', b' ', b'{', 0xff, 0xc3, 0xa9]);
    prop::collection::vec(prop::collection::vec(byte, 0..4), 1..4)
}

fn requester() -> Approver {
    Approver { issuer: "tty:h".into(), subject: "1".into() }
}

fn assurance() -> impl Strategy<Value = Assurance> {
    use Assurance::{Confirm, FreshMfa, Hardware, Passkey, SecondPerson};
    prop::sample::select(vec![Confirm, SecondPerson, FreshMfa, Passkey, Hardware])
}

fn channel() -> impl Strategy<Value = Channel> {
    prop::sample::select(vec![Channel::Tty, Channel::Server, Channel::Slack])
}

fn review(digest: gate::approval::Digest) -> impl Strategy<Value = Review> {
    let approver = prop::sample::select(vec![("tty:h", "1"), ("tty:h", "2"), ("https://idp", "1"), ("https://idp", "2")]);
    let answer = prop::sample::select(vec![Answer::Approve, Answer::Approve, Answer::Approve, Answer::Reject]);
    (approver, assurance(), channel(), answer, 90..130_u64, prop::bool::weighted(0.9)).prop_map(
        move |((issuer, subject), assurance, channel, answer, at, same)| {
            let mut other = Parts::new();
            other.nonce = [77; 16];
            Review {
                approver: Approver { issuer: issuer.into(), subject: subject.into() },
                assurance,
                channel,
                answer,
                comment: String::new(),
                justification: String::new(),
                at: Stamp { wall: 0, boot: Duration::from_secs(at) },
                digest: if same { digest } else { other.made().digest() },
                slots: Vec::new(),
                evidence: None,
            }
        },
    )
}

proptest! {
    #[test]
    fn two_commands_have_one_digest_only_if_they_are_one(left in words(), right in words()) {
        let digest = |words: &[Vec<u8>]| {
            let mut parts = Parts::new();
            parts.words = std::iter::once(b"deploy".to_vec()).chain(words.iter().cloned()).map(OsString::from_vec).collect();
            parts.made().digest()
        };
        prop_assert_eq!(left == right, digest(&left) == digest(&right));
    }

    #[test]
    fn a_grant_needs_reviews_that_meet_every_term(
        threshold in 0..4_u32,
        named in any::<bool>(),
        wanted in assurance(),
        channels in prop::collection::btree_set(channel(), 0..3),
        justified in any::<bool>(),
        now in 90..800_u64,
        (parts, reviews) in Just(Parts::new()).prop_flat_map(|parts| {
            let digest = parts.made().digest();
            (Just(parts), prop::collection::vec(review(digest), 0..4))
        }),
    ) {
        // The digest that reviews sign is that of the terms below, so it is put in afterwards.
        let mut parts = parts;
        let old = parts.made().digest();
        parts.asked.terms = Terms {
            threshold,
            approvers: if named { vec!["team:x".into()] } else { Vec::new() },
            assurance: wanted,
            channels: channels.clone(),
            justification: if justified { vec![Justification::Text] } else { Vec::new() },
            within: Duration::from_secs(20),
            valid: Duration::from_mins(1),
            ..Terms::default()
        };
        let made = parts.made();
        let digest = made.digest();
        let reviews: Vec<Review> = reviews
            .into_iter()
            .map(|review| Review { digest: if review.digest == old { digest } else { review.digest }, ..review })
            .collect();
        let now = Stamp { wall: 0, boot: Duration::from_secs(now) };
        match verify(made, Answers { terminal: &reviews, receipt: None }, Trust { requester: &requester(), server: None, approvers: &[] }, now) {
            Ok(grant) => {
                let Basis::Reviews { digest: granted, reviews: counted, until, .. } = grant.basis() else { panic!("no reviews") };
                prop_assert_eq!(*granted, digest);
                prop_assert!(now.boot <= until.boot && !named && threshold >= 1 && !justified);
                prop_assert!(reviews.iter().all(|review| review.answer == Answer::Approve && review.digest == digest));
                let people: BTreeSet<_> = counted.iter().map(|review| review.approver.clone()).collect();
                prop_assert!(people.len() >= threshold as usize && people.len() == counted.len());
                for review in counted {
                    prop_assert!(review.assurance >= wanted && channels.contains(&review.channel));
                    prop_assert!((100..=120).contains(&review.at.boot.as_secs()));
                    prop_assert!(now.boot <= review.at.boot + Duration::from_mins(1));
                    let own = review.channel == Channel::Tty || review.approver == requester();
                    prop_assert!(!own || wanted == Assurance::Confirm && threshold == 1);
                    prop_assert!(review.channel != Channel::Tty || review.assurance == Assurance::Confirm);
                }
            }
            Err(refused) => {
                // What is refused is told as what it is.
                let rejected = reviews.iter().any(|review| review.answer == Answer::Reject);
                let told = matches!(refused.1, Refusal::Rejected { .. });
                prop_assert!(!told || rejected);
                prop_assert!(refused.1 != Refusal::Denied && refused.1 != Refusal::Pending);
            }
        }
    }
}
