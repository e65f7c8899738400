//! The server as a witness of its hosts' logs: asked by the real `gate audit anchor`, and by whoever lies.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use gate::key::{CosignerKey, SigningKey};
use gate::record::{Answer, Checkpoint, Frontier, Hash, Note, add_checkpoint, consistency, cosigned, leaf_hash};

use super::log::{allowed, at, database, filled, open};
use super::proofs::log_key;
use super::serve_support::{Host, Server, plainly};
use super::world::World;

const OPEN: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\n";

/// A server that knows the log of this world, and the policy that names it as a witness.
fn witnessed() -> (World, Server, String) {
    let world = World::new();
    filled(&world, 3);
    let server = Server::start(&world, &format!("[[host]]\nkey = \"{}\"\n", log_key(&world)), &[]);
    let policy = world.root().join("witnesses");
    let world = world.user_policy(&format!("{OPEN}[log]\nwitnesses = \"{}\"\n", policy.display()));
    named(&server, &policy);
    (world, server, policy.to_str().unwrap().to_owned())
}

/// Writes the policy that names the server, where it listens now.
fn named(server: &Server, policy: &std::path::Path) {
    fs::write(policy, format!("witness server {} {}\nquorum server\n", key_of(server), server.url)).unwrap();
}

pub fn key_of(server: &Server) -> CosignerKey {
    let (status, line) = server.get("/witness");
    assert_eq!(status, 200, "{line}");
    CosignerKey::parse(line.split(' ').nth(2).unwrap()).unwrap()
}

pub fn more(world: &World, commands: std::ops::Range<u64>) {
    let mut log = open(world).unwrap();
    for number in commands {
        log.append(&allowed(number, "helm", 0), at(number)).unwrap();
    }
}

pub fn copied(world: &World) -> PathBuf {
    database(world).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let copy = world.root().join("copy");
    assert!(Command::new("cp").arg("-a").arg(world.state()).arg(&copy).status().unwrap().success());
    copy
}

#[test]
fn a_host_anchors_its_log_at_the_server_and_an_older_copy_of_it_is_refused() {
    let (world, server, policy) = witnessed();
    let ran = world.run(["audit", "anchor"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert_eq!(world.run(["audit", "verify", "--policy", &policy]).code(), 0);
    let copy = copied(&world);
    more(&world, 10..13);
    assert_eq!(world.run(["audit", "anchor"]).code(), 0);
    // A server that was killed has forgotten nothing of it.
    server.killed();
    let server = Server::start(&world, &format!("[[host]]\nkey = \"{}\"\n", log_key(&world)), &[]);
    named(&server, policy.as_ref());
    fs::remove_dir_all(world.state()).unwrap();
    fs::rename(copy, world.state()).unwrap();
    let ran = world.run(["audit", "anchor"]);
    assert!(ran.code() == 1 && ran.to_string().contains("was an older copy of it put back?"), "{ran}");
    let ran = world.run(["--", "true"]);
    assert_eq!(ran.code(), 125, "{ran}");
    let (_, lines) = server.stopped();
    assert!(lines.concat().contains("a host's log is shorter than it was"), "{lines:?}");
}

/// A log that its owner can write as they please.
pub struct Log {
    pub host: Host,
    leaves: Vec<Hash>,
}

impl Log {
    pub fn new() -> Self {
        Self::of("gate.test/h/1")
    }

    pub fn of(name: &str) -> Self {
        Self { host: Host::new(name), leaves: Vec::new() }
    }

    pub fn grown(&self, other: &str, to: usize) -> Self {
        let host = Host {
            vkey: self.host.vkey.clone(),
            secret: SigningKey::from_pkcs8(&self.host.pkcs8).unwrap(),
            pkcs8: self.host.pkcs8.clone(),
        };
        let mut leaves = self.leaves.clone();
        leaves.extend((leaves.len()..to).map(|at| leaf_hash(format!("{other}{at}").as_bytes())));
        Self { host, leaves }
    }

    /// The same key, and nothing in the log.
    pub fn anew(&self) -> Self {
        Self { leaves: Vec::new(), ..self.grown("", self.leaves.len()) }
    }

    pub fn note(&self) -> Note {
        let mut frontier = Frontier::default();
        self.leaves.iter().for_each(|leaf| frontier.append(*leaf, |_, _, _| {}));
        let origin = self.host.vkey.name().to_owned();
        Checkpoint { origin, size: frontier.size(), root: frontier.root() }.sign(&self.host.vkey, &self.host.secret)
    }

    pub fn proof(&self, from: usize) -> Vec<Hash> {
        let mut node = |level: u8, index: u64| {
            let width = 1_usize << level;
            let from = usize::try_from(index).unwrap() * width;
            let mut frontier = Frontier::default();
            self.leaves[from..from + width].iter().for_each(|leaf| frontier.append(*leaf, |_, _, _| {}));
            Ok::<_, ()>(frontier.root())
        };
        consistency(from as u64, self.leaves.len() as u64, &mut node).unwrap()
    }

    /// What asks for a countersignature, with the proof from this size.
    pub fn asks(&self, old: usize) -> String {
        add_checkpoint(old as u64, &self.proof(old), &self.note())
    }

    fn asked(&self, server: &Server, old: usize) -> Answer {
        post(server, &self.asks(old))
    }
}

fn post(server: &Server, body: &str) -> Answer {
    let answer = plainly().post(format!("{}/add-checkpoint", server.url)).body(body.to_owned()).send().unwrap();
    let status = answer.status().as_u16();
    if status == 409 {
        assert_eq!(answer.headers()["content-type"], "text/x.tlog.size");
    }
    Answer::read(status, &answer.bytes().unwrap())
}

#[test]
fn only_what_begins_with_what_was_seen_is_countersigned() {
    let world = World::new();
    let log = Log::new();
    let server = Server::start(&world, &log.host.section(), &[]);
    let key = key_of(&server);
    let five = log.grown("a", 5);
    let Answer::Cosigned(lines) = five.asked(&server, 0) else { panic!("{:?}", five.asked(&server, 0)) };
    assert!(cosigned(&five.note().with(lines), &key).unwrap().is_some());
    // The same once more is the same; from a size that was not seen it is told which was.
    assert!(matches!(five.asked(&server, 5), Answer::Cosigned(_)));
    assert_eq!(five.grown("a", 9).asked(&server, 3), Answer::Size(5));
    assert_eq!(five.grown("a", 9).asked(&server, 0), Answer::Size(5));
    assert_eq!(log.grown("a", 3).asked(&server, 3), Answer::Size(5));
    // Another history with the same proof does not hold, and changes nothing.
    assert_eq!(log.grown("b", 9).asked(&server, 5), Answer::Inconsistent);
    let wrong = add_checkpoint(5, &[], &five.grown("a", 9).note());
    assert_eq!(post(&server, &wrong), Answer::Inconsistent);
    let nine = five.grown("a", 9);
    assert!(matches!(nine.asked(&server, 5), Answer::Cosigned(_)));
    assert_eq!(nine.asked(&server, 5), Answer::Size(9));
}

#[test]
fn who_is_not_known_or_says_nothing_proper_is_told_so() {
    let world = World::new();
    let log = Log::new().grown("a", 2);
    let server = Server::start(&world, &log.host.section(), &[]);
    let stranger = Log { host: Host::new("gate.test/h/2"), leaves: log.leaves.clone() };
    assert_eq!(stranger.asked(&server, 0), Answer::Unknown);
    let impostor = Log { host: Host::new("gate.test/h/1"), leaves: log.leaves.clone() };
    assert_eq!(impostor.asked(&server, 0), Answer::Forbidden);
    for body in ["", "old 0\n", "old 00\n\nx", "old x\n\n", "old 0\nnot base64\n\n"] {
        assert!(matches!(post(&server, body), Answer::Other(what) if what.contains("400")), "{body:?}");
    }
    let later = add_checkpoint(3, &[], &log.note());
    assert!(matches!(post(&server, &later), Answer::Other(what) if what.contains("400")));
    let unproved = add_checkpoint(0, &[[7; 32]], &log.note());
    assert_eq!(post(&server, &unproved), Answer::Inconsistent);
}

#[test]
fn a_log_with_two_histories_is_countersigned_no_more_and_recorded() {
    let world = World::new();
    let log = Log::new().grown("a", 4);
    let server = Server::start(&world, &log.host.section(), &[]);
    let (one, other) = (log.grown("a", 6), log.grown("b", 6));
    assert!(matches!(one.asked(&server, 0), Answer::Cosigned(_)));
    assert_eq!(other.asked(&server, 6), Answer::Size(6));
    // Both roots are signed by its own key: it is over, also for the history that was seen first.
    assert_eq!(one.asked(&server, 6), Answer::Inconsistent);
    assert_eq!(one.grown("a", 8).asked(&server, 6), Answer::Inconsistent);
    let (_, lines) = server.stopped();
    assert!(lines.concat().contains("two histories"), "{lines:?}");
    let db = world.root().join("serve/log/audit.db");
    let shown = world.run(["audit", "--db", db.to_str().unwrap(), "export", "--format", "jsonl"]).out();
    assert!(shown.contains("host.conflict") && shown.contains("gate.test/h/1"), "{shown}");
}

#[test]
fn of_many_who_ask_at_once_about_two_histories_one_is_countersigned() {
    let world = World::new();
    let log = Log::new();
    let server = Server::start(&world, &log.host.section(), &[]);
    let logs: Vec<Log> = ["a", "b", "c", "d"].iter().map(|name| log.grown(name, 4)).collect();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asked: Vec<_> = logs.iter().map(|log| scope.spawn(|| log.asked(&server, 0))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Cosigned(_))).count(), 1, "{answers:?}");
}
