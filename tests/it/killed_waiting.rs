//! `kill -9` of gate and of its server while a command waits for people: nothing lost, nothing run twice by one approval, nothing stuck.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::approver_support::{Trial, token};
use crate::serving::client;
use crate::waiting::OTHERS;
use crate::waiting_at::started;
use crate::world::World;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often something is killed; `tests/all --long` asks for more.
fn kills(plain: usize, long: usize) -> usize {
    if std::env::var_os("GATE_TESTS_LONG").is_some() { long } else { plain }
}

/// A call as whoever holds a token; none where the server is not there.
fn call(url: &str, token: &str, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let request = client().request(method.parse().unwrap(), format!("{url}{path}")).header("authorization", format!("Bearer {token}"));
    let request = if body.is_null() { request } else { request.header("content-type", "application/json").body(body.to_string()) };
    let answer = request.send().ok()?;
    let status = answer.status().as_u16();
    Some((status, serde_json::from_slice(&answer.bytes().ok()?).ok()?))
}

/// A server, a requester's world that asks it, and somebody else who approves whatever waits.
struct Site {
    trial: Trial,
    world: World,
    bob: String,
}

impl Site {
    fn new() -> Self {
        let trial = Trial::start();
        let (_, keys) = call(&trial.url, "", "GET", "/v1/keys", &Value::Null).unwrap();
        let server = format!("[server]\nurl = \"{}\"\nkey = \"{}\"\ndev = true\n", trial.url, keys["keys"][0]["vkey"].as_str().unwrap());
        let terms = OTHERS.replace("[terms.medium]", "[terms.medium]\ndev = true");
        let world = trial.log_in(World::new().user_policy(&format!("{terms}{server}")), "alice", &[]);
        let bob = token(&trial.person("bob", &["--decide"]));
        Self { trial, world, bob }
    }

    /// Approves what waits, until told to stop; a server that is not there is asked again.
    fn approving(&self, over: &AtomicBool) {
        let client = client();
        let mut known = String::new();
        while !over.load(Ordering::Relaxed) {
            let request = client.get(format!("{}/v1/requests?state=pending&wait=1", self.trial.url)).bearer_auth(&self.bob);
            let Ok(answer) = request.header("if-none-match", &known).send() else { continue };
            known = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned()).unwrap_or_default();
            let page: Value = answer.bytes().ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
            for request in page["requests"].as_array().into_iter().flatten() {
                let path = format!("/v1/requests/{}/reviews", request["id"].as_str().unwrap());
                let review = json!({ "review": "approve", "digest": request["digest"], "comment": "" });
                call(&self.trial.url, &self.bob, "POST", &path, &review);
            }
        }
    }

    /// The newest request of the requester, once it is in one of these states.
    fn newest(&self, states: &[&str]) -> Value {
        let began = Instant::now();
        loop {
            let found = call(&self.trial.url, &token(&self.world), "GET", "/v1/requests?limit=1", &Value::Null);
            let newest = found.and_then(|(_, page)| page["requests"].as_array()?.first().cloned()).unwrap_or_default();
            if states.iter().any(|state| newest["state"] == *state) {
                return newest;
            }
            assert!(began.elapsed() < PATIENCE, "never {states:?}: {newest}");
            std::thread::yield_now();
        }
    }

    /// The server is killed, and there again.
    fn killed(&mut self) {
        self.trial.stop();
        self.trial.again();
    }

    /// In which states the requester's requests are.
    fn states(&self) -> Vec<String> {
        let (_, page) = call(&self.trial.url, &token(&self.world), "GET", "/v1/requests?limit=100", &Value::Null).unwrap();
        page["requests"].as_array().unwrap().iter().map(|request| request["state"].as_str().unwrap().to_owned()).collect()
    }

    fn runs(&self, file: &str) -> usize {
        fs::read_to_string(self.world.work().join(file)).unwrap_or_default().lines().count()
    }

    /// Both logs are whole, and each approval ran one command at most.
    fn whole(&self) {
        let ran = self.world.run(["audit", "verify", "--local"]);
        assert!(ran.status.success(), "{ran}");
        let records = self.world.records();
        let approved = records.iter().filter(|record| record["decision"]["result"] == "approved");
        let digests: Vec<&str> = approved.map(|record| record["digest"].as_str().unwrap()).collect();
        assert_eq!(digests.iter().collect::<BTreeSet<_>>().len(), digests.len(), "an approval was used twice: {digests:?}");
        let database = self.trial.state().join("log/audit.db");
        let ran = self.trial.world.run(["audit", "--db", database.to_str().unwrap(), "verify", "--local"]);
        assert!(ran.status.success(), "{ran}");
    }
}

fn line(file: &str) -> [String; 4] {
    ["--".to_owned(), "sh".to_owned(), "-c".to_owned(), format!("echo ran >> {file}")]
}

/// The system calls of a gate that waits and runs: each name, and which call of that name it is.
fn steps(site: &Site) -> Vec<(String, usize)> {
    let line = line("first");
    let words: Vec<&str> = line.iter().map(String::as_str).collect();
    crate::killed::steps(&site.world, &words)
}

#[test]
fn a_gate_that_is_killed_at_any_step_leaves_a_command_that_goes_on_and_runs_once_by_each_approval() {
    let site = Site::new();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| site.approving(&over));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let steps = steps(&site);
            assert!(steps.len() > 200 && site.runs("first") == 1, "{} steps", steps.len());
            let every = steps.len().div_ceil(kills(16, steps.len()));
            // What comes late, between the use of the approval and the exec, is tried more densely than what comes early.
            let chosen =
                steps.iter().enumerate().filter(|(at, _)| at % every == 0 || at * 8 > steps.len() * 7 && at % every.div_ceil(4) == 0);
            for (at, (name, count)) in chosen {
                let file = format!("ran-{at}");
                let line = line(&file);
                let words: Vec<&str> = line.iter().map(String::as_str).collect();
                let inject = format!("inject={name}:signal=KILL:when={count}");
                crate::killed::traced(&site.world, &["-o", "/dev/null", "-e", &inject], &words);
                let before = site.runs(&file);
                let used = site.states().iter().filter(|state| *state == "consumed").count();
                let ran = site.world.run(&line);
                assert_eq!(ran.code(), 0, "{name} {count}: {ran}");
                assert_eq!(site.runs(&file), before + 1, "{name} {count}");
                assert!(before <= 1 && site.states().iter().filter(|state| *state == "consumed").count() <= used + 1, "{name} {count}");
            }
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(failed) = ended {
            std::panic::resume_unwind(failed);
        }
    });
    assert!(!site.states().iter().any(|state| state == "pending"), "{:?}", site.states());
    site.whole();
}

#[test]
fn a_server_that_is_killed_at_any_moment_loses_nothing_and_every_command_runs_once() {
    let mut site = Site::new();
    for round in 0..kills(8, 200) {
        let file = format!("ran-{round}");
        let child = started(&site.world, &line(&file).each_ref().map(String::as_str));
        let request = site.newest(&["pending"]);
        let (url, bob) = (site.trial.url.clone(), site.bob.clone());
        let approve = move || {
            let review = json!({ "review": "approve", "digest": request["digest"], "comment": "" });
            call(&url, &bob, "POST", &format!("/v1/requests/{}/reviews", request["id"].as_str().unwrap()), &review)
        };
        match round % 4 {
            // Nobody decided yet.
            0 => site.killed(),
            // Somebody is deciding.
            1 => std::thread::scope(|scope| {
                scope.spawn(&approve);
                site.killed();
            }),
            // It is decided, and perhaps being used.
            2 => {
                assert_eq!(approve().unwrap().0, 200);
                site.killed();
            }
            // It is used, and how the command ended is being told.
            _ => {
                assert_eq!(approve().unwrap().0, 200);
                site.newest(&["consumed"]);
                site.killed();
            }
        }
        if site.newest(&["pending", "approved", "consumed"])["state"] == "pending" {
            let (status, told) = approve().unwrap();
            assert!(status == 200 || status == 409, "{told}");
        }
        let ran = site.world.wait(child);
        assert_eq!((ran.code(), site.runs(&file)), (0, 1), "round {round}: {ran}");
    }
    assert!(site.states().iter().all(|state| state == "consumed"), "{:?}", site.states());
    site.whole();
}
