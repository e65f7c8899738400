//! What the log costs: `cargo bench --bench log -- [RECORDS]`. Targets are multiples of F, what the bare disk takes in the same run.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gate::approval::Stamp;
use gate::audit::{Check, Log, Place, Reader, Signatures};
use gate::policy::KeyProvider;
use gate::record::{Draft, Kind};
use gate::request::RequestId;
use serde_json::{Value, json};

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    match arguments.next().as_deref() {
        Some("worker") => {
            let (directory, count) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
            worker(&PathBuf::from(directory), count.parse().unwrap_or(1));
        }
        records => report(records.and_then(|records| records.parse().ok()).unwrap_or(100_000)),
    }
}

fn place(directory: &Path) -> Place {
    Place { directory: directory.join("state"), name: "gate.bench/host".to_owned(), log_key: KeyProvider::File }
}

fn now() -> Stamp {
    Stamp { wall: 1_795_226_400_000_000_000, boot: Duration::from_secs(1) }
}

/// What one allowed command stores: about 900 bytes in all that a real one has.
fn drafts(number: u64) -> [Draft; 2] {
    let id = RequestId::new(1_795_226_400_000 + number, &[7; 10]);
    let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
    let decision = json!({
        "actor": { "uid": 1000, "euid": 1000, "gid": 1000, "user": "ada", "loginuid": 1000, "tty": "/dev/pts/3", "asker": "person" },
        "host": { "name": "host.example" },
        "cmd": { "argv": ["kubectl", "--context", "prod-eu", "get", "pods", "-n", "payments"], "program": "kubectl",
                 "path": "/usr/local/bin/kubectl", "cwd": "/home/ada/work/payments", "words": ["get"] },
        "policy": { "sha256": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9" },
        "decision": { "effect": "allow", "result": "allowed", "risk": "low",
                      "rules": [{ "id": "kubectl.read", "layer": "user", "effect": "allow", "risk": "low" }] },
    });
    let start = json!({ "proc": { "pid": 4711, "start": 123_456 } });
    [Draft::new(Kind::Decision, Some(id), fields(decision)), Draft::new(Kind::ExecReplace, Some(id), fields(start))]
}

/// One process, and as many rounds of open, append, close; prints nanoseconds.
fn worker(directory: &Path, count: u64) {
    for number in 0..count {
        let begun = Instant::now();
        let stored = Log::open(&place(directory), now(), "boot").and_then(|mut log| log.append(&drafts(number), now()));
        let took = begun.elapsed().as_nanos();
        match stored {
            Ok(_) => println!("{took}"),
            Err(error) => println!("error {error}"),
        }
    }
}

fn report(records: u64) {
    let Ok(directory) = tempfile::Builder::new().prefix("gate-bench-").tempdir_in(std::env::current_dir().unwrap_or_default()) else {
        return;
    };
    let directory = directory.path();
    let f = bare_disk(&directory.join("bare"));
    println!("F, append 1 KiB and fdatasync: p50 {f:?}");
    let target = f * 5 / 2 + Duration::from_micros(800);
    let one = one_process_each(directory, 300, 1);
    println!(
        "append of 2 records, one process each: p50 {:?} (target {target:?}), p99 {:?} (target {:?})",
        part(&one, 50),
        part(&one, 99),
        f * 5 + Duration::from_millis(3)
    );
    let begun = Instant::now();
    let many = one_process_each(directory, 50, 16);
    let rate = 800.0 / begun.elapsed().as_secs_f64();
    println!(
        "50 processes x 16: p50 {:?}, p99 {:?} (target 300ms), max {:?} (target 500ms), {rate:.0}/s (target 600)",
        part(&many, 50),
        part(&many, 99),
        part(&many, 100)
    );
    verify(directory, records);
}

fn bare_disk(path: &Path) -> Duration {
    let Ok(mut file) = File::create(path) else { return Duration::ZERO };
    let mut times: Vec<Duration> = (0..300)
        .map(|_| {
            let begun = Instant::now();
            let done = file.write_all(&[7; 1024]).and_then(|()| file.sync_data());
            if done.is_ok() { begun.elapsed() } else { Duration::MAX }
        })
        .collect();
    times.sort();
    part(&times, 50)
}

/// Runs processes, one after the other where each has one round, else all at once.
fn one_process_each(directory: &Path, processes: u32, rounds: u32) -> Vec<Duration> {
    let spawn = || {
        let program = std::env::current_exe().unwrap_or_default();
        Command::new(program).arg("worker").arg(directory).arg(rounds.to_string()).stdout(Stdio::piped()).spawn()
    };
    let mut times = Vec::new();
    let mut collect = |child: std::io::Result<std::process::Child>| {
        let Ok(output) = child.and_then(std::process::Child::wait_with_output) else { return };
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            match line.parse() {
                Ok(nanoseconds) => times.push(Duration::from_nanos(nanoseconds)),
                Err(_) => println!("{line}"),
            }
        }
    };
    if rounds == 1 {
        (0..processes).for_each(|_| collect(spawn()));
    } else {
        let children: Vec<_> = (0..processes).map(|_| spawn()).collect();
        children.into_iter().for_each(collect);
    }
    times.sort();
    times
}

fn part(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

fn verify(directory: &Path, records: u64) {
    let directory = directory.join("many");
    let place = place(&directory);
    let Ok(mut log) = Log::open(&place, now(), "boot") else { return };
    let batch = 1000;
    for first in (0..records / 2).step_by(batch) {
        let many: Vec<Draft> = (first..first + batch as u64).flat_map(drafts).collect();
        if let Err(error) = log.append(&many, now()) {
            println!("error {error}");
        }
    }
    drop(log);
    let size = std::fs::metadata(place.directory.join("audit.db")).map_or(0, |file| file.len());
    println!("{records} records: {} bytes of database each", size / records.max(1));
    for signatures in [Signatures::None, Signatures::All] {
        let Ok(reader) = Reader::live(&place) else { return };
        let begun = Instant::now();
        let report = reader.verify(&Check { signatures, ..Check::default() });
        let seconds = begun.elapsed().as_secs_f64();
        match report {
            Ok(report) if report.wrong == 0 => {
                println!(
                    "verify, signatures {signatures:?}: {:.0} records/s",
                    f64::from(u32::try_from(report.size).unwrap_or(u32::MAX)) / seconds
                );
            }
            Ok(report) => println!("not sound: {:?}", report.problems),
            Err(error) => println!("error {error}"),
        }
    }
}
