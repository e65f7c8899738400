//! The log: durable before anything runs, shared by many processes, and closed to everything when it cannot be written.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gate::approval::Stamp;
use gate::audit::{Error, Kind as Failure, Log, Place, Reader, Wanted};
use gate::policy::KeyProvider;
use gate::record::{Draft, Kind, Stored, argv_value};
use gate::request::RequestId;
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::world::{World, must, set_mode};

pub fn at(second: u64) -> Stamp {
    Stamp { wall: 1_795_226_400_000_000_000 + i64::try_from(second).unwrap() * 1_000_000_000, boot: Duration::from_secs(60 + second) }
}

pub fn place(world: &World) -> Place {
    Place { directory: world.state(), name: "gate.test/host".to_owned(), log_key: KeyProvider::File }
}

pub fn open(world: &World) -> Result<Log, Error> {
    Log::open(&place(world), at(0), "this-boot")
}

pub fn id(number: u64) -> RequestId {
    RequestId::new(1_795_226_400_000 + number, &[u8::try_from(number % 256).unwrap(); 10])
}

pub fn draft(kind: Kind, number: u64, fields: Value) -> Draft {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    Draft::new(kind, Some(id(number)), fields)
}

/// What is stored for a command that a rule allows, and that ends with this status.
pub fn allowed(number: u64, program: &str, exit: u8) -> [Draft; 3] {
    let cmd = json!({ "argv": [program, "get", format!("pod-{number}")], "program": program, "words": ["get"], "cwd": "/" });
    let decision = json!({ "effect": "allow", "result": "allowed", "risk": "low", "rules": [{ "id": "pods.read", "layer": "user", "effect": "allow", "risk": "low" }] });
    [
        draft(Kind::Decision, number, json!({ "actor": { "uid": 1000, "user": "ada" }, "cmd": cmd, "decision": decision })),
        draft(Kind::ExecStart, number, json!({ "proc": { "pid": 1, "start": 1 } })),
        draft(Kind::ExecEnd, number, json!({ "outcome": { "exit": exit, "duration_ns": 5 } })),
    ]
}

/// A log with so many commands in it; three entries each, after the opening one.
pub fn filled(world: &World, commands: u64) -> Vec<Stored> {
    let mut log = open(world).unwrap();
    let mut stored = Vec::new();
    for number in 0..commands {
        let [decision, start, end] = allowed(number, "kubectl", 0);
        stored.extend(log.append(&[decision, start], at(number)).unwrap());
        stored.extend(log.append(&[end], at(number + 1)).unwrap());
    }
    stored
}

pub fn database(world: &World) -> Connection {
    Connection::open(world.state().join("audit.db")).unwrap()
}

fn heartbeat() -> Draft {
    Draft::new(Kind::Heartbeat, None, Map::new())
}

#[test]
fn the_first_use_makes_a_private_log_with_keys_and_an_opening_entry() {
    let world = World::new();
    filled(&world, 1);
    for file in ["audit.db", "audit.lock", "audit.ballast", "log.key", "record-0.key"] {
        let file = fs::metadata(world.state().join(file)).unwrap();
        assert_eq!(file.mode() & 0o7777, 0o600);
    }
    assert_eq!(fs::metadata(world.state()).unwrap().mode() & 0o7777, 0o700);
    assert!(fs::metadata(world.state().join("audit.ballast")).unwrap().blocks() * 512 >= 1024 * 1024);
    let reader = Reader::live(&place(&world)).unwrap();
    let found = reader.find(&Wanted::Entry(0)).unwrap();
    let opening: Value = serde_json::from_slice(&found[0].body).unwrap();
    assert_eq!(opening["kind"], "log.open");
    assert!(opening["log"].as_str().unwrap().starts_with("gate.test/host/"));
    assert!(opening["predecessor"].is_null());
}

#[test]
fn entries_of_one_commit_follow_each_other_under_one_checkpoint() {
    let world = World::new();
    let mut log = open(&world).unwrap();
    let stored = log.append(&[heartbeat(), heartbeat(), heartbeat()], at(1)).unwrap();
    assert_eq!(stored.iter().map(|entry| (entry.seq, entry.size)).collect::<Vec<_>>(), [(1, 4), (2, 4), (3, 4)]);
    let stored = log.append(&[heartbeat()], at(2)).unwrap();
    assert_eq!((stored[0].seq, stored[0].size), (4, 5));
    drop(log);
    assert_eq!(open(&world).unwrap().append(&[heartbeat()], at(3)).unwrap()[0].seq, 5);
}

#[test]
fn a_removed_database_is_missed_by_the_log_that_follows_it() {
    let world = World::new();
    filled(&world, 1);
    for file in ["audit.db", "audit.db-wal", "audit.db-shm"] {
        let _ = fs::remove_file(world.state().join(file));
    }
    let mut log = open(&world).unwrap();
    log.append(&[heartbeat()], at(9)).unwrap();
    let found = Reader::live(&place(&world)).unwrap().find(&Wanted::Entry(0)).unwrap();
    let opening: Value = serde_json::from_slice(&found[0].body).unwrap();
    assert_eq!(opening["predecessor"], "missing");
}

#[test]
fn a_grant_is_used_once_whoever_comes_second() {
    let world = World::new();
    let mut log = open(&world).unwrap();
    let [decision, start, _] = allowed(1, "kubectl", 0);
    log.consume("grant-1", &[decision.clone(), start.clone()], at(1)).unwrap();
    let again = open(&world).unwrap().consume("grant-1", &[decision.clone(), start], at(2)).unwrap_err();
    assert_eq!(again.kind(), Failure::Used);
    assert_eq!(log.append(&[heartbeat()], at(3)).unwrap()[0].seq, 3, "a second use leaves nothing behind");
    assert_eq!(log.consume("grant-2", &[], at(4)).unwrap_err().kind(), Failure::Record);
    log.consume("grant-2", &[decision], at(5)).unwrap();
}

#[test]
fn similar_commands_come_newest_first_with_how_they_ended() {
    let world = World::new();
    filled(&world, 3);
    let mut log = open(&world).unwrap();
    log.append(&allowed(7, "helm", 3), at(9)).unwrap();
    let similar = log.similar("kubectl", &["get".to_owned()], 2).unwrap();
    let shown: Vec<_> = similar.iter().map(|past| (past.command.as_str(), past.decision.as_str(), past.outcome.as_str())).collect();
    assert_eq!(shown, [("kubectl get pod-2", "allowed", "exit 0"), ("kubectl get pod-1", "allowed", "exit 0")]);
    assert_eq!(log.similar("helm", &[], 5).unwrap()[0].outcome, "exit 3");
    assert!(log.similar("kubectl", &["delete".to_owned()], 5).unwrap().is_empty());
    assert!(log.similar("nothing", &[], 5).unwrap().is_empty());
}

#[test]
fn a_long_argv_is_kept_beside_its_record() {
    let world = World::new();
    let long = vec![b'x'; 1_000_000];
    let (argv, blob) = argv_value([b"echo".as_slice(), &long]);
    let mut record = draft(Kind::Decision, 1, json!({ "cmd": { "argv": argv, "program": "echo" } }));
    record.blobs.extend(blob);
    open(&world).unwrap().append(&[record], at(1)).unwrap();
    let ran = world.run(["audit", "verify", "--local"]);
    assert_eq!(ran.code(), 0, "{ran}");
    database(&world).execute("UPDATE blob SET data=zeroblob(10)", []).unwrap();
    assert_eq!(world.run(["audit", "verify", "--local"]).code(), 1);
}

/// Opens and appends, and says why it cannot.
fn refused(world: &World) -> String {
    let error = open(world).and_then(|mut log| log.append(&[heartbeat()], at(5))).unwrap_err();
    error.to_string()
}

#[test]
fn a_key_that_is_missing_or_open_to_others_or_cut_short_is_named_and_nothing_is_written() {
    for key in ["log.key", "record-0.key"] {
        let world = World::new();
        filled(&world, 1);
        let path = world.state().join(key);
        let whole = fs::read(&path).unwrap();

        set_mode(&path, 0o640);
        assert!(refused(&world).contains(&format!("{key}` is not safe to use: others may use it (mode 0640)")), "{}", refused(&world));
        set_mode(&path, 0o600);

        fs::write(&path, &whole[..40]).unwrap();
        assert!(refused(&world).contains(&format!("{key}` is not a whole key")), "{}", refused(&world));

        fs::write(&path, gate::key::SigningKey::generate(&ring::rand::SystemRandom::new()).unwrap()).unwrap();
        assert!(refused(&world).contains(&format!("{key}` is another key")), "{}", refused(&world));

        fs::remove_file(&path).unwrap();
        assert!(refused(&world).contains(&format!("{key}` is missing")), "{}", refused(&world));

        let elsewhere = world.root().join("key");
        fs::write(&elsewhere, &whole).unwrap();
        set_mode(&elsewhere, 0o600);
        symlink(&elsewhere, &path).unwrap();
        assert!(refused(&world).contains(&format!("{key}` is not safe to use: it is a symbolic link")), "{}", refused(&world));
        fs::remove_file(&path).unwrap();

        fs::write(&path, &whole).unwrap();
        set_mode(&path, 0o600);
        assert_eq!(open(&world).unwrap().append(&[heartbeat()], at(6)).unwrap()[0].seq, 4);
    }
}

#[test]
fn a_directory_or_database_that_others_may_use_is_refused_by_name() {
    let world = World::new();
    filled(&world, 1);
    set_mode(&world.state().join("audit.db"), 0o644);
    assert!(refused(&world).contains("audit.db` is not safe to use"));
    set_mode(&world.state().join("audit.db"), 0o600);
    set_mode(&world.state(), 0o770);
    assert!(refused(&world).contains("gate` is not safe to use"));
    set_mode(&world.state(), 0o700);
    open(&world).unwrap();
}

#[test]
fn a_home_behind_a_symbolic_link_is_as_good_as_any() {
    let world = World::new();
    let link = world.root().join("link");
    symlink(world.home(), &link).unwrap();
    let place = Place { directory: link.join("state"), name: "gate.test/host".to_owned(), log_key: KeyProvider::File };
    Log::open(&place, at(0), "this-boot").unwrap();
    assert!(world.home().join("state/audit.db").exists());
}

#[test]
fn a_newer_layout_is_left_alone() {
    let world = World::new();
    filled(&world, 1);
    database(&world).pragma_update(None, "user_version", 2).unwrap();
    assert!(refused(&world).contains("was made by a newer gate"));
    assert_eq!(world.run(["audit", "verify"]).code(), 2);
}

#[test]
fn a_damaged_database_is_refused_and_reported_as_tampered() {
    let world = World::new();
    filled(&world, 40);
    let path = world.state().join("audit.db");
    database(&world).pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    let whole = fs::read(&path).unwrap();
    let zeroed: Vec<u8> = [vec![0; 100], whole[100..].to_vec()].concat();
    for damaged in [b"not a database".to_vec(), zeroed, whole[..whole.len() / 2].to_vec()] {
        fs::write(&path, damaged).unwrap();
        let why = open(&world).and_then(|mut log| log.append(&[heartbeat()], at(5))).unwrap_err();
        assert_eq!(why.kind(), Failure::Damaged, "{why}");
        assert_eq!(world.run(["audit", "verify"]).code(), 1);
    }
}

#[test]
fn gate_does_not_build_on_an_end_that_its_key_did_not_sign() {
    let world = World::new();
    filled(&world, 2);
    database(&world).execute("UPDATE head SET frontier=zeroblob(length(frontier))", []).unwrap();
    assert!(refused(&world).contains("did not sign"));
}

/// The part of a test that runs in a process of its own: this very binary, told by its environment what to do.
fn helper(world: &World, what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "log::a_process_of_its_own", "--nocapture", "--test-threads=1"]);
    command.env("LOG_STATE", world.state()).env("LOG_DO", what).stdout(Stdio::null());
    command
}

#[test]
fn a_process_of_its_own() {
    let (Some(state), Ok(what)) = (std::env::var_os("LOG_STATE"), std::env::var("LOG_DO")) else { return };
    let place = Place { directory: state.into(), name: "gate.test/host".to_owned(), log_key: KeyProvider::File };
    let append = |drafts: &[Draft]| Log::open(&place, at(0), "this-boot").and_then(|mut log| log.append(drafts, at(1)));
    match what.as_str() {
        "append" => {
            for number in 0..8 {
                append(&allowed(number, "kubectl", 0)).unwrap();
            }
        }
        "consume" => {
            let used = Log::open(&place, at(0), "this-boot").unwrap().consume("grant", &[heartbeat()], at(1));
            std::process::exit(if used.is_ok() { 100 } else { 0 });
        }
        // On a disk of its own, already full: what would begin is refused, what ended is recorded.
        "full" => full_disk(&place),
        "read-only" => {
            let error = append(&[heartbeat()]).unwrap_err();
            assert_eq!(error.kind(), Failure::Unusable, "{error}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn fifty_processes_at_once_lose_nothing() {
    let world = World::new();
    let processes: Vec<_> = (0..50).map(|_| helper(&world, "append").spawn().unwrap()).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let ran = world.run(["audit", "verify", "--local"]);
    assert_eq!(ran.code(), 0, "{ran}");
    assert_eq!(world.records().len(), 1 + 50 * 8 * 3);
}

#[test]
fn fifty_processes_with_one_grant_use_it_once() {
    let world = World::new();
    let processes: Vec<_> = (0..50).map(|_| helper(&world, "consume").spawn().unwrap()).collect();
    let used: i32 = processes.into_iter().map(|mut process| process.wait().unwrap().code().unwrap()).sum();
    assert_eq!(used, 100);
}

#[test]
fn a_stopped_process_that_holds_the_lock_leads_to_a_refusal_and_not_to_a_hang() {
    let world = World::new();
    filled(&world, 1);
    let lock = world.state().join("audit.lock");
    let mut holder =
        Command::new("flock").arg(&lock).args(["sh", "-c", "echo held; kill -STOP $$"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut held = [0; 5];
    std::io::Read::read_exact(&mut holder.stdout.take().unwrap(), &mut held).unwrap();
    let begun = Instant::now();
    let why = open(&world).and_then(|mut log| log.append(&[heartbeat()], at(5))).unwrap_err();
    assert_eq!(why.kind(), Failure::Locked);
    assert!(why.hint_text().unwrap().contains("audit.lock"));
    assert!((9..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.id())).unwrap();
    must(Command::new("kill").arg("-CONT").arg(child.trim()));
    holder.wait().unwrap();
    open(&world).unwrap().append(&[heartbeat()], at(6)).unwrap();
}

/// Runs a helper where the state directory is a small disk of its own, in a mount namespace that ends with it.
fn on_a_small_disk(world: &World, prepare: &str, what: &str) {
    let script = format!(
        "set -e; mount -t tmpfs -o size=4m,mode=0700 small \"$LOG_STATE\"; cp -a \"$1\"/. \"$LOG_STATE\"; shift; {prepare}; exec \"$@\""
    );
    let copy = world.root().join("copy");
    must(Command::new("cp").arg("-a").arg(world.state()).arg(&copy));
    let helper = helper(world, what);
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(&copy).arg(helper.get_program()).args(helper.get_args());
    command.envs(helper.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdout(Stdio::null());
    must(&mut command);
}

#[test]
fn on_a_full_disk_nothing_begins_and_what_ended_is_recorded() {
    let world = World::new();
    filled(&world, 1);
    on_a_small_disk(&world, "true", "full");
}

fn full_disk(place: &Place) {
    let mut running = Log::open(place, at(0), "this-boot").unwrap();
    let [decision, start, end] = allowed(9, "kubectl", 0);
    running.append(&[decision.clone(), start.clone()], at(1)).unwrap();
    fill_up(&place.directory);
    // What would begin is refused, once with a word in the log, then without.
    for _ in 0..2 {
        let why = Log::open(place, at(2), "this-boot").and_then(|mut log| log.append(&[decision.clone(), start.clone()], at(2)));
        assert_eq!(why.unwrap_err().kind(), Failure::Full);
    }
    // What ended is recorded in the room that the ballast left.
    running.append(&[end], at(3)).unwrap();
    drop(running);
    let kinds = || {
        let found = Reader::live(place).unwrap().find(&Wanted::From(0)).unwrap();
        let kind = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["kind"].as_str().unwrap().to_owned();
        found.iter().map(|entry| kind(&entry.body)).collect::<Vec<_>>()
    };
    let recorded = kinds();
    assert!(recorded.contains(&"audit.failure".to_owned()), "{recorded:?}");
    assert_eq!(recorded.iter().filter(|kind| *kind == "exec.start").count(), 2, "{recorded:?}");
    assert_eq!(recorded.iter().filter(|kind| *kind == "exec.end").count(), 2, "{recorded:?}");
    // Once there is room, the ballast is there again, and commands begin again.
    fs::remove_file(place.directory.join("filler")).unwrap();
    let mut log = Log::open(place, at(4), "this-boot").unwrap();
    assert!(place.directory.join("audit.ballast").exists());
    log.append(&[decision, start], at(4)).unwrap();
}

fn fill_up(directory: &Path) {
    use std::io::Write as _;
    let mut filler = fs::File::create(directory.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
}

#[test]
fn a_log_on_a_read_only_disk_is_refused_and_can_be_read() {
    let world = World::new();
    filled(&world, 1);
    on_a_small_disk(&world, "mount -o remount,ro \"$LOG_STATE\"", "read-only");
}
