//! The log is made, copied and kept within bounds, and what happens where it fails: nothing runs, whatever else is done.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use gate::record::Kind;
use serde_json::{Value, json};

use crate::keeping::RUNS;
use crate::killed::{steps, traced};
use crate::log::{at, draft, filled, open};
use crate::world::{Ran, World, must};

fn sound(world: &World) {
    let ran = world.run(["audit", "verify", "--local"]);
    assert_eq!(ran.code(), 0, "{ran}");
}

fn with_log(keys: &str) -> World {
    World::new().user_policy(&format!("{RUNS}[log]\n{keys}\n"))
}

fn refused(world: &World) -> Ran {
    let done = world.work().join("done");
    let ran = world.run(["--", "touch", done.to_str().unwrap()]);
    assert_ne!(ran.code(), 0, "{ran}");
    assert!(!done.exists(), "{ran}");
    ran
}

#[test]
fn init_makes_the_log_once_and_prints_the_key_that_is_to_be_kept_elsewhere() {
    let world = World::new().user_policy(RUNS);
    let ran = world.run(["audit", "init"]);
    assert_eq!(ran.code(), 0, "{ran}");
    let key = ran.out().lines().last().unwrap().to_owned();
    assert!(world.run(["--", "true"]).status.success());
    assert_eq!(world.run(["key", "export", "log"]).out().trim(), key);
    assert_eq!(world.records()[0]["keys"]["log"], key);
    let ran = world.run(["audit", "init"]);
    assert_eq!(ran.code(), 2, "{ran}");
    assert!(ran.err().contains("is there already"), "{ran}");
    sound(&world);

    let world = World::new().user_policy(RUNS);
    let made: Value = serde_json::from_str(&world.run(["audit", "init", "--json"]).out()).unwrap();
    assert!(made["checkpoint"].as_str().unwrap().starts_with(&format!("{}\n1\n", made["origin"].as_str().unwrap())), "{made}");
    assert_eq!(made["directory"], world.state().to_str().unwrap());
}

#[test]
fn a_backup_is_one_moment_of_a_log_that_others_write_and_verifies_without_the_keys() {
    let world = World::new().user_policy(RUNS);
    filled(&world, 50);
    let mut log = open(&world).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut log = open(&world).unwrap();
            let mut written = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                log.append(&[draft(Kind::Request, 7, json!({}))], at(100)).unwrap();
                written += 1;
            }
            written
        });
        for number in 0..5 {
            let name = format!("copy-{number}.db");
            let ran = world.run(["audit", "backup", &name]);
            assert_eq!(ran.code(), 0, "{ran}");
            let ran = world.run(["audit", "--db", &name, "verify", "--local", "--json"]);
            assert_eq!(ran.code(), 0, "{ran}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(writer.join().unwrap() > 0);
    });
    log.append(&[draft(Kind::Request, 8, json!({}))], at(101)).unwrap();
    drop(log);

    let copy = world.work().join("copy-0.db");
    let before = fs::read(&copy).unwrap();
    let ran = world.run(["audit", "backup", "copy-0.db"]);
    assert_eq!(ran.code(), 2, "{ran}");
    assert_eq!(fs::read(&copy).unwrap(), before, "nothing is written over");
    assert_eq!(fs::metadata(&copy).unwrap().permissions(), std::os::unix::fs::PermissionsExt::from_mode(0o100_600));
    let key = fs::read(world.state().join("log.key")).unwrap();
    let seed = &key[16..48];
    assert!(!before.windows(seed.len()).any(|window| window == seed));
    std::os::unix::fs::symlink("/nowhere", world.work().join("link")).unwrap();
    assert_eq!(world.run(["audit", "backup", "link"]).code(), 2);
    let names: Vec<_> = fs::read_dir(world.work()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 6, "{names:?}");

    // A log that was changed is copied as it is, and that is said.
    crate::log::database(&world).execute("UPDATE entry SET body=CAST(replace(CAST(body AS TEXT),'pod-3','pod-4') AS BLOB)", []).unwrap();
    let ran = world.run(["audit", "backup", "changed.db"]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(world.work().join("changed.db").exists());
}

#[test]
fn the_budget_warns_twice_and_then_lets_nothing_begin() {
    let world = with_log("budget = \"1MiB\"");
    assert_eq!(world.run(["--", "true"]).err(), "");
    let fill = |share: u64| {
        let mut log = open(&world).unwrap();
        let used = || fs::metadata(world.state().join("audit.db")).unwrap().len();
        let mut number = 0;
        while used() * 100 < share * 1024 * 1024 {
            let filler = json!({ "filler": "x".repeat(20_000) });
            log.append(&[draft(Kind::Heartbeat, number, filler)], at(number)).unwrap();
            crate::log::database(&world).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            number += 1;
        }
    };
    fill(76);
    let ran = world.run(["--", "true"]);
    assert!(ran.code() == 0 && ran.err().starts_with("gate: the log has used 7") && ran.err().contains("gate audit prune"), "{ran}");
    fill(91);
    let ran = world.run(["--", "true"]);
    assert!(ran.code() == 0 && ran.err().starts_with("gate: nothing runs once it is full: the log has used 9"), "{ran}");
    fill(100);
    let ran = refused(&world);
    assert!(ran.err().contains("has used up its budget: 1.0 MiB of 1.0 MiB"), "{ran}");
    open(&world).unwrap().append(&[draft(Kind::ExecEnd, 1, json!({}))], at(9)).unwrap();
    assert!(world.run(["doctor"]).out().contains("has used up its budget"));
    // What archives take over is free for new entries.
    filled(&world, 90);
    assert_eq!(world.run(["audit", "prune", "--before", "2100-01-01", "--unanchored"]).code(), 0);
    assert_eq!(world.run(["--", "true"]).code(), 0);
    sound(&world);
}

#[test]
fn a_failure_stops_everything_until_somebody_looked_and_tells_a_program() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/alerted.py");
    let fifo = tempfile::tempdir().unwrap();
    let fifo = fifo.path().join("told");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let alert = format!("halt = true\nalert = [\"/usr/bin/python3\", {script:?}, {fifo:?}, \"$HOME; true\"]");
    let world = with_log(&alert).env("SECRET", "x");
    assert!(world.run(["--", "true"]).status.success());
    let key = world.state().join("log.key");
    fs::rename(&key, world.root().join("away")).unwrap();
    let why = refused(&world).err();
    let mut told = String::new();
    fs::File::open(&fifo).unwrap().read_to_string(&mut told).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(why.contains(told["told"]["error"].as_str().unwrap()), "{why}\n{told}");
    assert_eq!((&told["told"]["event"], &told["told"]["halted"]), (&"audit.failure".into(), &true.into()));
    assert_eq!((&told["leads"], &told["words"]), (&true.into(), &json!(["$HOME; true"])), "no shell, and a session of its own");
    assert!((1..=30).contains(&told["left"].as_u64().unwrap()), "the kernel ends it: {told}");
    assert!(told["env"]["SECRET"].is_null(), "{told}");

    // The cause is gone, and nothing runs until somebody says that it was looked at. What ended is recorded, and the log is read.
    fs::rename(world.root().join("away"), &key).unwrap();
    let ran = refused(&world);
    assert!(ran.err().contains("stands since the log failed") && ran.err().contains("gate audit resume"), "{ran}");
    assert!(world.run(["doctor"]).out().contains("stands since the log failed"));
    open(&world).unwrap().append(&[draft(Kind::ExecEnd, 1, json!({}))], at(9)).unwrap();
    sound(&world);
    assert_eq!(world.run(["audit", "resume", "--reason", ""]).code(), 64);
    let ran = world.run(["audit", "resume", "--reason", "the key was moved by mistake"]);
    assert_eq!(ran.code(), 0, "{ran}");
    let last = world.records().pop().unwrap();
    assert_eq!(
        (&last["kind"], &last["resumed"], &last["reason"]),
        (&"audit.failure".into(), &true.into(), &"the key was moved by mistake".into())
    );
    assert!(last["error"].as_str().unwrap().contains("log.key"), "{last}");
    assert_eq!(world.run(["--", "true"]).code(), 0);
    assert_eq!(world.run(["audit", "resume", "--reason", "again"]).out(), "nothing was stopped\n");
    sound(&world);
}

#[test]
fn an_alert_that_cannot_be_run_and_a_mark_that_cannot_be_set_change_nothing() {
    let world = with_log("halt = true\nalert = [\"/nowhere/program\"]");
    assert!(world.run(["--", "true"]).status.success());
    fs::remove_file(world.state().join("log.key")).unwrap();
    let ran = refused(&world);
    assert!(ran.err().contains("the alert `/nowhere/program` cannot be run") && ran.err().contains("log.key"), "{ran}");
    fs::remove_file(world.state().join("audit.halt")).unwrap();
    std::os::unix::fs::symlink("/nowhere", world.state().join("audit.halt")).unwrap();
    assert!(refused(&world).err().contains("stands since the log failed"), "a link is a mark as well");
}

/// Runs shell commands where the state directory is a small disk of its own, in a mount namespace that ends with it.
fn on_a_small_disk(world: &World, script: &str) -> Ran {
    let enter = format!("set -e; mount -t tmpfs -o size=6m,mode=0700 small \"$1\"; cp -a \"$2\"/. \"$1\"; cd \"$1\"; {script}");
    let copy = world.root().join("copy");
    must(Command::new("cp").arg("-a").arg(world.state()).arg(&copy));
    let root = if nix::unistd::geteuid().is_root() { "--mount" } else { "--map-root-user" };
    let (state, gate) = (world.state(), world.gate());
    let words = [root, "--mount", "sh", "-c", &enter, "sh", state.to_str().unwrap(), copy.to_str().unwrap()];
    let mut command = world.command("unshare", words);
    command.env("GATE", gate);
    world.finish(command)
}

#[test]
fn on_a_full_disk_nothing_is_pruned_copied_or_lost_and_the_mark_still_stands() {
    let world = with_log("halt = true");
    filled(&world, 100);
    let script = "cat /dev/zero > filler 2> /dev/null || :
        ! \"$GATE\" audit prune --before 2100-01-01 --unanchored
        ! \"$GATE\" audit backup copy.db
        [ ! -e copy.db ]
        [ ! -e archives/0-256.tar ]
        ! \"$GATE\" -- touch ran
        [ ! -e ran ]
        \"$GATE\" audit verify --local
        rm filler
        ! \"$GATE\" -- touch ran
        [ ! -e ran ]
        \"$GATE\" audit resume --reason 'there is room again'
        \"$GATE\" -- touch ran
        [ -e ran ]
        \"$GATE\" audit prune --before 2100-01-01 --unanchored
        \"$GATE\" audit verify --local
        \"$GATE\" audit verify --local --bundle archives/0-256.tar";
    let ran = on_a_small_disk(&world, script);
    assert_eq!(ran.code(), 0, "{ran}");
}

#[test]
fn a_stopped_process_that_holds_the_lock_lets_nothing_be_deleted() {
    let world = World::new().user_policy(RUNS);
    filled(&world, 100);
    let lock = world.state().join("audit.lock");
    let mut holder =
        Command::new("flock").arg(&lock).args(["sh", "-c", "echo held; kill -STOP $$"]).stdout(Stdio::piped()).spawn().unwrap();
    holder.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
    let prune = ["audit", "prune", "--before", "2100-01-01", "--unanchored"];
    let ran = world.run(prune);
    assert_eq!(ran.code(), 2, "{ran}");
    assert_eq!(world.records().len(), 301);
    let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.id())).unwrap();
    must(Command::new("kill").arg("-CONT").arg(child.trim()));
    holder.wait().unwrap();
    // The archive that was left is replaced.
    assert!(world.state().join("archives/0-256.tar").exists());
    assert_eq!(world.run(prune).code(), 0);
    sound(&world);
}

#[test]
fn killed_at_any_step_every_entry_is_in_the_log_or_in_an_archive_that_the_log_names() {
    let world = World::new().user_policy(RUNS);
    filled(&world, 100);
    let whole = world.root().join("whole");
    must(Command::new("cp").arg("-a").arg(world.state()).arg(&whole));
    let prune = ["audit", "prune", "--before", "2100-01-01", "--unanchored"];
    let steps = steps(&world, &prune);
    let wanted = ["openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "unlink", "ftruncate", "flock", "mkdir"];
    let steps: Vec<_> = steps.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect();
    assert!(steps.len() > 60, "{} steps", steps.len());
    let mut pruned = 0;
    // Many of them write the same file: some of each kind are enough, and all that change names or are synced.
    for (name, count) in steps.iter().enumerate().filter(|(at, (name, _))| at % 5 == 0 || !name.contains("write")).map(|(_, step)| step) {
        fs::remove_dir_all(world.state()).unwrap();
        must(Command::new("cp").arg("-a").arg(&whole).arg(world.state()));
        traced(&world, &["-o", "/dev/null", "-e", &format!("inject={name}:signal=KILL:when={count}")], &prune);
        let ran = world.run(["audit", "verify", "--local", "--json"]);
        assert_eq!(ran.code(), 0, "{name} {count}: {ran}");
        let said: Value = serde_json::from_str(&ran.out()).unwrap();
        if let Some(archived) = said["archived"].as_array().unwrap().first() {
            pruned += 1;
            let archive = fs::read(world.state().join("archives/0-256.tar")).unwrap();
            let sum = ring::digest::digest(&ring::digest::SHA256, &archive);
            assert_eq!(archived["sha256"], gate::record::hex(sum.as_ref()), "{name} {count}");
        } else {
            assert_eq!(said["entries"], 301);
        }
        let ran = world.run(prune);
        assert_eq!(ran.code(), 0, "{name} {count}: {ran}");
        let ran = world.run(["audit", "verify", "--local", "--bundle", world.state().join("archives/0-256.tar").to_str().unwrap()]);
        assert_eq!(ran.code(), 0, "{name} {count}: {ran}");
    }
    assert!(pruned > 0);
}
