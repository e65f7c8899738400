//! `kill -9` at every step: nothing runs without a durable record, and the log has no gap afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use crate::world::World;

/// Everything runs, in place: the shortest way to an exec.
const IN_PLACE: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\n";

/// How many kills each way of running gets; `tests/all --long` asks for more.
fn kills() -> usize {
    if std::env::var_os("GATE_TESTS_LONG").is_some() { 5000 } else { 260 }
}

fn traced(world: &World, options: &[&str], gate: &[&str]) -> std::process::ExitStatus {
    let gate_path = world.gate();
    let mut line: Vec<&str> = options.to_vec();
    line.push(gate_path.to_str().unwrap());
    line.extend(gate);
    let ran = world.finish(world.command("strace", line));
    ran.status
}

/// How many system calls gate makes until its command runs, and a bit more.
fn steps(world: &World, gate: &[&str]) -> usize {
    let trace = world.root().join("trace");
    traced(world, &["-o", trace.to_str().unwrap()], gate);
    fs::read_to_string(trace).unwrap().lines().count()
}

/// Kills gate on entering its n-th system call, for every n in turn, and checks what is left.
fn kill_at_every_step(options: &[&str]) {
    let world = World::new().user_policy(IN_PLACE);
    let line = |file: &Path| -> Vec<String> {
        let mut line: Vec<String> = options.iter().map(ToString::to_string).collect();
        line.extend(["--", "touch"].map(String::from));
        line.push(file.to_str().unwrap().into());
        line
    };
    let words = |file: &Path| line(file);
    let first = words(&world.work().join("first"));
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    assert!(world.run(&first).status.success());
    let steps = steps(&world, &first);
    assert!(steps > 20, "{steps} steps");

    let mut killed = 0;
    for round in 0..kills() {
        let step = round % steps + 1;
        let file = world.work().join(format!("done-{round}"));
        let words = words(&file);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let inject = format!("inject=all:signal=KILL:when={step}");
        let status = traced(&world, &["-o", "/dev/null", "-e", &inject], &words);
        killed += usize::from(status.signal() == Some(9) || status.code() == Some(137));
    }
    assert!(killed > kills() / 2, "only {killed} of {} were killed", kills());

    let verified = world.run(["audit", "verify", "--local"]);
    assert!(verified.status.success(), "{verified}");
    let records = world.records();
    let seqs: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap: {seqs:?}");
    let started: BTreeSet<String> = records
        .iter()
        .filter(|record| record["kind"].as_str().is_some_and(|kind| kind.starts_with("exec.")))
        .map(ToString::to_string)
        .collect();
    for round in 0..kills() {
        let file = format!("done-{round}");
        if world.work().join(&file).exists() {
            assert!(started.iter().any(|record| record.contains(&format!("/{file}\""))), "`{file}` was made without a record");
        }
    }
}

#[test]
fn a_command_in_place_never_runs_without_a_record() {
    kill_at_every_step(&[]);
}

#[test]
fn a_supervised_command_never_runs_without_a_record() {
    kill_at_every_step(&["--status-fd", "2"]);
}

/// What the trace says of the log's files and of the exec, in order.
fn durable_before_exec(options: &[&str]) {
    let world = World::new().user_policy(IN_PLACE);
    let mut line = options.to_vec();
    line.extend(["--", "true"]);
    world.run(&line);
    let trace = world.root().join("trace");
    let status = traced(&world, &["-f", "-y", "-o", trace.to_str().unwrap()], &line);
    assert!(status.success());
    let trace = fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let exec = lines
        .iter()
        .rposition(|line| (line.contains("execve(") || line.contains("execveat(")) && line.contains("true"))
        .expect("the command was run");
    let synced = lines[..exec]
        .iter()
        .rposition(|line| {
            (line.contains("fsync(") || line.contains("fdatasync(")) && line.contains("audit.db-wal") && line.ends_with("= 0")
        })
        .expect("the log was synced before the command was run");
    let late: Vec<&&str> = lines[synced..exec].iter().filter(|line| line.contains("write") && line.contains("audit.db-wal")).collect();
    assert!(late.is_empty(), "written after the last sync: {late:#?}");
    assert!(lines[..synced].iter().any(|line| line.contains("write") && line.contains("audit.db-wal")), "nothing was written");
}

#[test]
fn the_record_is_synced_before_the_exec() {
    durable_before_exec(&[]);
    durable_before_exec(&["--status-fd", "2"]);
}
