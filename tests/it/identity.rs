//! Signing on, sessions and teams, with the provider of `gate serve --dev`.

use axum::http::HeaderMap;
use gate::policy::Assurance;
use gate::server::identity::dev::DevProvider;
use gate::server::identity::{Identity, session};
use gate::server::store::Store;
use proptest::prelude::*;

use crate::identity_support::{Browser, Relying, SECOND, now, owner, runtime, secret_file, settings};

/// Signs somebody on at the trial's provider, from wherever the browser is sent to it.
fn sign_on(relying: &Relying, browser: &mut Browser, path: &str, who: &str) -> crate::identity_support::Seen {
    let page = browser.go(&format!("{}{path}", relying.url));
    assert!(page.body.contains("Who are you today?"), "{page:?}");
    browser.submit(&page, &[("who", who)])
}

#[test]
fn a_person_who_signs_on_comes_back_where_they_were_with_name_groups_and_teams() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    let seen = sign_on(&relying, &mut browser, "/login?return=%2Fr%2Freq_1%3Fa%3Db", "alice");
    assert_eq!(seen.url, format!("{}/r/req_1?a=b", relying.url));
    let session = relying.session(&browser).unwrap();
    let on = session.on();
    assert_eq!((on.person.issuer.as_str(), on.person.subject.as_str()), (format!("{}/dev/idp", relying.url).as_str(), "alice"));
    assert_eq!((on.name.as_str(), on.email.as_str()), ("Alice Archer", "alice@example.com"));
    assert_eq!(on.groups.names, ["sre", "payments"]);
    assert_eq!(on.slots, [format!("person:{}/dev/idp#alice", relying.url), "team:payments".to_owned(), "team:sre".to_owned()]);
    assert_eq!(on.assurance(now()), Assurance::SecondPerson);
    let events = runtime().block_on(relying.party.store.events(0, 10)).unwrap();
    assert_eq!(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["login"]);
}

#[test]
fn a_session_ends_when_nobody_uses_it_and_in_any_case_after_half_a_day() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    sign_on(&relying, &mut browser, "/login", "bob");
    let start = now();
    let hour = 3600 * SECOND;
    assert!(relying.session_at(&browser, start + hour - 10 * SECOND).is_some());
    assert!(relying.session_at(&browser, start + 2 * hour - 30 * SECOND).is_some(), "using it keeps it");
    assert!(relying.session_at(&browser, start + 3 * hour).is_none(), "an hour of rest ends it");
    sign_on(&relying, &mut browser, "/login", "bob");
    let start = now();
    for half in 1..24 {
        assert!(relying.session_at(&browser, start + half * hour / 2).is_some(), "{half}");
    }
    assert!(relying.session_at(&browser, start + 12 * hour).is_none(), "it was used all day");
}

#[test]
fn a_sign_on_gives_a_new_session_and_ends_the_old_one() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    sign_on(&relying, &mut browser, "/login", "alice");
    let first = browser.cookie(&relying.url, "gate_session").unwrap();
    sign_on(&relying, &mut browser, "/auth/step-up?return=/", "alice+mfa");
    let second = browser.cookie(&relying.url, "gate_session").unwrap();
    assert_ne!(first, second);
    assert!(relying.session(&browser).is_some());
    browser.set_cookie(&relying.url, "gate_session", &first);
    assert!(relying.session(&browser).is_none());
}

#[test]
fn a_session_that_the_browser_made_up_is_none() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    browser.set_cookie(&relying.url, "gate_session", &"A".repeat(43));
    assert!(relying.session(&browser).is_none());
    sign_on(&relying, &mut browser, "/login", "alice");
    let cookie = browser.cookie(&relying.url, "gate_session").unwrap();
    assert_ne!(cookie, "A".repeat(43), "a session is never one that the browser brought");
    let two = format!("gate_session={cookie}; gate_session=other");
    let mut headers = HeaderMap::new();
    headers.insert("cookie", two.parse().unwrap());
    let read = session::read(&relying.party.identity, &relying.party.store, &headers, now());
    assert!(runtime().block_on(read).unwrap().is_none(), "of two cookies nobody knows which");
}

#[test]
fn a_second_factor_counts_for_five_minutes_and_the_same_person_must_bring_it() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    sign_on(&relying, &mut browser, "/login", "alice");
    let refused = sign_on(&relying, &mut browser, "/auth/step-up?return=/", "alice");
    assert_eq!(refused.status, 403, "no second factor was shown: {refused:?}");
    assert!(refused.body.contains("did not prove the second factor"));
    let refused = sign_on(&relying, &mut browser, "/auth/step-up?return=/", "bob+mfa");
    assert!(refused.body.contains("Another person signed on"), "{refused:?}");
    assert_eq!(relying.session(&browser).unwrap().on().person.subject, "alice", "the session stays as it was");
    sign_on(&relying, &mut browser, "/auth/step-up?return=/", "alice+mfa");
    let (session, now) = (relying.session(&browser).unwrap(), now());
    assert_eq!(session.on().assurance(now), Assurance::FreshMfa);
    assert!(session.on().proved.unwrap() <= now);
    assert_eq!(session.on().assurance(now + 301 * SECOND), Assurance::SecondPerson);
}

#[test]
fn a_sign_on_never_leads_to_another_host() {
    let relying = Relying::dev();
    for away in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/%0d%0aset-cookie:a=b", "/a b", "\\\\evil", "javascript:1"]
    {
        let mut browser = Browser::new();
        let away = crate::identity_support::percent(away).replace("%250d", "%0d").replace("%250a", "%0a");
        let seen = sign_on(&relying, &mut browser, &format!("/login?return={away}"), "bob");
        assert_eq!(seen.url, format!("{}/", relying.url), "{away}");
    }
}

#[test]
fn an_answer_without_its_browser_or_brought_twice_signs_nobody_on() {
    let relying = Relying::dev();
    let mut ann = Browser::new();
    let page = ann.go(&format!("{}/login", relying.url));
    let (action, fields) = crate::identity_support::form(&page, &[("who", "alice")]);
    let answer = ann.once(&action, Some(&fields)).location.unwrap();
    let mut other = Browser::new();
    let seen = other.once(&answer, None);
    assert_eq!(seen.status, 400, "an answer that was lifted off another browser");
    assert!(other.cookie(&relying.url, "gate_session").is_none());
    let page = other.go(&format!("{}/login", relying.url));
    assert!(page.body.contains("Who are you"));
    let seen = other.once(&answer, None);
    assert!(seen.body.contains("belongs to another sign-on"), "the state is of the other browser: {seen:?}");
    ann.once(&answer, None);
    assert!(relying.session(&ann).is_some());
    let again = ann.once(&answer, None);
    assert!(again.body.contains("no sign-on under way"), "{again:?}");
}

#[test]
fn what_changes_something_must_come_from_the_own_page_with_the_session_s_token() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    sign_on(&relying, &mut browser, "/login", "alice");
    let session = relying.session(&browser).unwrap();
    let vouches = |pairs: &[(&'static str, &str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        session.vouches(&relying.party.identity, &headers, None)
    };
    let token = session.csrf();
    assert!(vouches(&[("sec-fetch-site", "same-origin"), ("x-gate-csrf", token)]));
    assert!(vouches(&[("origin", &relying.url), ("x-gate-csrf", token)]));
    assert!(!vouches(&[("x-gate-csrf", token)]));
    assert!(!vouches(&[("sec-fetch-site", "same-origin")]));
    assert!(!vouches(&[("sec-fetch-site", "same-site"), ("origin", &relying.url), ("x-gate-csrf", token)]));
    assert!(!vouches(&[("sec-fetch-site", "none"), ("x-gate-csrf", token)]));
    assert!(!vouches(&[("origin", "https://evil.example"), ("x-gate-csrf", token)]));
    assert!(!vouches(&[("origin", "null"), ("x-gate-csrf", token)]));
    assert!(!vouches(&[("sec-fetch-site", "same-origin"), ("x-gate-csrf", "guessed")]));
}

#[test]
fn signing_off_ends_the_session_here_and_at_the_provider_and_needs_the_session_s_token() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    sign_on(&relying, &mut browser, "/login", "carol");
    let off = format!("{}/auth/logout", relying.url);
    let seen = browser.once(&off, Some(&[("csrf".to_owned(), "guessed".to_owned())]));
    assert_eq!(seen.status, 400);
    let session = relying.session(&browser).unwrap();
    let cookie = browser.cookie(&relying.url, "gate_session").unwrap();
    let seen = browser.once(&off, Some(&[("csrf".to_owned(), session.csrf().to_owned())]));
    assert!(seen.location.unwrap().starts_with(&format!("{}/dev/idp/logout?id_token_hint=", relying.url)));
    browser.set_cookie(&relying.url, "gate_session", &cookie);
    assert!(relying.session(&browser).is_none(), "the cookie alone is worth nothing any more");
}

#[test]
fn the_database_holds_nothing_that_signs_anybody_on() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    sign_on(&relying, &mut browser, "/login", "alice");
    let cookie = browser.cookie(&relying.url, "gate_session").unwrap();
    let mut found = String::new();
    for entry in std::fs::read_dir(relying.directory.path()).unwrap() {
        found.push_str(&String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()));
    }
    assert!(found.contains("Alice Archer"));
    assert!(!found.contains(&cookie));
    // `{"alg":"EdDSA"` in base64: what an ID token begins with.
    assert!(!found.contains("eyJhbGciOiJFZERTQSI"));
}

#[test]
fn the_trial_s_provider_stands_on_a_loopback_address_only() {
    assert!(DevProvider::new("http://127.0.0.1:7443").is_ok());
    assert!(DevProvider::new("http://[::1]:7443").is_ok());
    for url in ["http://192.0.2.1:7443", "https://gate.example", "http://localhost.evil.example", "http://0.0.0.0:7443"] {
        assert!(DevProvider::new(url).is_err(), "{url}");
    }
}

#[test]
fn the_trial_s_provider_gives_codes_to_the_own_server_only() {
    let relying = Relying::dev();
    let mut browser = Browser::new();
    let asked = "client_id=gate&response_type=code&state=s&nonce=n&code_challenge=c&code_challenge_method=S256";
    let seen = browser.go(&format!("{}/dev/idp/authorize?{asked}&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2F", relying.url));
    assert_eq!(seen.status, 400);
}

#[test]
fn a_configuration_that_could_trust_the_wrong_party_is_refused() {
    let directory = tempfile::TempDir::new().unwrap();
    let secret = secret_file(directory.path(), "secret");
    let issuer = |name: &str, url: &str, more: &str| {
        format!("[[issuer]]\nname = \"{name}\"\nurl = \"{url}\"\nclient_id = \"c\"\nclient_secret_file = \"{secret}\"\n{more}\n")
    };
    let read = |text: &str| {
        let settings = settings("https://gate.example", text);
        Identity::new(&settings, owner(), [0; 32]).map(|_| ()).map_err(|error| error.to_string())
    };
    let good = issuer("corp", "https://id.example", "");
    assert_eq!(read(&good), Ok(()));
    let refused = |text: String, why: &str| {
        let error = read(&text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    };
    refused(issuer("corp", "http://id.example", ""), "must be https");
    refused(issuer("corp", "https://a:b@id.example", ""), "holds a user");
    refused(issuer("Corp!", "https://id.example", ""), "is not a name");
    refused(issuer("corp", "https://login.microsoftonline.com/common/v2.0", "kind = \"entra\""), "one tenant");
    refused(issuer("corp", "https://login.microsoftonline.com/{tenantid}/v2.0", "kind = \"entra\""), "one tenant");
    refused(issuer("corp", "https://id.example", "scopes = [\"email\"]"), "`openid`");
    refused(issuer("corp", "https://id.example", &format!("client_key_file = \"{secret}\"")), "one of `client_secret_file`");
    refused(issuer("corp", "https://id.example", "client_key_id = \"k\""), "goes with `client_key_file`");
    refused(good.replace("client_secret_file", "client_key_file"), "no private key in PEM");
    refused(format!("{good}{}", issuer("corp", "https://other.example", "")), "two issuers `corp`");
    refused(format!("{good}{}", issuer("other", "https://id.example", "")), "same url");
    refused(issuer("corp", "https://id.example", "[[issuer.assurance]]\nassurance = \"passkey\"\nacr = [\"x\"]"), "can prove `fresh-mfa`");
    refused(issuer("corp", "https://id.example", "[[issuer.assurance]]\nassurance = \"fresh-mfa\""), "one of `acr`, `amr`, `acrs`");
    refused(
        issuer("corp", "https://id.example", "[[issuer.assurance]]\nassurance = \"fresh-mfa\"\nacr = [\"x\"]\nmax_age = \"30d\""),
        "`24h`",
    );
    refused(format!("teams.sre = [\"group:elsewhere:sre\"]\n{good}"), "`group:elsewhere:sre`");
    refused(format!("teams.sre = [\"alice@example.com\"]\n{good}"), "`alice@example.com`");
    let workload =
        |more: &str| format!("[[workload]]\nname = \"ci\"\nway = \"github\"\nurl = \"https://ci.example\"\naudience = \"gate\"\n{more}\n");
    assert_eq!(read(&workload("allow = [{ repository_id = \"1\" }]")), Ok(()));
    refused(workload("allow = [{}]"), "needs claims");
    refused(workload("allow = []"), "needs claims");
    refused(workload("allow = [{ sub = [\"a\"] }]"), "are compared with");
}

#[test]
fn a_client_s_secret_that_others_can_read_or_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::TempDir::new().unwrap();
    let secret = secret_file(directory.path(), "hidden-in-a-file");
    let text = format!("[[issuer]]\nname = \"corp\"\nurl = \"https://id.example\"\nclient_id = \"c\"\nclient_secret_file = \"{secret}\"\n");
    let read = || Identity::new(&settings("https://gate.example", &text), owner(), [0; 32]);
    let identity = read().unwrap();
    assert!(!format!("{identity:?}").contains("hidden-in-a-file"));
    for mode in [0o604, 0o602, 0o644] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(read().is_err(), "{mode:o}");
    }
    std::fs::remove_file(&secret).unwrap();
    assert!(read().unwrap_err().to_string().contains("is not there"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_path_that_is_returned_to_is_read_as_another_host(path in "[/\\\\a-z:@.?#%\\n\\t ]{0,12}") {
        let back = gate::server::identity::return_path(&path);
        let base = reqwest::Url::parse("https://gate.example/login").unwrap();
        let joined = base.join(back).unwrap();
        prop_assert_eq!(joined.origin(), base.origin());
    }
}
