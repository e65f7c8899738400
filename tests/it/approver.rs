//! `gate login`, `pending`, `show`, `approve` and `reject` against a real server: who may decide decides, and nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use gate::approval::sha256;
use gate::policy::{Assurance, Channel};
use serde_json::{Value, json};

use crate::approver_support::{Trial, at_terminal, ends, kept, request, token, word};
use crate::identity_support::Browser;
use crate::serving::{client, submitted};
use crate::world::World;

const SIZE: (u16, u16) = (100, 60);

#[test]
fn somebody_logs_in_and_decides_on_what_another_asked() {
    let trial = Trial::start();
    let alice = trial.person("alice", &[]);
    let bob = trial.person("bob", &["--decide"]);
    let login = bob.state().join("login.json");
    assert_eq!(fs::metadata(&login).unwrap().permissions().mode() & 0o777, 0o600, "the token is nobody else's");
    assert!(ends(&bob, 0, &["pending"]).out().contains("nothing waits"));
    let asked = trial.ask(&alice, |_| {});
    let id = asked["id"].as_str().unwrap();
    let listed = ends(&bob, 0, &["pending"]);
    assert!(listed.out().contains(id) && listed.out().contains("deploy a b"), "{listed}");
    let listed: Value = serde_json::from_str(&ends(&bob, 0, &["pending", "--json"]).out()).unwrap();
    assert_eq!(listed["requests"][0]["id"], id);
    let short = &id[id.len() - 6..];
    let shown = ends(&bob, 0, &["show", short]).out();
    for part in ["MEDIUM RISK", "│ deploy a b", "team:sre", "has to prove  second-person", asked["digest"].as_str().unwrap(), "alice"] {
        assert!(shown.contains(part), "`{part}` is missing:\n{shown}");
    }
    assert!(!shown.contains('\x1b'), "no escape sequence where there is no terminal");
    let mut tty = at_terminal(&bob, &["approve", short, "--comment", "as agreed"], &[], SIZE);
    let screen = tty.wait_for_last(">");
    assert!(screen.contains("│ deploy a b") && screen.contains(asked["digest"].as_str().unwrap()), "{screen}");
    tty.type_in(&format!("{}\n", word(&screen)));
    assert!(tty.end().success(), "{}", tty.screen());
    assert!(tty.screen().contains("you approved it; it is approved"), "{}", tty.screen());
    let stands = trial.stands(&alice, id);
    assert_eq!(stands["state"], "approved");
    let review = &stands["reviews"][0];
    assert_eq!((&review["name"], &review["comment"], &review["channel"]), (&json!("Bob Baker"), &json!("as agreed"), &json!("server")));
    assert_eq!(review["approver"]["subject"], "bob");
    let over = ends(&bob, 77, &["approve", id]);
    assert!(over.err().contains("it does not wait any more: it is approved"), "{over}");
}

#[test]
fn a_login_that_may_only_ask_cannot_decide() {
    let trial = Trial::start();
    let alice = trial.person("alice", &[]);
    let bob = trial.person("bob", &[]);
    assert_eq!(kept(&bob)["scope"], "request");
    let asked = trial.ask(&alice, |_| {});
    let id = asked["id"].as_str().unwrap();
    // To whoever may only ask, the requests of others do not exist.
    ends(&bob, 64, &["approve", id]);
    ends(&bob, 64, &["reject", id]);
    let own = trial.ask(&bob, |_| {});
    let own = own["id"].as_str().unwrap();
    let refused = ends(&bob, 77, &["approve", own]);
    assert!(refused.err().contains("may ask, and not decide") && refused.err().contains("gate login --decide"), "{refused}");
    for (path, body) in
        [("statement", json!({ "answer": "approve" })), ("reviews", json!({ "review": "approve", "digest": asked["digest"] }))]
    {
        let (status, told) = trial.call(&token(&bob), "POST", &format!("/v1/requests/{id}/{path}"), &[], &body);
        assert_eq!((status, &told["type"]), (403, &json!("/problems/forbidden")), "{told}");
    }
    // Whatever the file says of itself, the server knows what the token is.
    let login = bob.state().join("login.json");
    fs::write(&login, fs::read_to_string(&login).unwrap().replace("\"request\"", "\"request+decide\"")).unwrap();
    ends(&bob, 64, &["approve", id]);
    assert_eq!(trial.stands(&alice, id)["state"], "pending");
}

#[test]
fn nobody_decides_on_what_they_asked_themselves() {
    let trial = Trial::start();
    let alice = trial.person("alice", &["--decide"]);
    let asked = trial.ask(&alice, |_| {});
    let id = asked["id"].as_str().unwrap();
    assert!(ends(&alice, 0, &["pending"]).out().contains("yours"));
    for verb in ["approve", "reject"] {
        let refused = ends(&alice, 77, &[verb, id]);
        assert!(refused.err().contains("nobody decides on their own request"), "{refused}");
    }
    let body = json!({ "review": "approve", "digest": asked["digest"] });
    let (status, told) = trial.call(&token(&alice), "POST", &format!("/v1/requests/{id}/reviews"), &[], &body);
    assert_eq!((status, &told["type"]), (403, &json!("/problems/self-approval")), "{told}");
}

#[test]
fn anything_but_the_word_on_the_screen_says_nothing() {
    let trial = Trial::start();
    let (alice, bob) = (trial.person("alice", &[]), trial.person("bob", &["--decide"]));
    let asked = trial.ask(&alice, |_| {});
    let id = asked["id"].as_str().unwrap();
    for typed in ["yes\n", "approve\n", "approve 00000\n", "\x04"] {
        let mut tty = at_terminal(&bob, &["approve", id], &[], SIZE);
        tty.wait_for_last(">");
        tty.type_in(typed);
        assert_eq!(tty.end().code(), Some(75), "{typed:?}: {}", tty.screen());
    }
    let none = ends(&bob, 69, &["approve", id]);
    assert!(none.err().contains("typed at a terminal, and there is no terminal here"), "{none}");
    assert_eq!(trial.stands(&alice, id)["state"], "pending");
    let rejected = ends(&bob, 0, &["reject", id, "--comment", "not today"]);
    assert!(rejected.err().contains("you rejected it; it is rejected"), "{rejected}");
    assert_eq!(trial.stands(&alice, id)["reviews"][0]["comment"], "not today");
}

#[test]
fn a_long_command_is_read_to_its_end_before_the_word_can_be_typed() {
    let trial = Trial::start();
    let (alice, bob) = (trial.person("alice", &[]), trial.person("bob", &["--decide"]));
    let asked = trial.ask(&alice, |parts| parts.words((0..200).map(|number| format!("word-{number}")).collect()));
    let id = asked["id"].as_str().unwrap();
    let mut tty = at_terminal(&bob, &["approve", id], &[], (60, 20));
    let screen = tty.wait_for("Enter for more");
    assert!(screen.contains("word-0") && !screen.contains("Type approve"), "{screen}");
    while !tty.screen().contains("Type approve") {
        let before = tty.screen();
        tty.type_in("\n");
        tty.wait("the next page", |screen| {
            screen != before && (screen.trim_end().ends_with("q to leave") || screen.trim_end().ends_with('>'))
        });
    }
    tty.type_in("q\n");
    assert_eq!(tty.end().code(), Some(75));
}

#[test]
fn the_number_that_the_requester_sees_is_typed_where_the_terms_want_it() {
    let trial = Trial::start();
    let (alice, bob) = (trial.person("alice", &[]), trial.person("bob+mfa", &["--decide"]));
    let fresh = |nonce: u8| {
        move |parts: &mut crate::approval::Parts| (parts.asked.terms.assurance, parts.nonce) = (Assurance::FreshMfa, [nonce; 16])
    };
    let asked = trial.ask(&alice, fresh(1));
    let id = asked["id"].as_str().unwrap();
    for (number, end, says) in [("7", 75, "no number of two digits"), ("41", 77, "2 more tries"), ("42", 0, "it is approved")] {
        let mut tty = at_terminal(&bob, &["approve", id], &[], SIZE);
        tty.wait_for_last("The number that the requester sees:");
        tty.type_in(&format!("{number}\n"));
        if number.len() == 2 {
            let screen = tty.wait_for_last(">");
            tty.type_in(&format!("{}\n", word(&screen)));
        }
        assert_eq!(tty.end().code(), Some(end), "{}", tty.screen());
        assert!(tty.screen().contains(says), "{}", tty.screen());
    }
    assert_eq!(trial.stands(&alice, id)["reviews"][0]["assurance"], "fresh-mfa");
    // A sign-on without a second factor is not enough, whatever number is typed.
    let weak = trial.person("bob", &["--decide"]);
    let asked = trial.ask(&alice, fresh(2));
    let mut tty = at_terminal(&weak, &["approve", asked["id"].as_str().unwrap(), "--number", "42"], &[], SIZE);
    let screen = tty.wait_for_last(">");
    tty.type_in(&format!("{}\n", word(&screen)));
    assert_eq!(tty.end().code(), Some(77), "{}", tty.screen());
    assert!(tty.screen().contains("the terms want `fresh-mfa`"), "{}", tty.screen());
}

#[test]
fn a_login_by_a_code_decides_as_a_second_person_at_most() {
    let trial = Trial::start();
    let alice = trial.person("alice", &[]);
    let bob = World::new();
    let mut child = bob.command(bob.gate(), ["login", "--server", &trial.url, "--decide", "--device"]).spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let code = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(line.contains(&format!("open {}/device in a browser", trial.url)), "{line}");
    let mut browser = Browser::new();
    let page = Trial::asked(&mut browser, &format!("{}/device?user_code={code}", trial.url), "bob+mfa");
    let done = browser.submit(&page, &[("answer", "yes")]);
    assert!(done.body.contains("acts as you now"), "{done:?}");
    assert!(child.wait().unwrap().success());
    let asked = trial.ask(&alice, |parts| parts.asked.terms.assurance = Assurance::FreshMfa);
    let mut tty = at_terminal(&bob, &["approve", asked["id"].as_str().unwrap(), "--number", "42"], &[], SIZE);
    let screen = tty.wait_for_last(">");
    tty.type_in(&format!("{}\n", word(&screen)));
    assert_eq!(tty.end().code(), Some(77), "{}", tty.screen());
}

#[test]
fn a_login_is_told_ended_and_shown_to_no_other_server() {
    let trial = Trial::start();
    let world = World::new();
    assert!(ends(&world, 78, &["pending"]).err().contains("nobody is logged in"));
    assert!(ends(&world, 78, &["login", "--status"]).err().contains("nobody is logged in"));
    assert!(ends(&world, 78, &["login"]).err().contains("no server is known"));
    for wrong in ["gate.example", "http://gate.example", "https://gate.example/path", "https://u@gate.example"] {
        assert!(ends(&world, 64, &["login", "--server", wrong]).err().contains("is not where a server can be"));
    }
    let (ok, said) = trial.logging_in(&world, &[], |link| {
        let mut browser = Browser::new();
        let page = Trial::asked(&mut browser, link, "bob");
        let done = browser.submit(&page, &[("answer", "no")]);
        assert!(done.body.contains("got nothing"), "{done:?}");
    });
    assert!(!ok && said.contains("the login was refused on the page"), "{said}");
    // An answer that does not know this login is none.
    let (ok, said) = trial.logging_in(&world, &["--json"], |link| {
        let target = reqwest::Url::parse(link).unwrap().query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
        assert_eq!(client().get(format!("{target}?code=stolen&state=guessed")).send().unwrap().status(), 404);
        assert_eq!(client().get(target.replace("/callback", "/")).send().unwrap().status(), 404);
        let mut browser = Browser::new();
        let page = Trial::asked(&mut browser, link, "bob");
        browser.submit(&page, &[("answer", "yes")]);
    });
    assert!(ok && said.contains("\"scope\":\"request\"") && !said.contains("gate_pat_"), "{said}");
    let first = token(&world);
    assert!(
        ends(&world, 0, &["login", "--status"]).out().starts_with(&format!("Bob Baker at {}: this command line may ask until ", trial.url))
    );
    assert!(ends(&world, 78, &["pending", "--server", "https://other.example"]).err().contains("you are logged in at"));
    let world = trial.log_in(world, "bob", &["--decide"]);
    assert_eq!(trial.call(&first, "GET", "/v1/requests", &[], &Value::Null).0, 401, "the login before has ended");
    let second = token(&world);
    ends(&world, 0, &["logout"]);
    assert!(!world.state().join("login.json").exists());
    assert_eq!(trial.call(&second, "GET", "/v1/requests", &[], &Value::Null).0, 401);
    ends(&world, 0, &["logout"]);
}

#[test]
fn a_host_that_logs_in_asks_as_that_person_by_its_log_key() {
    let trial = Trial::start();
    let world = World::new().user_policy("version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\n");
    ends(&world, 0, &["--", "true"]);
    let key = ends(&world, 0, &["key", "export", "log"]).out();
    let world = trial.log_in(world, "bob", &[]);
    let bound = trial.ask(&world, |_| {});
    assert_eq!(bound["requester"]["person"]["subject"], "bob");
    let database = rusqlite::Connection::open(trial.state().join("requests.db")).unwrap();
    let owner: String = database.query_row("SELECT owner FROM item WHERE kind='host_key'", [], |row| row.get(0)).unwrap();
    assert!(owner.ends_with("#bob"), "{owner}: {key}");
}

#[test]
fn what_a_terminal_could_act_on_is_shown_and_never_done() {
    let trial = Trial::start();
    let (alice, bob) = (trial.person("alice", &[]), trial.person("bob", &["--decide"]));
    let mut parts = request();
    parts.words(vec!["deploy".into(), "\u{1b}[2J\u{202e}evil".into(), "secret".into()]);
    parts.asked.reasons[0].text = "harmless\u{1b}]0;owned\u{7}".into();
    parts.asked.hidden.push(gate::policy::Hidden { word: 2, start: 0, end: 6 });
    let (value, key) = submitted(&parts);
    let body = json!({ "approval_request": value, "client_nonce_sha256": gate::text::hex(&sha256(b"x")) });
    let (status, asked) = trial.call(&token(&alice), "POST", "/v1/requests", &[("idempotency-key", &format!("\"{key}\""))], &body);
    assert_eq!(status, 201, "{asked}");
    let shown = ends(&bob, 0, &["show", asked["id"].as_str().unwrap()]).out();
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
    assert!(shown.contains("‹hidden, 6 bytes›") && shown.contains("unseen characters in argument 1"), "{shown}");
    assert!(ends(&bob, 0, &["pending"]).out().chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn terms_that_a_sign_on_cannot_meet_are_told_before_anybody_is_asked() {
    let trial = Trial::start();
    let (alice, bob) = (trial.person("alice", &[]), trial.person("bob", &["--decide"]));
    let asked = trial.ask(&alice, |parts| parts.asked.terms.assurance = Assurance::Passkey);
    let refused = ends(&bob, 77, &["approve", asked["id"].as_str().unwrap()]);
    assert!(refused.err().contains("want `passkey`") && refused.err().contains(&format!("{}/r/req_", trial.url)), "{refused}");
    let asked = trial.ask(&alice, |parts| (parts.asked.terms.channels, parts.nonce) = ([Channel::Ssh].into(), [6; 16]));
    let refused = ends(&bob, 77, &["approve", asked["id"].as_str().unwrap()]);
    assert!(refused.err().contains("take answers by ssh, not by server"), "{refused}");
    for wrong in ["req_", "zz", "nothing-like-it", "ZZZZZZZZZZ"] {
        ends(&bob, 64, &["show", wrong]);
    }
}
