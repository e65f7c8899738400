//! Providers that lie, change their keys, or are down.

use std::sync::Arc;

use gate::policy::Assurance;
use gate::server::identity::{Error, SignedOn, backchannel, groups_now, requester};
use gate::server::model::Wall;
use serde_json::{Value, json};

use crate::identity_support::{Browser, Draft, Key, Liar, Relying, SECOND, Seen, issuer, now, runtime};

const FACTOR: &str = "groups_age = \"5m\"\n[[issuer.assurance]]\nassurance = \"fresh-mfa\"\nacr = [\"phr\"]\nmax_age = \"5m\"";

/// A server that relies on a liar.
struct Stage {
    relying: Relying,
    liar: Arc<Liar>,
}

impl Stage {
    fn new(more: &str) -> Self {
        let liar = Liar::new();
        let relying = Relying::new(&issuer("liar", &liar.url, &more.replace("LIAR", &liar.url)));
        Self { relying, liar }
    }

    fn sign_on(&self, browser: &mut Browser) -> Seen {
        browser.go(&format!("{}/login/liar", self.relying.url))
    }

    fn step_up(&self, browser: &mut Browser) -> Seen {
        browser.go(&format!("{}/auth/step-up?return=/&max_age=60", self.relying.url))
    }

    /// Somebody whom the provider tells the truth about.
    fn signed_on(&self) -> (Browser, SignedOn) {
        let mut browser = Browser::new();
        let seen = self.sign_on(&mut browser);
        let session = self.relying.session(&browser).unwrap_or_else(|| panic!("{seen:?}"));
        (browser, session.into_signed_on())
    }

    fn groups(&self, on: &SignedOn, now: Wall) -> Result<SignedOn, Error> {
        runtime().block_on(groups_now(&self.relying.party.identity, &self.relying.party.store, on.clone(), now))
    }

    /// Nobody is signed on while it lies like this, and the reason is said.
    fn refuses(&self, why: &str, lie: impl Fn(&mut Draft) + Send + 'static) {
        self.liar.lies(lie);
        let mut browser = Browser::new();
        let seen = self.sign_on(&mut browser);
        assert!(seen.status.is_client_error() || seen.status.is_server_error(), "{why}: {seen:?}");
        assert!(seen.body.contains(why), "{why}: {seen:?}");
        assert!(browser.cookie(&self.relying.url, "gate_session").is_none(), "{why}");
    }
}

fn claim(name: &'static str, value: Value) -> impl Fn(&mut Draft) + Send + 'static {
    move |draft| match &value {
        Value::Null => drop(draft.claims.as_object_mut().unwrap().remove(name)),
        value => draft.claims[name] = value.clone(),
    }
}

fn header(name: &'static str, value: Value) -> impl Fn(&mut Draft) + Send + 'static {
    move |draft| match &value {
        Value::Null => drop(draft.header.as_object_mut().unwrap().remove(name)),
        value => draft.header[name] = value.clone(),
    }
}

fn seconds() -> i64 {
    now() / SECOND
}

#[test]
fn a_token_that_is_wrong_in_one_thing_signs_nobody_on() {
    let stage = Stage::new("");
    stage.signed_on();
    stage.refuses("in a way that is not believed", |draft| {
        draft.header["alg"] = json!("none");
        draft.key = Key::None;
    });
    stage.refuses("in a way that is not believed", |draft| {
        draft.header["alg"] = json!("HS256");
        draft.key = Key::Shared;
    });
    for alg in ["None", "RS1", "ES256K", "eddsa", "HS512", ""] {
        stage.refuses("in a way that is not believed", header("alg", json!(alg)));
    }
    stage.refuses("in a way that is not believed", header("alg", Value::Null));
    for alg in ["RS256", "PS256", "ES256"] {
        stage.refuses("key that the token names is not for it", header("alg", json!(alg)));
    }
    stage.refuses("signature is wrong", |draft| draft.key = Key::Other);
    stage.refuses("signature is wrong", |draft| draft.key = Key::None);
    stage.refuses("no such key", header("kid", json!("two")));
    stage.refuses("malformed", header("kid", json!(1)));
    stage.refuses("an extension", header("crit", json!(["exp"])));
    stage.refuses("another kind", header("typ", json!("logout+jwt")));
    stage.refuses("another kind", header("typ", json!("at+jwt")));
    stage.refuses("another issuer", claim("iss", json!("https://other.example")));
    stage.refuses("another issuer", |draft| draft.claims["iss"] = json!(format!("{}/", draft.claims["iss"].as_str().unwrap())));
    stage.refuses("another issuer", claim("iss", Value::Null));
    stage.refuses("for somebody else", claim("aud", json!("another")));
    stage.refuses("for somebody else", claim("aud", json!(["another", "gate2"])));
    stage.refuses("for somebody else", claim("aud", Value::Null));
    stage.refuses("another client", claim("aud", json!(["gate", "another"])));
    stage.refuses("another client", claim("azp", json!("another")));
    stage.refuses("expired", claim("exp", json!(seconds() - 61)));
    stage.refuses("does not say when", claim("exp", Value::Null));
    stage.refuses("does not say when", claim("exp", json!("9999999999")));
    stage.refuses("does not say when", claim("exp", json!(-1)));
    stage.refuses("does not say when", claim("iat", Value::Null));
    stage.refuses("from the future", claim("iat", json!(seconds() + 120)));
    stage.refuses("from the future", claim("nbf", json!(seconds() + 120)));
    stage.refuses("in the future", claim("auth_time", json!(seconds() + 120)));
    stage.refuses("another sign-on", claim("nonce", json!("replayed")));
    stage.refuses("another sign-on", claim("nonce", Value::Null));
    stage.refuses("who it is", claim("sub", Value::Null));
    stage.refuses("who it is", claim("sub", json!("")));
    stage.refuses("who it is", claim("sub", json!("a\nb")));
    stage.refuses("who it is", claim("sub", json!("a".repeat(256))));
    stage.liar.lies(|_| {});
    stage.signed_on();
}

#[test]
fn what_differs_within_the_clocks_skew_and_the_standard_s_freedoms_signs_on() {
    let stage = Stage::new("");
    for lie in [
        claim("exp", json!(seconds() - 30)),
        claim("iat", json!(seconds() + 30)),
        claim("iat", json!(1_000_000_000.5)),
        claim("aud", json!(["gate"])),
        claim("azp", json!("gate")),
        claim("auth_time", Value::Null),
    ] {
        stage.liar.lies(lie);
        stage.signed_on();
    }
    for lie in [header("typ", Value::Null), header("kid", Value::Null)] {
        stage.liar.lies(lie);
        stage.signed_on();
    }
    stage.liar.lies(|draft| {
        draft.claims["aud"] = json!(["gate", "another"]);
        draft.claims["azp"] = json!("gate");
    });
    stage.signed_on();
}

#[test]
fn an_answer_of_another_provider_or_without_its_state_or_code_signs_nobody_on() {
    let stage = Stage::new("");
    let answer = |name: &'static str, value: &str| {
        let value = value.to_owned();
        move |draft: &mut Draft| drop(draft.answer.insert(name, value.clone()))
    };
    stage.refuses("of another provider", answer("iss", "https://other.example"));
    stage.refuses("of another provider", answer("iss", ""));
    stage.refuses("another sign-on", answer("state", "other"));
    stage.refuses("another sign-on", answer("state", ""));
    stage.refuses("has no code", answer("code", ""));
    stage.refuses("refused the code", answer("code", "made-up"));
    stage.refuses("did not sign the person on", answer("error", "access_denied"));
    stage.refuses("did not sign the person on", answer("error", "<script>alert(1)</script>"));
    // A provider that does not promise the parameter may leave it out, but not name another.
    let stage = Stage::new("");
    stage.liar.publishes("authorization_response_iss_parameter_supported", json!(false));
    stage.liar.lies(answer("iss", ""));
    stage.signed_on();
    stage.refuses("of another provider", answer("iss", "https://other.example"));
}

#[test]
fn keys_whose_kinds_or_names_are_confused_sign_nobody_on() {
    let stage = Stage::new("");
    let (one, other) = (stage.liar.jwk(Key::One, "one"), stage.liar.jwk(Key::Other, "one"));
    let keys = |stage: &Stage, keys: Value| stage.liar.publishes("keys", keys);
    keys(&stage, json!([other, one]));
    stage.refuses("is not for it", |_| {});
    let mut encrypts = one.clone();
    encrypts["use"] = json!("enc");
    let mut wrong_algorithm = one.clone();
    wrong_algorithm["alg"] = json!("HS256");
    let mut symmetric = json!({ "kty": "oct", "kid": "one", "k": one["x"], "alg": "HS256" });
    for set in [json!([encrypts]), json!([wrong_algorithm]), json!([symmetric.take()]), json!([]), json!([{}]), json!([1, null])] {
        let stage = Stage::new("");
        keys(&stage, set);
        stage.refuses("no such key", |_| {});
    }
    let stage = Stage::new("");
    keys(&stage, json!("nonsense"));
    stage.refuses("keys are malformed", |_| {});
}

#[test]
fn metadata_of_another_issuer_or_of_an_open_line_is_refused() {
    for (name, value, why) in [
        ("issuer", json!("https://other.example"), "of another issuer"),
        ("issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0"), "of another issuer"),
        ("jwks_uri", json!("http://keys.example/"), "must be https"),
        ("token_endpoint", json!("http://token.example/"), "must be https"),
        ("authorization_endpoint", json!("javascript:alert(1)"), "must be https"),
        ("jwks_uri", json!(null), "metadata is malformed"),
        ("authorization_endpoint", json!(null), "no authorization endpoint"),
    ] {
        let stage = Stage::new("");
        stage.liar.publishes(name, value);
        stage.refuses(why, |_| {});
    }
}

#[test]
fn keys_are_kept_for_an_hour_and_a_new_one_is_sought_once_a_minute() {
    let stage = Stage::new("");
    stage.signed_on();
    stage.signed_on();
    assert_eq!((stage.liar.asked("discovery"), stage.liar.asked("keys")), (1, 1));
    for _ in 0..5 {
        stage.refuses("no such key", header("kid", json!("made-up")));
    }
    assert_eq!(stage.liar.asked("keys"), 2, "whoever makes names of keys up makes nobody fetch");
    // The provider changes its key: the new one is found at once by a server that has not just looked.
    let stage = Stage::new("");
    stage.signed_on();
    stage.liar.publishes("keys", json!([stage.liar.jwk(Key::Other, "two")]));
    stage.liar.lies(|draft| {
        draft.header["kid"] = json!("two");
        draft.key = Key::Other;
    });
    stage.signed_on();
    assert_eq!(stage.liar.asked("keys"), 2);
    stage.refuses("no such key", |draft| draft.key = Key::One);
}

#[test]
fn while_a_provider_is_down_nobody_signs_on() {
    for (what, why) in [("discovery", "answers 503"), ("keys", "answers 503"), ("token", "503")] {
        let stage = Stage::new("");
        stage.liar.down.lock().unwrap().push(what);
        stage.refuses(why, |_| {});
    }
    let gone = Relying::new(&issuer("gone", "http://127.0.0.1:1", ""));
    let seen = Browser::new().go(&format!("{}/login", gone.url));
    assert_eq!(seen.status, 502);
    assert!(seen.body.contains("cannot be reached"));
}

#[test]
fn a_code_is_worth_one_sign_on() {
    let stage = Stage::new("");
    stage.signed_on();
    stage.refuses("refused the code", |draft| {
        draft.answer.insert("code", "code-1".to_owned());
    });
}

#[test]
fn a_step_up_counts_only_where_the_token_proves_it() {
    let stage = Stage::new(FACTOR);
    let (mut browser, on) = stage.signed_on();
    assert_eq!(on.assurance(now()), Assurance::SecondPerson);
    let mut refuses = |lie: Box<dyn Fn(&mut Draft) + Send>| {
        stage.liar.lies(lie);
        let seen = stage.step_up(&mut browser);
        assert_eq!(seen.status, 403, "{seen:?}");
        let on = stage.relying.session(&browser).unwrap().into_signed_on();
        assert_eq!(on.assurance(now()), Assurance::SecondPerson);
    };
    refuses(Box::new(|_| {}));
    refuses(Box::new(claim("acr", json!("pwd"))));
    refuses(Box::new(claim("acr", json!(["phr"]))));
    refuses(Box::new(|draft| {
        draft.claims["acr"] = json!("phr");
        draft.claims.as_object_mut().unwrap().remove("auth_time");
    }));
    refuses(Box::new(|draft| {
        draft.claims["acr"] = json!("phr");
        draft.claims["auth_time"] = json!(seconds() - 100);
    }));
    refuses(Box::new(|draft| {
        draft.answer.insert("error", "unmet_authentication_requirements".to_owned());
    }));
    stage.liar.lies(claim("acr", json!("phr")));
    stage.step_up(&mut browser);
    let at = now();
    assert_eq!(stage.relying.session(&browser).unwrap().on().assurance(at), Assurance::FreshMfa);
    let asked = browser.went.iter().rev().find(|url| url.contains("/authorize")).unwrap();
    assert!(asked.contains("acr_values=phr") && asked.contains("max_age=60"), "{asked}");
}

#[test]
fn a_second_factor_that_the_provider_dates_long_ago_counts_for_nothing() {
    let stage = Stage::new(FACTOR);
    stage.liar.lies(|draft| {
        draft.claims["acr"] = json!("phr");
        draft.claims["auth_time"] = json!(seconds() - 301);
    });
    assert_eq!(stage.signed_on().1.assurance(now()), Assurance::SecondPerson);
}

#[test]
fn groups_are_read_again_when_somebody_decides() {
    let stage = Stage::new("scopes = [\"openid\", \"offline_access\"]");
    let (_, on) = stage.signed_on();
    let at = now();
    stage.liar.lies(claim("groups", json!(["night-shift"])));
    assert_eq!(stage.groups(&on, at + 60 * SECOND).unwrap().groups.names, ["ops"], "young enough");
    let read = stage.groups(&on, at + 301 * SECOND).unwrap();
    assert_eq!(read.groups.names, ["night-shift"]);
}

#[test]
fn groups_that_cannot_be_read_again_are_no_groups_and_it_says_so() {
    let stage = Stage::new("");
    let (_, on) = stage.signed_on();
    let at = now();
    stage.liar.down.lock().unwrap().push("token");
    let read = stage.groups(&on, at + 301 * SECOND).unwrap();
    assert!(read.groups.names.is_empty() && read.groups.missing.is_some(), "{read:?}");
    assert_eq!(read.slots, [format!("person:{}#ann", stage.liar.url)]);
    stage.liar.down.lock().unwrap().clear();
    assert_eq!(stage.groups(&on, at + 302 * SECOND).unwrap().groups.names, ["ops"]);
}

#[test]
fn a_refresh_token_is_used_once_though_several_decide_at_once() {
    let stage = Stage::new("");
    let (_, on) = stage.signed_on();
    let at = now() + 301 * SECOND;
    let (identity, store) = (&stage.relying.party.identity, &stage.relying.party.store);
    let read = runtime().block_on(futures_util::future::join_all((0..8).map(|_| groups_now(identity, store, on.clone(), at))));
    assert!(read.iter().all(|read| read.as_ref().is_ok_and(|on| on.groups.names == ["ops"])), "{read:?}");
    assert_eq!(stage.liar.asked("refreshed"), 1);
}

#[test]
fn a_person_whose_sign_on_the_provider_ended_is_signed_off() {
    let stage = Stage::new("");
    let (browser, on) = stage.signed_on();
    // The refresh token that the server has is no longer the one that the provider expects.
    stage.liar.asked.lock().unwrap().push("refreshed".to_owned());
    let read = stage.groups(&on, now() + 301 * SECOND);
    assert!(matches!(read, Err(Error::Ended)), "{read:?}");
    assert!(stage.relying.session(&browser).is_none());
}

#[test]
fn a_refreshed_token_about_somebody_else_gives_no_groups() {
    let stage = Stage::new("");
    let (_, on) = stage.signed_on();
    stage.liar.lies(claim("sub", json!("bob")));
    let read = stage.groups(&on, now() + 301 * SECOND).unwrap();
    assert!(read.groups.names.is_empty() && read.groups.missing.unwrap().contains("somebody else"));
}

#[test]
fn groups_come_from_userinfo_where_the_token_is_silent_and_never_from_that_of_another() {
    let stage = Stage::new("");
    stage.liar.lies(claim("groups", Value::Null));
    assert_eq!(stage.signed_on().1.groups.names, ["from-userinfo"]);
    stage.liar.down.lock().unwrap().push("userinfo");
    let on = stage.signed_on().1;
    assert!(on.groups.names.is_empty() && on.groups.missing.is_some());
}

#[test]
fn a_person_of_entra_is_tenant_and_object_and_of_the_issuer_s_own_tenant() {
    let stage = Stage::new("kind = \"entra\"");
    let tenant = "127.0.0.1";
    let lie = |tid: &'static str| {
        move |draft: &mut Draft| {
            draft.claims["tid"] = json!(tid);
            draft.claims["oid"] = json!("object-1");
        }
    };
    stage.refuses("who it is", |_| {});
    stage.refuses("who it is", lie("other-tenant"));
    // The liar's issuer has no path: its tenant is what stands between the slashes.
    let place = stage.liar.url.trim_start_matches("http://").to_owned();
    assert!(place.starts_with(tenant));
    let place: &'static str = place.leak();
    stage.liar.lies(lie(place));
    assert_eq!(stage.signed_on().1.person.subject, format!("{place}/object-1"));
}

#[test]
fn groups_of_entra_that_do_not_fit_are_read_from_the_directory_or_there_are_none() {
    for overage in [json!({ "_claim_names": { "groups": "src1" } }), json!({ "hasgroups": true })] {
        let stage = Stage::new("kind = \"entra\"\ngraph = \"LIAR\"");
        let place: &'static str = stage.liar.url.trim_start_matches("http://").to_owned().leak();
        stage.liar.lies(move |draft| {
            let claims = draft.claims.as_object_mut().unwrap();
            claims.remove("groups");
            claims.extend(overage.as_object().unwrap().clone());
            claims.insert("tid".to_owned(), json!(place));
            claims.insert("oid".to_owned(), json!("o"));
        });
        assert_eq!(stage.signed_on().1.groups.names, ["g-201", "g-202"]);
        stage.liar.down.lock().unwrap().push("objects");
        let on = stage.signed_on().1;
        assert!(on.groups.names.is_empty() && on.groups.missing.unwrap().contains("503"));
    }
}

#[test]
fn entra_is_asked_for_an_authentication_context_and_must_show_it() {
    let stage = Stage::new("kind = \"entra\"\n[[issuer.assurance]]\nassurance = \"fresh-mfa\"\nacrs = \"c1\"");
    let place: &'static str = stage.liar.url.trim_start_matches("http://").to_owned().leak();
    let lie = |acrs: Value| {
        move |draft: &mut Draft| {
            draft.claims["tid"] = json!(place);
            draft.claims["oid"] = json!("o");
            draft.claims["acrs"] = acrs.clone();
        }
    };
    stage.liar.lies(lie(json!(["c2"])));
    let mut browser = stage.signed_on().0;
    assert_eq!(stage.step_up(&mut browser).status, 403);
    stage.liar.lies(lie(json!(["c2", "c1"])));
    stage.step_up(&mut browser);
    assert_eq!(stage.relying.session(&browser).unwrap().on().assurance(now()), Assurance::FreshMfa);
    let asked = browser.went.iter().rev().find(|url| url.contains("/authorize")).unwrap();
    let asked = reqwest::Url::parse(asked).unwrap();
    let claims: Value = serde_json::from_str(&asked.query_pairs().find(|(name, _)| name == "claims").unwrap().1).unwrap();
    assert_eq!(claims["id_token"]["acrs"], json!({ "essential": true, "value": "c1" }));
}

#[test]
fn a_provider_signs_people_off_by_a_token_that_is_right_and_new() {
    const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
    let stage = Stage::new("");
    let (browser, _) = stage.signed_on();
    let events = json!({ EVENT: {} });
    let right = json!({ "sub": "ann", "sid": "s1", "jti": "1", "events": events });
    let with = |changes: Value| {
        let mut claims = right.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        stage.liar.logout_token(&claims)
    };
    let at = now();
    let told = |token: &str| runtime().block_on(backchannel(&stage.relying.party.identity, &stage.relying.party.store, token, at));
    for changes in [
        json!({ "nonce": "n" }),
        json!({ "events": null }),
        json!({ "events": { "other": {} } }),
        json!({ "events": { EVENT: 1 } }),
        json!({ "jti": null }),
        json!({ "sub": null, "sid": null }),
        json!({ "iss": "https://other.example" }),
        json!({ "aud": "another" }),
        json!({ "exp": seconds() - 100 }),
        json!({ "iat": null }),
    ] {
        assert!(told(&with(changes.clone())).is_err(), "{changes}");
    }
    assert_eq!(told(&with(json!({ "sid": "s2", "jti": "2" }))).unwrap(), 0);
    assert_eq!(told(&with(json!({ "sub": "bob", "sid": null, "jti": "3" }))).unwrap(), 0);
    assert!(stage.relying.session(&browser).is_some());
    let token = with(json!({}));
    let mut provider = Browser::new();
    let seen = provider.once(&format!("{}/auth/backchannel", stage.relying.url), Some(&[("logout_token".to_owned(), token.clone())]));
    assert_eq!(seen.status, 200);
    assert!(stage.relying.session(&browser).is_none());
    let (again, _) = stage.signed_on();
    assert!(told(&token).is_err(), "the same token signs nobody off twice");
    assert!(stage.relying.session(&again).is_some());
    assert_eq!(told(&with(json!({ "sid": null, "jti": "4" }))).unwrap(), 1, "all sessions of the person");
    // An ID token is none, and one signed by another is none.
    let (browser, _) = stage.signed_on();
    stage.liar.lies(|draft| draft.key = Key::Other);
    assert!(told(&with(json!({ "jti": "5" }))).is_err());
    assert!(stage.relying.session(&browser).is_some());
}

#[test]
fn a_workload_asks_when_its_token_says_exactly_what_was_configured() {
    let liar = Liar::new();
    let section = |name: &str, way: &str, more: &str| {
        format!("[[workload]]\nname = \"{name}\"\nway = \"{way}\"\nurl = \"{}\"\naudience = \"https://gate.example\"\n{more}\n", liar.url)
    };
    let ci = section(
        "ci",
        "github",
        "allow = [{ repository_id = \"7\", ref = \"refs/heads/main\" }, { repository_id = \"8\" }]\nactor = \"actor_id\"\n\
         [workload.people]\n42 = \"person:https://id.example#ann\"",
    );
    let cluster = section("prod", "kubernetes", "allow = [{ sub = \"system:serviceaccount:ops:deployer\" }]");
    let relying = Relying::new(&format!("{ci}{cluster}"));
    let asks = |claims: &Value| runtime().block_on(requester(&relying.party.identity, &liar.workload_token(claims), now()));
    let main = json!({ "sub": "repo:org/app:ref:refs/heads/main", "repository_id": "7", "ref": "refs/heads/main", "actor_id": "42" });
    let who = asks(&main).unwrap();
    assert_eq!((who.way.as_str(), who.name.as_str()), ("github", "ci:repo:org/app:ref:refs/heads/main"));
    let ann = who.person.unwrap();
    assert_eq!((ann.issuer.as_str(), ann.subject.as_str()), ("https://id.example", "ann"), "who set it off never decides on it");
    let who = asks(&json!({ "sub": "system:serviceaccount:ops:deployer" })).unwrap();
    assert_eq!((who.way.as_str(), who.name.as_str(), who.person), ("kubernetes", "prod:system:serviceaccount:ops:deployer", None));
    assert!(asks(&json!({ "sub": "repo:org/tool", "repository_id": "8" })).is_ok());
    let changed = |name: &str, value: Value| {
        let mut claims = main.clone();
        claims[name] = value;
        claims
    };
    for wrong in [
        changed("ref", json!("refs/heads/main2")),
        changed("ref", json!("refs/pull/1/merge")),
        changed("repository_id", json!(7)),
        changed("repository_id", json!("77")),
        changed("sub", Value::Null),
        changed("aud", json!("https://other.example")),
        changed("iss", json!("https://token.actions.githubusercontent.com")),
        changed("exp", json!(seconds() - 100)),
        json!({ "sub": "system:serviceaccount:ops:deployer2" }),
        json!({ "sub": "repo:org/evil:ref:refs/heads/main" }),
    ] {
        assert!(asks(&wrong).is_err(), "{wrong}");
    }
    liar.lies(|draft| draft.key = Key::Other);
    assert!(asks(&main).is_err());
    liar.lies(|draft| {
        draft.header["alg"] = json!("HS256");
        draft.key = Key::Shared;
    });
    assert!(asks(&main).is_err());
}
