//! What an auditor gets: counted once, told three ways, and nothing from the record is ever more than text in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gate::record::{Draft, Kind};
use serde_json::{Value, json};

use crate::log::{at, database, draft, open};
use crate::world::{Ran, World};

/// The day that [`at`] counts from, and a moment before and after it.
const SINCE: &str = "2026-11-01";
const UNTIL: &str = "2027-02-01";

/// What would be markup, a link, a script or a terminal's order somewhere.
const NASTY: [&str; 14] = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "&lt;b&gt; &amp; {{ 7*7 }} {% raw %}",
    "[link](https://evil.example) ![](http://evil.example/x.png) www.evil.example",
    "| a | b |\n\n# heading\n\n<b>bold</b>",
    "`code` **bold** _it_ ~~no~~ $x$ \\",
    "\u{202e}txt.exe\u{2066}",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "nul\u{0}\r\n\t\u{85}\u{2028}",
    "\u{feff}zero\u{200b}width",
    "]]> --> */ </title></textarea>",
    "javascript:alert(1)",
    "ünïcödé 😀",
];

struct Told<'a> {
    user: &'a str,
    argv: &'a [&'a str],
    rule: &'a str,
    policy: &'a str,
    decision: Value,
}

fn about(told: &Told<'_>) -> Value {
    let policy = json!({
        "sha256": told.policy.repeat(32), "rules": [told.rule],
        "files": [{ "path": "/etc/gate/policy.toml", "sha256": "aa".repeat(32) }, { "path": "/home/ada/.config/gate/policy.toml", "sha256": told.policy.repeat(32) }],
    });
    json!({
        "actor": { "uid": 1000, "user": told.user, "asker": "agent claude" }, "host": { "name": "build-7" }, "gate": { "version": "0.1.0" },
        "risk": "high", "cmd": { "argv": told.argv, "program": told.argv[0], "cwd": "/srv" }, "policy": policy, "decision": told.decision,
    })
}

fn rules(rule: &str, effect: &str) -> Value {
    json!([{ "id": rule, "layer": "user", "effect": effect, "risk": "high" }])
}

fn asked(number: u64, told: &Told<'_>) -> Draft {
    let mut fields = about(told);
    fields.as_object_mut().unwrap().remove("decision");
    draft(Kind::Request, number, fields)
}

/// A busy quarter: rules that allow, people who approve, reject and let expire, a policy that changes, text that nobody would want.
fn busy(world: &World) {
    let mut log = open(world).unwrap();
    let people = ["ada", "grace", "linus", "barbara"];
    let programs: [&[&str]; 4] = [
        &["kubectl", "delete", "pod", "web-7f9c"],
        &["terraform", "apply", "-auto-approve"],
        &["git", "push", "--force", "origin", "main"],
        &["psql", "-c", "DROP TABLE invoices"],
    ];
    let names = ["pods.delete", "terraform.apply", "git.push.force", "psql.drop"];
    for number in 0..120_u64 {
        let turn = usize::try_from(number).unwrap();
        let second = number * 50_000;
        let policy = if number < 45 { "b1" } else { "c2" };
        let (user, argv, rule) = (people[turn % 4], programs[turn / 2 % 4], names[turn / 2 % 4]);
        let told = |decision| Told { user, argv, rule, policy, decision };
        if number % 5 < 3 {
            let decision = json!({ "effect": "allow", "result": "allowed", "rules": rules("reading", "allow") });
            let argv = ["kubectl", "get", "pods"];
            log.append(
                &[
                    draft(Kind::Decision, number, about(&Told { argv: &argv, rule: "reading", ..told(decision) })),
                    draft(Kind::ExecReplace, number, json!({ "proc": { "pid": 9, "start": 1 } })),
                ],
                at(second),
            )
            .unwrap();
            continue;
        }
        log.append(&[asked(number, &told(Value::Null))], at(second)).unwrap();
        let review = |other: bool| json!([{ "issuer": "https://id.example", "subject": "grace", "channel": "tty", "assurance": "verified", "at": 1, "other_person": other, "comment": "go ahead, after the backup" }]);
        let decision = match number % 10 {
            3 => {
                json!({ "effect": "ask", "result": "approved", "rules": rules(rule, "ask"), "approvers": review(true), "assurance": "verified" })
            }
            4 => {
                json!({ "effect": "ask", "result": "approved", "rules": rules(rule, "ask"), "approvers": review(false), "assurance": "confirm" })
            }
            8 => {
                json!({ "effect": "ask", "result": "rejected", "rules": rules(rule, "ask"), "by": "grace at https://id.example", "comment": "not on a Friday" })
            }
            _ => json!({ "effect": "ask", "result": "expired", "rules": rules(rule, "ask") }),
        };
        log.append(&[draft(Kind::Decision, number, about(&told(decision)))], at(second + 5 + number * number % 400)).unwrap();
    }
    for (number, nasty) in (200..).zip(NASTY) {
        let decision = json!({ "effect": "deny", "result": "denied", "rules": rules(nasty, "deny"), "why": nasty, "comment": nasty });
        let told = Told { user: nasty, argv: &["echo", nasty], rule: nasty, policy: "c2", decision };
        let mut fields = about(&told);
        fields["actor"]["asker"] = nasty.into();
        fields["risk"] = nasty.into();
        fields["policy"]["files"][0]["path"] = nasty.into();
        log.append(&[draft(Kind::Decision, number, fields)], at(6_000_000 + number)).unwrap();
        log.append(&[Draft::new(Kind::AuditFailure, None, json!({ "error": nasty }).as_object().unwrap().clone())], at(6_000_000 + number))
            .unwrap();
    }
    let long = "x".repeat(20_000);
    let decision = json!({ "effect": "deny", "result": "denied", "rules": rules("long", "deny") });
    let told = Told { user: "ada", argv: &["echo", &long], rule: "long", policy: "c2", decision };
    log.append(&[draft(Kind::Decision, 300, about(&told))], at(6_000_300)).unwrap();
}

fn report(world: &World, format: &str, more: &[&str]) -> Ran {
    world.run([&["audit", "report", "--control", "fedramp", "--since", SINCE, "--until", UNTIL, "--format", format], more].concat())
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(ran.out().trim()).unwrap_or_else(|error| panic!("{error}\n{ran}"))
}

/// Where tests/all installs what drives the browser.
fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser/node_modules")
}

#[test]
fn the_page_opens_in_a_browser_clean_and_asks_for_nothing() {
    let world = World::new();
    busy(&world);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    fs::create_dir_all(&pictures).unwrap();
    let page = pictures.join("report.html");
    let ran = report(&world, "html", &[]);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    fs::write(&page, ran.out()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/look.mjs");
    let looked = Command::new("node").arg(script).arg(modules()).arg(&page).arg(&pictures).output().unwrap();
    let said = String::from_utf8_lossy(&looked.stdout);
    assert!(looked.status.success() && said.trim() == "clean", "{said}{}", String::from_utf8_lossy(&looked.stderr));
}

#[test]
fn text_of_the_record_stays_text_in_every_form() {
    let world = World::new();
    busy(&world);
    for format in ["html", "md", "json"] {
        let ran = report(&world, format, &[]);
        assert_eq!(ran.code(), 0, "{}", ran.err());
        let out = ran.out();
        for (what, found) in [("an escape", '\u{1b}'), ("a turn of direction", '\u{202e}'), ("a nul", '\0'), ("a mark", '\u{feff}')] {
            assert!(!out.contains(found), "{what} in {format}");
        }
        assert!(!out.contains(&"x".repeat(1000)) && out.contains("characters"), "what is long is not cut in {format}");
        if format == "json" {
            assert!(out.is_ascii());
            continue;
        }
        // What links or heads in Markdown is plain text in a page.
        let marks = ["](http", "(https://evil", " https://evil", " www.evil", "\n# heading"];
        let tags = ["<script", "<img", "<svg onload", "<b>bold"];
        for live in tags.iter().chain(marks.iter().filter(|_| format == "md")) {
            assert!(!out.contains(live), "`{live}` in {format}");
        }
    }
    // A cell of a table holds the same number of cells as its head, whatever is in it.
    let markdown = report(&world, "md", &[]);
    let mut head = 0;
    for line in markdown.out().lines() {
        let cells = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        match line.starts_with('|') {
            true if head == 0 => head = cells,
            true => assert_eq!(cells, head, "{line}"),
            false => head = 0,
        }
    }
}

#[test]
fn what_is_counted_is_what_happened() {
    let world = World::new();
    busy(&world);
    let told = json_of(&report(&world, "json", &[]));
    let facts = &told["facts"];
    assert_eq!(facts["totals"]["commands"], 120 + NASTY.len() + 1);
    assert_eq!(facts["totals"]["allowed"], 72);
    assert_eq!(facts["totals"]["approved"], 24);
    assert_eq!(facts["totals"]["asked"], 48);
    assert_eq!(facts["time_to_decision"]["count"], 48);
    assert_eq!(facts["unreviewed"].as_array().unwrap().len(), 12);
    assert_eq!(facts["break_glass"], json!([]));
    assert_eq!(facts["open"], 0);
    let approvers: Vec<&str> = facts["approvers"]["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(approvers, ["grace at https://id.example"]);
    // The user's file changed once, and the whole policy with it.
    assert_eq!(facts["policy_changes"], 1);
    assert_eq!(facts["policies"].as_array().unwrap().len(), 2);
    assert_eq!(facts["policies"][0]["decisions"], 45);
    // A later span still knows the questions and the policy from before it.
    let ran = world.run(["audit", "report", "--control", "soc2", "--since", "2026-12-20", "--until", UNTIL, "--format", "json"]);
    let later = &json_of(&ran)["facts"];
    assert_eq!(later["policies"][0]["before"], true);
    assert_eq!(later["policy_changes"], 0);
    // Without an answer, a question is open.
    open(&world).unwrap().append(&[draft(Kind::Request, 400, json!({}))], at(6_100_000)).unwrap();
    assert_eq!(json_of(&report(&world, "json", &[]))["facts"]["open"], 1);
}

#[test]
fn each_control_has_queries_that_run() {
    let world = World::new();
    crate::log::filled(&world, 2);
    let mut queries = BTreeSet::new();
    for (control, id) in [("soc2", "CC8.1"), ("fedramp", "AU-10"), ("iso27001", "A.8.15")] {
        let ran = world.run(["audit", "report", "--control", control, "--since", SINCE, "--until", UNTIL, "--format", "json"]);
        let told = json_of(&ran);
        let controls = told["controls"].as_array().unwrap();
        assert!(controls.iter().any(|control| control["id"] == id));
        let all = controls.iter().flat_map(|control| control["queries"].as_array().unwrap().clone());
        queries.extend(all.map(|query| query.as_str().unwrap().to_owned()));
    }
    for query in queries {
        let ran = world.run(query.strip_prefix("gate ").unwrap().split(' '));
        let wanted = if query == "gate audit verify" { 3 } else { 0 };
        assert_eq!(ran.code(), wanted, "{query}\n{ran}");
    }
}

#[test]
fn a_report_says_how_sure_it_is() {
    let world = World::new();
    crate::log::filled(&world, 100);
    let head = |ran: &Ran| json_of(ran)["verification"]["assurance"].clone();
    assert_eq!(head(&report(&world, "json", &[])), "not anchored");
    let checkpoint = world.root().join("checkpoint");
    fs::write(&checkpoint, world.run(["audit", "checkpoint"]).out()).unwrap();
    let anchored = report(&world, "json", &["--against", checkpoint.to_str().unwrap()]);
    assert_eq!(head(&anchored), "anchored");
    // An entry of the second bundle of 256: what was proved before it is told, and that it is not all.
    let change = "UPDATE entry SET body=CAST(replace(CAST(body AS TEXT),'\"exit\":0','\"exit\":1') AS BLOB) WHERE seq=300";
    database(&world).execute(change, []).unwrap();
    let tampered = report(&world, "json", &[]);
    assert_eq!((tampered.code(), head(&tampered)), (1, json!("tampered")));
    assert!(json_of(&tampered)["facts"]["stopped"].as_str().unwrap().contains("entry 300 was changed"));
    let page = report(&world, "html", &[]);
    assert!(page.code() == 1 && page.out().contains("<h2 id=\"verdict\">Tampered</h2>"));
    let stats = world.run(["audit", "stats"]);
    assert_eq!(stats.code(), 1, "{stats}");
}

#[test]
fn a_report_writes_over_no_file_and_needs_a_span() {
    let world = World::new();
    crate::log::filled(&world, 1);
    let out = world.root().join("report.html");
    let args = ["--out", out.to_str().unwrap()];
    assert_eq!(report(&world, "html", &args).code(), 0);
    assert!(fs::read_to_string(&out).unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(report(&world, "html", &args).code(), 64);
    let empty = world.run(["audit", "report", "--control", "soc2", "--since", UNTIL, "--until", SINCE, "--format", "md"]);
    assert_eq!(empty.code(), 64, "{empty}");
}

#[test]
fn stats_are_counted_for_people_and_for_programs() {
    let world = World::new();
    let mut log = open(&world).unwrap();
    for (number, result, wait) in [(1_u64, "approved", 4), (2, "approved", 30), (3, "rejected", 90)] {
        let decision = json!({ "effect": "ask", "result": result, "rules": rules("pods.delete", "ask") });
        let told = Told { user: "ada", argv: &["kubectl", "delete"], rule: "pods.delete", policy: "b1", decision };
        log.append(&[asked(number, &told)], at(number * 100)).unwrap();
        log.append(&[draft(Kind::Decision, number, about(&told))], at(number * 100 + wait)).unwrap();
    }
    drop(log);
    crate::log::filled(&world, 1);
    insta::assert_snapshot!(world.run(["audit", "stats"]), @r"
    --- stdout
    4 requests decided, 3 of them (75.0 %) needed a person
    time to decision: median 30 s, 95 % within 1 min 29 s, longest 1 min 30 s

    RESULT         REQUESTS
    ask approved          2
    allow allowed         1
    ask rejected          1

    REFUSED BECAUSE  REQUESTS
    rejected                1

    RULE         REQUESTS  APPROVED  REFUSED    ASKED  MEDIAN
    pods.delete         3         2        1  100.0 %    30 s
    pods.read           1         0        0    0.0 %       –

    USER  REQUESTS  APPROVED  REFUSED   ASKED  MEDIAN
    ada          4         2        1  75.0 %    30 s

    PROGRAM  REQUESTS  APPROVED  REFUSED   ASKED  MEDIAN
    kubectl         4         2        1  75.0 %    30 s
    --- exit 0
    ");
    let told = json_of(&world.run(["audit", "stats", "--json"]));
    assert_eq!(told["totals"]["asked"], 3);
    assert_eq!(told["time_to_decision"]["longest_ms"], 90_000);
}
