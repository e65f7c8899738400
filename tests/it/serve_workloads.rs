//! The real `gate` asks the real server as a job of GitHub Actions, as a pod, and as somebody who logged in.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::approval::sha256;
use gate::server::listen::{Front, HttpSettings};
use gate::server::stop::{Stopper, stop};
use serde_json::{Value, json};

use crate::identity_support::{Browser, Key, Liar, SECOND, form, issuer, now, percent, runtime, secret_file};
use crate::serve_support::Authority;
use crate::serving::{Server, client};
use crate::waiting::{OTHERS, runs, touch};
use crate::waiting_at::started;
use crate::world::World;

const SUBJECT: &str = "repo:org/app:ref:refs/heads/main";

/// A server that relies on one issuer for everybody, and ann, who decides there.
struct Site {
    liar: Arc<Liar>,
    server: Server,
    ann: String,
    _directory: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (liar, directory) = (Liar::new(), tempfile::TempDir::new().unwrap());
        let people = issuer("people", &liar.url, "").replace("SECRET", &secret_file(directory.path(), "secret"));
        let workload = |name: &str, way: &str, more: &str| {
            format!("[[workload]]\nname = \"{name}\"\nway = \"{way}\"\nurl = \"{}\"\naudience = \"OWN_URL\"\n{more}\n", liar.url)
        };
        let who = format!("actor = \"actor_id\"\n[workload.people]\n42 = \"person:{}#bob\"", liar.url);
        let ci = workload("ci", "github", &format!("allow = [{{ repository_id = \"7\", ref = \"refs/heads/main\" }}]\n{who}"));
        let cluster = workload("prod", "kubernetes", "allow = [{ sub = \"system:serviceaccount:ops:deployer\" }]");
        let server = Server::start(&format!("{people}{ci}{cluster}"));
        let ann = logged_in(&server.url);
        Self { liar, server, ann, _directory: directory }
    }

    /// A world whose gate asks the server so.
    fn world(&self, identity: &str) -> World {
        let keys: Value =
            serde_json::from_slice(&client().get(format!("{}/v1/keys", self.server.url)).send().unwrap().bytes().unwrap()).unwrap();
        let key = keys["keys"][0]["vkey"].as_str().unwrap();
        let policy = format!("{OTHERS}[server]\nurl = \"{}\"\nkey = \"{key}\"\n{identity}\n", self.server.url);
        World::new().user_policy(&policy)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let request = client().request(method.parse().unwrap(), format!("{}{path}", self.server.url));
        let request = request.header("authorization", format!("Bearer {}", self.ann));
        let request = body.iter().fold(request, |request, body| request.header("content-type", "application/json").body(body.to_string()));
        serde_json::from_slice(&request.send().unwrap().bytes().unwrap()).unwrap()
    }

    /// Ann approves what waits: as whom it was asked.
    fn approved(&self, world: &World, mut child: Child) -> Value {
        let waiting = loop {
            assert!(child.try_wait().unwrap().is_none(), "{}", world.wait(child));
            let found = self.call("GET", "/v1/requests?state=pending", None)["requests"].as_array_mut().and_then(Vec::pop);
            if let Some(found) = found {
                break found;
            }
        };
        let say = json!({ "review": "approve", "digest": waiting["digest"] });
        let told = self.call("POST", &format!("/v1/requests/{}/reviews", waiting["id"].as_str().unwrap()), Some(&say));
        assert_eq!(told["state"], "approved", "{told}");
        let ran = world.wait(child);
        assert_eq!((ran.code(), runs(world)), (0, 1), "{ran}");
        waiting["requester"].clone()
    }

    /// Nobody is asked, and nothing runs.
    fn refused(&self, world: &World, why: &str) {
        let (_, line) = touch(world);
        let ran = world.run(&line);
        assert!(ran.code() != 0 && ran.err().contains(why), "{why}: {ran}");
        assert_eq!(runs(world), 0);
        assert_eq!(self.call("GET", "/v1/requests", None)["requests"], json!([]));
    }
}

fn gate(world: &World) -> Child {
    let (_, line) = touch(world);
    started(world, &line.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A token of a command line that ann let act as her; it may decide.
fn logged_in(url: &str) -> String {
    let verifier = "v".repeat(43);
    let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
    let back = percent("http://127.0.0.1:9/cb");
    let mut browser = Browser::new();
    let link = format!("{url}/login/cli?host=h&scope=request%2Bdecide&code_challenge={challenge}&state=s&redirect_uri={back}");
    let (action, fields) = form(&browser.go(&link), &[("answer", "yes")]);
    let to = reqwest::Url::parse(&browser.once(&action, Some(&fields)).location.unwrap()).unwrap();
    let code = to.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let body = json!({ "code": code, "code_verifier": verifier }).to_string();
    let answer = client().post(format!("{url}/v1/login/token")).header("content-type", "application/json").body(body).send().unwrap();
    let told: Value = serde_json::from_slice(&answer.bytes().unwrap()).unwrap();
    told["token"].as_str().unwrap().to_owned()
}

/// Where GitHub gives tokens to a job, by TLS.
struct GitHub {
    url: String,
    authority: Authority,
    _stopper: Stopper,
    _directory: tempfile::TempDir,
}

async fn give(State(liar): State<Arc<Liar>>, headers: HeaderMap, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let audience = asked.get("audience").filter(|_| headers.get("authorization").is_some_and(|shown| shown == "Bearer of-the-job"));
    let Some(audience) = audience.filter(|_| asked["api-version"] == "2.0") else { return StatusCode::UNAUTHORIZED.into_response() };
    let claims = json!({ "sub": SUBJECT, "aud": audience, "repository_id": "7", "ref": "refs/heads/main", "actor_id": "42" });
    Json(json!({ "count": 1, "value": liar.workload_token(&claims) })).into_response()
}

impl GitHub {
    fn new(liar: &Arc<Liar>) -> Self {
        let (authority, directory) = (Authority::new(), tempfile::TempDir::new().unwrap());
        let (certificate, key) = authority.files(directory.path(), &["127.0.0.1"]);
        let settings = HttpSettings { certificate: Some(certificate), key: Some(key), ..HttpSettings::default() };
        let (stopper, stop) = stop();
        let front = runtime().block_on(Front::bind("127.0.0.1:0".parse().unwrap(), &settings)).unwrap();
        let url = format!("https://{}/token?api-version=2.0", front.address());
        runtime().spawn(front.serve(Router::new().route("/token", get(give)).with_state(Arc::clone(liar)), stop));
        Self { url, authority, _stopper: stopper, _directory: directory }
    }

    /// A job of it.
    fn job(&self, world: World, token: &str) -> World {
        let world = world.env("ACTIONS_ID_TOKEN_REQUEST_URL", &self.url).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token);
        world.etc("ssl/certs/ca-certificates.crt", &self.authority.pem)
    }
}

#[test]
fn a_job_of_github_asks_as_itself_and_as_whoever_set_it_off() {
    let site = Site::new();
    let github = GitHub::new(&site.liar);
    let world = github.job(site.world("identity = \"github\""), "of-the-job");
    let requester = site.approved(&world, gate(&world));
    assert_eq!((&requester["way"], &requester["name"]), (&json!("github"), &json!(format!("ci:{SUBJECT}"))));
    assert_eq!(requester["person"], json!({ "issuer": site.liar.url, "subject": "bob" }));
}

type Change = fn(&mut Value);

#[test]
fn a_job_whose_token_is_of_something_else_asks_nothing() {
    let site = Site::new();
    let github = GitHub::new(&site.liar);
    let world = github.job(site.world("identity = \"github\""), "of-the-job");
    let lies: [(&str, Change); 5] = [
        ("another audience", |claims| claims["aud"] = json!("https://gate.example")),
        ("expired", |claims| claims["exp"] = json!(now() / SECOND - 100)),
        ("another issuer", |claims| claims["iss"] = json!("https://token.actions.githubusercontent.com")),
        ("another branch", |claims| claims["ref"] = json!("refs/pull/1/merge")),
        ("another repository", |claims| claims["repository_id"] = json!("8")),
    ];
    for (what, change) in lies {
        site.liar.lies(move |draft| change(&mut draft.claims));
        println!("{what}");
        site.refused(&world, "who asks is not proved");
    }
    site.liar.lies(|draft| draft.key = Key::Other);
    site.refused(&world, "who asks is not proved");
    site.liar.lies(|_| {});
    // GitHub itself says no, or there is no such job.
    site.refused(&github.job(site.world("identity = \"github\""), "of-another-job"), "GitHub gave no token");
    site.refused(&site.world("identity = \"github\""), "ACTIONS_ID_TOKEN_REQUEST_URL");
    let plain = site.world("identity = \"github\"").env("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:9/token");
    site.refused(&plain.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"), "GitHub gave no token");
}

#[test]
fn a_pod_asks_by_the_token_that_stands_in_its_file_now() {
    let site = Site::new();
    let at = tempfile::TempDir::new().unwrap();
    let file = at.path().join("token");
    let world = site.world(&format!("identity = \"kubernetes\"\ntoken_file = \"{}\"", file.display()));
    let token = |sub: &str, more: i64| {
        let exp = now() / SECOND + more;
        site.liar.workload_token(&json!({ "sub": sub, "aud": [site.server.url], "exp": exp, "kubernetes.io": { "namespace": "ops" } }))
    };
    let deployer = "system:serviceaccount:ops:deployer";
    site.refused(&world, "cannot be read");
    for (wrong, why) in [
        (String::new(), "is not one"),
        ("two words".to_owned(), "is not one"),
        (token(deployer, -100), "who asks is not proved"),
        (token("system:serviceaccount:ops:other", 600), "who asks is not proved"),
    ] {
        std::fs::write(&file, wrong).unwrap();
        site.refused(&world, why);
    }
    // It was renewed.
    std::fs::write(&file, format!("{}\n", token(deployer, 600))).unwrap();
    let requester = site.approved(&world, gate(&world));
    assert_eq!(requester, json!({ "way": "kubernetes", "name": format!("prod:{deployer}") }));
}

#[test]
fn somebody_who_logged_in_asks_as_themselves_until_they_log_out() {
    let site = Site::new();
    let world = site.world("identity = \"login\"");
    site.refused(&world, "nobody is logged in");
    site.liar.lies(|draft| {
        draft.claims["sub"] = json!("bob");
    });
    let mut child = world.command(world.gate(), ["login", "--server", &site.server.url]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let link = lines.find(|line| line.trim().starts_with("http")).unwrap();
    let mut browser = Browser::new();
    let page = browser.go(link.trim());
    browser.submit(&page, &[("answer", "yes")]);
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    site.liar.lies(|_| {});
    let requester = site.approved(&world, gate(&world));
    assert_eq!((&requester["way"], &requester["person"]["subject"]), (&json!("login"), &json!("bob")));
}
