//! `gate login`, the server's side: a person lets a command line act as them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gate::key::{SigningKey, Vkey};
use gate::policy::Assurance;
use gate::server::identity::tokens::{self, Login, Scope};
use gate::server::identity::{Error, SignedOn, proof_text};
use gate::server::store::Store;
use serde_json::{Value, json};

use crate::identity_support::{Browser, Relying, SECOND, Seen, form, now, percent, runtime};

const VERIFIER: &str = "what-only-the-command-line-knows";
const TARGET: &str = "http://127.0.0.1:54321/cb";

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(gate::approval::sha256(VERIFIER.as_bytes()))
}

/// Calls the API with JSON.
fn call(relying: &Relying, path: &str, body: &Value) -> (u16, Value) {
    let client = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let asked = client.post(format!("{}{path}", relying.url)).header("content-type", "application/json").body(body.to_string());
    let response = asked.send().unwrap();
    (response.status().as_u16(), serde_json::from_str(&response.text().unwrap()).unwrap_or_default())
}

fn query(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect::<Vec<_>>().join("&")
}

fn signed_on(relying: &Relying, who: &str) -> Browser {
    let mut browser = Browser::new();
    let page = browser.go(&format!("{}/login", relying.url));
    browser.submit(&page, &[("who", who)]);
    assert!(relying.session(&browser).is_some());
    browser
}

/// The page that asks the person, for a loopback login with these fields besides the usual ones.
fn asks(relying: &Relying, browser: &mut Browser, more: &[(&str, &str)]) -> Seen {
    let challenge = challenge();
    let mut fields = vec![("redirect_uri", TARGET), ("state", "s1"), ("code_challenge", challenge.as_str()), ("host", "laptop")];
    for (name, value) in more {
        fields.retain(|(other, _)| other != name);
        fields.push((name, value));
    }
    browser.once(&format!("{}/login/cli?{}", relying.url, query(&fields)), None)
}

/// Says yes, and gives the code that the browser takes to the command line.
fn code(browser: &mut Browser, page: &Seen) -> String {
    let (action, fields) = form(page, &[("answer", "yes")]);
    let seen = browser.once(&action, Some(&fields));
    let location = reqwest::Url::parse(&seen.location.unwrap_or_else(|| panic!("{}", seen.body))).unwrap();
    assert!(location.as_str().starts_with(TARGET));
    assert!(location.query_pairs().any(|(name, value)| name == "state" && value == "s1"));
    location.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

fn redeem(relying: &Relying, code: &str) -> (u16, Value) {
    call(relying, "/v1/login/token", &json!({ "code": code, "code_verifier": VERIFIER }))
}

fn check(relying: &Relying, token: &str) -> Option<Login> {
    check_at(relying, token, 0)
}

fn check_at(relying: &Relying, token: &str, later: i64) -> Option<Login> {
    let at = now() + later * SECOND;
    runtime().block_on(tokens::check(&relying.party.identity, &relying.party.store, token, at)).unwrap()
}

fn decider(relying: &Relying, login: &Login) -> Result<SignedOn, Error> {
    runtime().block_on(tokens::decider(&relying.party.identity, &relying.party.store, login, now()))
}

/// A token of somebody, by the loopback flow.
fn token(relying: &Relying, browser: &mut Browser, scope: &str) -> String {
    let page = asks(relying, browser, &[("scope", scope)]);
    let code = code(browser, &page);
    let (status, told) = redeem(relying, &code);
    assert_eq!(status, 200, "{told}");
    told["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_person_lets_a_command_line_act_as_them() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    let sent = asks(&relying, &mut browser, &[]);
    let page = browser.follow(sent);
    let page = browser.submit(&page, &[("who", "alice")]);
    assert!(page.body.contains("Let gate on <code>laptop</code> act as Alice Archer?"), "{page:?}");
    let code = code(&mut browser, &page);
    let (status, told) = redeem(&relying, &code);
    assert_eq!(status, 200);
    assert_eq!(told["person"], json!({ "issuer": format!("{}/dev/idp", relying.url), "subject": "alice" }));
    assert_eq!((&told["scope"], &told["name"]), (&json!("request"), &json!("Alice Archer")));
    let login = check(&relying, told["token"].as_str().unwrap()).unwrap();
    assert_eq!((login.person.subject.as_str(), login.scope, login.device, login.host.as_str()), ("alice", Scope::Request, false, "laptop"));
    assert!(matches!(decider(&relying, &login), Err(Error::Refused(_))), "it may only ask");
    assert_eq!(redeem(&relying, &code).0, 400, "a code is worth one token");
    let events = runtime().block_on(relying.party.store.events(0, 10)).unwrap();
    let told = &events.last().unwrap();
    assert_eq!((told.kind.as_str(), &told.data["host"]), ("login.host", &json!("laptop")));
}

#[test]
fn a_code_without_its_verifier_is_worth_nothing_and_is_spent() {
    let relying = Relying::dev();
    let mut browser = signed_on(&relying, "alice");
    let page = asks(&relying, &mut browser, &[]);
    let code = code(&mut browser, &page);
    let (status, told) = call(&relying, "/v1/login/token", &json!({ "code": code, "code_verifier": "stolen" }));
    assert_eq!((status, &told["error"]), (400, &json!("invalid_grant")));
    assert_eq!(redeem(&relying, &code).0, 400);
}

#[test]
fn a_code_goes_to_the_person_s_own_host_only() {
    let relying = Relying::dev();
    let mut browser = signed_on(&relying, "alice");
    for target in [
        "https://evil.example/cb",
        "http://evil.example:1/cb",
        "http://localhost:54321/cb",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1@evil.example/cb",
        "http://127.0.0.1.evil.example:1/cb",
        "http://a@127.0.0.1:1/cb",
        "http://127.0.0.1:1/cb#f",
        "http://127.0.0.1:1/cb?code=x",
        "javascript:alert(1)",
    ] {
        assert_eq!(asks(&relying, &mut browser, &[("redirect_uri", target)]).status, 400, "{target}");
    }
    for wrong in [("code_challenge", "short"), ("host", ""), ("state", ""), ("scope", "everything"), ("key", "nonsense")] {
        assert_eq!(asks(&relying, &mut browser, &[wrong]).status, 400, "{wrong:?}");
    }
    let page = asks(&relying, &mut browser, &[("host", "<b>\u{202e}evil")]);
    assert!(page.body.contains("&#60;b&#62;\\u{202e}evil"), "{}", page.body);
}

#[test]
fn only_a_click_on_the_own_page_lets_a_command_line_in() {
    let relying = Relying::dev();
    let mut browser = signed_on(&relying, "alice");
    let page = asks(&relying, &mut browser, &[]);
    let (action, mut fields) = form(&page, &[("answer", "yes")]);
    fields.iter_mut().filter(|(name, _)| name == "csrf").for_each(|(_, value)| *value = "guessed".to_owned());
    let seen = browser.once(&action, Some(&fields));
    assert_eq!((seen.status.as_u16(), seen.location), (400, None));
    let seen = browser.once(&action, Some(&form(&page, &[("answer", "no")]).1));
    assert_eq!(seen.location.unwrap(), format!("{TARGET}?error=access_denied&state=s1"));
}

#[test]
fn a_token_that_decides_ends_with_the_day_and_with_the_sign_on() {
    let relying = Relying::dev();
    let mut browser = signed_on(&relying, "bob");
    let decides = token(&relying, &mut browser, "request+decide");
    let asks = token(&relying, &mut browser, "request");
    let login = check(&relying, &decides).unwrap();
    let on = decider(&relying, &login).unwrap();
    assert_eq!((on.person.subject.as_str(), on.groups.names.as_slice()), ("bob", ["sre".to_owned()].as_slice()));
    assert!(on.slots.contains(&"team:sre".to_owned()));
    assert!(check_at(&relying, &decides, 13 * 3600).is_none());
    assert!(check_at(&relying, &asks, 29 * 24 * 3600).is_some());
    assert!(check_at(&relying, &asks, 31 * 24 * 3600).is_none());
}

#[test]
fn signing_off_in_the_browser_leaves_a_command_line_that_decides_its_sign_on() {
    let relying = Relying::dev();
    let mut browser = signed_on(&relying, "bob");
    let login = check(&relying, &token(&relying, &mut browser, "request+decide")).unwrap();
    let csrf = relying.session(&browser).unwrap().csrf().to_owned();
    browser.once(&format!("{}/auth/logout", relying.url), Some(&[("csrf".to_owned(), csrf)]));
    assert!(relying.session(&browser).is_none());
    assert!(decider(&relying, &login).is_ok());
}

#[test]
fn a_token_is_refused_when_it_is_changed_made_up_or_revoked() {
    let relying = Relying::dev();
    let mut browser = signed_on(&relying, "alice");
    let good = token(&relying, &mut browser, "request");
    let login = check(&relying, &good).unwrap();
    for at in 0..good.len() {
        let mut other = good.clone().into_bytes();
        other[at] = if other[at] == b'x' { b'y' } else { b'x' };
        assert!(check(&relying, &String::from_utf8(other).unwrap()).is_none(), "{at}");
    }
    for bad in ["", "gate_pat_", &good[1..], &format!("{good}0"), &good.replace("gate_pat_", "gate_pat-"), &"ä".repeat(40)] {
        assert!(check(&relying, bad).is_none(), "{bad}");
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(relying.directory.path()).unwrap() {
        found.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let secret = &good["gate_pat_".len() + 17..good.len() - 8];
    assert!(!found.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "only its SHA-256 is kept");
    let store: &dyn Store = &relying.party.store;
    let bob = signed_on(&relying, "bob");
    let bob = relying.session(&bob).unwrap().into_signed_on().person;
    assert!(!runtime().block_on(tokens::revoke(store, &bob, &login.id, now())).unwrap(), "it is not his");
    assert_eq!(runtime().block_on(tokens::list(store, &login.person, now())).unwrap(), std::slice::from_ref(&login));
    assert!(runtime().block_on(tokens::revoke(store, &login.person, &login.id, now())).unwrap());
    assert!(check(&relying, &good).is_none());
}

#[test]
fn a_command_line_ends_its_own_token() {
    let relying = Relying::dev();
    let mut browser = signed_on(&relying, "alice");
    let token = token(&relying, &mut browser, "request");
    let client = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let end =
        || client.delete(format!("{}/v1/login/token", relying.url)).header("authorization", format!("Bearer {token}")).send().unwrap();
    assert_eq!(end().status(), 204);
    assert_eq!(end().status(), 401);
}

fn device(relying: &Relying, more: &Value) -> Value {
    let mut wish = json!({ "host": "build-7", "scope": "request+decide", "code_challenge": challenge() });
    wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, told) = call(relying, "/v1/login/device", &wish);
    assert_eq!(status, 200, "{told}");
    told
}

fn polls(relying: &Relying, device: &Value) -> (u16, Value) {
    call(relying, "/v1/login/token", &json!({ "device_code": device["device_code"], "code_verifier": VERIFIER }))
}

#[test]
fn a_command_line_without_a_browser_shows_a_code_and_counts_as_second_person_at_most() {
    let relying = Relying::dev();
    let told = device(&relying, &json!({}));
    assert_eq!((&told["expires_in"], &told["interval"]), (&json!(600), &json!(5)));
    assert_eq!(told["verification_uri"], format!("{}/device", relying.url));
    let user_code = told["user_code"].as_str().unwrap();
    assert_eq!((user_code.len(), &user_code[4..5]), (9, "-"));
    assert_eq!(polls(&relying, &told).1["error"], "authorization_pending");
    let mut browser = Browser::new();
    let page = browser.go(told["verification_uri_complete"].as_str().unwrap());
    let page = browser.submit(&page, &[("who", "carol+mfa")]);
    assert!(page.body.contains("build-7") && page.body.contains("started <code>gate login</code> yourself"), "{page:?}");
    let done = browser.submit(&page, &[("answer", "yes")]);
    assert!(done.body.contains("The command line acts as you now"), "{done:?}");
    let (status, granted) = polls(&relying, &told);
    assert_eq!(status, 200, "{granted}");
    let login = check(&relying, granted["token"].as_str().unwrap()).unwrap();
    assert!(login.device);
    assert_eq!(relying.session(&browser).unwrap().on().assurance(now()), Assurance::FreshMfa);
    assert_eq!(decider(&relying, &login).unwrap().assurance(now()), Assurance::SecondPerson, "an attacker may have sent the code");
    assert_eq!(polls(&relying, &told).1["error"], "expired_token", "it is told once");
}

#[test]
fn a_device_login_can_be_refused_mistyped_and_asked_for_too_often() {
    let relying = Relying::dev();
    let mut browser = signed_on(&relying, "carol");
    let at = format!("{}/device", relying.url);
    assert!(browser.go(&at).body.contains("The code that"));
    let wrong = browser.go(&format!("{at}?user_code=BBBB-BBBB"));
    assert!(wrong.status == 404 && wrong.body.contains("No command line shows this code"));
    let told = device(&relying, &json!({}));
    let sloppy = told["user_code"].as_str().unwrap().replace('-', " ").to_lowercase();
    let page = browser.go(&format!("{at}?user_code={}", percent(&sloppy)));
    browser.submit(&page, &[("answer", "no")]);
    assert_eq!(polls(&relying, &told).1["error"], "access_denied");
    let told = device(&relying, &json!({}));
    let answers: Vec<Value> = (0..40).map(|_| polls(&relying, &told).1["error"].clone()).collect();
    assert!(answers.contains(&json!("slow_down")), "{answers:?}");
    assert_eq!(polls(&relying, &json!({ "device_code": "made-up" })).1["error"], "expired_token");
    let tries: Vec<u16> = (0..30).map(|_| browser.go(&format!("{at}?user_code=CCCC-CCCC")).status.as_u16()).collect();
    assert!(tries.contains(&429), "codes cannot be tried out: {tries:?}");
}

#[test]
fn a_host_s_key_becomes_its_person_s_and_stays_theirs() {
    let relying = Relying::dev();
    let key = || SigningKey::from_pkcs8(&SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap()).unwrap();
    let (own, other) = (key(), key());
    let vkey = Vkey::new("laptop", own.public()).unwrap().to_string();
    let proof = |key: &SigningKey, url: &str| STANDARD.encode(key.sign(proof_text(url, &challenge()).as_bytes()));
    let mut alice = signed_on(&relying, "alice");
    let asked = |browser: &mut Browser, proof: &str| asks(&relying, browser, &[("key", &vkey), ("key_proof", proof)]);
    for wrong in [proof(&other, &relying.url), proof(&own, "https://other.example"), String::new(), "!".to_owned()] {
        assert_eq!(asked(&mut alice, &wrong).status, 400, "{wrong}");
    }
    assert_eq!(asks(&relying, &mut alice, &[("key", &vkey)]).status, 400, "a key without its proof");
    let right = proof(&own, &relying.url);
    let page = asked(&mut alice, &right);
    assert!(page.body.contains("The host's key becomes yours"));
    let code_of_alice = code(&mut alice, &page);
    assert_eq!(redeem(&relying, &code_of_alice).0, 200);
    let bound = || runtime().block_on(relying.party.store.item("host_key", &vkey, now())).unwrap().unwrap().owner;
    let owner = format!("{}/dev/idp#alice", relying.url);
    assert_eq!(bound(), owner);
    let mut bob = signed_on(&relying, "bob");
    let page = asked(&mut bob, &right);
    let code_of_bob = code(&mut bob, &page);
    let (status, told) = redeem(&relying, &code_of_bob);
    assert_eq!(status, 400, "{told}");
    assert!(told["error_description"].as_str().unwrap().contains("another person"));
    assert_eq!(bound(), owner, "else bob could ask with the key, and alice decide");
}
