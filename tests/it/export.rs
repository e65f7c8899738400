//! Entries in the forms of other systems: each proved before it is written, none that breaks a line or a field, all read back by readers
//! that know nothing of gate.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gate::key::Vkey;
use gate::policy::SinkFormat;
use gate::record::export::{Entry, line, place, wrapped};
use gate::record::{Draft, Header, Kind, leaf_hash};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::log::{at, database, draft, open};
use crate::world::{Ran, World};

/// Everything runs; what a hostile caller may put into an argv is recorded.
const OPEN: &str = "version = 1\n[layer]\nunmatched = \"allow\"\nopaque = \"allow\"\noutcome = true\n";

/// The compiled schema stands beside the project and not in a fresh clone.
fn schema() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = "shared/vectors/ocsf/ocsf-1.8.0.json";
    [root.join("..").join(file), root.join("../..").join(file)].into_iter().find(|path| path.is_file())
}

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script));
    command
}

fn exported(world: &World, format: SinkFormat, more: &[&str]) -> PathBuf {
    let path = world.root().join(format!("export.{}{}", format.word(), more.len()));
    let mut args = vec!["audit", "export", "--format", format.word(), "--out", path.to_str().unwrap()];
    args.extend(more);
    let ran = world.run(args);
    assert!(ran.status.success(), "{ran}");
    path
}

/// One record of each kind and of each answer, as gate writes them.
fn all_kinds() -> Vec<Draft> {
    let rules = json!([{ "id": "pods.delete", "layer": "user", "effect": "ask", "risk": "high" }]);
    let about = |decision: Value| {
        json!({
            "actor": { "uid": 1000, "euid": 0, "gid": 1000, "session": 77, "asker": "agent claude", "user": "ada", "tty": "/dev/pts/3" },
            "host": { "name": "build-7" }, "gate": { "version": "0.1.0" }, "risk": "high",
            "cmd": { "argv": ["kubectl", "delete", "pod", "a b"], "program": "kubectl", "path": "/usr/bin/kubectl", "cwd": "/srv",
                     "words": ["delete"], "sha256": "ab".repeat(32) },
            "policy": { "sha256": "cd".repeat(32), "rules": ["pods.delete"], "files": [] },
            "decision": decision,
        })
    };
    let mut drafts = vec![draft(Kind::Request, 1, {
        let mut asked = about(Value::Null);
        asked.as_object_mut().unwrap().remove("decision");
        asked
    })];
    let results = ["allowed", "observed", "denied", "rejected", "expired", "unreachable", "cancelled", "changed", "pending"];
    for (number, result) in (10..).zip(results) {
        let effect = if result == "allowed" { "allow" } else { "ask" };
        drafts.push(draft(
            Kind::Decision,
            number,
            about(json!({ "effect": effect, "result": result, "rules": rules, "why": "no terminal" })),
        ));
    }
    let approver =
        json!([{ "issuer": "tty:build-7", "subject": "1000", "channel": "tty", "assurance": "confirm", "at": 1, "other_person": false }]);
    let approved = about(json!({ "effect": "ask", "result": "approved", "rules": rules, "approvers": approver, "assurance": "confirm" }));
    drafts.push(draft(Kind::Decision, 1, approved));
    drafts.push(draft(Kind::ExecStart, 1, json!({ "proc": { "pid": 4711, "start": 99 } })));
    drafts.push(draft(Kind::ExecEnd, 1, json!({ "outcome": { "exit": 3, "duration_ns": 1_500_000_000 } })));
    drafts.push(draft(Kind::ExecReplace, 10, json!({ "proc": { "pid": 4712, "start": 99 } })));
    drafts.push(draft(Kind::ExecEnd, 11, json!({ "outcome": { "signal": 9, "duration_ns": "9007199254740993", "timed_out": true } })));
    drafts.push(draft(Kind::ExecFail, 11, json!({ "error": "it is gone" })));
    drafts.push(draft(Kind::Review, 1, about(json!({ "approvers": approver }))));
    drafts.push(draft(Kind::RequestState, 1, json!({ "what": "request.consumed" })));
    drafts.push(draft(Kind::BreakGlass, 1, json!({ "what": "request.broken" })));
    // An execution whose decision is not in this log.
    drafts.push(draft(Kind::ExecStart, 99, json!({ "proc": { "pid": 1, "start": 1 } })));
    let plain = [
        (Kind::PolicyLoad, json!({ "policy": { "sha256": "ef".repeat(32) } })),
        (Kind::ConfigChange, json!({})),
        (Kind::KeyRotate, json!({ "keys": { "record": "x" } })),
        (Kind::Anchor, json!({ "size": 3 })),
        (Kind::Heartbeat, json!({})),
        (Kind::Redact, json!({ "digests": ["x"] })),
        (Kind::Prune, json!({ "to": 3 })),
        (Kind::SchemaMigrate, json!({ "to": 2 })),
        (Kind::AuditFailure, json!({ "error": "disk full", "refused": true })),
        (Kind::Login, json!({ "actor": { "user": "alice at https://id.example" }, "what": "login" })),
        (Kind::Logout, json!({ "what": "logout" })),
        (Kind::Stop, json!({ "what": "stopped", "data": { "reason": "incident" } })),
        (Kind::Server, json!({ "what": "server.started" })),
    ];
    drafts.extend(plain.into_iter().map(|(kind, fields)| {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        Draft::new(kind, None, fields)
    }));
    for kind in Kind::ALL {
        assert!(kind == Kind::LogOpen || drafts.iter().any(|draft| draft.kind == kind), "{kind} is not among them");
    }
    drafts
}

/// What would end a line, a field or a terminal's patience.
fn nasty() -> Vec<Value> {
    let texts = [
        "plain",
        "",
        " ",
        "a|b",
        "a=b",
        "a\\",
        "\\\"]",
        "] evil",
        "\"",
        "line\nline",
        "cr\rlf\n",
        "tab\t",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{85}",
        "\u{2028}",
        "nul\u{0}",
        "\u{7f}",
        "\u{feff}",
        "cs1=forged",
        "cn1=7 cs3=other",
        "CEF:0|x|",
        "<34>1 - - - - - -",
        "ünïcödé",
        "😀",
        "[gate@32473 origin=\"x\" seq=\"9\"]",
        "$(reboot)",
        "{\"log\":1}",
    ];
    let mut all: Vec<Value> = texts.iter().map(|text| Value::from(*text)).collect();
    all.push(Value::from("x".repeat(30_000)));
    all.push(json!({ "b64": "/2FiYwr/" }));
    all
}

fn hostile() -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (number, word) in (200..).zip(nasty()) {
        // A record holds 64 KiB: what is long stands once.
        let short = |word: &&Value| word.as_str().is_some_and(|text| text.len() < 1000);
        let text = Some(&word).filter(short).cloned().unwrap_or(Value::from("text"));
        let place = Some(&word).filter(|word| short(word) || word.is_object()).cloned().unwrap_or(Value::from("/long"));
        drafts.push(draft(
            Kind::Decision,
            number,
            json!({
                "actor": { "uid": 0, "user": text, "asker": text, "tty": place }, "host": { "name": text }, "gate": { "version": text },
                "cmd": { "argv": [word, "end"], "program": place, "path": place, "cwd": place, "sha256": text },
                "policy": { "sha256": text, "rules": [text] }, "risk": text,
                "decision": { "effect": text, "result": "denied", "why": text, "rules": [{ "id": text, "layer": "user" }],
                              "approvers": [{ "issuer": text, "subject": text }] },
            }),
        ));
        drafts.push(draft(Kind::ExecFail, number, json!({ "error": text })));
    }
    // Members of another shape than gate's.
    for (number, odd) in (300..).zip([json!(7), json!([]), json!({}), json!([[]]), json!({ "argv": 3 }), json!(true)]) {
        let fields = json!({ "actor": odd, "cmd": odd, "decision": odd, "policy": odd, "proc": odd, "outcome": odd, "risk": odd, "host": odd, "gate": odd });
        drafts.push(draft(Kind::ExecEnd, number, fields));
    }
    drafts
}

/// A log with one record of each kind, and with every nasty one.
fn full(world: &World) {
    let mut log = open(world).unwrap();
    for (number, drafts) in all_kinds().into_iter().chain(hostile()).collect::<Vec<_>>().chunks(2).enumerate() {
        log.append(drafts, at(number as u64)).unwrap();
    }
}

fn passes(mut command: Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}

#[test]
fn every_kind_is_a_valid_ocsf_event() {
    let world = World::new();
    full(&world);
    let Some(schema) = schema() else { return };
    for integrity in [&[][..], &["--ocsf-record-integrity"]] {
        let export = exported(&world, SinkFormat::Ocsf, integrity);
        let mut command = python("ocsf.py");
        command.arg(&schema).arg(export);
        passes(command);
    }
}

#[test]
fn every_format_is_read_back_by_a_reader_of_its_own_specification() {
    let world = World::new();
    full(&world);
    let records = exported(&world, SinkFormat::Jsonl, &[]);
    for format in SinkFormat::ALL.into_iter().filter(|format| *format != SinkFormat::Ocsf) {
        let export = if format == SinkFormat::Jsonl { records.clone() } else { exported(&world, format, &[]) };
        let mut command = python("read_export.py");
        command.arg(format.word()).arg(&records).arg(export);
        passes(command);
    }
}

#[test]
fn what_a_caller_types_breaks_no_line_of_any_format() {
    let world = World::new().user_policy(OPEN);
    let words: Vec<Vec<u8>> = vec![
        b"true".to_vec(),
        b"a|b\\|c=d\\=\"]\n\r\t\x1b[2J".to_vec(),
        b"\xff\xfe not text \n".to_vec(),
        vec![b'x'; 100_000],
        "\u{202e}\u{2028}\u{85}".as_bytes().to_vec(),
    ];
    for count in 2..=words.len() {
        let mut args: Vec<std::ffi::OsString> = vec!["--".into()];
        args.extend(words[..count].iter().map(|word| std::ffi::OsString::from_vec(word.clone())));
        let ran = world.run(args);
        assert!(ran.status.success(), "{ran}");
    }
    let records = exported(&world, SinkFormat::Jsonl, &[]);
    for format in [SinkFormat::Dsse, SinkFormat::Ecs, SinkFormat::Cef, SinkFormat::Rfc5424, SinkFormat::Otlp] {
        let mut command = python("read_export.py");
        command.arg(format.word()).arg(&records).arg(exported(&world, format, &[]));
        passes(command);
    }
    let Some(schema) = schema() else { return };
    let mut command = python("ocsf.py");
    command.arg(schema).arg(exported(&world, SinkFormat::Ocsf, &[]));
    passes(command);
}

#[test]
fn the_records_as_they_are_are_the_evidence() {
    let world = World::new();
    crate::log::filled(&world, 200);
    let bodies = fs::read(exported(&world, SinkFormat::Jsonl, &[])).unwrap();
    let mut wanted = Vec::new();
    let rows = database(&world);
    let mut rows = rows.prepare("SELECT body FROM entry ORDER BY seq").unwrap();
    for body in rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap() {
        wanted.extend(body.unwrap());
        wanted.push(b'\n');
    }
    assert!(bodies == wanted);
}

fn seqs(ran: &Ran) -> Vec<u64> {
    assert!(ran.status.success(), "{ran}");
    ran.out().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect()
}

#[test]
fn from_to_and_since_choose_the_entries() {
    let world = World::new();
    crate::log::filled(&world, 300);
    let run = |more: &[&str]| world.run([&["audit", "export", "--format", "jsonl"], more].concat());
    assert_eq!(seqs(&run(&[])), (0..=900).collect::<Vec<_>>());
    assert_eq!(seqs(&run(&["--from", "255", "--to", "257"])), [255, 256, 257]);
    assert_eq!(seqs(&run(&["--from", "899"])), [899, 900]);
    assert_eq!(seqs(&run(&["--to", "0"])), [0]);
    assert!(seqs(&run(&["--from", "901"])).is_empty());
    // Three entries for each second, the last of them a second later than its start.
    let last = serde_json::from_str::<Value>(run(&["--from", "900"]).out().trim()).unwrap();
    assert_eq!(seqs(&run(&["--since", last["ts"].as_str().unwrap()])), [900]);
    assert_eq!(run(&["--since", "never"]).code(), 64);
    assert_eq!(world.run(["audit", "export", "--format", "xml"]).code(), 64);
    assert_eq!(run(&["--ocsf-record-integrity"]).code(), 64);
}

#[test]
fn an_export_writes_over_no_file() {
    let world = World::new();
    crate::log::filled(&world, 1);
    let path = exported(&world, SinkFormat::Cef, &[]);
    let ran = world.run(["audit", "export", "--format", "cef", "--out", path.to_str().unwrap()]);
    assert_eq!(ran.code(), 64, "{ran}");
    assert_eq!(fs::metadata(&path).unwrap().len(), fs::read(&path).unwrap().len() as u64);
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
}

#[test]
fn a_changed_entry_is_exported_nowhere() {
    // In the middle of a full bundle of 256, in the first and last of one, and in the unfinished one at the end.
    for changed in [300_u64, 256, 511, 600] {
        for also_leaf in [false, true] {
            let world = World::new();
            crate::log::filled(&world, 200);
            let log = database(&world);
            let body: Vec<u8> = log.query_row("SELECT body FROM entry WHERE seq=?1", [changed.cast_signed()], |row| row.get(0)).unwrap();
            let forged = String::from_utf8(body)
                .unwrap()
                .replace("\"uid\":1000", "\"uid\":1001")
                .replace("\"exit\":0", "\"exit\":1")
                .replace("\"pid\":1,", "\"pid\":2,");
            let leaf = leaf_hash(forged.as_bytes());
            log.execute("UPDATE entry SET body=?1 WHERE seq=?2", (forged.as_bytes(), changed.cast_signed())).unwrap();
            if also_leaf {
                log.execute("UPDATE entry SET leaf=?1 WHERE seq=?2", (leaf, changed.cast_signed())).unwrap();
            }
            drop(log);
            for format in SinkFormat::ALL {
                let ran = world.run(["audit", "export", "--format", format.word()]);
                assert_eq!(ran.code(), 1, "{ran}");
                let (written, whole) = (ran.out().lines().count() as u64, changed - changed % 256);
                // A changed leaf also stands in the proofs of others.
                assert!(written <= whole && (also_leaf || written == whole), "{written} of {whole} lines");
                assert!(also_leaf || ran.err().contains(&format!("entry {changed} was changed")), "{ran}");
            }
        }
    }
}

#[test]
fn a_missing_entry_and_an_unsigned_end_end_the_export() {
    let world = World::new();
    crate::log::filled(&world, 3);
    database(&world).execute("DELETE FROM entry WHERE seq=4", []).unwrap();
    let ran = world.run(["audit", "export", "--format", "cef"]);
    insta::assert_snapshot!(ran, @r"
    --- stderr
    gate: audit log: entry 4 is missing
    --- exit 1
    ");
    let world = World::new();
    crate::log::filled(&world, 3);
    database(&world).execute("UPDATE head SET note=replace(note,'gate','gote')", []).unwrap();
    let ran = world.run(["audit", "export", "--format", "cef"]);
    assert_eq!((ran.code(), ran.stdout.len()), (1, 0), "{ran}");
}

#[test]
fn follow_goes_on_with_new_entries() {
    let world = World::new();
    crate::log::filled(&world, 1);
    let mut command = world.command(world.gate(), ["audit", "export", "--format", "jsonl", "--follow", "--from", "2"]);
    let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["seq"].as_u64().unwrap();
    assert_eq!([next(), next()], [2, 3]);
    open(&world).unwrap().append(&[Draft::new(Kind::Heartbeat, None, Map::new())], at(9)).unwrap();
    assert_eq!(next(), 4);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The key of the RFC 8032 7.1 test vector 1.
fn key() -> Vkey {
    Vkey::parse("gate.test/build/1/record+bdf85a83+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea").unwrap()
}

#[test]
fn a_signature_that_goes_along_has_to_hold() {
    let forged =
        ["UPDATE entry SET sig=zeroblob(64) WHERE seq=5", "UPDATE entry SET keyid=2 WHERE seq=5", "UPDATE entry SET keyid=9 WHERE seq=5"];
    for (number, forged) in forged.into_iter().enumerate() {
        let world = World::new();
        crate::log::filled(&world, 3);
        database(&world).execute(forged, []).unwrap();
        for format in [SinkFormat::Dsse, SinkFormat::Ocsf, SinkFormat::Ecs] {
            let ran = world.run(["audit", "export", "--format", format.word()]);
            assert_eq!(ran.code(), 1, "{ran}");
            assert_eq!(ran.out().lines().count(), if number == 0 { 5 } else { 0 }, "{ran}");
        }
    }
}

/// One decision with fixed time and names.
fn example(visit: impl FnOnce(&Entry<'_>)) {
    let decision = draft(
        Kind::Decision,
        7,
        json!({ "actor": { "uid": 1000, "user": "ada" }, "host": { "name": "build" }, "gate": { "version": "0.1.0" }, "risk": "low",
                "cmd": { "argv": ["echo", "a|b=c", "\"]\n"], "program": "echo", "path": "/usr/bin/echo" },
                "policy": { "sha256": "5e", "rules": ["echo.read"] },
                "decision": { "effect": "allow", "result": "allowed", "rules": [{ "id": "echo.read" }] } }),
    );
    let header = Header {
        log: "gate.test/build/1",
        seq: 12,
        prev: [0; 32],
        wall: at(0).wall,
        boot: "b",
        monotonic: std::time::Duration::from_secs(1),
    };
    let body = header.body(&decision).unwrap();
    let entry = Entry::new(&body, &[7; 64], &key(), leaf_hash(&body)).unwrap();
    visit(&entry);
}

#[test]
fn a_record_in_each_format() {
    insta::assert_snapshot!(shown(SinkFormat::Jsonl), @r#"
    actor: {"uid":1000,"user":"ada"}
    boot: "b"
    cmd: {"argv":["echo","a|b=c","\"]\n"],"path":"/usr/bin/echo","program":"echo"}
    decision: {"effect":"allow","result":"allowed","rules":[{"id":"echo.read"}]}
    gate: {"version":"0.1.0"}
    host: {"name":"build"}
    kind: "decision"
    log: "gate.test/build/1"
    monotonic: 1000000
    policy: {"rules":["echo.read"],"sha256":"5e"}
    prev: "0000000000000000000000000000000000000000000000000000000000000000"
    req: "01a1fbd4-f507-7707-8707-070707070707"
    risk: "low"
    seq: 12
    ts: "2026-11-21T02:00:00.000000000Z"
    v: 1
    "#);
    insta::assert_snapshot!(shown(SinkFormat::Dsse), @r#"
    payload: "eyJhY3RvciI6eyJ1aWQiOjEwMDAsInVzZXIiOiJhZGEifSwiYm9vdCI6ImIiLCJjbWQiOnsiYXJndiI6WyJlY2hvIiwiYXxiPWMiLCJcIl1cbiJdLCJwYXRoIjoiL3Vzci9iaW4vZWNobyIsInByb2dyYW0iOiJlY2hvIn0sImRlY2lzaW9uIjp7ImVmZmVjdCI6ImFsbG93IiwicmVzdWx0IjoiYWxsb3dlZCIsInJ1bGVzIjpbeyJpZCI6ImVjaG8ucmVhZCJ9XX0sImdhdGUiOnsidmVyc2lvbiI6IjAuMS4wIn0sImhvc3QiOnsibmFtZSI6ImJ1aWxkIn0sImtpbmQiOiJkZWNpc2lvbiIsImxvZyI6ImdhdGUudGVzdC9idWlsZC8xIiwibW9ub3RvbmljIjoxMDAwMDAwLCJwb2xpY3kiOnsicnVsZXMiOlsiZWNoby5yZWFkIl0sInNoYTI1NiI6IjVlIn0sInByZXYiOiIwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIiwicmVxIjoiMDFhMWZiZDQtZjUwNy03NzA3LTg3MDctMDcwNzA3MDcwNzA3IiwicmlzayI6ImxvdyIsInNlcSI6MTIsInRzIjoiMjAyNi0xMS0yMVQwMjowMDowMC4wMDAwMDAwMDBaIiwidiI6MX0="
    payloadType: "application/vnd.gate.record+json"
    signatures: [{"keyid":"gate.test/build/1/record+bdf85a83","sig":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw=="}]
    "#);
    insta::assert_snapshot!(shown(SinkFormat::Ocsf), @r#"
    action: "Allowed"
    action_id: 1
    activity_id: 99
    activity_name: "Decide"
    actor: {"app_name":"gate","user":{"name":"ada","uid":"1000"}}
    authorizations: [{"decision":"allowed","policy":{"is_applied":true,"uid":"echo.read"}}]
    category_name: "System Activity"
    category_uid: 1
    class_name: "Process Activity"
    class_uid: 1007
    device: {"hostname":"build","name":"build","type":"Unknown","type_id":0}
    disposition: "Allowed"
    disposition_id: 1
    message: "decision allowed ada echo 'a|b=c' $'\"]\\n'"
    metadata: {"correlation_uid":"01a1fbd4-f507-7707-8707-070707070707","event_code":"decision","log_name":"gate.test/build/1","log_provider":"gate","original_time":"2026-11-21T02:00:00.000000000Z","product":{"name":"gate","vendor_name":"gate","version":"0.1.0"},"profiles":["host","security_control"],"sequence":12,"uid":"431c6787fca1ac2f056921217b6a917742fc693eb70fee14e377bf080eb50d0c","version":"1.8.0"}
    policy: {"is_applied":true,"name":"gate","uid":"5e"}
    process: {"cmd_line":"echo 'a|b=c' $'\"]\\n'","file":{"name":"echo","path":"/usr/bin/echo","type":"Executable File","type_id":8},"name":"echo","path":"/usr/bin/echo","uid":"01a1fbd4-f507-7707-8707-070707070707","user":{"name":"ada","uid":"1000"}}
    raw_data: "{\"actor\":{\"uid\":1000,\"user\":\"ada\"},\"boot\":\"b\",\"cmd\":{\"argv\":[\"echo\",\"a|b=c\",\"\\\"]\\n\"],\"path\":\"/usr/bin/echo\",\"program\":\"echo\"},\"decision\":{\"effect\":\"allow\",\"result\":\"allowed\",\"rules\":[{\"id\":\"echo.read\"}]},\"gate\":{\"version\":\"0.1.0\"},\"host\":{\"name\":\"build\"},\"kind\":\"decision\",\"log\":\"gate.test/build/1\",\"monotonic\":1000000,\"policy\":{\"rules\":[\"echo.read\"],\"sha256\":\"5e\"},\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"req\":\"01a1fbd4-f507-7707-8707-070707070707\",\"risk\":\"low\",\"seq\":12,\"ts\":\"2026-11-21T02:00:00.000000000Z\",\"v\":1}"
    raw_data_hash: {"algorithm":"SHA-256","algorithm_id":3,"value":"f8dbdfe84632ca8acb41314d69811a01cd6d3c6739a22f523a765cc30ccfeb82"}
    raw_data_size: 551
    risk_level: "Low"
    risk_level_id: 1
    severity: "Low"
    severity_id: 2
    status: "Success"
    status_id: 1
    time: 1795226400000
    type_name: "Process Activity: Other"
    type_uid: 100799
    unmapped: {"keyid":"gate.test/build/1/record+bdf85a83","leaf":"431c6787fca1ac2f056921217b6a917742fc693eb70fee14e377bf080eb50d0c","prev":"0000000000000000000000000000000000000000000000000000000000000000","sig":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw=="}
    "#);
    insta::assert_snapshot!(shown(SinkFormat::Ecs), @r#"
    @timestamp: "2026-11-21T02:00:00.000000000Z"
    ecs: {"version":"9.0.0"}
    event: {"action":"decision","category":["process"],"dataset":"gate.audit","hash":"f8dbdfe84632ca8acb41314d69811a01cd6d3c6739a22f523a765cc30ccfeb82","id":"431c6787fca1ac2f056921217b6a917742fc693eb70fee14e377bf080eb50d0c","kind":"event","module":"gate","original":"{\"actor\":{\"uid\":1000,\"user\":\"ada\"},\"boot\":\"b\",\"cmd\":{\"argv\":[\"echo\",\"a|b=c\",\"\\\"]\\n\"],\"path\":\"/usr/bin/echo\",\"program\":\"echo\"},\"decision\":{\"effect\":\"allow\",\"result\":\"allowed\",\"rules\":[{\"id\":\"echo.read\"}]},\"gate\":{\"version\":\"0.1.0\"},\"host\":{\"name\":\"build\"},\"kind\":\"decision\",\"log\":\"gate.test/build/1\",\"monotonic\":1000000,\"policy\":{\"rules\":[\"echo.read\"],\"sha256\":\"5e\"},\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"req\":\"01a1fbd4-f507-7707-8707-070707070707\",\"risk\":\"low\",\"seq\":12,\"ts\":\"2026-11-21T02:00:00.000000000Z\",\"v\":1}","outcome":"success","provider":"gate","sequence":12,"type":["info","allowed"]}
    gate: {"decision":"allowed","effect":"allow","keyid":"gate.test/build/1/record+bdf85a83","leaf":"431c6787fca1ac2f056921217b6a917742fc693eb70fee14e377bf080eb50d0c","log":"gate.test/build/1","policy":"5e","prev":"0000000000000000000000000000000000000000000000000000000000000000","request":"01a1fbd4-f507-7707-8707-070707070707","risk":"low","sig":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw=="}
    host: {"hostname":"build","name":"build"}
    message: "decision allowed ada echo 'a|b=c' $'\"]\\n'"
    observer: {"product":"gate","vendor":"gate","version":"0.1.0"}
    process: {"args":["echo","a|b=c","\"]\n"],"args_count":3,"command_line":"echo 'a|b=c' $'\"]\\n'","entity_id":"01a1fbd4-f507-7707-8707-070707070707","executable":"/usr/bin/echo","name":"echo"}
    related: {"hosts":["build"],"user":["ada","1000"]}
    rule: {"id":["echo.read"]}
    user: {"id":"1000","name":"ada"}
    "#);
    insta::assert_snapshot!(shown(SinkFormat::Cef), @r#"CEF:0|gate|gate|0.1.0|decision|command decided|3|cn1=12 cn1Label=sequence cs1=431c6787fca1ac2f056921217b6a917742fc693eb70fee14e377bf080eb50d0c cs1Label=leaf cs3=gate.test/build/1 cs3Label=log rt=1795226400000 dvchost=build externalId=01a1fbd4-f507-7707-8707-070707070707 suser=ada suid=1000 act=allowed outcome=success dproc=echo filePath=/usr/bin/echo cs2=echo.read cs2Label=rules cs4=5e cs4Label=policy cs5=low cs5Label=risk cs6=echo 'a|b\=c' $'"]\\n' cs6Label=command msg=decision allowed ada echo 'a|b\=c' $'"]\\n'"#);
    insta::assert_snapshot!(shown(SinkFormat::Rfc5424), @r#"<85>1 2026-11-21T02:00:00.000000Z build gate - decision [gate@32473 origin="gate.test/build/1" seq="12" leaf="431c6787fca1ac2f056921217b6a917742fc693eb70fee14e377bf080eb50d0c" prev="0000000000000000000000000000000000000000000000000000000000000000" kind="decision" req="01a1fbd4-f507-7707-8707-070707070707" user="ada" uid="1000" decision="allowed" risk="low" rules="echo.read" policy="5e" cmd="echo 'a|b=c' $'\"\]\\n'"] decision allowed"#);
    insta::assert_snapshot!(shown(SinkFormat::Otlp), @r#"resourceLogs: [{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"gate"}},{"key":"service.version","value":{"stringValue":"0.1.0"}},{"key":"service.instance.id","value":{"stringValue":"gate.test/build/1"}},{"key":"host.name","value":{"stringValue":"build"}}]},"scopeLogs":[{"logRecords":[{"attributes":[{"key":"log.record.uid","value":{"stringValue":"431c6787fca1ac2f056921217b6a917742fc693eb70fee14e377bf080eb50d0c"}},{"key":"gate.log","value":{"stringValue":"gate.test/build/1"}},{"key":"gate.seq","value":{"intValue":"12"}},{"key":"gate.leaf","value":{"stringValue":"431c6787fca1ac2f056921217b6a917742fc693eb70fee14e377bf080eb50d0c"}},{"key":"gate.prev","value":{"stringValue":"0000000000000000000000000000000000000000000000000000000000000000"}},{"key":"gate.kind","value":{"stringValue":"decision"}},{"key":"gate.request","value":{"stringValue":"01a1fbd4-f507-7707-8707-070707070707"}},{"key":"gate.decision","value":{"stringValue":"allowed"}},{"key":"gate.effect","value":{"stringValue":"allow"}},{"key":"gate.risk","value":{"stringValue":"low"}},{"key":"gate.policy","value":{"stringValue":"5e"}},{"key":"user.name","value":{"stringValue":"ada"}},{"key":"user.id","value":{"stringValue":"1000"}},{"key":"process.command_line","value":{"stringValue":"echo 'a|b=c' $'\"]\\n'"}},{"key":"process.executable.name","value":{"stringValue":"echo"}},{"key":"process.executable.path","value":{"stringValue":"/usr/bin/echo"}},{"key":"process.command_args","value":{"arrayValue":{"values":[{"stringValue":"echo"},{"stringValue":"a|b=c"},{"stringValue":"\"]\n"}]}}},{"key":"gate.rules","value":{"arrayValue":{"values":[{"stringValue":"echo.read"}]}}}],"body":{"stringValue":"{\"actor\":{\"uid\":1000,\"user\":\"ada\"},\"boot\":\"b\",\"cmd\":{\"argv\":[\"echo\",\"a|b=c\",\"\\\"]\\n\"],\"path\":\"/usr/bin/echo\",\"program\":\"echo\"},\"decision\":{\"effect\":\"allow\",\"result\":\"allowed\",\"rules\":[{\"id\":\"echo.read\"}]},\"gate\":{\"version\":\"0.1.0\"},\"host\":{\"name\":\"build\"},\"kind\":\"decision\",\"log\":\"gate.test/build/1\",\"monotonic\":1000000,\"policy\":{\"rules\":[\"echo.read\"],\"sha256\":\"5e\"},\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"req\":\"01a1fbd4-f507-7707-8707-070707070707\",\"risk\":\"low\",\"seq\":12,\"ts\":\"2026-11-21T02:00:00.000000000Z\",\"v\":1}"},"eventName":"gate.decision","observedTimeUnixNano":"1795226400000000000","severityNumber":9,"severityText":"INFO","timeUnixNano":"1795226400000000000"}],"scope":{"name":"gate","version":"0.1.0"}}]}]"#);
}

/// A line; of JSON each member of the outermost object in a line of its own.
fn shown(format: SinkFormat) -> String {
    let mut text = String::new();
    example(|entry| text = String::from_utf8(line(entry, format, false)).unwrap());
    let Ok(Value::Object(members)) = serde_json::from_str(&text) else { return text };
    members.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_line_says_which_entry_it_is_whatever_the_record_holds(text in any::<String>(), seq in 0..1_u64 << 50) {
        let fields = json!({ "actor": { "user": text, "uid": 1 }, "cmd": { "argv": [text, text], "program": text, "cwd": text },
                             "host": { "name": text }, "decision": { "result": text, "rules": [{ "id": text }] }, "error": text });
        let header = Header { log: "gate.test/h/1", seq, prev: [9; 32], wall: 5, boot: "b", monotonic: std::time::Duration::ZERO };
        let body = header.body(&draft(Kind::Decision, 1, fields)).unwrap();
        let entry = Entry::new(&body, &[1; 64], &key(), leaf_hash(&body)).unwrap();
        for format in SinkFormat::ALL.into_iter().filter(|format| *format != SinkFormat::Otlp) {
            let line = line(&entry, format, false);
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
            prop_assert_eq!(place(&line, format), Some(("gate.test/h/1".to_owned(), seq)));
        }
        let message = wrapped(&entry, b"any");
        prop_assert_eq!(place(&message, SinkFormat::Rfc5424), Some(("gate.test/h/1".to_owned(), seq)));
    }
}
