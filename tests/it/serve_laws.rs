//! Laws of who may approve, for what a server decides and for what a host believes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use gate::approval::{
    Answer, Answers, ApprovalRequest, Approver, BREAK_GLASS, Basis, Claims, Expected, Filler, Receipt, Reviewed, Root, Stamp, Trust,
    acting_for, filled, sha256, verify,
};
use gate::key::{SigningKey, Vkey};
use gate::policy::{Assurance, Channel, Escalation, Layer, Terms};
use gate::server::model::{Kept, KeptReview, State, Wall};
use gate::server::rules::judge;
use gate::server::store::Effect;

use crate::serve_asked::{SECOND, START, asked, kept, nonce, person, said};

const SLOTS: [&str; 4] = ["team:a", "team:b", "person:https://idp.example#1", "team:later"];

/// Whether distinct people can be put on all places, tried in every way.
fn any_way(places: &[BTreeSet<usize>], taken: &mut BTreeSet<usize>) -> bool {
    let Some((place, rest)) = places.split_first() else { return true };
    place.iter().any(|who| taken.insert(*who) && (any_way(rest, taken) || !taken.remove(who)))
}

/// The same as the law says it: every slot of the terms, as often as the threshold wants, each by another person.
fn enough(terms: &Terms, people: &BTreeMap<&Approver, (BTreeSet<&str>, Duration)>) -> bool {
    let people: Vec<_> = people.values().collect();
    let may = |slot: &str, (slots, after): &(BTreeSet<&str>, Duration)| {
        let added = terms.escalate.iter().filter(|step| step.after <= *after).flat_map(|step| &step.approvers);
        slots.contains(slot) || added.into_iter().any(|added| slots.contains(added.as_str()))
    };
    if terms.approvers.is_empty() {
        return terms.threshold > 0 && people.len() >= terms.threshold as usize;
    }
    let fits = |slot: &String| people.iter().enumerate().filter(|(_, who)| may(slot, who)).map(|(at, _)| at).collect();
    let places: Vec<BTreeSet<usize>> = terms.approvers.iter().flat_map(|slot| (0..terms.threshold).map(move |_| slot)).map(fits).collect();
    terms.threshold > 0 && any_way(&places, &mut BTreeSet::new())
}

fn some_terms() -> impl Strategy<Value = Terms> {
    let approvers = prop::collection::vec(prop::sample::select(SLOTS[..3].to_vec()).prop_map(str::to_owned), 0..3);
    let assurance = prop::sample::select(vec![Assurance::Confirm, Assurance::SecondPerson, Assurance::FreshMfa]);
    let channels = prop::sample::subsequence(vec![Channel::Server, Channel::Slack], 1..=2);
    let escalate = prop::option::of((0..60_u64, prop::sample::select(vec!["team:later", "team:a"])));
    (approvers, 1..4_u32, assurance, prop::option::of(1..40_u64), 10..200_u64, channels, escalate, any::<bool>()).prop_map(
        |(mut approvers, threshold, assurance, fresh, valid, channels, escalate, glass)| {
            approvers.sort();
            approvers.dedup();
            Terms {
                approvers,
                threshold,
                assurance,
                fresh: fresh.map(Duration::from_secs),
                within: Duration::from_secs(100),
                valid: Duration::from_secs(valid),
                channels: channels.into_iter().collect(),
                break_glass: if glass { vec!["person:https://idp.example#1".to_owned()] } else { Vec::new() },
                standing: None,
                dev: false,
                justification: Vec::new(),
                escalate: escalate
                    .map(|(after, who)| Escalation { after: Duration::from_secs(after), approvers: vec![who.to_owned()] })
                    .into_iter()
                    .collect(),
            }
        },
    )
}

fn some_review() -> impl Strategy<Value = KeptReview> {
    let who = prop::sample::select(vec!["1", "2", "3", "4", "5", "requester"]);
    let other_issuer = prop::bool::weighted(0.1);
    let slots = prop::sample::subsequence(SLOTS.to_vec(), 0..=4);
    let assurance = prop::sample::select(vec![Assurance::Confirm, Assurance::SecondPerson, Assurance::FreshMfa, Assurance::FreshMfa]);
    let channel = prop::sample::select(vec![Channel::Server, Channel::Server, Channel::Slack, Channel::Teams]);
    let answer = prop::bool::weighted(0.05);
    let more = prop_oneof![
        6 => Just(vec![]),
        2 => prop::sample::select(vec!["2", "3", "requester"]).prop_map(|whose| vec![acting_for(&person(whose))]),
        2 => Just(vec![BREAK_GLASS.to_owned()]),
        1 => Just(vec!["for:".to_owned()]),
        1 => Just(vec![acting_for(&person("2")), acting_for(&person("3"))]),
    ];
    (who, other_issuer, slots, assurance, channel, answer, 0..115_i64, 0..50_i64, (more, any::<bool>())).prop_map(
        |(who, other_issuer, slots, assurance, channel, reject, at, age, (more, says_why))| {
            let mut who = person(who);
            if other_issuer {
                who.issuer.push_str(".other");
            }
            let at = START + at * SECOND + SECOND / 2;
            let answer = if reject { Answer::Reject } else { Answer::Approve };
            let mut review = said(&who, answer, &slots, at);
            review.slots.extend(more);
            let comment = if says_why { "the site is down".to_owned() } else { " ".to_owned() };
            KeptReview { assurance, channel, comment, proved: at - age * SECOND, ..review }
        },
    )
}

/// Whether a review breaks the glass as the terms let it.
fn alone(terms: &Terms, review: &KeptReview) -> bool {
    let named = terms.break_glass == ["person:https://idp.example#1"] && review.approver == person("1");
    named
        && review.slots.iter().any(|slot| slot == BREAK_GLASS)
        && review.assurance >= Assurance::FreshMfa
        && !review.comment.trim().is_empty()
}

/// The approvals that count, by the words of the terms: nobody's say is in two of them.
fn eligible<'a>(terms: &Terms, reviews: &'a [KeptReview]) -> BTreeMap<&'a Approver, &'a KeptReview> {
    let mut people = BTreeMap::new();
    let mut spoke = BTreeSet::new();
    for review in reviews.iter().filter(|review| review.answer == Answer::Approve) {
        let others: Vec<&str> = review.slots.iter().filter_map(|slot| slot.strip_prefix("for:")).collect();
        let say: Vec<String> = std::iter::once(format!("{}#{}", review.approver.issuer, review.approver.subject))
            .chain(others.iter().map(|other| (*other).to_owned()))
            .collect();
        let whose = others.len() <= 1 && !others.contains(&"") && !say.iter().any(|who| who == "https://idp.example#requester");
        let (slots, after) = of(review);
        let age = Duration::from_nanos(u64::try_from(review.at - review.proved).unwrap());
        let added = terms.escalate.iter().filter(|step| step.after <= after).flat_map(|step| &step.approvers);
        let named = terms.approvers.is_empty() || terms.approvers.iter().chain(added).any(|slot| slots.contains(slot.as_str()));
        let timely = after <= terms.within && terms.fresh.is_none_or(|fresh| age <= fresh);
        let sure = review.assurance >= terms.assurance.max(Assurance::SecondPerson) && terms.channels.contains(&review.channel);
        if whose && (named || alone(terms, review)) && timely && sure && !say.iter().any(|who| spoke.contains(who)) {
            spoke.extend(say);
            people.insert(&review.approver, review);
        }
    }
    people
}

/// What somebody may fill, and how long after the request was made they said it.
fn of(review: &KeptReview) -> (BTreeSet<&str>, Duration) {
    let slots = review.slots.iter().map(String::as_str).collect();
    (slots, Duration::from_nanos(u64::try_from(review.at - START).unwrap()))
}

/// Whether those who count are enough.
fn suffice(terms: &Terms, people: &BTreeMap<&Approver, &KeptReview>) -> bool {
    let fillers = people.iter().map(|(who, review)| (*who, of(review))).collect();
    enough(terms, &fillers) || people.values().any(|review| alone(terms, review))
}

/// What a server with its key says of these reviews, whether or not that is right.
fn receipt(made: &ApprovalRequest, reviews: &[KeptReview], now: Wall, valid_until: Wall) -> Receipt {
    let pkcs8 = SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap();
    let key = SigningKey::from_pkcs8(&pkcs8).unwrap();
    let name = Vkey::new("gate.example", key.public()).unwrap();
    let claims = Claims {
        issuer: "https://gate.example".to_owned(),
        audience: "host.example".to_owned(),
        request: "req_1".to_owned(),
        digest: *made.digest().bytes(),
        client_nonce_sha256: sha256(&nonce(1)),
        answer: Answer::Approve,
        consumed: true,
        dev: false,
        requester: Some(person("requester")),
        now,
        created: START,
        valid_until,
        reviews: reviews.iter().map(told).collect(),
        drawn: None,
    };
    let expected = Expected {
        issuer: "https://gate.example",
        audience: "host.example",
        request: "req_1",
        digest: made.digest(),
        client_nonce_sha256: sha256(&nonce(1)),
        now: u64::try_from(now / SECOND).unwrap(),
    };
    Receipt::verify(&claims.sign(&name, &key), &[key.public()], expected).unwrap()
}

fn told(review: &KeptReview) -> Reviewed {
    Reviewed {
        approver: review.approver.clone(),
        name: review.name.clone(),
        answer: review.answer,
        assurance: review.assurance,
        channel: review.channel,
        at: review.at,
        proved: review.proved,
        slots: review.slots.clone(),
        comment: review.comment.clone(),
        standing: review.standing.clone(),
        evidence: review.evidence.clone(),
    }
}

fn believed(made: ApprovalRequest, receipt: &Receipt) -> Option<Vec<Approver>> {
    let host = Approver { issuer: "tty:host.example".to_owned(), subject: "1000".to_owned() };
    let now = Stamp { wall: START, boot: Duration::from_secs(100_000) };
    let grant = verify(
        made,
        Answers { terminal: &[], receipt: Some(receipt) },
        Trust { requester: &host, server: Some(Root { layer: Layer::User, dev: false }), approvers: &[] },
        now,
    )
    .ok()?;
    let Basis::Reviews { reviews, .. } = grant.basis() else { panic!("a grant of reviews rests on reviews") };
    Some(reviews.iter().map(|review| review.approver.clone()).collect())
}

/// What the server makes of reviews that come in this order.
fn served(mut request: Kept, reviews: &[KeptReview]) -> Kept {
    for review in reviews {
        if request.at(review.at) != State::Pending || request.reviews.iter().any(|said| said.approver == review.approver) {
            continue;
        }
        match judge(&request, review) {
            Effect::Refused(_) => continue,
            Effect::Waits => {}
            Effect::Rejected => request.state = State::Rejected,
            Effect::Approved { until } => {
                request.state = State::Approved;
                request.valid_until = Some(until);
            }
        }
        request.reviews.push(review.clone());
    }
    request
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("GATE_TESTS_LONG").is_some() { 20_000 } else { 1_000 }))]

    #[test]
    fn slots_are_filled_exactly_where_some_way_to_place_distinct_people_is(
        terms in some_terms(),
        people in prop::collection::vec((0..6_u8, prop::sample::subsequence(SLOTS.to_vec(), 0..=4), 0..80_u64), 0..7),
    ) {
        let people: Vec<(Approver, Vec<String>, Duration)> = people
            .into_iter()
            .map(|(who, slots, after)| (person(who.to_string()), slots.into_iter().map(str::to_owned).collect(), Duration::from_secs(after)))
            .collect();
        let fillers: Vec<Filler<'_>> = people.iter().map(|(approver, slots, after)| Filler { approver, slots, after: *after }).collect();
        let mut first = BTreeMap::new();
        for (approver, slots, after) in &people {
            first.entry(approver).or_insert((slots.iter().map(String::as_str).collect(), *after));
        }
        prop_assert_eq!(filled(&terms, &fillers), enough(&terms, &first));
        // Whoever stands there twice counts once, and nobody is needed who is not there.
        let doubled: Vec<Filler<'_>> = fillers.iter().chain(&fillers).copied().collect();
        prop_assert_eq!(filled(&terms, &doubled), filled(&terms, &fillers));
        let nobody = Terms { threshold: 0, ..terms };
        prop_assert!(!filled(&nobody, &fillers));
    }

    #[test]
    fn a_host_believes_a_server_exactly_where_enough_distinct_eligible_people_approved_in_time(
        terms in some_terms(),
        reviews in prop::collection::vec(some_review(), 0..7),
        order in any::<prop::sample::Index>(),
    ) {
        let mut reviews = reviews;
        if !reviews.is_empty() {
            let by = order.index(reviews.len());
            reviews.rotate_left(by);
        }
        let made = asked(1, terms.clone());
        let people = eligible(&terms, &reviews);
        let counted: Vec<&KeptReview> = people.values().copied().collect();
        let Some(last) = counted.iter().map(|review| review.at).max() else {
            let receipt = receipt(&made, &reviews, START + 120 * SECOND, START + 121 * SECOND);
            prop_assert!(believed(made, &receipt).is_none());
            return Ok(());
        };
        // The moment at which the last of them approved; what is older than `valid` then has run out.
        let now = last;
        let receipt = receipt(&made, &reviews, now, now + 1);
        let rejected = reviews.iter().any(|review| review.answer == Answer::Reject);
        let granted = believed(made, &receipt);
        if let Some(granted) = &granted {
            prop_assert!(!rejected && suffice(&terms, &people));
            let distinct: BTreeSet<&Approver> = granted.iter().collect();
            prop_assert_eq!(distinct.len(), granted.len());
            prop_assert!(granted.iter().all(|who| people.contains_key(who)));
        }
        let lasting = counted.iter().all(|review| now - review.at <= i64::try_from(terms.valid.as_nanos()).unwrap());
        if lasting {
            prop_assert_eq!(granted.is_some(), !rejected && suffice(&terms, &people));
        }
    }

    #[test]
    fn what_a_server_approves_its_hosts_grant_and_nothing_else(terms in some_terms(), reviews in prop::collection::vec(some_review(), 0..7)) {
        let made = asked(1, terms.clone());
        let mut reviews = reviews;
        reviews.sort_by_key(|review| review.at);
        let request = served(kept("req_1", &made, 1, START), &reviews);
        let last = request.reviews.last().map_or(START, |review| review.at);
        let until = request.valid_until.unwrap_or(last + SECOND);
        let receipt = receipt(&made, &request.reviews, last, until);
        let granted = believed(made, &receipt);
        prop_assert_eq!(granted.is_some(), request.state == State::Approved);
        if request.state == State::Approved {
            prop_assert!(suffice(&terms, &eligible(&terms, &request.reviews)));
        }
    }
}
