use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use gate::approval::{ApprovalRequest, Past, Stamp};
use gate::channel::card::{self, View};
use gate::channel::{Answered, Settings, unreachable};
use gate::policy::{Asked, Assurance, Channel, Effect, Hidden, Justification, Layer, Reason, Risk, RunHow, Terms};
use gate::request::{Ancestor, Argv, Asker, Context, Cwd, Environment, Place, Program, Request, RequestId, Stdin, Who};

const DAY: i64 = 86_400_000_000_000;

fn now() -> Stamp {
    Stamp { wall: 1_790_000_000_000_000_000, boot: Duration::from_secs(10_000) }
}

/// Parts of a request that a test may change before it is asked.
struct Story {
    words: Vec<OsString>,
    program: Program,
    context: Context,
    asked: Asked,
}

fn story(words: &[&[u8]]) -> Story {
    let words: Vec<OsString> = words.iter().map(|word| OsString::from_vec(word.to_vec())).collect();
    let mut program = Program::unresolved(words[0].clone());
    program.path = "/usr/bin/kubectl".into();
    program.real = program.path.clone();
    program.place = Place::Trusted;
    program.sha256 = Some([7; 32]);
    let name = |name: &str, pid| Ancestor { pid, name: name.into(), start: 1 };
    let context = Context {
        who: Who { uid: 1000, euid: 1000, gid: 1000, user: Some("ana".into()), ..Who::default() },
        host: "build-3".into(),
        cwd: Some(Cwd { path: "/home/ana/infra".into(), dev: 1, ino: 2 }),
        asker: Asker::Agent("claude".into()),
        ancestry: vec![name("claude", 43), name("node", 42), name("bash", 41), name("sshd", 40)],
        stdin: Stdin::Tty,
        ..Context::default()
    };
    let asked = Asked {
        reasons: vec![Reason {
            rule: "kubectl.delete-namespace".into(),
            layer: Layer::Embedded,
            effect: Effect::Ask,
            risk: Risk::Critical,
            data: Vec::new(),
            text: "deletes the namespace and everything in it".into(),
            instead: Some("kubectl get all -n NAMESPACE".into()),
            preview: ["kubectl", "get", "all", "-n", "payments"].map(String::from).to_vec(),
            observed: false,
        }],
        terms: Terms { channels: BTreeSet::from([Channel::Tty]), ..Terms::default() },
        terms_layer: None,
        risk: Risk::Critical,
        how: RunHow::default(),
        hidden: Vec::new(),
        target: vec![
            ("kube context".into(), gate::request::Fact::known("prod-eu")),
            ("namespace".into(), gate::request::Fact::known("payments")),
        ],
        policy_digest: [3; 32],
    };
    Story { words, program, context, asked }
}

fn delete_namespace() -> Story {
    story(&[b"kubectl", b"--context", b"prod-eu", b"delete", b"namespace", b"payments"])
}

impl Story {
    fn ask(self) -> ApprovalRequest {
        let request = Request::new(RequestId::new(1, &[1; 10]), Argv::new(self.words).unwrap(), self.program, self.context);
        ApprovalRequest::new(request, self.asked, [9; 16], now(), String::new())
    }
}

fn past() -> Vec<Past> {
    let command = |rest: &str| format!("kubectl --context prod-eu delete namespace {rest}");
    vec![
        Past { wall: now().wall - 2 * DAY, command: command("payments-test"), decision: "approved".into(), outcome: "exit 0".into() },
        Past { wall: now().wall - 9 * DAY, command: command("payments"), decision: "rejected".into(), outcome: String::new() },
    ]
}

/// The card's words, without what differs each time the canonical form changes.
fn words(asked: &ApprovalRequest, past: &[Past], columns: usize, rows: usize) -> String {
    let card = card::card(&View { asked, past, now: now(), columns, rows });
    for line in &card.lines {
        assert!(line.width() <= columns, "{} columns: {}", line.width(), line.plain());
        assert!(line.plain().chars().all(|c| !c.is_control()));
    }
    assert!(card.lines.len() + 2 <= rows);
    let text: Vec<String> = card.lines.iter().map(gate::channel::Line::plain).collect();
    text.join("\n").replace(&asked.digest().short(), "#####-#####")
}

#[test]
fn at_80_columns_what_runs_and_how_bad_it_is_come_first() {
    insta::assert_snapshot!(words(&delete_namespace().ask(), &past(), 80, 24), @r"
    ━━ CRITICAL RISK ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ gate #####-##### ━━
    │ kubectl --context prod-eu delete namespace payments

    kube context  prod-eu
    namespace     payments
    why           deletes the namespace and everything in it
                  rule kubectl.delete-namespace, critical, embedded layer
    safer         kubectl get all -n NAMESPACE
    preview       kubectl get all -n payments
    asked by      agent claude (claimed), as ana (uid 1000) on build-3
    through       claude ← node ← bash ← sshd
    directory     /home/ana/infra
    program       /usr/bin/kubectl
    before        2 days ago approved, exit 0: … payments-test
                  9 days ago rejected: the same command
    time left     15 min
    ");
}

#[test]
fn at_40_columns_nothing_is_cut() {
    insta::assert_snapshot!(words(&delete_namespace().ask(), &past(), 40, 40), @r"
    ━━ CRITICAL RISK ━━━ gate #####-##### ━━
    │ kubectl --context prod-eu delete
    │ namespace payments

    kube context: prod-eu
    namespace: payments
    why: deletes the namespace and
      everything in it
      rule kubectl.delete-namespace,
      critical, embedded layer
    safer: kubectl get all -n NAMESPACE
    preview: kubectl get all -n payments
    asked by: agent claude (claimed), as
      ana (uid 1000) on build-3
    through: claude ← node ← bash ← sshd
    directory: /home/ana/infra
    program: /usr/bin/kubectl
    before: 2 days ago approved, exit 0: …
      payments-test
      9 days ago rejected: the same command
    time left: 15 min
    ");
}

#[test]
fn at_120_columns_prose_stays_readable() {
    insta::assert_snapshot!(words(&delete_namespace().ask(), &past(), 120, 40), @r"
    ━━ CRITICAL RISK ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ gate #####-##### ━━
    │ kubectl --context prod-eu delete namespace payments

    kube context  prod-eu
    namespace     payments
    why           deletes the namespace and everything in it
                  rule kubectl.delete-namespace, critical, embedded layer
    safer         kubectl get all -n NAMESPACE
    preview       kubectl get all -n payments
    asked by      agent claude (claimed), as ana (uid 1000) on build-3
    through       claude ← node ← bash ← sshd
    directory     /home/ana/infra
    program       /usr/bin/kubectl
    before        2 days ago approved, exit 0: … payments-test
                  9 days ago rejected: the same command
    time left     15 min
    ");
}

#[test]
fn a_small_screen_keeps_command_target_and_reason_and_says_what_it_left_out() {
    insta::assert_snapshot!(words(&delete_namespace().ask(), &past(), 80, 14), @r"
    ━━ CRITICAL RISK ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ gate #####-##### ━━
    │ kubectl --context prod-eu delete namespace payments

    kube context  prod-eu
    namespace     payments
    why           deletes the namespace and everything in it
                  rule kubectl.delete-namespace, critical, embedded layer
    asked by      agent claude (claimed), as ana (uid 1000) on build-3
    time left     15 min
    … 7 more lines: show
    ");
}

#[test]
fn a_nasty_command_can_neither_hide_nor_pose_as_the_card() {
    let mut story = story(&[
        b"rm",
        b"-rf",
        b"\x1b[2J\rsafe\x08\xff",
        "a\u{202e}gpj.exe".as_bytes(),
        "ze\u{200b}ro".as_bytes(),
        "k\u{443}bectl".as_bytes(),
        "\u{5e9}\u{5dc}".as_bytes(),
        b"\n\n\xe2\x94\x81\xe2\x94\x81 LOW RISK \xe2\x94\x81\xe2\x94\x81\nwhy           harmless\n> run",
    ]);
    story.program.place = Place::Untrusted("/home/ana/bin can be written by ana".into());
    story.program.sha256 = None;
    story.context.stdin = Stdin::Unseen;
    let variable = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    story.context.environment = Environment::new(vec![
        variable("LD_PRELOAD", "/tmp/x.so"),
        variable("HOME", "/home/ana"),
        variable("PYTHONPATH", "/tmp"),
        variable("BASH_FUNC_ls%%", "() { id; }"),
    ]);
    story.asked.how.strip = vec!["PYTHON*".into()];
    story.asked.target = vec![("kube context".into(), gate::request::Fact::known("prod\u{1b}[1A\nkube context  dev"))];
    insta::assert_snapshot!(words(&story.ask(), &[], 80, 60), @r"
    ━━ CRITICAL RISK ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ gate #####-##### ━━
    │ rm -rf $'\x1b[2J\rsafe\x08\xff' $'a\u202egpj.exe' $'ze\u200bro' kуbectl של
    │ $'\n
    ┆ \n
    ┆ ━━ LOW RISK ━━\n
    ┆ why           harmless\n
    ┆ > run'

    ! untrusted program: /home/ana/bin can be written by ana
    ! not pinned: without its SHA-256 another program may run
    ! unseen characters in arguments 2, 3, 4 and 1 more, shown as escapes
    ! look-alike in argument 5: `у` is Cyrillic (U+0443) among Latin letters
    ! right-to-left letters in argument 6: what shows them may change their order
    ! can make programs run other code: LD_PRELOAD=/tmp/x.so BASH_FUNC_ls%%='() {
      id; }'
    ! stdin is a pipe: nobody can see what comes through it

    kube context  $'prod\x1b[1A\nkube context  dev'
    why           deletes the namespace and everything in it
                  rule kubectl.delete-namespace, critical, embedded layer
    safer         kubectl get all -n NAMESPACE
    preview       kubectl get all -n payments
    asked by      agent claude (claimed), as ana (uid 1000) on build-3
    through       claude ← node ← bash ← sshd
    directory     /home/ana/infra
    program       /usr/bin/kubectl
    before        nothing like it in the log
    time left     15 min
    ");
}

#[test]
fn a_hidden_part_stands_where_no_argument_can_write_one() {
    let mut story = story(&[b"mysql", b"--password=hunter2", "‹hidden, 7 bytes›".as_bytes()]);
    story.asked.hidden = vec![Hidden { word: 1, start: 11, end: 18 }];
    let shown = words(&story.ask(), &[], 80, 40);
    assert!(shown.contains("│ mysql --password=‹hidden, 7 bytes› '‹hidden, 7 bytes›'"), "{shown}");
    assert!(!shown.contains("hunter2"));
}

#[test]
fn a_script_in_an_argument_is_read_line_by_line_and_stays_one_argument() {
    let asked = story(&[b"bash", b"-c", b"set -e\nfor ns in a b; do\n  kubectl delete ns $ns\ndone"]).ask();
    let shown = words(&asked, &[], 80, 40);
    assert!(shown.contains("│ bash -c $'set -e\\n\n┆ for ns in a b; do\\n\n┆   kubectl delete ns $ns\\n\n┆ done'\n"), "{shown}");
}

/// Everything that pages show of a command, put back together.
fn shown_by_pages(asked: &ApprovalRequest) -> (String, usize) {
    let everything = card::everything(&View { asked, past: &[], now: now(), columns: 80, rows: 24 });
    let mut text = String::new();
    for line in &everything.lines[..everything.read_to] {
        let line = line.plain();
        if let Some((number, words)) = line.split_once('│') {
            if number.trim() != "0" {
                text.push(' ');
            }
            text.push_str(words.trim_start());
        } else if let Some((_, more)) = line.split_once('┆') {
            text.push_str(&more[1..]);
        }
    }
    (text, everything.lines.len())
}

#[test]
fn an_argument_of_a_megabyte_is_not_run_unread_and_pages_show_all_of_it() {
    let argument = vec![b'x'; 1 << 20];
    let asked = story(&[b"rm", &argument]).ask();
    let view = View { asked: &asked, past: &[], now: now(), columns: 80, rows: 24 };
    let card = card::card(&view);
    assert!(!card.whole && card.lines.len() <= 22, "{} lines", card.lines.len());
    assert!(card.lines.iter().any(|line| line.plain().ends_with("more lines of it")));
    let (text, _) = shown_by_pages(&asked);
    assert_eq!(text, format!("rm {}", "x".repeat(1 << 20)));
}

#[test]
fn a_hundred_thousand_arguments_are_not_run_unread_and_pages_show_all_of_them() {
    let names: Vec<String> = (0..100_000).map(|number| format!("file-{number}")).collect();
    let all: Vec<&[u8]> = std::iter::once(&b"rm"[..]).chain(names.iter().map(String::as_bytes)).collect();
    let asked = story(&all).ask();
    assert!(!card::card(&View { asked: &asked, past: &[], now: now(), columns: 80, rows: 24 }).whole);
    assert_eq!(shown_by_pages(&asked).0, format!("rm {}", names.join(" ")));
}

#[test]
fn show_says_everything_else_that_is_known() {
    let mut story = delete_namespace();
    story.context.parent = Some("018f-parent".into());
    story.context.who.login_uid = Some(1001);
    story.asked.terms.justification = vec![Justification::Pattern("INC-*".into())];
    let asked = story.ask();
    let everything = card::everything(&View { asked: &asked, past: &past(), now: now(), columns: 80, rows: 24 });
    let text: Vec<String> = everything.lines.iter().map(gate::channel::Line::plain).collect();
    let text = text.join("\n").replace(&asked.digest().to_string(), "DIGEST").replace(&asked.digest().short(), "#####-#####");
    insta::assert_snapshot!(text, @r"
    ━━ CRITICAL RISK ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ gate #####-##### ━━
    0 │ kubectl
    1 │ --context
    2 │ prod-eu
    3 │ delete
    4 │ namespace
    5 │ payments

    kube context  prod-eu
    namespace     payments
    why           deletes the namespace and everything in it
                  rule kubectl.delete-namespace, critical, embedded layer
    safer         kubectl get all -n NAMESPACE
    preview       kubectl get all -n payments
    asked by      agent claude (claimed), as ana (uid 1000) on build-3
    through       claude ← node ← bash ← sshd
    directory     /home/ana/infra
    program       /usr/bin/kubectl
    before        2 days ago approved, exit 0: … payments-test
                  9 days ago rejected: the same command
    wanted        a justification that fits 'INC-*'
    time left     15 min

    program is    sha256
                  0707070707070707070707070707070707070707070707070707070707070707
    process       43 claude
    process       42 node
    process       41 bash
    process       40 sshd
    logged in as  uid 1001
    inside        request 018f-parent
    approved for  one run, within 10 min
    proves        confirm: somebody at this terminal answered, perhaps whoever
                  asks, and the record says no more than that
    request       00000000-0001-7101-8101-010101010101
    digest        DIGEST
    policy        0303030303030303030303030303030303030303030303030303030303030303
    ");
}

#[test]
fn the_word_to_type_differs_from_request_to_request_where_the_risk_is_high() {
    let mut low = delete_namespace();
    low.asked.risk = Risk::Medium;
    let low = low.ask();
    assert_eq!(card::run_word(&low, true), "run");
    let high = delete_namespace().ask();
    let group = high.digest().short()[6..].to_owned();
    assert_eq!(card::run_word(&high, true), format!("run {group}"));
    // Where another question may be open at the same terminal, a bare word could answer the wrong one.
    assert!(card::run_word(&low, false).len() > "run ".len());
}

#[test]
fn terms_that_a_terminal_cannot_meet_ask_nobody_and_say_what_they_want() {
    let refused = |change: fn(&mut Terms), how: Settings| {
        let mut story = delete_namespace();
        change(&mut story.asked.terms);
        let asked = story.ask();
        match gate::channel::ask(&asked, &[], &how, None) {
            Answered::Unreachable(why) => {
                assert_eq!(unreachable(&asked, &how), Some(why.clone()));
                why
            }
            other => panic!("{other:?}"),
        }
    };
    let how = Settings::default();
    insta::assert_snapshot!(refused(|terms| terms.assurance = Assurance::Passkey, how), @"the terms want assurance `passkey`; a terminal proves only that somebody confirmed, and no other way to ask is set up here; set up a server that proves who approves, or have the owner of the policy change the terms of `kubectl.delete-namespace`");
    insta::assert_snapshot!(refused(|terms| { terms.approvers = vec!["team:sre\u{1b}".into()]; terms.threshold = 2 }, how), @r"the terms want 2 people and an answer by `team:sre\x1b`; a terminal proves only that somebody confirmed, and no other way to ask is set up here; set up a server that proves who approves, or have the owner of the policy change the terms of `kubectl.delete-namespace`");
    insta::assert_snapshot!(refused(|terms| terms.channels = BTreeSet::from([Channel::Slack, Channel::Server]), how), @"the terms allow answers by server, slack only, and that is not set up here; set it up, or have the owner of the policy add `tty`");
    insta::assert_snapshot!(refused(|_| {}, Settings { non_interactive: true }), @"somebody must confirm this at a terminal, and `--non-interactive` forbids to ask; run it at a terminal without that flag, or have the owner of the policy allow it in `kubectl.delete-namespace`");
}
