//! `kill -9` at every step: nothing runs without a durable record, and the log has no gap afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use crate::world::World;

/// Everything runs, in place: the shortest way to an exec.
const IN_PLACE: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\n";

/// The same, with gate waiting for the command's end.
const SUPERVISED: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\noutcome = true\n";

/// How often every step is killed; `tests/all --long` asks for more.
fn rounds() -> usize {
    if std::env::var_os("GATE_TESTS_LONG").is_some() { 10 } else { 1 }
}

pub fn traced(world: &World, options: &[&str], gate: &[&str]) -> std::process::ExitStatus {
    let gate_path = world.gate();
    let mut line: Vec<&str> = options.to_vec();
    line.push(gate_path.to_str().unwrap());
    line.extend(gate);
    let ran = world.finish(world.command("strace", line));
    ran.status
}

/// The system calls from the start of gate to the end of its command: each name, and which call of that name it is.
pub fn steps(world: &World, gate: &[&str]) -> Vec<(String, usize)> {
    let trace = world.root().join("trace");
    traced(world, &["-o", trace.to_str().unwrap()], gate);
    let mut seen = std::collections::BTreeMap::new();
    let trace = fs::read_to_string(trace).unwrap();
    let calls = trace.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name.to_owned());
    calls
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && name != "exit_group")
        .map(|name| {
            let count = seen.entry(name.clone()).or_insert(0);
            *count += 1;
            (name, *count)
        })
        .collect()
}

/// Kills gate on entering each of its system calls in turn, and checks what is left.
fn kill_at_every_step(policy: &str) {
    let world = World::new().user_policy(policy);
    let first = world.work().join("first");
    let words = ["--", "touch", first.to_str().unwrap()];
    assert!(world.run(words).status.success());
    let steps = steps(&world, &words);
    assert!(steps.len() > 200, "{} steps", steps.len());

    let (mut kills, mut killed) = (0, 0);
    for (name, count) in steps.iter().cycle().take(steps.len() * rounds()) {
        let file = world.work().join(format!("done-{kills}"));
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let status = traced(&world, &["-o", "/dev/null", "-e", &inject], &["--", "touch", file.to_str().unwrap()]);
        kills += 1;
        killed += usize::from(status.signal() == Some(9) || status.code() == Some(137));
    }
    assert!(killed * 10 > kills * 9, "only {killed} of {kills} were killed");

    let verified = world.run(["audit", "verify", "--local"]);
    assert!(verified.status.success(), "{verified}");
    let records = world.records();
    let seqs: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap: {seqs:?}");
    let about = |record: &serde_json::Value| record["req"].as_str().unwrap_or_default().to_owned();
    let started: BTreeSet<String> =
        records.iter().filter(|record| ["exec.start", "exec.replace"].iter().any(|kind| record["kind"] == *kind)).map(about).collect();
    let decided: Vec<(String, String)> =
        records.iter().filter(|record| record["kind"] == "decision").map(|record| (about(record), record.to_string())).collect();
    let mut ran = 0;
    for round in 0..kills {
        let file = format!("done-{round}");
        if world.work().join(&file).exists() {
            ran += 1;
            let recorded = decided.iter().any(|(request, record)| record.contains(&format!("/{file}\"")) && started.contains(request));
            assert!(recorded, "`{file}` was made without a record");
        }
    }
    assert!(ran > 0, "nothing ever ran");
}

#[test]
fn a_command_in_place_never_runs_without_a_record() {
    kill_at_every_step(IN_PLACE);
}

#[test]
fn a_supervised_command_never_runs_without_a_record() {
    kill_at_every_step(SUPERVISED);
}

/// What the trace says of the log's files and of the exec, in order.
fn durable_before_exec(policy: &str) {
    let world = World::new().user_policy(policy);
    let line = ["--", "true"];
    world.run(line);
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
    durable_before_exec(IN_PLACE);
    durable_before_exec(SUPERVISED);
}
