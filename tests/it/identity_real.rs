//! Signing on with providers that others wrote: oidc-provider (certified), Canaille, and the habits of Okta and Entra as emulate has them.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gate::policy::Assurance;
use gate::server::identity::{SignedOn, groups_now};

use crate::identity_support::{Browser, Relying, SECOND, Seen, form, issuer, listener, now, runtime};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A provider in a process of its own, ended with the test.
pub struct Provider {
    child: Child,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Provider {
    /// Runs it until it says that it listens.
    fn new(mut command: Command, ready: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(ready)), "{command:?} ended");
        // What it says later is read too, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child }
    }

    pub fn node(arguments: &[&str], environment: &[(&str, &str)], ready: &str) -> Self {
        let modules = root().join("target/providers/node_modules");
        let mut command = Command::new(modules.join("node/bin/node"));
        command.args(arguments.iter().map(|argument| argument.replace("MODULES", modules.to_str().unwrap())));
        command.envs(environment.iter().copied());
        Self::new(command, ready)
    }
}

/// So many ports in a row that nobody uses.
pub fn ports(many: u16) -> u16 {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let draw = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    (0..1000).map(|_| draw()).find(|port| (*port..port.saturating_add(many)).all(is_free)).unwrap()
}

/// oidc-provider, and a server that relies on it.
fn certified(alg: &str, more: &str) -> (Provider, Relying, String) {
    let (listener, url) = listener();
    let port = ports(1);
    let script = root().join("tests/node/provider.mjs");
    let provider = Provider::node(&[script.to_str().unwrap(), "MODULES", &port.to_string(), &url], &[("ALG", alg)], "ready");
    let at = format!("http://127.0.0.1:{port}");
    let relying = Relying::on(listener, url, &issuer("op", &at, more));
    (provider, relying, at)
}

fn sign_on(relying: &Relying, browser: &mut Browser, path: &str, filled: &[(&str, &str)]) -> Seen {
    let page = browser.go(&format!("{}{path}", relying.url));
    if page.body.contains("<form") { browser.submit(&page, filled) } else { page }
}

fn signed_on(relying: &Relying, browser: &Browser, seen: &Seen) -> SignedOn {
    relying.session(browser).unwrap_or_else(|| panic!("{seen:?}\n{:?}", browser.went)).into_signed_on()
}

const SCOPES: &str = "scopes = [\"openid\", \"profile\", \"email\", \"groups\", \"offline_access\"]\n[[issuer.assurance]]\nassurance = \"fresh-mfa\"\nacr = [\"phr\"]\n";

#[test]
fn a_certified_provider_signs_people_on_with_each_kind_of_key() {
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let (_provider, relying, at) = certified(alg, SCOPES);
        let mut browser = Browser::new();
        let seen = sign_on(&relying, &mut browser, "/login?return=/inbox", &[("login", "ann")]);
        assert_eq!(seen.url, format!("{}/inbox", relying.url), "{alg}: {seen:?}");
        let on = signed_on(&relying, &browser, &seen);
        assert_eq!((on.person.issuer.as_str(), on.person.subject.as_str()), (at.as_str(), "ann"));
        assert_eq!((on.name.as_str(), on.groups.names.as_slice()), ("Name of ann", ["sre".to_owned(), "dba".to_owned()].as_slice()));
        assert_eq!(on.assurance(now()), Assurance::SecondPerson);
        assert!(on.proved.is_some());
    }
}

/// Makes a key as OpenSSL writes it: where its private half stands, which only the owner reads, and its public one.
fn client_key(directory: &Path, kind: &str, name: &str) -> (String, String) {
    let (private, public) = (directory.join(name), directory.join(format!("{name}.pub")));
    let script = "const [kind, to] = process.argv.slice(1); \
                  const key = require('crypto').generateKeyPairSync(kind, { namedCurve: 'P-256', modulusLength: 2048 }); \
                  require('fs').writeFileSync(to, key.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 }); \
                  require('fs').writeFileSync(to + '.pub', key.publicKey.export({ type: 'spki', format: 'pem' }));";
    let node = root().join("target/providers/node_modules/node/bin/node");
    assert!(Command::new(node).args(["-e", script, kind]).arg(&private).status().unwrap().success());
    (private.to_str().unwrap().to_owned(), public.to_str().unwrap().to_owned())
}

#[test]
fn a_certified_provider_knows_a_server_by_what_it_signs_with_its_own_key() {
    let directory = tempfile::TempDir::new().unwrap();
    for (kind, alg) in [("ed25519", "EdDSA"), ("ec", "ES256"), ("rsa", "RS256")] {
        let (private, public) = client_key(directory.path(), kind, kind);
        let (other, _) = client_key(directory.path(), kind, &format!("{kind}-other"));
        for (key, is_known) in [(private, true), (other, false)] {
            let (listener, url) = listener();
            let port = ports(1);
            let script = root().join("tests/node/provider.mjs");
            let environment = [("CLIENT_KEY", public.as_str()), ("CLIENT_ALG", alg)];
            let _provider = Provider::node(&[script.to_str().unwrap(), "MODULES", &port.to_string(), &url], &environment, "ready");
            let more = issuer("op", &format!("http://127.0.0.1:{port}"), SCOPES);
            let more = more.replace("client_secret_file = \"SECRET\"", &format!("client_key_file = \"{key}\"\nclient_key_id = \"c\""));
            let relying = Relying::on(listener, url, &more);
            let mut browser = Browser::new();
            let seen = sign_on(&relying, &mut browser, "/login", &[("login", "ann")]);
            assert_eq!(relying.session(&browser).is_some(), is_known, "{alg}: {seen:?}");
        }
    }
}

#[test]
fn a_certified_provider_s_step_up_counts_where_it_says_so_and_by_the_same_person() {
    let (_provider, relying, _) = certified("ES256", SCOPES);
    let mut browser = Browser::new();
    let seen = sign_on(&relying, &mut browser, "/login", &[("login", "ann")]);
    let before = signed_on(&relying, &browser, &seen);
    let up = |browser: &mut Browser, filled: &[(&str, &str)]| sign_on(&relying, browser, "/auth/step-up?return=/&max_age=0", filled);
    let refused = up(&mut browser, &[("login", "ann")]);
    assert_eq!(refused.status, 403, "no acr: {refused:?}");
    let seen = up(&mut browser, &[("login", "ann"), ("acr", "phr"), ("amr", "pop hwk")]);
    let after = signed_on(&relying, &browser, &seen);
    assert_eq!(after.assurance(now()), Assurance::FreshMfa, "{seen:?}");
    assert!(after.proved >= before.proved);
}

#[test]
fn groups_follow_a_certified_provider_that_rotates_refresh_tokens() {
    let (_provider, relying, at) = certified("RS256", SCOPES);
    let mut browser = Browser::new();
    let seen = sign_on(&relying, &mut browser, "/login", &[("login", "bob")]);
    let on = signed_on(&relying, &browser, &seen);
    assert_eq!(on.groups.names, ["dba"]);
    let read = |on: &SignedOn, later: i64| {
        let (identity, store) = (&relying.party.identity, &relying.party.store);
        runtime().block_on(groups_now(identity, store, on.clone(), now() + later * SECOND)).unwrap()
    };
    browser.once(&format!("{at}/admin?who=bob&group=dba&group=night"), None);
    assert_eq!(read(&on, 0).groups.names, ["dba"]);
    let on = read(&on, 400);
    assert_eq!(on.groups.names, ["dba", "night"], "{on:?}");
    browser.once(&format!("{at}/admin?who=bob"), None);
    let on = read(&on, 800);
    assert!(on.groups.names.is_empty() && on.groups.missing.is_none(), "{on:?}");
}

#[test]
fn a_certified_provider_signs_people_off_when_they_sign_off_there_or_here() {
    let (_provider, relying, at) = certified("RS256", SCOPES);
    let mut browser = Browser::new();
    let seen = sign_on(&relying, &mut browser, "/login", &[("login", "ann")]);
    let on = signed_on(&relying, &browser, &seen);
    let page = browser.go(&format!("{at}/session/end"));
    let seen = browser.submit(&page, &[("logout", "yes")]);
    assert!(relying.session(&browser).is_none(), "the provider told the server: {seen:?}");
    let seen = sign_on(&relying, &mut browser, "/login", &[("login", "ann")]);
    assert_eq!(signed_on(&relying, &browser, &seen).person, on.person);
    let csrf = relying.session(&browser).unwrap().csrf().to_owned();
    let off = browser.once(&format!("{}/auth/logout", relying.url), Some(&[("csrf".to_owned(), csrf)]));
    assert!(relying.session(&browser).is_none());
    let page = browser.follow(off);
    assert!(page.url.starts_with(&at), "{page:?}");
    let seen = browser.submit(&page, &[("logout", "yes")]);
    assert!(seen.url.starts_with(&format!("{}/", relying.url)), "and back: {seen:?}");
}

#[test]
fn canaille_which_also_offers_unsigned_tokens_signs_people_on() {
    let (listener, url) = listener();
    let port = ports(1);
    let mut command = Command::new(root().join("target/canaille/bin/python"));
    command.arg(root().join("tests/python/canaille_provider.py")).arg(port.to_string()).arg(format!("{url}/auth/callback"));
    let _provider = Provider::new(command, "ready");
    let more = "scopes = [\"openid\", \"profile\", \"email\", \"groups\"]\n";
    let at = format!("http://127.0.0.1:{port}");
    let relying = Relying::on(listener, url, &issuer("canaille", &at, more));
    let mut browser = Browser::new();
    let page = browser.go(&format!("{}/login", relying.url));
    let page = browser.submit(&page, &[("login", "ann")]);
    let seen = browser.submit(&page, &[("password", "correct horse")]);
    let on = signed_on(&relying, &browser, &seen);
    assert_eq!((on.person.subject.as_str(), on.groups.names.as_slice()), ("ann", ["sre".to_owned()].as_slice()));
}

/// The form of a page of emulate that belongs to this person.
fn choose(page: &Seen, who: &str) -> (String, Vec<(String, String)>) {
    let own = page.body.split("<form").skip(1).find(|form| form.split("</form>").next().unwrap().contains(who));
    let own = own.unwrap_or_else(|| panic!("{who}: {page:?}"));
    let body = format!("<form{own}");
    form(&Seen { status: page.status, url: page.url.clone(), location: None, body }, &[])
}

#[test]
fn okta_and_entra_sign_people_on_as_emulate_has_them() {
    let (listener, url) = listener();
    let port = ports(2);
    let directory = tempfile::TempDir::new().unwrap();
    let seed = directory.path().join("seed.yaml");
    let client = format!("client_id: gate\n      client_secret: secret\n      name: gate\n      redirect_uris: [\"{url}/auth/callback\"]");
    let text = format!(
        "okta:\n  users:\n    - {{ login: ann@corp.example, email: ann@corp.example, first_name: Ann, last_name: Archer }}\n  \
         groups:\n    - {{ name: sre, description: they run it, type: OKTA_GROUP, okta_id: 00g_sre }}\n  \
         authorization_servers:\n    - {{ id: default, name: default, audiences: [\"api://default\"] }}\n  \
         oauth_clients:\n    - {client}\n      auth_server_id: default\n\
         microsoft:\n  users:\n    - {{ email: bob@corp.example, name: Bob Baker }}\n  oauth_clients:\n    - {client}\n"
    );
    std::fs::write(&seed, text).unwrap();
    let (port_text, seed) = (port.to_string(), seed.to_str().unwrap());
    let arguments = ["MODULES/emulate/dist/index.js", "start", "-p", &port_text, "-s", "okta,microsoft", "--seed", seed];
    let _provider = Provider::node(&arguments, &[], "Ready");
    let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let (okta, entra) = (format!("http://localhost:{port}/oauth2/default"), format!("http://localhost:{}/{tenant}/v2.0", port + 1));
    let more = "kind = \"okta\"\nscopes = [\"openid\", \"profile\", \"email\", \"groups\"]\n";
    let relying = Relying::on(listener, url, &format!("{}{}", issuer("okta", &okta, more), issuer("entra", &entra, "kind = \"entra\"\n")));
    let client = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let member = client.put(format!("http://localhost:{port}/api/v1/groups/00g_sre/users/ann@corp.example"));
    assert!(member.header("authorization", "SSWS test_token_admin").send().unwrap().status().is_success());
    let mut browser = Browser::new();
    let page = browser.go(&format!("{}/login", relying.url));
    assert!(page.body.contains("/login/okta?") && page.body.contains("/login/entra?"), "{page:?}");
    let page = browser.go(&format!("{}/login/okta", relying.url));
    let (action, fields) = choose(&page, "ann@corp.example");
    let seen = browser.once(&action, Some(&fields));
    let seen = browser.follow(seen);
    let on = signed_on(&relying, &browser, &seen);
    assert_eq!((on.person.issuer.as_str(), on.name.as_str()), (okta.as_str(), "Ann Archer"));
    assert_eq!(on.groups.names, ["sre"], "{on:?}");
    let page = browser.go(&format!("{}/login/entra", relying.url));
    let (action, fields) = choose(&page, "bob@corp.example");
    let seen = browser.once(&action, Some(&fields));
    let seen = browser.follow(seen);
    let on = signed_on(&relying, &browser, &seen);
    assert!(on.person.subject.starts_with(&format!("{tenant}/")), "{on:?}");
    assert_eq!(on.name, "Bob Baker");
}
