//! A model of a request's states, walked at random against the real store: duplicates, any order, crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use gate::approval::{Answer, Approver, Standing, sha256};
use gate::policy::{StandingLimits, Terms};
use gate::server::model::{Kept, KeptReview, State, Wall};
use gate::server::rules::{cancelling, consuming, ending, judge};
use gate::server::store::{Changed, Created, Filter, Reviewed, Sqlite, Store};
use serde_json::json;

use crate::serve_asked::{SECOND, START, asked, kept, nonce, person, said, terms};

/// What somebody does next.
#[derive(Clone, Debug)]
enum Step {
    Ask {
        command: u32,
        run: u32,
    },
    Review {
        of: prop::sample::Index,
        who: u32,
        reject: bool,
        lasting: bool,
    },
    Consume {
        of: prop::sample::Index,
        right: bool,
    },
    Cancel {
        of: prop::sample::Index,
    },
    Outcome {
        of: prop::sample::Index,
    },
    Expire,
    Wait {
        seconds: i64,
    },
    /// The clock of another replica, or one that was set back.
    Back {
        seconds: i64,
    },
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let of = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..3_u32, 0..2_u32).prop_map(|(command, run)| Step::Ask { command, run }),
        8 => (of(), 0..5_u32, prop::bool::weighted(0.1), prop::bool::weighted(0.6))
            .prop_map(|(of, who, reject, lasting)| Step::Review { of, who, reject, lasting: lasting && !reject }),
        4 => (of(), prop::bool::weighted(0.8)).prop_map(|(of, right)| Step::Consume { of, right }),
        1 => of().prop_map(|of| Step::Cancel { of }),
        1 => of().prop_map(|of| Step::Outcome { of }),
        1 => Just(Step::Expire),
        2 => (1..40_i64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (1..40_i64).prop_map(|seconds| Step::Back { seconds }),
        1 => Just(Step::Crash),
    ]
}

/// How often a standing grant lets a command run.
const USES: u32 = 3;

/// Two people of one team, in 100 seconds, and the approval is good for 60.
fn two_people() -> Terms {
    Terms {
        approvers: vec!["team:a".to_owned()],
        threshold: 2,
        within: std::time::Duration::from_secs(100),
        valid: std::time::Duration::from_mins(1),
        standing: Some(StandingLimits { longest: std::time::Duration::from_secs(90), uses: USES, patterns: false }),
        ..terms()
    }
}

struct Walk {
    dir: tempfile::TempDir,
    copies: u32,
    store: Option<Sqlite>,
    runtime: tokio::runtime::Runtime,
    now: Wall,
    ids: Vec<String>,
    runs: BTreeMap<String, u32>,
    seen: BTreeMap<String, Kept>,
    consumptions: BTreeMap<String, u32>,
    drawn: BTreeMap<String, BTreeSet<u32>>,
}

impl Walk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&dir.path().join("0.db")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            dir,
            copies: 0,
            store: Some(store),
            runtime,
            now: START,
            ids: Vec::new(),
            runs: BTreeMap::new(),
            seen: BTreeMap::new(),
            consumptions: BTreeMap::new(),
            drawn: BTreeMap::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(format!("{}.db", self.copies))
    }

    /// The machine stops: what is on disk at this moment is all that there is.
    fn crash(&mut self) {
        let old = self.path();
        self.copies += 1;
        let beside = |path: &Path, end: &str| PathBuf::from(format!("{}{end}", path.display()));
        for end in ["", "-wal"] {
            if beside(&old, end).exists() {
                fs::copy(beside(&old, end), beside(&self.path(), end)).unwrap();
            }
        }
        self.store = Some(Sqlite::open(&self.path()).unwrap());
    }

    fn store(&self) -> &Sqlite {
        self.store.as_ref().unwrap()
    }

    fn at(&self, of: prop::sample::Index) -> Option<String> {
        (!self.ids.is_empty()).then(|| self.ids[of.index(self.ids.len())].clone())
    }

    fn take(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Ask { command, run } => {
                let id = format!("req_{:05}", self.ids.len());
                let request = kept(id.clone(), &asked(*command, two_people()), *run, now);
                if let Created::New(_) = self.runtime.block_on(self.store().create(request)).unwrap() {
                    self.ids.push(id.clone());
                    self.runs.insert(id, *run);
                }
            }
            Step::Review { of, who, reject, lasting } => {
                let Some(id) = self.at(*of) else { return };
                // The fourth is the requester, and the fifth of no team.
                let approver = person(if *who == 3 { "requester".to_owned() } else { who.to_string() });
                let answer = if *reject { Answer::Reject } else { Answer::Approve };
                let review = KeptReview {
                    standing: lasting.then(|| Standing::new(USES, now + 80 * SECOND, Vec::new()).unwrap()),
                    ..said(&approver, answer, if *who == 4 { &[] } else { &["team:a"] }, now)
                };
                let reviewed = self.runtime.block_on(self.store().review(&id, review, Box::new(judge))).unwrap();
                assert!(*who < 3 || !matches!(reviewed, Reviewed::Kept(_)));
            }
            Step::Consume { of, right } => {
                let Some(id) = self.at(*of) else { return };
                let secret = self.runs[&id] + u32::from(!right);
                let change = consuming(sha256(&nonce(secret)), now);
                if let Changed::To(used) = self.runtime.block_on(self.store().change(&id, now, change)).unwrap() {
                    assert!(*right);
                    self.used(&used);
                }
            }
            Step::Cancel { of } => {
                let Some(id) = self.at(*of) else { return };
                self.runtime.block_on(self.store().change(&id, now, cancelling(now))).unwrap();
            }
            Step::Outcome { of } => {
                let Some(id) = self.at(*of) else { return };
                self.runtime.block_on(self.store().change(&id, now, ending(json!({ "exit": 0 })))).unwrap();
            }
            Step::Expire => drop(self.runtime.block_on(self.store().expire(now, 100)).unwrap()),
            Step::Wait { seconds } => self.now += seconds * SECOND,
            Step::Back { seconds } => self.now -= seconds * SECOND,
            Step::Crash => self.crash(),
        }
    }

    /// Nothing is used twice, nor without two people who approved in time, and not later than their approvals last.
    fn used(&mut self, used: &Kept) {
        *self.consumptions.entry(used.id.clone()).or_default() += 1;
        assert_eq!(self.consumptions[&used.id], 1);
        let people: std::collections::BTreeSet<&Approver> = used.reviews.iter().map(|review| &review.approver).collect();
        assert!(people.len() >= 2 && !people.contains(&person("requester")));
        if let Some(drawing) = &used.drawn {
            // Each use of a standing grant is another one, and the request that people saw is the first.
            let uses = self.drawn.entry(drawing.request.clone()).or_default();
            assert!(uses.insert(drawing.drawn.nth) && (2..=USES).contains(&drawing.drawn.nth));
            for review in &used.reviews {
                assert_eq!(review.answer, Answer::Approve);
                assert!(review.standing.as_ref().is_some_and(|standing| self.now < standing.until()) && review.slots == ["team:a"]);
            }
            return;
        }
        for review in &used.reviews {
            assert_eq!(review.answer, Answer::Approve);
            assert!(review.slots == ["team:a"] && review.at < used.expires && self.now < review.at + 60 * SECOND);
        }
    }

    /// Versions only go up, by the events that tell of them, and what is over stays as it is.
    fn check(&mut self) {
        let all = self.runtime.block_on(self.store().list(Filter { limit: 1000, ..Filter::default() })).unwrap();
        assert_eq!(all.len(), self.ids.len(), "nothing is lost or doubled");
        let events = self.runtime.block_on(self.store().events(0, 10_000)).unwrap();
        for request in all {
            let told: Vec<&str> =
                events.iter().filter(|event| event.request.as_deref() == Some(&request.id)).map(|event| event.kind.as_str()).collect();
            assert_eq!(u64::try_from(told.len()).unwrap(), request.version, "{told:?}");
            assert_eq!(told[0], "request.created");
            if let Some(before) = self.seen.get(&request.id) {
                assert!(request.version >= before.version);
                assert!(!before.state.is_over() || request.state == before.state);
                assert!(before.state != State::Approved || request.state != State::Pending);
                assert!(request.reviews.starts_with(&before.reviews));
                assert_eq!(
                    request.version == before.version,
                    request.state == before.state && request.reviews == before.reviews && request.outcome == before.outcome
                );
            }
            assert!(request.state != State::Consumed || self.consumptions.contains_key(&request.id));
            self.seen.insert(request.id.clone(), request);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("GATE_TESTS_LONG").is_some() { 2000 } else { 40 }))]

    #[test]
    fn whatever_is_done_to_requests_in_any_order_with_crashes_each_is_used_once_at_most_and_only_when_two_approved(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut walk = Walk::new();
        for step in &steps {
            walk.take(step);
            walk.check();
        }
    }
}
