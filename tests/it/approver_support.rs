//! A trial server, and people who log in at it with the real `gate login`, each in a home of their own.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use gate::approval::sha256;
use gate::policy::{Assurance, Channel};
use gate::text::hex;
use serde_json::{Value, json};

use crate::approval::Parts;
use crate::contract_support::until;
use crate::identity_support::{Browser, Seen};
use crate::serving::{client, submitted};
use crate::tty::Tty;
use crate::world::{GATE, Ran, TOOLS, World};

/// A running `gate serve --dev`; it is killed when dropped.
pub struct Trial {
    pub world: World,
    pub url: String,
    /// What it said until it served.
    pub said: String,
    port: u16,
    child: Child,
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads on in a thread, so that whoever writes never waits for a reader.
fn drain(lines: impl Iterator<Item = std::io::Result<String>> + Send + 'static) {
    std::thread::spawn(move || lines.for_each(drop));
}

impl Trial {
    pub fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = World::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (child, said) = serve(&world, port);
        Self { world, url: format!("http://localhost:{port}"), said, port, child }
    }

    /// Ends it as the machine would.
    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, with what it kept.
    pub fn again(&mut self) {
        (self.child, self.said) = serve(&self.world, self.port);
    }

    /// The server's own directory.
    pub fn state(&self) -> PathBuf {
        self.world.state().join("serve-dev")
    }

    /// Somebody in a home of their own, logged in as one of the trial's people.
    pub fn person(&self, who: &str, options: &[&str]) -> World {
        self.log_in(World::new(), who, options)
    }

    pub fn log_in(&self, world: World, who: &str, options: &[&str]) -> World {
        let ran = self.logging_in(&world, options, |link| {
            let mut browser = Browser::new();
            let page = Self::asked(&mut browser, link, who);
            let done = browser.submit(&page, &[("answer", "yes")]);
            assert!(done.body.contains("acts as you now"), "{done:?}");
        });
        assert!(ran.0, "{}", ran.1);
        world
    }

    /// The page on which somebody says whether a command line may act as them.
    pub fn asked(browser: &mut Browser, link: &str, who: &str) -> Seen {
        let page = browser.go(link);
        browser.submit(&page, &[("who", who)])
    }

    /// Runs `gate login`, with somebody who follows the link that it prints: whether it worked, and what it said.
    pub fn logging_in(&self, world: &World, options: &[&str], follow: impl FnOnce(&str)) -> (bool, String) {
        let args = ["login", "--server", self.url.as_str()].into_iter().chain(options.iter().copied());
        let mut child = world.command(world.gate(), args).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let mut follow = Some(follow);
        for line in lines.by_ref() {
            let line = line.unwrap();
            said += &format!("{line}\n");
            if line.trim().starts_with("http")
                && let Some(follow) = follow.take()
            {
                follow(line.trim());
            }
        }
        drain(lines);
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (child.wait().unwrap().success(), said + &out)
    }

    /// Asks for something as whoever is logged in there; the terms allow sign-on and SSH keys.
    pub fn ask(&self, world: &World, change: impl FnOnce(&mut Parts)) -> Value {
        let mut parts = request();
        change(&mut parts);
        let (value, key) = submitted(&parts);
        let body = json!({ "approval_request": value, "client_nonce_sha256": hex(&sha256(&parts.nonce)), "number": "42" });
        let (status, told) = self.call(&token(world), "POST", "/v1/requests", &[("idempotency-key", &format!("\"{key}\""))], &body);
        assert_eq!(status, 201, "{told}");
        told
    }

    /// Calls the API as the holder of a token.
    pub fn call(&self, token: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = client().request(method, format!("{}{path}", self.url)).header("authorization", format!("Bearer {token}"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = if body.is_null() { request } else { request.header("content-type", "application/json").body(body.to_string()) };
        let response = request.send().unwrap();
        (response.status().as_u16(), serde_json::from_slice(&response.bytes().unwrap()).unwrap_or_default())
    }

    /// The request that somebody may decide, once it was asked.
    pub fn waiting(&self, world: &World) -> String {
        let mut found = Value::Null;
        until("asked", || {
            let (_, told) = self.call(&token(world), "GET", "/v1/requests?state=pending", &[], &Value::Null);
            found = told.pointer("/requests/0/id").cloned().unwrap_or_default();
            found.is_string()
        });
        found.as_str().unwrap().to_owned()
    }

    /// How a request stands, for whoever is logged in there.
    pub fn stands(&self, world: &World, id: &str) -> Value {
        self.call(&token(world), "GET", &format!("/v1/requests/{id}"), &[], &Value::Null).1
    }
}

fn serve(world: &World, port: u16) -> (Child, String) {
    let mut child = world.command(GATE, ["serve", "--dev", "--listen", &format!("127.0.0.1:{port}")]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    loop {
        let Some(line) = lines.next() else { panic!("the server did not start: {}", said.join("\n")) };
        said.push(line.unwrap());
        if said.last().unwrap().contains("serving at") {
            break;
        }
    }
    drain(lines);
    (child, said.join("\n"))
}

/// A request that the trial's team `sre` decides.
pub fn request() -> Parts {
    let mut parts = Parts::new();
    parts.asked.terms.channels = BTreeSet::from([Channel::Server, Channel::Ssh]);
    parts.asked.terms.assurance = Assurance::SecondPerson;
    parts.asked.terms.approvers = vec!["team:sre".into()];
    parts
}

/// The token that `gate login` keeps.
pub fn token(world: &World) -> String {
    kept(world)["token"].as_str().unwrap().to_owned()
}

/// What `gate login` keeps.
pub fn kept(world: &World) -> Value {
    serde_json::from_slice(&fs::read(world.state().join("login.json")).unwrap()).unwrap()
}

/// `gate ARGS` at a terminal of this size.
pub fn at_terminal(world: &World, args: &[&str], variables: &[(&str, &str)], (columns, rows): (u16, u16)) -> Tty {
    let mut command = Command::new(GATE);
    command.args(args).env_clear().env("HOME", world.home()).env("PATH", TOOLS).env("LANG", "C.UTF-8").env("TERM", "xterm-256color");
    command.envs(variables.iter().copied()).current_dir(world.work()).stdin(Stdio::null());
    Tty::start(command, columns, rows)
}

/// The word that the screen says is to be typed.
pub fn word(screen: &str) -> String {
    let after = screen.rsplit("Type approve ").next().unwrap();
    format!("approve {}", after.split(' ').next().unwrap())
}

/// Runs, and has to end so.
pub fn ends(world: &World, code: i32, args: &[&str]) -> Ran {
    let ran = world.run(args);
    assert_eq!(ran.code(), code, "{args:?}: {ran}");
    ran
}
