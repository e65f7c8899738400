//! Copies of entries at sinks: none is lost and none is there twice, wherever the sender is killed and whatever the receiver does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gate::policy::SinkFormat;
use gate::record::export::place;
use gate::record::{Draft, Kind};
use serde_json::{Map, Value};

use crate::log::{at, database, filled, open};
use crate::world::{Ran, World, set_mode};

const OPEN: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\n";

/// A receiver in Python, ended with the test.
struct Receiver {
    child: Child,
    address: String,
    kept: PathBuf,
}

impl Receiver {
    fn new(world: &World, kind: &str, more: &[&str]) -> Self {
        let kept = world.root().join(format!("kept-{kind}"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/receive.py");
        let mut command = Command::new("python3");
        let mut child = command.arg(script).arg(kind).arg(&kept).args(more).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned(), kept }
    }

    /// How often each entry is there.
    fn entries(&self) -> BTreeMap<u64, usize> {
        let mut entries = BTreeMap::new();
        let kept = fs::read_to_string(&self.kept).unwrap();
        assert!(!kept.contains("DIFFERS"), "one key came with two bodies");
        for line in kept.lines() {
            *entries.entry(line.rsplit(' ').next().unwrap().parse().unwrap()).or_default() += 1;
        }
        entries
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sink(name: &str, to: &str, format: &str) -> String {
    format!("[[log.sink]]\nname = \"{name}\"\nto = \"{to}\"\nformat = \"{format}\"\n")
}

fn with_sinks(world: World, sinks: &[String]) -> World {
    world.user_policy(&format!("{OPEN}{}", sinks.concat()))
}

/// So many more entries.
fn more(world: &World, count: u64) {
    let heartbeat = || Draft::new(Kind::Heartbeat, None, Map::new());
    let mut log = open(world).unwrap();
    for second in 0..count {
        log.append(&[heartbeat()], at(1000 + second)).unwrap();
    }
}

fn size(world: &World) -> u64 {
    database(world).query_row("SELECT size FROM head", [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

/// Ships until everything is there; a receiver with faults needs more than one go.
fn ship_all(world: &World) -> Ran {
    for _ in 0..20 {
        let ran = world.run(["audit", "ship"]);
        if ran.status.success() {
            return ran;
        }
    }
    panic!("it never arrives: {}", world.run(["audit", "ship"]));
}

fn file_entries(path: &Path, format: SinkFormat) -> Vec<u64> {
    let bytes = fs::read(path).unwrap();
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "half a line stays");
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| place(line.strip_suffix(b"\n").unwrap(), format).expect("an entry").1).collect()
}

#[test]
fn each_sink_gets_every_entry_once_and_what_is_new_later() {
    let world = World::new();
    let formats: Vec<SinkFormat> = SinkFormat::ALL.into_iter().filter(|format| *format != SinkFormat::Otlp).collect();
    let path = |format: SinkFormat| world.root().join(format!("sink.{}", format.word()));
    let sinks: Vec<String> =
        formats.iter().map(|format| sink(format.word(), &format!("file:{}", path(*format).display()), format.word())).collect();
    let paths: Vec<PathBuf> = formats.iter().map(|format| path(*format)).collect();
    let world = with_sinks(world, &sinks);
    filled(&world, 100);
    for round in 0..3 {
        ship_all(&world);
        for (format, path) in formats.iter().zip(&paths) {
            assert_eq!(file_entries(path, *format), (0..size(&world)).collect::<Vec<_>>(), "round {round}");
        }
        more(&world, 7);
    }
    let told = world.run(["audit", "ship", "--json"]);
    let first: Value = serde_json::from_str(told.out().lines().next().unwrap()).unwrap();
    assert_eq!((&first["sink"], &first["sent"], &first["waiting"]), (&"jsonl".into(), &7.into(), &0.into()));
    let exported = world.run(["audit", "export", "--format", "jsonl"]);
    assert!(exported.stdout == fs::read(&paths[0]).unwrap(), "a shipped record is not the exported one");
}

#[test]
fn receivers_of_every_kind_get_every_entry() {
    for (kind, format, more_of_it) in [
        ("http", "jsonl", &["plain"][..]),
        ("http", "jsonl", &[]),
        ("http", "otlp", &[]),
        ("tcp", "rfc5424", &[]),
        ("tcp", "ocsf", &[]),
        ("unix", "cef", &[]),
        ("unix-stream", "jsonl", &[]),
    ] {
        let world = World::new();
        let receiver = Receiver::new(&world, kind, more_of_it);
        let world = with_sinks(world, &[sink("there", &receiver.address, format)]);
        filled(&world, 300);
        let told = ship_all(&world);
        let kept = receiver.entries();
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), (0..size(&world)).collect::<Vec<_>>(), "{kind} {format}: {told}");
        // Syslog has no answers: an entry may come twice, and says which it is. HTTP receivers know a batch by its key.
        assert!(kind != "http" || kept.values().all(|count| *count == 1), "{kept:?}");
        more(&world, 1);
        ship_all(&world);
        assert!(receiver.entries().contains_key(&(size(&world) - 1)));
    }
}

#[test]
fn large_entries_go_in_smaller_batches_and_what_no_datagram_holds_goes_as_a_short_message() {
    for (kind, format) in [("http", "jsonl"), ("unix", "jsonl")] {
        let world = World::new();
        let receiver = Receiver::new(&world, kind, &["plain"]);
        let world = with_sinks(world, &[sink("there", &receiver.address, format)]);
        let mut log = open(&world).unwrap();
        for second in 0..120 {
            let mut fields = Map::new();
            fields.insert("pad".to_owned(), "é".repeat(30_000).into());
            log.append(&[Draft::new(Kind::Heartbeat, None, fields)], at(second)).unwrap();
        }
        drop(log);
        ship_all(&world);
        let kept = receiver.entries();
        assert!(kept.keys().copied().eq(0..121), "{kind}: {kept:?}");
        // A datagram has no answer: where the receiver's buffer was full, one may come twice.
        assert!(kind != "http" || kept.values().all(|count| *count == 1), "{kept:?}");
    }
}

#[test]
fn datagrams_over_the_network_say_which_entry_they_are() {
    let world = World::new();
    let receiver = Receiver::new(&world, "udp", &[]);
    let world = with_sinks(world, &[sink("there", &receiver.address, "rfc5424")]);
    filled(&world, 20);
    ship_all(&world);
    // The receiver reads them in its own time.
    while receiver.entries().len() < 61 {
        std::thread::yield_now();
    }
    assert!(receiver.entries().keys().copied().eq(0..61));
}

#[test]
fn a_redirection_is_refused_and_nothing_is_noted_as_sent() {
    let world = World::new();
    let receiver = Receiver::new(&world, "redirect", &[]);
    let world = with_sinks(world, &[sink("there", &receiver.address, "jsonl")]);
    filled(&world, 1);
    let ran = world.run(["audit", "ship"]);
    insta::assert_snapshot!(ran, @r"
    --- stdout
    there: 0 sent, 4 wait
    --- stderr
    gate: there: the receiver sends to another place (307), which gate does not follow
    --- exit 2
    ");
}

#[test]
fn a_token_comes_from_a_private_file_and_is_said_to_the_receiver_alone() {
    let world = World::new();
    let receiver = Receiver::new(&world, "http", &["plain", "token"]);
    let token = world.root().join("token");
    let set = |to: &str| format!("{}token_file = \"{}\"\n", sink("there", to, "jsonl"), token.display());
    let world = with_sinks(world, &[set(&receiver.address)]);
    filled(&world, 1);
    fs::write(&token, "s3cret-token\n").unwrap();
    set_mode(&token, 0o644);
    let ran = world.run(["audit", "ship"]);
    assert!(ran.code() == 2 && ran.err().contains("others may use it"), "{ran}");
    set_mode(&token, 0o600);
    let ran = world.run(["audit", "ship", "--json"]);
    assert!(ran.status.success(), "{ran}");
    assert_eq!(receiver.entries().len(), 4);
    // The wrong one, and one that everybody on the way could read.
    fs::write(&token, "other-token").unwrap();
    more(&world, 1);
    let wrong = world.run(["audit", "ship"]);
    assert!(wrong.code() == 2 && wrong.err().contains("refused it (401)"), "{wrong}");
    let world = with_sinks(world, &[set("http://192.0.2.1/in")]);
    let bare = world.run(["audit", "ship"]);
    assert!(bare.code() == 2 && bare.err().contains("https://"), "{bare}");
    for ran in [&ran, &wrong, &bare] {
        assert!(!ran.to_string().contains("-token"), "{ran}");
    }
}

#[test]
fn a_file_says_itself_how_far_it_is() {
    let world = World::new();
    let path = world.root().join("sink.jsonl");
    let world = with_sinks(world, &[sink("there", &format!("file:{}", path.display()), "jsonl")]);
    filled(&world, 10);
    ship_all(&world);
    let whole = fs::read(&path).unwrap();
    // Written and not noted; half a line; lines that are gone again; half of the very first line.
    for (noted, left) in [(0, whole.len()), (31, whole.len() - 5), (31, whole.len() / 2), (0, 40), (31, 40)] {
        database(&world).execute("UPDATE outbox SET seq=?1", [noted]).unwrap();
        fs::write(&path, &whole[..left]).unwrap();
        if noted == 31 && left == 40 {
            // A file that was put there anew, with half a line that is not the next one's.
            assert!(world.run(["audit", "ship"]).status.success(), "there is nothing to send");
            continue;
        }
        ship_all(&world);
        assert!(fs::read(&path).unwrap() == whole, "{noted} noted, {left} bytes left");
    }
    // A file that was rotated away.
    fs::remove_file(&path).unwrap();
    more(&world, 2);
    ship_all(&world);
    assert_eq!(file_entries(&path, SinkFormat::Jsonl), [31, 32]);
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let world = World::new();
    let path = world.root().join("notes");
    let world = with_sinks(world, &[sink("there", &format!("file:{}", path.display()), "cef")]);
    filled(&world, 1);
    for notes in ["dear diary\n", "dear diary", "dear\ndiary"] {
        fs::write(&path, notes).unwrap();
        set_mode(&path, 0o600);
        let ran = world.run(["audit", "ship"]);
        assert_eq!(ran.code(), 2, "{ran}");
        assert_eq!(fs::read_to_string(&path).unwrap(), notes);
    }
    fs::write(&path, "").unwrap();
    set_mode(&path, 0o620);
    let ran = world.run(["audit", "ship"]);
    assert!(ran.code() == 2 && ran.err().contains("others may write it"), "{ran}");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    let ran = world.run(["audit", "ship"]);
    assert!(ran.code() == 2 && ran.err().contains("symbolic link"), "{ran}");
}

#[test]
fn a_sink_that_has_more_than_the_log_shows_that_an_older_copy_was_put_back() {
    let world = World::new();
    let path = world.root().join("sink.jsonl");
    let world = with_sinks(world, &[sink("there", &format!("file:{}", path.display()), "jsonl")]);
    filled(&world, 2);
    let copy = world.root().join("copy");
    assert!(Command::new("cp").arg("-a").arg(world.state()).arg(&copy).status().unwrap().success());
    more(&world, 3);
    ship_all(&world);
    fs::remove_dir_all(world.state()).unwrap();
    fs::rename(&copy, world.state()).unwrap();
    let ran = world.run(["audit", "ship"]);
    insta::assert_snapshot!(ran, @r"
    --- stdout
    there: 0 sent, 0 wait
    --- stderr
    gate: there: the sink has 10 entries of this log, and the log has 7: was an older copy of it put back?
    --- exit 1
    ");
}

#[test]
fn a_changed_entry_is_sent_nowhere() {
    let world = World::new();
    let path = world.root().join("sink.jsonl");
    let world = with_sinks(world, &[sink("there", &format!("file:{}", path.display()), "jsonl")]);
    filled(&world, 2);
    database(&world).execute("UPDATE entry SET body=CAST(replace(CAST(body AS TEXT),'pod-1','pod-2') AS BLOB) WHERE seq=4", []).unwrap();
    let ran = world.run(["audit", "ship"]);
    assert!(ran.code() == 1 && ran.err().contains("entry 4 was changed"), "{ran}");
    assert!(fs::read(&path).unwrap_or_default().is_empty());
}

#[test]
fn without_a_sink_or_beside_another_ship_nothing_is_sent() {
    let world = World::new().user_policy(OPEN);
    filled(&world, 1);
    assert_eq!(world.run(["audit", "ship"]).code(), 78);
    let path = world.root().join("sink.jsonl");
    let world = with_sinks(world, &[sink("there", &format!("file:{}", path.display()), "jsonl")]);
    let copy = world.state().join("audit.db");
    assert_eq!(world.run(["audit", "--db", copy.to_str().unwrap(), "ship"]).code(), 64);
    let lock = world.state().join("ship.lock");
    let held = fs::File::create(&lock).unwrap();
    set_mode(&lock, 0o600);
    held.lock().unwrap();
    let ran = world.run(["audit", "ship"]);
    assert!(ran.code() == 2 && ran.err().contains("another `gate audit ship` is at work"), "{ran}");
}

#[test]
fn follow_sends_what_is_new() {
    let world = World::new();
    let receiver = Receiver::new(&world, "http", &[]);
    let world = with_sinks(world, &[sink("there", &receiver.address, "jsonl")]);
    filled(&world, 1);
    let mut command = world.command(world.gate(), ["audit", "ship", "--follow", "--json"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut sent = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()).filter(|line| line["sent"] != 0);
    for round in 0..6 {
        assert_eq!(sent.next().unwrap()["next"], 4 + round);
        more(&world, 1);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(receiver.entries().values().all(|count| *count == 1));
}

#[test]
fn follow_goes_on_in_a_new_file_when_the_old_one_was_renamed() {
    let world = World::new();
    let path = world.root().join("sink.cef");
    let world = with_sinks(world, &[sink("there", &format!("file:{}", path.display()), "cef")]);
    filled(&world, 1);
    let mut command = world.command(world.gate(), ["audit", "ship", "--follow", "--json"]);
    let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for round in 0..4 {
        let sent: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&sent["next"], &sent["error"]), (&(4 + round).into(), &Value::Null));
        let old = world.root().join(format!("old-{round}"));
        fs::rename(&path, &old).unwrap();
        assert_eq!(file_entries(&old, SinkFormat::Cef), if round == 0 { vec![0, 1, 2, 3] } else { vec![3 + round] });
        more(&world, 1);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How many system calls of a delivery are tried, of each of its threads.
fn kills() -> usize {
    if std::env::var_os("GATE_TESTS_LONG").is_some() { 2000 } else { 60 }
}

fn traced(world: &World, options: &[&str]) -> std::process::ExitStatus {
    let gate = world.gate();
    let mut line: Vec<&str> = vec!["-f"];
    line.extend(options);
    line.extend([gate.to_str().unwrap(), "audit", "ship"]);
    world.finish(world.command("strace", line)).status
}

/// The system calls of one delivery, each with its number among those of its name in its thread.
fn steps(world: &World) -> Vec<(String, usize)> {
    let trace = world.root().join("trace");
    traced(world, &["-o", trace.to_str().unwrap()]);
    let mut seen = BTreeMap::new();
    let mut steps = Vec::new();
    for line in fs::read_to_string(trace).unwrap().lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || name == "exit_group" {
            continue;
        }
        let count = seen.entry((thread.to_owned(), name.to_owned())).or_insert(0);
        *count += 1;
        if !steps.contains(&(name.to_owned(), *count)) {
            steps.push((name.to_owned(), *count));
        }
    }
    steps
}

/// Kills deliveries at steps that are spread over all of them; new entries come in between.
fn kill_on_the_way(world: &World) {
    more(world, 5);
    let steps = steps(world);
    assert!(steps.len() > 100, "{} steps", steps.len());
    let every = steps.len().div_ceil(kills()).max(1);
    let mut killed = 0;
    let mut tried = 0;
    for (name, count) in steps.iter().step_by(every) {
        more(world, 3);
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let status = traced(world, &["-o", "/dev/null", "-e", &inject]);
        tried += 1;
        killed += usize::from(status.signal() == Some(9) || status.code() == Some(137));
    }
    assert!(killed * 2 > tried, "only {killed} of {tried} were killed");
    ship_all(world);
}

#[test]
fn a_file_has_every_entry_once_wherever_the_sender_was_killed() {
    let world = World::new();
    let path = world.root().join("sink.ecs");
    let world = with_sinks(world, &[sink("there", &format!("file:{}", path.display()), "ecs")]);
    filled(&world, 1);
    kill_on_the_way(&world);
    assert_eq!(file_entries(&path, SinkFormat::Ecs), (0..size(&world)).collect::<Vec<_>>());
}

#[test]
fn an_http_receiver_has_every_entry_once_wherever_the_sender_was_killed() {
    let world = World::new();
    let receiver = Receiver::new(&world, "http", &["plain"]);
    let world = with_sinks(world, &[sink("there", &receiver.address, "jsonl")]);
    filled(&world, 1);
    kill_on_the_way(&world);
    let kept = receiver.entries();
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), (0..size(&world)).collect::<Vec<_>>());
    assert!(kept.values().all(|count| *count == 1), "{kept:?}");
}

#[test]
fn a_syslog_receiver_has_every_entry_wherever_the_sender_was_killed() {
    let world = World::new();
    let receiver = Receiver::new(&world, "tcp", &[]);
    let world = with_sinks(world, &[sink("there", &receiver.address, "rfc5424")]);
    filled(&world, 1);
    kill_on_the_way(&world);
    assert!(receiver.entries().keys().copied().eq(0..size(&world)));
}

/// `/dev` with a socket of the test's own as its `log`, in a mount namespace that ends with the command.
fn with_dev_log(world: &World, socket: &Path, gate: &[&str]) -> Ran {
    let script = "mount -t tmpfs dev /mnt && for name in null tty urandom; do touch /mnt/$name; mount --bind /dev/$name /mnt/$name; done; \
                  touch /mnt/log; mount --bind \"$1\" /mnt/log; shift; mount --rbind /mnt /dev && exec \"$@\"";
    let mut line = vec!["--mount".to_owned()];
    if !nix::unistd::geteuid().is_root() {
        line.push("--map-root-user".to_owned());
    }
    line.extend(["sh", "-c", script, "sh"].map(str::to_owned));
    line.push(socket.to_str().unwrap().to_owned());
    line.push(world.gate().to_str().unwrap().to_owned());
    line.extend(gate.iter().map(|word| (*word).to_owned()));
    world.finish(world.command("unshare", line))
}

#[test]
fn each_entry_is_told_to_the_local_syslog_without_the_command() {
    let world = World::new().user_policy(&format!("{OPEN}[log]\nsyslog = true\n"));
    let path = world.root().join("log.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let ran = with_dev_log(&world, &path, &["--", "true", "s3cret word"]);
    assert!(ran.status.success() && ran.stderr.is_empty(), "{ran}");
    let mut told = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read) = socket.recv(&mut buffer) {
        told.push(String::from_utf8(buffer[..read].to_vec()).unwrap());
    }
    let note = world.run(["audit", "checkpoint"]).out();
    let root = note.lines().nth(2).unwrap();
    let records = world.records();
    // The log's first entry is older than its opening, and is told by the checkpoint of the second.
    assert_eq!(told.len(), 2, "{told:#?}");
    for (line, record) in told.iter().zip(&records[1..]) {
        let leaf: Vec<u8> =
            database(&world).query_row("SELECT leaf FROM entry WHERE seq=?1", [record["seq"].as_i64().unwrap()], |row| row.get(0)).unwrap();
        let wanted = format!(
            "[gate@32473 origin=\"{}\" seq=\"{}\" size=\"3\" root=\"{root}\" leaf=\"{}\" kind=\"{}\" req=\"{}\"",
            record["log"].as_str().unwrap(),
            record["seq"],
            gate::record::hex(&leaf),
            record["kind"].as_str().unwrap(),
            record["req"].as_str().unwrap(),
        );
        assert!(line.starts_with("<85>gate[") && line.contains(&wanted), "{line}");
        assert!(!line.contains("s3cret"), "{line}");
    }
    assert!(told[0].ends_with(" decision=\"allowed\"]"), "{}", told[0]);
}

#[test]
fn a_syslog_that_is_not_there_is_a_warning_only() {
    let world = World::new().user_policy(&format!("{OPEN}[log]\nsyslog = true\n"));
    let path = world.root().join("log.sock");
    drop(UnixDatagram::bind(&path).unwrap());
    let ran = with_dev_log(&world, &path, &["--", "true"]);
    assert_eq!(ran.code(), 0);
    assert!(ran.err().starts_with("gate: the record stands, and syslog was not told: `/dev/log`: "), "{ran}");
    assert!(world.run(["audit", "verify", "--local"]).status.success());
}

#[test]
fn without_the_setting_nothing_is_told() {
    let world = World::new().user_policy(OPEN);
    let path = world.root().join("log.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    assert!(with_dev_log(&world, &path, &["--", "true"]).status.success());
    assert!(socket.recv(&mut [0; 16]).is_err());
    let trace = world.root().join("trace");
    let args = ["-f", "-e", "trace=socket", "-o", trace.to_str().unwrap(), world.gate().to_str().unwrap(), "--", "true"].map(str::to_owned);
    assert!(world.finish(world.command("strace", args)).status.success());
    let mut made = String::new();
    fs::File::open(trace).unwrap().read_to_string(&mut made).unwrap();
    assert!(!made.contains("socket("), "{made}");
}
