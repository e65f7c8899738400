//! A log key that ssh-agent holds: without the agent nothing runs, and what it says is not believed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use gate::audit::{Kind, Log, Place, use_agent_key};
use gate::key::agent::{No, listed, sign, signed};
use gate::key::ssh::put;
use gate::key::{PublicKey, SigningKey};
use gate::policy::KeyProvider;

use crate::log::at;
use crate::sshsig::keygen;
use crate::world::{Ran, World};

const POLICY: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\n[log]\nkey = \"agent\"\n";

/// A real ssh-agent, ended with the test.
pub struct Agent {
    pid: nix::unistd::Pid,
    pub socket: PathBuf,
}

impl Agent {
    pub fn start(world: &World) -> Self {
        Self::start_with(world, "")
    }

    pub fn start_with(world: &World, options: &str) -> Self {
        let socket = world.root().join("agent");
        let said = world.sh(&format!("ssh-agent {options} -a {}", socket.display())).out();
        let pid = said.split("SSH_AGENT_PID=").nth(1).unwrap().split(';').next().unwrap();
        Self { pid: nix::unistd::Pid::from_raw(pid.parse().unwrap()), socket }
    }

    pub fn add(&self, world: &World, options: &str) {
        world.sh(&format!("SSH_AUTH_SOCK={} ssh-add -q {options}", self.socket.display()));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.pid, nix::sys::signal::SIGTERM);
    }
}

fn place(world: &World) -> Place {
    Place { directory: world.state(), name: "gate.test/host".to_owned(), log_key: KeyProvider::Agent }
}

fn fingerprint(world: &World, name: &str) -> String {
    let shown = world.bare(["ssh-keygen", "-l", "-f", &format!("{name}.pub")]).out();
    shown.split(' ').nth(1).unwrap().to_owned()
}

/// A world whose log is to be signed by the agent's key.
fn with_agent() -> (World, Agent) {
    let world = World::new().user_policy(POLICY);
    let agent = Agent::start(&world);
    for name in ["other", "own"] {
        keygen(&world, name, &["ed25519"]);
        agent.add(&world, name);
    }
    keygen(&world, "rsa", &["rsa", "-b", "2048"]);
    agent.add(&world, "rsa");
    use_agent_key(&place(&world), Some(agent.socket.clone()), &fingerprint(&world, "own")).unwrap();
    let world = world.env("SSH_AUTH_SOCK", &agent.socket);
    (world, agent)
}

/// Nothing may run, and the reason is told.
fn refused(world: &World, why: &str) -> Ran {
    let file = world.work().join("ran");
    let ran = world.run(["--", "touch", file.to_str().unwrap()]);
    assert_eq!(ran.code(), 125, "{ran}");
    assert!(ran.err().contains(why), "{ran}");
    assert!(!file.exists(), "it ran");
    ran
}

#[test]
fn a_log_whose_key_is_in_ssh_agent_is_signed_by_it_and_verified_by_anybody() {
    let (world, _agent) = with_agent();
    assert_eq!(world.run(["--", "true"]).code(), 0);
    assert_eq!(world.run(["key", "rotate"]).code(), 0);
    assert_eq!(world.run(["--", "true"]).code(), 0);
    let own = fs::read_to_string(world.work().join("own.pub")).unwrap();
    assert_eq!(fs::read_to_string(world.state().join("log.key")).unwrap().trim_end(), own.trim_end(), "no private key lies there");
    let listed = world.run(["key", "list"]);
    assert!(listed.out().starts_with("log key, in ssh-agent\n"), "{listed}");
    assert!(listed.out().contains(&fingerprint(&world, "own")), "{listed}");
    // Reading wants no agent.
    let world = world.no_env("SSH_AUTH_SOCK");
    assert_eq!(world.run(["audit", "verify", "--local"]).code(), 0);
    assert_eq!(world.run(["audit", "show", "0"]).code(), 0);
}

#[test]
fn without_the_agent_or_its_key_nothing_runs() {
    let (world, agent) = with_agent();
    assert_eq!(world.run(["--", "true"]).code(), 0);
    agent.add(&world, "-d own.pub");
    refused(&world, "ssh-agent did not sign with the log key SHA256:");
    agent.add(&world, "own");
    assert_eq!(world.run(["--", "true"]).code(), 0);
    let world = world.env("SSH_AUTH_SOCK", "");
    refused(&world, "there is no ssh-agent: SSH_AUTH_SOCK is not set");
    let nothing = world.root().join("nothing");
    let world = world.env("SSH_AUTH_SOCK", nothing);
    refused(&world, "does not answer as ssh-agent");
    let world = world.env("SSH_AUTH_SOCK", &agent.socket);
    assert_eq!(world.run(["--", "true"]).code(), 0);
    drop(agent);
    while world.bare(["ssh-add", "-l"]).code() != 2 {}
    let ran = refused(&world, "does not answer as ssh-agent");
    assert!(ran.err().contains("let SSH_AUTH_SOCK name the one that has it"), "{ran}");
    assert_eq!(world.run(["audit", "verify", "--local"]).code(), 0);
}

#[test]
fn a_policy_that_wants_the_agent_takes_no_key_in_a_file() {
    let world = World::new().user_policy(POLICY);
    let ran = refused(&world, "does not say which key of ssh-agent signs the log");
    assert!(ran.err().contains("gate audit init --agent-key"), "{ran}");
    let world = world.user_policy(&POLICY.replace("agent", "file"));
    assert_eq!(world.run(["--", "true"]).code(), 0);
    let world = world.user_policy(POLICY);
    refused(&world, "holds the log key, and the policy wants it in ssh-agent");
}

#[test]
fn only_an_ed25519_key_that_the_agent_has_becomes_a_log_key_and_only_of_a_new_log() {
    let world = World::new();
    let agent = Agent::start(&world);
    for (name, kind) in [("own", &["ed25519"][..]), ("rsa", &["rsa", "-b", "2048"]), ("absent", &["ed25519"])] {
        keygen(&world, name, kind);
    }
    agent.add(&world, "own rsa");
    for name in ["rsa", "absent"] {
        let error = use_agent_key(&place(&world), Some(agent.socket.clone()), &fingerprint(&world, name)).unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("no Ed25519 key with that fingerprint")), (Kind::Key, true), "{name}");
    }
    assert!(use_agent_key(&place(&world), None, "SHA256:x").unwrap_err().to_string().contains("SSH_AUTH_SOCK is not set"));
    drop(Log::open(&Place { log_key: KeyProvider::File, ..place(&world) }, at(0), "this-boot").unwrap());
    let error = use_agent_key(&place(&world), Some(agent.socket.clone()), &fingerprint(&world, "own")).unwrap_err();
    assert!(error.to_string().contains("has a log or a log key already"), "{error}");
}

/// An agent that gives this answer to whatever it is asked; without one it never answers.
fn hostile(world: &World, answer: Option<Vec<u8>>) {
    let socket = world.root().join("hostile");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let Some(answer) = &answer else {
                open.push(stream);
                continue;
            };
            let mut length = [0; 4];
            if stream.read_exact(&mut length).is_ok() {
                let mut message = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
                let _ = stream.read_exact(&mut message);
                let _ = stream.write_all(answer);
            }
        }
    });
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, message);
    out
}

/// What an agent says when it signs.
fn response(kind: &str, signature: &[u8]) -> Vec<u8> {
    let mut inner = Vec::new();
    put(&mut inner, kind.as_bytes());
    put(&mut inner, signature);
    let mut message = vec![14];
    put(&mut message, &inner);
    message
}

#[test]
fn an_agent_that_lies_is_refused_and_crashes_nothing() {
    let (world, _agent) = with_agent();
    assert_eq!(world.run(["--", "true"]).code(), 0);
    let socket = world.root().join("hostile");
    let world = world.env("SSH_AUTH_SOCK", socket);
    let answers = [
        (Vec::new(), "does not answer"),
        (vec![0, 0, 0], "does not answer"),
        (vec![0xff; 4], "does not answer"),
        (vec![0, 4, 0, 1], "does not answer"),
        (framed(b""), "no signature that holds"),
        (framed(&[5]), "did not sign"),
        (framed(&[14]), "no signature that holds"),
        (framed(&[12, 0xff, 0xff, 0xff, 0xff]), "no signature that holds"),
        (framed(&response("ssh-ed25519", &[0; 64])), "no signature that holds"),
        (framed(&response("ssh-ed25519", &[0; 63])), "no signature that holds"),
        (framed(&response("ssh-rsa", &[0; 64])), "no signature that holds"),
    ];
    for (answer, why) in answers {
        hostile(&world, Some(answer));
        refused(&world, why);
    }
    hostile(&world, None);
    refused(&world, "does not answer as ssh-agent");
}

#[test]
fn every_changed_byte_of_an_agents_answer_is_no_signature() {
    let key = SigningKey::from_pkcs8(&SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap()).unwrap();
    let answer = response("ssh-ed25519", &key.sign(b"checkpoint"));
    assert_eq!(signed(&answer, &key.public(), b"checkpoint"), Ok(key.sign(b"checkpoint")));
    for at in 0..answer.len() {
        for flip in 1..=255 {
            let mut changed = answer.clone();
            changed[at] ^= flip;
            assert!(signed(&changed, &key.public(), b"checkpoint").is_err(), "byte {at}");
        }
        assert!(signed(&answer[..at], &key.public(), b"checkpoint").is_err(), "cut at {at}");
    }
    assert_eq!(signed(&[5], &key.public(), b""), Err(No::Refused));
    let mut list = vec![12, 0, 0, 0, 2];
    for blob in [key.public().ssh_blob(), b"other".to_vec()] {
        put(&mut list, &blob);
        put(&mut list, b"a comment");
    }
    assert_eq!(listed(&list), Ok(vec![key.public()]));
    assert_eq!(listed(&list[..list.len() - 1]), Err(No::Unreadable));
    assert!(sign(&PublicKey([0; 32]), b"x").len() > 32);
}
