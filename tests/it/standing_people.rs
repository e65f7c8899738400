//! People give, list and end standing grants: at the command line and by the API of a trial server.

use gate::policy::StandingLimits;
use serde_json::{Value, json};

use crate::approval::Parts;
use crate::approver_support::{Trial, at_terminal, ends, token};

const SIZE: (u16, u16) = (100, 60);

fn standing(parts: &mut Parts) {
    parts.asked.terms.standing = Some(StandingLimits { longest: std::time::Duration::from_hours(8), uses: 5, patterns: true });
}

/// Another run of it: another nonce, and perhaps another word.
fn again(word: &str) -> impl FnOnce(&mut Parts) {
    let word = word.to_owned();
    move |parts| {
        standing(parts);
        parts.nonce = gate::approval::sha256(word.as_bytes())[..16].try_into().unwrap();
        parts.words(vec!["deploy".into(), word, "b".into()]);
    }
}

#[test]
fn an_approver_gives_more_runs_than_one_at_their_terminal_lists_them_and_ends_them() {
    let trial = Trial::start();
    let alice = trial.person("alice", &[]);
    let bob = trial.person("bob", &["--decide"]);
    let asked = trial.ask(&alice, standing);
    let id = asked["id"].as_str().unwrap();
    // What the terms do not allow is told before anybody types anything.
    let approve = |more: &[&str], code| ends(&bob, code, &[&["approve", id, "--number", "42"], more].concat());
    assert!(approve(&["--uses", "6", "--for", "1h"], 77).err().contains("so many uses"));
    assert!(approve(&["--uses", "5", "--for", "9h"], 77).err().contains("lasts so long"));
    assert!(approve(&["--uses", "5"], 64).err().contains("--for"));
    assert!(approve(&["--uses", "5", "--for", "soon"], 64).err().contains("no length of time"));
    assert!(approve(&["--uses", "5", "--for", "1h", "--any", "c"], 64).err().contains("no word after the program"));
    let mut tty = at_terminal(&bob, &["approve", id, "--number", "42", "--uses", "3", "--for", "1h", "--any", "a"], &[], SIZE);
    let screen = tty.wait_for_last(">");
    assert!(screen.contains("You approve more than this run: 3 runs in all, within 1 h from now."), "{screen}");
    assert!(screen.contains("In the place of a (word 2) any other plain word of its kind may stand."), "{screen}");
    let mark = screen.rsplit("Type approve 3 times ").next().unwrap().split(' ').next().unwrap().to_owned();
    tty.type_in(&format!("approve 3 times {mark}\n"));
    assert!(tty.end().success(), "{}", tty.screen());
    // The next ones that are like it need nobody; what differs more does.
    for (nth, word) in [(2, "c"), (3, "a")] {
        let told = trial.ask(&alice, again(word));
        assert_eq!((&told["state"], &told["standing"]), (&json!("approved"), &json!({ "request": id, "use": nth, "uses": 3 })), "{told}");
        assert_eq!(told["reviews"][0]["standing"]["open"], json!([1]));
    }
    let listed = ends(&bob, 0, &["grants"]).out();
    assert!(listed.contains(id) && listed.contains("0 of 3 left") && listed.contains("In the place of a (word 2)"), "{listed}");
    assert_eq!(trial.ask(&alice, again("d"))["state"], "pending", "all uses are used");
    assert_eq!(trial.call(&token(&bob), "GET", "/v1/grants", &[], &Value::Null).1["grants"][0]["left"], 0);
    ends(&bob, 0, &["grants", "--end", &id[id.len() - 8..]]);
    assert_eq!(ends(&bob, 0, &["grants"]).out(), "no approval is good for more than its one run\n");
    ends(&bob, 64, &["grants", "--end", id]);
    assert!(ends(&bob, 64, &["grants", "--end", &id[id.len() - 8..]]).err().contains("fits nothing that stands"));
}

#[test]
fn a_command_line_without_the_words_of_more_runs_approves_one() {
    let trial = Trial::start();
    let alice = trial.person("alice", &[]);
    let bob = trial.person("bob", &["--decide"]);
    let asked = trial.ask(&alice, standing);
    let body = json!({ "review": "approve", "digest": asked["digest"] });
    let path = format!("/v1/requests/{}/reviews", asked["id"].as_str().unwrap());
    assert_eq!(trial.call(&token(&bob), "POST", &path, &[], &body).0, 200);
    assert_eq!(trial.ask(&alice, again("a"))["state"], "pending");
}

#[test]
fn the_api_takes_no_standing_grant_that_the_terms_do_not_allow_or_that_nobody_could_read() {
    let trial = Trial::start();
    let alice = trial.person("alice", &[]);
    let bob = trial.person("bob", &["--decide"]);
    let say = |asked: &Value, review: &str, standing: Value| {
        let body = json!({ "review": review, "digest": asked["digest"], "standing": standing });
        trial.call(&token(&bob), "POST", &format!("/v1/requests/{}/reviews", asked["id"].as_str().unwrap()), &[], &body).0
    };
    let once = trial.ask(&alice, |_| {});
    assert_eq!(say(&once, "approve", json!({ "uses": 2, "seconds": 60 })), 403);
    let asked = trial.ask(&alice, again("a"));
    for (status, standing) in [
        (403, json!({ "uses": 6, "seconds": 60 })),
        (403, json!({ "uses": 5, "seconds": 8 * 3600 + 1 })),
        (403, json!({ "uses": 5, "seconds": 0 })),
        (422, json!({ "uses": 1, "seconds": 60 })),
        (422, json!({ "uses": 5, "seconds": 60, "open": [0] })),
        (422, json!({ "uses": 5, "seconds": 60, "open": [2, 1] })),
        (422, json!({ "uses": 5, "seconds": 60, "open": [9] })),
        (422, json!({ "uses": 5, "seconds": 60, "more": 1 })),
    ] {
        assert_eq!(say(&asked, "approve", standing.clone()), status, "{standing}");
    }
    assert_eq!(say(&asked, "reject", json!({ "uses": 2, "seconds": 60 })), 422);
    assert_eq!(say(&asked, "approve", json!({ "uses": 2, "seconds": 60 })), 200);
    // Whoever does not see the request sees no grant of it, and ends none.
    let stranger = trial.person("carol", &["--decide"]);
    assert_eq!(trial.call(&token(&stranger), "GET", "/v1/grants", &[], &Value::Null).1, json!({ "grants": [] }));
    let path = format!("/v1/grants/{}", asked["id"].as_str().unwrap());
    assert_eq!(trial.call(&token(&stranger), "DELETE", &path, &[], &Value::Null).0, 404);
    // Who asked sees it, and may give it up.
    assert_eq!(trial.call(&token(&alice), "GET", "/v1/grants", &[], &Value::Null).1["grants"][0]["left"], 1);
    assert_eq!(trial.call(&token(&alice), "DELETE", &path, &[], &Value::Null).0, 204);
    assert_eq!(trial.call(&token(&alice), "DELETE", &path, &[], &Value::Null).0, 404);
}

#[test]
fn ending_a_standing_grant_takes_back_what_was_approved_by_it_and_did_not_run() {
    let trial = Trial::start();
    let alice = trial.person("alice", &[]);
    let bob = trial.person("bob", &["--decide"]);
    let asked = trial.ask(&alice, again("a"));
    let id = asked["id"].as_str().unwrap();
    let body = json!({ "review": "approve", "digest": asked["digest"], "standing": { "uses": 5, "seconds": 600, "open": [1] } });
    assert_eq!(trial.call(&token(&bob), "POST", &format!("/v1/requests/{id}/reviews"), &[], &body).0, 200);
    let ready: Vec<Value> = ["b", "c"].map(|word| trial.ask(&alice, again(word))).into();
    assert!(ready.iter().all(|one| one["state"] == "approved"), "{ready:?}");
    ends(&bob, 0, &["grants", "--end", id]);
    for one in &ready {
        assert_eq!(trial.stands(&alice, one["id"].as_str().unwrap())["state"], "cancelled");
    }
    // What people approved by itself stays approved.
    assert_eq!(trial.stands(&alice, id)["state"], "approved");
    assert_eq!(trial.ask(&alice, again("d"))["state"], "pending");
}
