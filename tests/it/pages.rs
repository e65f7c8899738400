//! What a reviewer sees: all of it, nothing else, and in a browser as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use askama::Template;
use gate::approval::{Answer, BREAK_GLASS, acting_for};
use gate::policy::Assurance;
use gate::server::model::{Due, Kept, KeptReview, Plan, State, Telling};
use gate::server::pages::fill::{card, row};
use gate::server::pages::html::{
    CardPage, ConfigurationView, DelegationView, Failed, Giving, History, HostRow, Inbox, OwedRow, Page, PasskeyView, People, Run, Server,
    Settings, Team,
};
use gate::server::pages::view::{Around, Card, Field, Moment};
use gate::server::pages::viewer::{Glass, May, Stopped, Viewer};
use gate::server::pages::{assets, headers, words};
use gate::server::webhook::dead::Dead;
use serde_json::{Value, json};

use crate::pages_grants::lasting;
use crate::pages_samples::{NOW, SECOND, kept, over, person, review, told, with};

/// Bytes that one page with its style and its script may have.
const BUDGET: usize = 40_000;

pub fn viewer() -> Viewer {
    Viewer {
        person: person("grace"),
        name: "Grace Hopper".to_owned(),
        csrf: "csrf-of-this-session".to_owned(),
        stopped: None,
        serves: false,
    }
}

fn decide(assurance: Assurance, number: bool) -> May {
    May::Decide { assurance, number, tries: 3, place_of: String::new(), standing: None }
}

pub fn page_of(kept: &Kept, earlier: Option<&Kept>, recent: &[Kept], may: May) -> String {
    let viewer = viewer();
    let around = Around { earlier, recent, before: None, now: NOW };
    CardPage { page: Page::new("/r", Some(&viewer), NOW), card: card(kept, &around, may) }.render().unwrap()
}

/// The same with what a person sees who may break the glass, or review that.
fn with_glass(kept: &Kept, may: May, glass: Glass) -> String {
    let viewer = viewer();
    let around = Around { earlier: None, recent: &[], before: None, now: NOW };
    CardPage { page: Page::new("/r", Some(&viewer), NOW), card: Card { glass, ..card(kept, &around, may) } }.render().unwrap()
}

/// Approved by one person alone.
fn broken() -> Kept {
    let alone = KeptReview { assurance: Assurance::FreshMfa, ..review("linus", Answer::Approve, BREAK_GLASS, "The site is down.") };
    over(&told(), State::Consumed, vec![alone], Some(0), 900)
}

/// Asked for the third time.
fn again(pending: &Kept) -> String {
    let viewer = viewer();
    let last = over(&told(), State::Rejected, vec![review("linus", Answer::Reject, "team:sre", "Not before Monday.")], None, 500);
    let plan = Plan {
        asked_before: 2,
        before: Some(last.id.clone()),
        ended: None,
        due: vec![Due { at: NOW + 200 * SECOND, what: Telling::Reminder }],
    };
    let kept = Kept { plan, ..pending.clone() };
    let around = Around { earlier: None, recent: &[], before: Some(&last), now: NOW };
    CardPage { page: Page::new("/r", Some(&viewer), NOW), card: card(&kept, &around, decide(Assurance::SecondPerson, true)) }
        .render()
        .unwrap()
}

/// Somebody decides for another person, beside one who did so already.
fn in_place_of(half: &Kept) -> String {
    let acting = review("ken", Answer::Approve, "team:payments", "");
    let acting = KeptReview { slots: vec!["team:payments".to_owned(), acting_for(&person("dennis"))], ..acting };
    let kept = Kept { reviews: vec![acting], ..half.clone() };
    let place_of = "ada".to_owned();
    page_of(&kept, None, &[], May::Decide { assurance: Assurance::SecondPerson, number: true, tries: 1, place_of, standing: None })
}

fn stop(lifted_by: &[&str]) -> Viewer {
    let since = Moment::new(NOW - 240 * SECOND, NOW);
    let lifted_by = lifted_by.iter().map(|who| (*who).to_owned()).collect();
    let stopped = Stopped { by: "Linus".to_owned(), reason: "A token of the build was seen in a public log.".to_owned(), since, lifted_by };
    Viewer { stopped: Some(stopped), serves: true, ..viewer() }
}

fn stopped(lifted_by: &[&str]) -> String {
    let viewer = stop(lifted_by);
    Server { page: Page::new("/server", Some(&viewer), NOW), stops: true, owed: None, run: None }.render().unwrap()
}

fn inbox_stopped() -> String {
    let viewer = stop(&[]);
    Inbox { page: Page::new("/inbox", Some(&viewer), NOW), rows: vec![], next: None, owed: 0 }.render().unwrap()
}

fn server(full: bool) -> String {
    let viewer = Viewer { serves: true, ..viewer() };
    let host = |key: &str, class, stands, about: &str| HostRow {
        key: key.to_owned(),
        person: "ada at https://id.example".to_owned(),
        class,
        stands,
        about: about.to_owned(),
    };
    let hosts = vec![
        host(
            "build-01 (build-01+5f0c2a91)",
            "forked",
            "two histories",
            "Two histories of its log were seen 3 min ago. It is countersigned no more: somebody has to look at that host.",
        ),
        host(
            "laptop (laptop+11aa22bb)",
            "back",
            "went back",
            "A checkpoint of 12 entries came 2 h ago, when there had been 40. The log went back, or somebody sent an old one; it was not countersigned.",
        ),
        host("runner-7+00ff00ff", "good", "countersigned", "4711 entries were countersigned."),
        host("new+12345678", "unseen", "not seen yet", "It has not shown its log here."),
    ];
    let dead = Dead {
        webhook: "pager".to_owned(),
        event: 41,
        kind: "request.created".to_owned(),
        tries: 10,
        why: "answered 500".to_owned(),
        until: NOW,
    };
    let owed = OwedRow {
        id: "req_1".to_owned(),
        command: "kubectl --context prod-eu-1 rollout undo deploy/api".to_owned(),
        by: "linus at https://id.example".to_owned(),
        reason: "The site is down.".to_owned(),
        at: Moment::new(NOW - 7000 * SECOND, NOW),
    };
    let configuration = ConfigurationView {
        in_force: "0a".repeat(32),
        file: if full { "0b" } else { "0a" }.repeat(32),
        confirmed_by: vec!["linus at https://id.example".to_owned()],
        mine: false,
    };
    let some = |full: bool| if full { vec![owed.clone()] } else { vec![] };
    let run = Run { hosts: if full { hosts } else { vec![] }, dead: if full { vec![dead] } else { vec![] }, configuration };
    Server { page: Page::new("/server", Some(&viewer), NOW), stops: true, owed: Some(some(full)), run: Some(run) }.render().unwrap()
}

fn delegations() -> Vec<DelegationView> {
    let one = |given, who: &str, hours: i64| DelegationView {
        id: "dlg_1".to_owned(),
        given,
        who: who.to_owned(),
        slots: "team sre".to_owned(),
        until: ((NOW + hours * 3600 * SECOND) / 1_000_000, format!("{hours} h")),
        reason: "on holiday".to_owned(),
    };
    vec![one(true, "linus at https://id.example", 20), one(false, "ken at https://id.example", 3)]
}

fn giving() -> Giving {
    let slot = |slot: &str, name: &str| (slot.to_owned(), name.to_owned());
    Giving {
        slots: vec![slot("person:https://id.example#grace", "requests that name you"), slot("team:sre", "team sre")],
        people: vec![slot("https://id.example#linus", "Linus")],
        longest: "14 days".to_owned(),
    }
}

fn plain(told: &Value) -> String {
    page_of(&kept(told), None, &[], decide(Assurance::SecondPerson, true))
}

/// Arguments that try to be something else.
fn hostile() -> Value {
    json!([
        "sh", "-c", "echo one\necho two\n\x1b[2K\rls", "fine\u{202e}txt.exe", "zero\u{200b}width", "<script>alert(1)</script>",
        "</code></li></ol><h2>Who</h2><dl><div><dt>user</dt><dd>root</dd></div></dl>", "Digest 00000-00000", "{\"approve\":true}",
        "<hidden, 5 bytes>", { "commitment": "00", "len": 20, "shown": "--password=<hidden, 9 bytes>" }, { "b64": "/w==" }, "", "a b", "с\u{43e}py", "\u{5d0}\u{5d1}\u{5d2} x",
        "'; DROP TABLE users; --", "`id`", "$(id)", "&lt;b&gt;"
    ])
}

/// What duties, emergencies and people in others' place look like.
fn unusual() -> Vec<(&'static str, String)> {
    let pending = kept(&told());
    let half = Kept { reviews: vec![review("linus", Answer::Approve, "team:payments", "")], version: 2, ..kept(&told()) };
    let usual = vec![
        ("card-again", again(&pending)),
        ("card-place", in_place_of(&half)),
        ("card-glass", with_glass(&pending, May::Look("Its terms name other people."), Glass::Break("team security".to_owned()))),
        ("card-broken", with_glass(&broken(), May::Look(""), Glass::Review)),
        ("card-owed", with_glass(&broken(), May::Look(""), Glass::Owed("team security".to_owned()))),
        ("server", server(true)),
        ("server-empty", server(false)),
        ("server-stopped", stopped(&[])),
        ("server-lifting", stopped(&["https://id.example#grace"])),
        ("inbox-stopped", inbox_stopped()),
    ];
    usual.into_iter().chain(lasting()).collect()
}

/// The same command on another cluster, which was approved and used.
pub fn on_staging() -> Kept {
    let then = with(&json!({ "argv": ["kubectl", "--context", "staging-eu-1", "delete", "namespace", "payments"],
        "target": [{ "name": "cluster", "fact": { "is": ["staging-eu-1"], "files": [] } }, { "name": "namespace", "fact": { "is": ["payments"], "files": [] } }] }));
    over(&then, State::Consumed, vec![review("grace", Answer::Approve, "team:sre", "")], Some(0), 180_000)
}

fn states() -> Vec<(&'static str, String)> {
    let viewer = viewer();
    let frame = |path| Page::new(path, Some(&viewer), NOW);
    let first = review("linus", Answer::Approve, "team:payments", "Looks right, v2 has taken all traffic since Monday.");
    let earlier = on_staging();
    let get = with(&json!({ "argv": ["kubectl", "--context", "prod-eu-1", "scale", "deploy/api", "--replicas=0"], "risk": "high" }));
    let push = with(
        &json!({ "argv": ["git", "push", "--force", "origin", "main"], "risk": "medium", "target": [], "asker": "ci:github-actions", "host": "runner-7",
            "job": { "name": "org/app, release", "url": "https://github.com/org/app/actions/runs/77" } }),
    );
    let psql = with(
        &json!({ "argv": ["psql", "-h", "db.internal", "-c", "UPDATE invoices SET state = 'paid' WHERE state = 'open' AND created < now() - interval '90 days'"], "risk": "low", "asker": "person" }),
    );
    let recent = [
        over(&get, State::Rejected, vec![review("linus", Answer::Reject, "team:sre", "not now")], None, 400),
        over(&push, State::Consumed, vec![review("linus", Answer::Approve, "team:sre", "")], Some(1), 1900),
        over(&psql, State::Expired, vec![], None, 3000),
    ];
    let pending = kept(&told());
    let half = Kept { reviews: vec![first.clone()], version: 2, ..kept(&told()) };
    let approved = over(&told(), State::Approved, vec![first.clone(), review("grace", Answer::Approve, "team:sre", "")], None, 120);
    let rejected = over(
        &told(),
        State::Rejected,
        vec![first.clone(), review("grace", Answer::Reject, "team:sre", "v1 still serves refunds.\nAsk again on Thursday.")],
        None,
        300,
    );
    let consumed = over(&told(), State::Consumed, vec![first, review("grace", Answer::Approve, "team:sre", "")], Some(0), 200);
    let hard = kept(&with(&json!({ "argv": hostile(), "stdin": "unseen", "program_sha256": "unpinned", "uid": 0, "user": "root",
        "justification": "<img src=x onerror=alert(1)>", "host": "host<b>", "asker": "agent:<i>evil</i>" })));
    let long: String = "x".repeat(200_000);
    let long = kept(&with(&json!({ "argv": ["printf", "%s", long] })));
    let rows = |mine: &'static str| {
        [(&get, "req_1"), (&told(), "req_2"), (&push, "req_3"), (&psql, "req_4")].map(|(told, id)| {
            row(&Kept { id: id.to_owned(), ..kept(told) }, NOW, if id == "req_3" { mine.to_owned() } else { String::new() })
        })
    };
    let history = [&approved, &consumed, &rejected, &recent[1], &recent[2]].map(|kept| row(kept, NOW, String::new()));
    let passkeys = vec![PasskeyView {
        id: "abc".to_owned(),
        name: "laptop".to_owned(),
        about: "SHA256:9x1pQ0k0f3Yc3mJb0a8d8l6yq0r4M7n2VtQe1s5u7w".to_owned(),
        at: Moment::new(NOW - 90_000 * SECOND, NOW),
        line: "{\"attestation_object\":\"o2NmbXRmcGFja2VkZ2F0dFN0bXSiY2FsZyZjc2lnWEcw\",\"client_data\":\"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0\",\"nonce\":\"5f0c\"}".to_owned(),
    }];
    let member = |name: &str, is: &str| Field { name: name.to_owned(), is: is.to_owned() };
    let teams = || {
        vec![
            Team {
                name: "sre".to_owned(),
                members: vec![member("group sre-oncall", "of corp"), member("grace", "at https://id.example")],
                mine: true,
            },
            Team { name: "payments".to_owned(), members: vec![member("group payments-leads", "of corp")], mine: false },
        ]
    };
    vec![
        ("card-pending", page_of(&pending, Some(&earlier), &recent, decide(Assurance::SecondPerson, true))),
        ("card-half", page_of(&half, Some(&earlier), &recent[..1], decide(Assurance::Passkey, false))),
        ("card-own", page_of(&pending, None, &[], May::Look("This is your own request: somebody else has to decide."))),
        ("card-approved", page_of(&approved, None, &[], May::Look(""))),
        ("card-rejected", page_of(&rejected, None, &[], May::Look(""))),
        ("card-expired", page_of(&over(&told(), State::Expired, vec![], None, 2000), None, &[], May::Look(""))),
        ("card-cancelled", page_of(&over(&told(), State::Cancelled, vec![], None, 100), None, &[], May::Look(""))),
        ("card-consumed", page_of(&consumed, None, &[], May::Look(""))),
        ("card-hostile", page_of(&hard, None, &[], decide(Assurance::FreshMfa, true))),
        ("card-long", page_of(&long, None, &[], decide(Assurance::Hardware, false))),
        (
            "inbox",
            Inbox { page: frame("/inbox"), rows: rows("your own request").to_vec(), next: Some("req_1".to_owned()), owed: 2 }
                .render()
                .unwrap(),
        ),
        ("inbox-empty", Inbox { page: frame("/inbox"), rows: vec![], next: None, owed: 0 }.render().unwrap()),
        ("history", History { page: frame("/history"), rows: history.to_vec(), next: None }.render().unwrap()),
        ("people", People { page: frame("/people"), teams: teams() }.render().unwrap()),
        ("people-empty", People { page: frame("/people"), teams: vec![] }.render().unwrap()),
        (
            "settings",
            Settings { page: frame("/settings"), passkeys, possible: true, delegations: delegations(), giving: Some(giving()) }
                .render()
                .unwrap(),
        ),
        (
            "settings-empty",
            Settings { page: frame("/settings"), passkeys: vec![], possible: false, delegations: vec![], giving: None }.render().unwrap(),
        ),
        (
            "error",
            Failed {
                page: Page::new("", None, NOW),
                title: "There is no such request",
                detail: "It may have been removed, or the link is not whole.".to_owned(),
            }
            .render()
            .unwrap(),
        ),
    ]
}

/// Where tests/all installs what drives the browser.
fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser/node_modules")
}

#[test]
fn every_state_of_every_page_is_clean_in_a_browser() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join("assets")).unwrap();
    fs::create_dir_all(&pictures).unwrap();
    for (name, html) in states().into_iter().chain(unusual()) {
        fs::write(place.join(format!("{name}.html")), html).unwrap();
    }
    for (path, text) in [(assets::css(), &*assets::CSS), (assets::js(), &*assets::JS)] {
        fs::write(place.join(path.trim_start_matches('/')), text).unwrap();
    }
    let all: Vec<(String, String)> =
        headers::headers(&[]).iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    fs::write(place.join("headers.json"), serde_json::to_string(&all).unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/pages.mjs");
    let looked = Command::new("node").arg(script).arg(modules()).arg(&place).arg(&pictures).output().unwrap();
    let said = String::from_utf8_lossy(&looked.stdout);
    assert!(looked.status.success() && said.trim() == "clean", "{said}{}", String::from_utf8_lossy(&looked.stderr));
}

#[test]
fn a_page_with_its_style_and_script_is_small() {
    for (name, html) in states().into_iter().chain(unusual()).filter(|(name, _)| *name != "card-long") {
        let all = html.len() + assets::CSS.len() + assets::JS.len();
        assert!(all <= BUDGET, "{name}: {all} bytes");
    }
}

#[test]
fn a_hostile_argument_stays_one_visible_argument() {
    let html = plain(&with(&json!({ "argv": hostile() })));
    for (what, found) in
        [("an escape", '\u{1b}'), ("a turn of direction", '\u{202e}'), ("a zero-width space", '\u{200b}'), ("a return", '\r')]
    {
        assert!(!html.contains(found), "{what}");
    }
    assert_eq!(html.matches("<script").count(), 1, "only the page's own");
    assert_eq!(html.matches("<h2 id=\"h-who\"").count(), 1);
    // `sh` and its arguments, no more and no less.
    let command = html.split("id=\"cmd\"").nth(1).unwrap().split("</ol>").next().unwrap();
    assert_eq!(command.matches("<li>").count(), hostile().as_array().unwrap().len());
    // What a person must not miss is marked; a hidden secret is not to be imitated.
    for marked in [
        "<mark class=\"e\">\\x1b</mark>",
        "<mark class=\"e\">\\u202e</mark>",
        "<mark class=\"e\">\\xff</mark>",
        "<mark class=\"h\">hidden, 9 bytes</mark>",
    ] {
        assert!(command.contains(marked), "{marked}");
    }
    assert!(!command.contains("hidden, 5 bytes</mark>"));
    for said in ["Unseen characters in argument", "Look-alike in argument 14", "Right-to-left letters in argument"] {
        assert!(html.contains(said), "{said}");
    }
}

#[test]
fn a_long_argument_is_whole_on_the_card_and_cut_visibly_in_a_list() {
    let long = format!("{}THE-END", "x".repeat(200_000));
    let told = with(&json!({ "argv": ["printf", long] }));
    let html = plain(&told);
    assert!(html.contains("THE-END") && html.contains("200007 bytes"));
    let line = words::in_a_list(kept(&told).submitted.said().argv.as_slice());
    assert!(line.len() < 200 && line.ends_with('…'), "{line}");
}

#[test]
fn the_number_that_is_typed_is_nowhere_on_the_page() {
    let html = page_of(&Kept { number: Some("73".to_owned()), ..kept(&told()) }, None, &[], decide(Assurance::FreshMfa, true));
    assert!(html.contains("Number the requester sees"));
    let text: String = html.split('<').map(|part| part.split('>').nth(1).unwrap_or_default()).collect();
    assert!(!text.contains("73"), "{text}");
}

#[test]
fn pages_may_load_nothing_of_others_and_stand_in_no_frame() {
    let of = |issuers: &[String], name: &str| {
        headers::headers(issuers).iter().find(|(is, _)| is == name).unwrap().1.to_str().unwrap().to_owned()
    };
    assert_eq!(
        of(&[], "content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
    );
    // An issuer's origin is added; what could be another directive is not.
    let issuers = ["https://id.example".to_owned(), "https://evil.example; script-src *".to_owned()];
    let policy = of(&issuers, "content-security-policy");
    assert!(policy.contains("form-action 'self' https://id.example;") && !policy.contains("evil"));
    for (name, html) in states().into_iter().chain(unusual()) {
        assert!(!html.contains(" style=") && !html.contains("<style") && !html.contains(" onclick"), "{name}");
    }
}
