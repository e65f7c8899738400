//! Approving more than one run on the reviewer's page: what is offered, what a browser sends, what is listed and ended.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gate::approval::{Answer, Drawn, Standing};
use gate::policy::Assurance;
use gate::server::model::{Drawing, Kept, KeptReview, State};
use gate::server::pages::fill::{card, row};
use gate::server::pages::html::{CardPage, Grants, History, Page};
use gate::server::pages::standing::{listed, note, offer, reach};
use gate::server::pages::view::{Around, Card};
use gate::server::pages::viewer::May;
use gate::server::store::{GRANT, Granted, Item};
use serde_json::{Value, json};

use crate::identity_support::{now, runtime};
use crate::pages::{on_staging, page_of, viewer};
use crate::pages_flows::{Site, by, walk};
use crate::pages_passkeys::registration;
use crate::pages_samples::{NOW, SECOND, kept, over, review, told, with};

/// Terms under which any of a team may approve five runs within eight hours.
fn terms(team: &str, assurance: &str, patterns: bool) -> Value {
    let mut terms = by(team, assurance);
    terms["standing"] = json!({ "longest_s": 28_800, "uses": 5, "patterns": patterns });
    terms
}

/// Asks for the deletion of a namespace under such terms; the rules say nothing that names it.
fn asked(namespace: &str, terms: &Value) -> Value {
    let mut rules = told()["rules"].clone();
    rules[0]["preview"] = json!([]);
    let is = |is: &str| json!({ "is": [is], "files": [] });
    json!({ "argv": ["kubectl", "--context", "prod-eu-1", "delete", "namespace", namespace, "--wait=false", "two words"],
        "target": [{ "name": "cluster", "fact": is("prod-eu-1") }, { "name": "namespace", "fact": is(namespace) }],
        "rules": rules, "terms": terms })
}

fn decide(kept: &Kept, assurance: Assurance) -> May {
    May::Decide { assurance, number: assurance <= Assurance::FreshMfa, tries: 3, place_of: String::new(), standing: offer(kept) }
}

/// What pages with standing grants look like.
pub fn lasting() -> Vec<(&'static str, String)> {
    let viewer = viewer();
    let frame = |path| Page::new(path, Some(&viewer), NOW);
    let told = with(&json!({ "terms": terms("team:sre", "second-person", true) }));
    let standing = Standing::new(5, NOW + 14_000 * SECOND, vec![2, 5]).unwrap();
    let given =
        KeptReview { standing: Some(standing.clone()), ..review("grace", Answer::Approve, "team:sre", "Until the migration is through.") };
    let both = with(
        &json!({ "terms": { "approvers": ["team:sre", "team:payments"], "threshold": 1, "assurance": "passkey", "within_s": 900,
        "valid_s": 300, "channels": ["server"], "justification": [], "escalate": [], "standing": { "longest_s": 2_592_000, "uses": 1000, "patterns": true } } }),
    );
    let (one, half) = (kept(&told), Kept { reviews: vec![given.clone()], ..kept(&both) });
    let first = over(&told, State::Approved, vec![given.clone()], None, 120);
    let drawn = Drawn { text: String::new(), created: NOW, nth: 2 };
    let used = Kept {
        drawn: Some(Drawing { request: first.id.clone(), uses: 5, drawn }),
        ..over(&told, State::Consumed, vec![given], Some(0), 90)
    };
    let grants = [Granted { standing, left: 3 }, Granted { standing: Standing::new(2, NOW + 90_000 * SECOND, vec![]).unwrap(), left: 0 }];
    let original = {
        let around = Around { earlier: None, recent: &[], before: None, now: NOW };
        let card = Card { grant: reach(&first, Some(3)), ..card(&first, &around, May::Look("")) };
        CardPage { page: frame("/r"), card }.render().unwrap()
    };
    let history = [&used, &first].map(|kept| row(kept, NOW, note(kept))).to_vec();
    vec![
        ("card-offer", page_of(&one, Some(&on_staging()), &[used.clone(), first.clone()], decide(&one, Assurance::SecondPerson))),
        ("card-offer-both", page_of(&half, None, &[], decide(&half, Assurance::Passkey))),
        ("card-standing", original),
        ("card-use", page_of(&used, None, &[], May::Look(""))),
        (
            "grants",
            Grants {
                page: frame("/grants"),
                rows: grants.iter().map(|granted| listed(&first, granted, NOW)).collect(),
                next: Some(first.id.clone()),
            }
            .render()
            .unwrap(),
        ),
        ("grants-empty", Grants { page: frame("/grants"), rows: vec![], next: None }.render().unwrap()),
        ("history-uses", History { page: frame("/history"), rows: history, next: None }.render().unwrap()),
    ]
}

#[test]
fn more_than_one_run_is_offered_as_far_as_the_terms_allow_it() {
    let of = |terms: &Value| offer(&kept(&with(&asked("payments", terms))));
    assert_eq!(of(&by("team:sre", "second-person")), None);
    let words = |open: &[(usize, String)]| open.iter().map(|(at, word)| format!("{at} {word}")).collect::<Vec<_>>();
    let patterns = of(&terms("team:sre", "second-person", true)).unwrap();
    assert_eq!(words(&patterns.open), ["2 prod-eu-1", "3 delete", "4 namespace", "5 payments"], "no option, nothing with spaces");
    assert_eq!(of(&terms("team:sre", "second-person", false)).unwrap().open, []);
    let spans = |longest: u64| {
        let mut terms = terms("team:sre", "second-person", false);
        terms["standing"]["longest_s"] = longest.into();
        of(&terms).unwrap().spans
    };
    assert_eq!(spans(1800), [(1800, "30 min".to_owned())]);
    assert_eq!(spans(7200), [(3600, "1 h".to_owned()), (7200, "2 h".to_owned())]);
    assert_eq!(spans(86_400).last().unwrap(), &(86_400, "1 day".to_owned()));
    // What cannot be offered as the terms have it is not offered.
    for (uses, longest) in [(0, 60), (1, 60), (5, 0)] {
        let mut terms = terms("team:sre", "second-person", true);
        terms["standing"] = json!({ "longest_s": longest, "uses": uses, "patterns": true });
        assert_eq!(of(&terms), None, "{uses} uses, {longest} s");
    }
    // Nor where a later run could do what nobody saw.
    let secret = json!(["curl", "-u", { "commitment": "00", "len": 9, "shown": "<hidden, 9 bytes>" }, "api.example"]);
    for (name, unseen) in [("argv", secret), ("stdin", json!("unseen")), ("program_sha256", json!("unpinned"))] {
        let mut asked = asked("payments", &terms("team:sre", "second-person", true));
        asked[name] = unseen;
        assert_eq!(offer(&kept(&with(&asked))), None, "{name}");
    }
}

#[test]
fn nobody_is_offered_more_than_one_run_where_somebody_approved_only_that() {
    let asked = with(&asked("payments", &terms("team:sre", "second-person", true)));
    let once = review("linus", Answer::Approve, "team:sre", "");
    let more = KeptReview { standing: Standing::new(2, NOW + SECOND, vec![]), ..once.clone() };
    assert_eq!(offer(&Kept { reviews: vec![once], ..kept(&asked) }), None);
    assert!(offer(&Kept { reviews: vec![more], ..kept(&asked) }).is_some());
}

#[test]
fn no_more_words_are_offered_than_one_standing_grant_may_leave_open() {
    let argv: Vec<String> = (0..100).map(|word| format!("word-{word}")).collect();
    let asked = with(&json!({ "argv": argv, "terms": terms("team:sre", "second-person", true) }));
    let offered: Vec<usize> = offer(&kept(&asked)).unwrap().open.into_iter().map(|(at, _)| at).collect();
    assert_eq!(offered, (1..=16).collect::<Vec<_>>());
    assert!(Standing::new(2, NOW, offered).is_some_and(|standing| standing.fits(&kept(&asked).submitted).is_ok()));
}

/// The standing grants that the server keeps.
fn granted(site: &Site) -> Vec<Granted> {
    let items = runtime().block_on(site.app.store.items(GRANT, None, now())).unwrap();
    items.iter().filter_map(Granted::of).collect()
}

#[test]
fn a_standing_grant_is_given_on_the_card_used_by_the_next_listed_and_ended() {
    let site = Site::new();
    let terms = terms("team:sre", "second-person", true);
    let first = site.ask(&asked("payments", &terms));
    walk(&site.url, "lasting", &[&first], |line| {
        let (how, namespace) = line.split_once(' ')?;
        let mut asked = asked(namespace, &terms);
        match how {
            "like" => {}
            "unlike" => asked["argv"][6] = "--wait=true".into(),
            _ => return None,
        }
        Some(site.ask(&asked))
    });
    let request = site.request(&first);
    let standing = request.reviews[0].standing.as_ref().unwrap();
    assert_eq!((request.state, standing.uses(), standing.open()), (State::Approved, 3, [5].as_slice()));
    assert_eq!(standing.until() - request.reviews[0].at, 14_400 * SECOND);
    assert_eq!(site.kinds("standing."), ["standing.made", "standing.ended"]);
    assert_eq!(granted(&site), []);
}

#[test]
fn many_standing_grants_are_a_small_first_page() {
    let site = Site::new();
    for _ in 0..51 {
        let key = site.ask(&asked("payments", &terms("team:sre", "second-person", true)));
        let until = now() + 3600 * SECOND;
        let data = json!({ "open": [], "until": until.to_string(), "uses": 2, "left": 1 }).to_string();
        let item = Item { kind: GRANT, key, owner: "somebody else".to_owned(), handle: String::new(), data, expires: until };
        runtime().block_on(site.app.store.put(item)).unwrap();
    }
    site.walk("many_lasting", &[]);
}

#[test]
fn what_is_closed_again_approves_one_run() {
    let site = Site::new();
    let id = site.ask(&asked("payments", &terms("team:payments", "second-person", true)));
    site.walk("closed", &[&id]);
    let request = site.request(&id);
    assert_eq!((request.state, &request.reviews[0].standing), (State::Approved, &None));
    assert_eq!(granted(&site), []);
}

#[test]
fn a_card_offers_none_where_the_terms_allow_none_or_somebody_decides_in_anothers_place() {
    let site = Site::new();
    let plain = site.ask(&asked("payments", &by("team:payments", "second-person")));
    let other = site.ask(&asked("payments", &terms("team:security", "second-person", true)));
    site.walk("unoffered", &[&plain, &other]);
}

#[test]
fn a_passkey_signs_how_far_an_approval_goes_and_nothing_else_is_taken() {
    let site = Site::new();
    let id = site.ask(&asked("payments", &terms("team:payments", "passkey", true)));
    walk(&site.url, "signed_lasting", &[&id], |line| {
        site.enrol(site.person("alice"), registration(line.strip_prefix("enrol ")?));
        Some("done".to_owned())
    });
    let request = site.request(&id);
    assert_eq!((request.state, request.reviews.len()), (State::Approved, 1));
    let review = &request.reviews[0];
    let statement = review.evidence.as_ref().unwrap()["statement"].as_str().unwrap();
    let signed: Value = serde_json::from_slice(&STANDARD.decode(statement).unwrap()).unwrap();
    let standing = review.standing.as_ref().unwrap();
    assert_eq!((standing.uses(), standing.open()), (3, [5].as_slice()));
    assert_eq!((&signed["v"], Standing::read(&signed["standing"]).as_ref()), (&json!(3), Some(standing)));
    let kept: Vec<u32> = granted(&site).iter().map(|granted| granted.left).collect();
    assert_eq!(kept, [2]);
}
