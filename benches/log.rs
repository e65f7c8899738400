//! What the log costs. Targets of appends are multiples of F, what the bare disk takes in the same run.
//!
//! `cargo bench --bench log` appends, and verifies a small log. With `-- --million` it makes a log of a million entries, once, and
//! measures what `gate` itself takes to read it; `-- --entries N` makes one of another size.

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
        Some("measured") => measured(arguments),
        Some("--million") => large(1_000_000),
        Some("--entries") => large(arguments.next().and_then(|entries| entries.parse().ok()).unwrap_or(1_000_000)),
        records => report(records.and_then(|records| records.parse().ok()).unwrap_or(100_000)),
    }
}

fn place(directory: &Path) -> Place {
    Place { directory: directory.join("state"), name: "gate.bench/host".to_owned(), log_key: KeyProvider::File }
}

fn now() -> Stamp {
    Stamp { wall: 1_795_226_400_000_000_000, boot: Duration::from_secs(1) }
}

/// What one command stores: about as many bytes as a real one has. One in 10,000 is a deletion by somebody else.
fn drafts(number: u64) -> [Draft; 2] {
    let id = RequestId::new(1_795_226_400_000 + number, &[7; 10]);
    let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
    let rare = number % 10_000 == 5_000;
    let (user, verb, rule) = if rare { ("mallory", "delete", "kubectl.delete") } else { ("ada", "get", "kubectl.read") };
    let namespace = format!("team-{}", number % 300);
    let decision = json!({
        "actor": { "uid": 1000, "euid": 1000, "gid": 1000, "user": user, "loginuid": 1000, "tty": "/dev/pts/3", "asker": "person" },
        "host": { "name": "host.example" },
        "cmd": { "argv": ["kubectl", "--context", "prod-eu", verb, "pods", "-n", namespace, format!("pod-{number}")], "program": "kubectl",
                 "path": "/usr/local/bin/kubectl", "cwd": "/home/ada/work/payments", "words": [verb] },
        "policy": { "sha256": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9" },
        "decision": { "effect": "allow", "result": "allowed", "risk": "low",
                      "rules": [{ "id": rule, "layer": "user", "effect": "allow", "risk": "low" }] },
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

/// Adds commands until there are so many entries.
fn fill(place: &Place, entries: u64) {
    const BATCH: u64 = 1000;
    let Ok(mut log) = Log::open(place, now(), "boot") else { return };
    let there = Reader::live(place).and_then(|reader| reader.proved(0).map(|entries| entries.size())).unwrap_or(0);
    for first in (there / 2..entries / 2).step_by(1000) {
        let many: Vec<Draft> = (first..entries.div_ceil(2).min(first + BATCH)).flat_map(drafts).collect();
        if let Err(error) = log.append(&many, now()) {
            println!("error {error}");
        }
    }
}

fn verify(directory: &Path, records: u64) {
    let directory = directory.join("many");
    let place = place(&directory);
    fill(&place, records);
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

/// A log that is kept for the next run, and what `gate` takes to read it.
fn large(entries: u64) {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("log-{entries}"));
    let place = Place { directory: home.join(".local/state/gate"), name: "gate.bench/host".to_owned(), log_key: KeyProvider::File };
    let begun = Instant::now();
    fill(&place, entries);
    println!("{entries} entries made in {:.0?}, in {}", begun.elapsed(), place.directory.display());
    let _ = std::fs::remove_file(place.directory.join("audit.search"));
    let database = place.directory.join("audit.db");
    let bodies = rusqlite::Connection::open(&database).and_then(|log| {
        log.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        log.query_row("SELECT sum(length(body)) FROM entry", [], |row| row.get::<_, i64>(0))
    });
    let size = std::fs::metadata(&database).map_or(0, |file| file.len());
    let bodies = bodies.ok().and_then(|bodies| u64::try_from(bodies).ok()).unwrap_or(0);
    let overhead = format!("{} bytes", size.saturating_sub(bodies) / entries.max(1));
    println!("{:<44} {overhead:>12}   target 250 bytes", "overhead of an entry");
    let wanted = (entries / 2).to_string();
    let runs: [(&str, &[&str], usize, &str); 12] = [
        ("verify without record signatures", &["verify", "--local", "--signatures", "none"], 1, "5 s of one core"),
        ("verify with them", &["verify", "--local"], 1, "35 s on two cores"),
        ("list of the last 50", &["list"], 9, "10 ms"),
        ("proof of an entry", &["prove", &wanted], 9, "1300 bytes"),
        ("search without an index yet", &["search", "delete"], 1, ""),
        ("search by text", &["search", "delete", "team-200"], 9, "100 ms"),
        ("search by user", &["search", "--user", "mallory"], 9, "100 ms"),
        ("search by rule", &["search", "--rule", "kubectl.del*"], 9, "100 ms"),
        ("search for what is everywhere", &["search", "kubectl", "--user", "ada"], 9, "100 ms"),
        ("search for what is nowhere", &["search", "terraform", "--user", "eve"], 9, "100 ms"),
        ("verify without record signatures, with index", &["verify", "--local", "--signatures", "none"], 1, ""),
        ("export as JSON lines", &["export", "--format", "jsonl", "--from", &wanted], 1, ""),
    ];
    for (name, arguments, times, target) in runs {
        let mut found: Vec<Measured> = (0..times).filter_map(|_| measure(&home, arguments)).collect();
        found.sort_by_key(|run| run.took);
        let Some(middle) = found.get(found.len() / 2) else { continue };
        println!(
            "{name:<44} {:>12}   target {target:<18} {:.2} s of processors, {} MB, {} bytes printed",
            format!("{:.1?}", middle.took),
            middle.processors.as_secs_f64(),
            found.iter().map(|run| run.memory).max().unwrap_or(0) / 1024,
            middle.printed,
        );
    }
}

/// What one run of `gate` took.
struct Measured {
    took: Duration,
    processors: Duration,
    /// Its peak, in KiB.
    memory: u64,
    printed: usize,
}

/// Runs `gate audit` in a process whose only child it is, since peaks are known of all children together.
fn measure(home: &Path, arguments: &[&str]) -> Option<Measured> {
    let output =
        Command::new(std::env::current_exe().ok()?).arg("measured").arg(home).args(arguments).stderr(Stdio::inherit()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [took, processors, memory, printed] = numbers[..] else {
        println!("error {text}");
        return None;
    };
    let printed = usize::try_from(printed).ok()?;
    Some(Measured { took: Duration::from_micros(took), processors: Duration::from_micros(processors), memory, printed })
}

fn measured(mut arguments: impl Iterator<Item = String>) {
    let home = arguments.next().unwrap_or_default();
    let mut gate = Command::new(env!("CARGO_BIN_EXE_gate"));
    gate.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").arg("audit").args(arguments).stderr(Stdio::null());
    let begun = Instant::now();
    let output = gate.output();
    let took = begun.elapsed();
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
    match (output, usage) {
        (Ok(output), Ok(usage)) if output.status.success() => {
            let processors = usage.user_time() + usage.system_time();
            let processors = processors.tv_sec() * 1_000_000 + processors.tv_usec();
            println!("{} {processors} {} {}", took.as_micros(), usage.max_rss(), output.stdout.len());
        }
        (output, _) => println!("failed: {output:?}"),
    }
}
