//! What a hostile agent would try against the real gate, and what it gets.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::tty::Tty;
use crate::world::{GATE, Ran, TOOLS, World, set_mode};

/// What a `gate check --batch` says of each argv.
fn decisions(world: World, argvs: &[Vec<&str>]) -> Vec<String> {
    let lines: String = argvs.iter().map(|argv| serde_json::json!({ "id": 0, "argv": argv }).to_string() + "\n").collect();
    let ran = world.stdin(lines).run(["check", "--batch"]);
    let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["decision"].as_str().unwrap_or("none").to_owned();
    let all: Vec<String> = ran.out().lines().map(read).collect();
    assert_eq!(all.len(), argvs.len(), "{ran}");
    all
}

fn split(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn nothing_of_this_list_is_allowed() {
    let mut argvs: Vec<Vec<&str>> = [
        "find . -execdir ./ls ;",
        "find . -okdir ls ;",
        // GNU find ends -exec at `+` only after `{}`: sort would write into `-name`.
        "find . -exec sort + -o /etc/name ;",
        "find . -ok sort {} + -o -name ;",
        "find . -exec sort -o{} x ;",
        "find . -exec git log --output={} ;",
        "find -files0-from x -exec sort {} ;",
        "cp -n evil/pre-commit .git/hooks",
        "cp -n evil/pre-commit .git/hooks/pre-commit",
        "cp -rn evil/. /home/ann",
        "cp -n evil/gate /home/ann/.config",
        "mv -n evil/.config /home/ann",
        "mv -n evil/hooks .git",
        "ln -s ../.config/gate here",
        "ln -s .git here",
        "ln -s ../etc /tmp/here",
        "timeout 5 ./nowhere/ls",
        "nohup /nowhere/ls",
        "./nowhere/ls",
        "bash -c ./nowhere/ls",
        "git fetch --stdin origin",
        "git fetch --refmap=+a:b origin",
        "git fetch origin +a:b",
        "git fetch --upl=sh origin",
        "git pull ext::sh",
        "git -c core.fsmonitor=sh status",
        "git --exec-path=/tmp status",
        "git diff --outp x",
        "git clean -n --no-dry-run -f",
        "git push -n --no-dry-run origin :main",
        "git grep -Osh x",
        "git clone --template=/tmp x",
        "kubectl --kubeconfig=/tmp/x get pods",
        "kubectl --kubeconfig /tmp/x version",
        "kubectl config view --flatten",
        "kubectl apply view-last-applied secret/x",
        "kubectl create -f x --edit --dry-run=client",
        "kubectl set env pod/x --list --resolve --dry-run=client",
        "kubectl delete ns x --dry-run=client --dry-run=none",
        "terraform show -json",
        "terraform show --json x.tfplan",
        "env -C /tmp ./ls",
        "env PATH=/tmp ls",
        "env TZ=UTC PATH=/tmp ls",
        "bash -k -c ls",
        "bash -oc pipefail ls",
        "sort --compress-prog=sh x",
        "date -us x",
        "hostname x",
        "journalctl --vac=1",
        "docker -cx ps",
        "systemctl -Hx status",
    ]
    .map(split)
    .to_vec();
    for script in [
        "printf -v PATH /tmp; ls",
        "printf -v 'a[$(id)]' x",
        "test -v 'a[$(id)]'",
        "'[' -v 'a[$(id)]' ']'",
        "cd /tmp; ./ls",
        "chdir /tmp; ./ls",
    ] {
        argvs.push(vec!["bash", "-c", script]);
        argvs.push(vec!["sh", "-c", script]);
    }
    for sql in [
        "SELECT 1 -- x\rDROP TABLE t",
        "EXPLAIN (ANALYZE) DELETE FROM t",
        "SELECT * FROM t TABLESAMPLE evil(1)",
        "SELECT 1 LIMIT evil()",
        "\\dt \\! ls",
    ] {
        argvs.push(vec!["psql", "-c", sql]);
    }
    let answers = decisions(World::new(), &argvs);
    let allowed: Vec<_> = argvs.iter().zip(&answers).filter(|(_, answer)| *answer == "allow" || *answer == "none").collect();
    assert!(allowed.is_empty(), "{allowed:?}");
}

#[test]
fn a_variable_by_which_a_tool_runs_other_code_makes_an_allowed_command_ask() {
    for (name, line) in [
        ("SHELLOPTS", "bash -c ls"),
        ("PS4", "bash -xc ls"),
        ("BASH_ENV", "bash -c ls"),
        ("BASH_FUNC_ls%%", "bash -c ls"),
        ("LD_PRELOAD", "ls"),
        ("GCONV_PATH", "ls"),
        ("GIT_DIR", "git status"),
        ("GIT_SSH_COMMAND", "git fetch origin"),
        ("GIT_EXTERNAL_DIFF", "git diff"),
        ("GIT_CONFIG_COUNT", "timeout 5 git status"),
        ("OPENSSL_CONF", "git fetch origin"),
        ("TF_CLI_ARGS_plan", "terraform plan"),
        ("TF_DATA_DIR", "terraform plan"),
        ("PSQLRC", "psql --list"),
    ] {
        assert_eq!(decisions(World::new(), &[split(line)]), ["allow"], "{line}");
        assert_eq!(decisions(World::new().env(name, "x"), &[split(line)]), ["ask"], "{name} {line}");
    }
}

#[test]
fn a_project_file_never_makes_an_answer_milder() {
    let head = "version = 1\n[layer]\nunmatched = \"deny\"\n[terms.medium]\nassurance = \"passkey\"\nchannels = [\"server\"]\n";
    let ask = "version = 1\n[[rule]]\nid = \"p.ask\"\ntool = \"frobnicate\"\neffect = \"ask\"\nrisk = \"low\"\nreason = \"x\"\n";
    assert_eq!(decisions(World::new().user_policy(head).project(ask), &[split("frobnicate x")]), ["deny"]);
    let head = head.replace("\"deny\"", "\"ask\"");
    let ran = World::new().user_policy(&head).project(ask).run(["check", "--json", "--", "frobnicate", "x"]);
    assert!(ran.out().contains("passkey"), "terms of commands without a rule still hold: {ran}");
}

/// A command line of gate in a world, for a terminal.
fn at_a_terminal(world: &World, path: &str, line: &[&str]) -> Tty {
    let mut command = Command::new(GATE);
    command.arg("--").args(line).current_dir(world.work()).env_clear();
    command.env("HOME", world.home()).env("PATH", format!("{path}:{TOOLS}")).env("LANG", "C.UTF-8").env("TERM", "xterm");
    Tty::start(command, 120, 40)
}

/// Asks, lets something happen while the question stands, answers as the screen wants, and gives the last screen and status.
fn approved_while(world: &World, line: &[&str], happen: impl FnOnce(&World)) -> (String, i32) {
    let bin = world.root().join("bin").display().to_string();
    let mut tty = at_a_terminal(world, &bin, line);
    let screen = tty.wait_for_last("for all details.\n>");
    let word = screen.rsplit("Type ").next().unwrap().split(" to run it").next().unwrap().to_owned();
    happen(world);
    tty.type_in(&format!("{word}\n"));
    let status = tty.end();
    (tty.screen(), status.code().unwrap_or(-1))
}

fn deployed(world: &World) -> bool {
    world.work().join("deployed").exists()
}

/// What it runs is not to be read, so that it is asked about.
const DEPLOY: &str = "#!/bin/sh\neval ': > deployed'\n";

#[test]
fn what_was_approved_runs() {
    let world = World::new().program("deploy", DEPLOY);
    let (screen, code) = approved_while(&world, &["deploy"], |_| {});
    assert!(code == 0 && deployed(&world), "{code}: {screen}");
}

#[test]
fn what_changes_while_the_question_stands_does_not_run() {
    type Happen = fn(&World);
    let stories: [(&str, &[&str], Happen); 7] = [
        ("the script is replaced", &["deploy"], |world| {
            let bin = world.root().join("bin");
            fs::write(bin.join("other"), "#!/bin/sh\n: > deployed; : evil\n").unwrap();
            set_mode(&bin.join("other"), 0o755);
            fs::rename(bin.join("other"), bin.join("deploy")).unwrap();
        }),
        ("the script is edited", &["deploy"], |world| {
            fs::write(world.root().join("bin/deploy"), format!("{DEPLOY}: evil\n")).unwrap();
        }),
        ("the directory is another one", &["deploy"], |world| {
            fs::rename(world.work(), world.home().join("old")).unwrap();
            fs::create_dir(world.work()).unwrap();
        }),
        ("a policy denies it", &["deploy"], |world| {
            let deny = "version = 1\n[[rule]]\nid = \"p.no\"\ntool = \"deploy\"\neffect = \"deny\"\nreason = \"x\"\n";
            fs::write(world.work().join(".gate.toml"), deny).unwrap();
        }),
        ("a policy asks for other terms", &["deploy"], |world| {
            fs::create_dir_all(world.config()).unwrap();
            fs::write(world.config().join("policy.toml"), "version = 1\n[terms.medium]\nwithin = \"1m\"\n").unwrap();
        }),
        ("a policy cannot be read", &["deploy"], |world| {
            fs::write(world.work().join(".gate.toml"), "version = ").unwrap();
        }),
        ("a pinned file is edited", &["bash", "script.sh"], |world| {
            fs::write(world.work().join("script.sh"), ": > deployed; : evil\n").unwrap();
        }),
    ];
    for (what, line, happen) in stories {
        let world = World::new().program("deploy", DEPLOY).file("home/work/script.sh", "eval ': > deployed'\n");
        let (screen, code) = approved_while(&world, line, happen);
        assert!(matches!(code, 77 | 78), "{what}: {code}: {screen}");
        assert!(!deployed(&world) && !world.home().join("old/deployed").exists(), "{what} ran: {screen}");
    }
}

#[test]
fn a_target_that_moves_while_the_question_stands_is_not_acted_on() {
    let config = |context: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {context}\ncontexts:\n- name: dev\n  context: {{cluster: a, user: a}}\n- name: prod\n  context: {{cluster: b, user: b}}\n"
        )
    };
    let world = World::new().program("kubectl", DEPLOY).file("home/.kube/config", config("dev"));
    let (screen, code) = approved_while(&world, &["kubectl", "delete", "pod", "x"], |world| {
        fs::write(world.home().join(".kube/config"), config("prod")).unwrap();
    });
    assert!(code == 77 && !deployed(&world), "{code}: {screen}");

    let head = "home/work/.git/HEAD";
    let world = World::new().program("git", DEPLOY).file(head, "ref: refs/heads/topic\n");
    let world = world
        .file("home/work/.git/config", "[core]\n\tbare = false\n")
        .file("home/work/.git/objects/x", "")
        .file("home/work/.git/refs/x", "");
    let (screen, code) = approved_while(&world, &["git", "push"], |world| {
        fs::write(world.root().join(head), "ref: refs/heads/main\n").unwrap();
    });
    assert!(code == 77 && !deployed(&world), "{code}: {screen}");
}

#[test]
fn one_approval_is_no_second_one() {
    let world = World::new().program("deploy", DEPLOY);
    let (screen, code) = approved_while(&world, &["deploy"], |_| {});
    assert_eq!(code, 0, "{screen}");
    let ran = world.run(["--non-interactive", "--", "deploy"]);
    assert_eq!(ran.code(), 69, "{ran}");
    let mut tty = at_a_terminal(&world, &world.root().join("bin").display().to_string(), &["deploy"]);
    tty.wait_for_last("for all details.\n>");
    tty.signal(Signal::SIGKILL);
    tty.end();
}

/// Every byte below a directory.
fn bytes_below(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            all.extend(bytes_below(&entry.path()));
        } else {
            all.extend(entry.file_name().into_encoded_bytes());
            all.extend(fs::read(entry.path()).unwrap_or_default());
        }
    }
    all
}

#[test]
fn a_secret_of_an_argv_is_shown_and_kept_nowhere() {
    const SECRET: &str = "hunter2XYZZY";
    let url = format!("https://ann:{SECRET}@example.org/x");
    let assigned = format!("PGPASSWORD={SECRET}");
    let joined = format!("--token={SECRET}");
    let kube = ["kubectl", "--token", SECRET, "delete", "pod", "x"];
    let lines: Vec<Vec<&str>> = vec![
        kube.to_vec(),
        [["timeout", "5"].as_slice(), &kube].concat(),
        [["nice", "sudo", "-n"].as_slice(), &kube].concat(),
        vec!["kubectl", &joined, "delete", "pod", "x"],
        vec!["mytool", "--password", SECRET],
        vec!["mytool", "-a", "-b", "-c", "-d", "--password", SECRET],
        vec!["timeout", "5", "mytool", "-a", "-b", "-c", "-d", "-e", "--api-key", SECRET],
        vec!["mytool", &url],
        vec!["mytool", &assigned],
        vec!["env", &assigned, "psql"],
        vec!["git", "push", &url],
        vec!["find", ".", "-exec", "mytool", "--password", SECRET, ";"],
    ];
    let world = World::new().program("mytool", DEPLOY).program("kubectl", DEPLOY);
    let clean = |what: &str, ran: &Ran| {
        let all = [ran.stdout.as_slice(), &ran.stderr].concat();
        assert!(!String::from_utf8_lossy(&all).contains(SECRET), "{what}: {ran}");
    };
    for line in &lines {
        let ran = world.run([&["--non-interactive", "--"], line.as_slice()].concat());
        assert!(matches!(ran.code(), 69 | 77), "{line:?}: {ran}");
        clean("the refusal", &ran);
        clean("the check", &world.run([&["check", "--"], line.as_slice()].concat()));
        clean("the check's object", &world.run([&["check", "--json", "--"], line.as_slice()].concat()));
    }
    for args in [vec!["audit", "list"], vec!["audit", "list", "--entries"], vec!["audit", "list", "--json"]] {
        clean("the log", &world.run(args));
    }
    let kept = bytes_below(&world.home());
    let found = kept.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    assert!(!kept.is_empty() && !found, "the secret is in a file of the log");
    let mut tty = at_a_terminal(&world, &world.root().join("bin").display().to_string(), &["timeout", "5", "mytool", "--password", SECRET]);
    let screen = tty.wait_for_last("for all details.\n>");
    assert!(!screen.contains(SECRET), "{screen}");
    tty.type_in("no\n\n");
    tty.end();
}

#[test]
fn a_refusal_holds_nothing_that_acts_on_a_terminal_or_approves() {
    let world = World::new().program("mytool", DEPLOY);
    let nasty = "a\u{1b}[2J\u{202e}b\u{200b}\r\nrun";
    for line in [vec!["mytool", nasty], vec!["rm", "-rf", nasty], vec![nasty, "x"], vec!["git", "push", nasty]] {
        for ran in
            [world.run([&["--non-interactive", "--"], line.as_slice()].concat()), world.run([&["check", "--"], line.as_slice()].concat())]
        {
            let said = ran.err() + &ran.out();
            assert!(!said.contains(['\u{1b}', '\r', '\u{202e}', '\u{200b}']), "{said:?}");
            assert!(!said.contains("to run it"), "{said}");
        }
    }
}

#[test]
fn a_moved_home_does_not_move_the_layers_where_root_keeps_one() {
    let system = "version = 1\n[state]\ndir = \"/tmp/gate-attack-@uid\"\n[[rule]]\nid = \"s.no\"\ntool = \"rm\"\neffect = \"deny\"\nreason = \"x\"\n";
    let loose = "version = 1\n[layer]\nunmatched = \"allow\"\nembedded = \"off\"\nmode = \"observe\"\n";
    let world = World::new().user_policy(loose).system_policy(system);
    let argvs = [split("rm x"), split("frobnicate"), split("git push")];
    assert_eq!(decisions(world, &argvs), ["deny", "ask", "ask"]);
    let amend = "version = 1\n[amend.\"s.no\"]\neffect = \"allow\"\n";
    let ran = World::new().file("etc/x", "").user_policy(amend).run(["check", "--", "ls"]);
    assert_eq!(ran.code(), 78, "{ran}");
}

#[test]
fn gates_own_variables_change_no_answer() {
    let plain = World::new();
    let before = decisions(plain, &[split("rm x"), split("ls")]);
    let mut world = World::new();
    for name in [
        "GATE_ALLOW",
        "GATE_BYPASS",
        "GATE_MODE",
        "GATE_POLICY",
        "GATE_CONFIG",
        "GATE_UNMATCHED",
        "GATE_APPROVE",
        "GATE_DEBUG",
        "GATE_PARENT",
    ] {
        world = world.env(name, "allow");
    }
    assert_eq!(decisions(world, &[split("rm x"), split("ls")]), before);
}

#[test]
fn without_a_place_for_the_record_nothing_runs() {
    for spoil in ["home/.local/state/gate", "home/.local/state", "home/.local"] {
        let world = World::new().file(spoil, "in the way");
        let ran = world.run(["--", "touch", "made"]);
        assert_eq!(ran.code(), 125, "{ran}");
        assert!(!world.work().join("made").exists(), "{ran}");
    }
}

#[test]
fn a_link_to_a_program_that_a_rule_names_is_that_program() {
    let deny = "version = 1\n[[rule]]\nid = \"own.no\"\ntool = \"mawk\"\neffect = \"deny\"\nreason = \"No.\"\n";
    let link = |world: &World| std::os::unix::fs::symlink("mawk", world.root().join("bin/awkward")).unwrap();
    let world = World::new().user_policy(deny).program("mawk", "#!/bin/sh\n");
    link(&world);
    assert_eq!(world.run(["check", "--", "awkward", "x"]).code(), 77);
    assert_eq!(world.run(["check", "--", "nice", "awkward", "x"]).code(), 77, "inside a wrapper too");
}

#[test]
fn a_wrapper_that_changes_the_surroundings_leaves_no_target_known() {
    let deny =
        "version = 1\n[[rule]]\nid = \"own.no\"\ntool = \"kubectl\"\neffect = \"deny\"\nreason = \"No.\"\nwhen.kube_context = [\"prod\"]\n";
    let config = "current-context: dev\ncontexts:\n- name: dev\n  context: {cluster: c, user: u}\n";
    let world = World::new().user_policy(deny).file("home/.kube/config", config);
    let code = |argv: &[&str]| world.run([&["check", "--"], argv].concat()).code();
    assert_eq!(code(&["kubectl", "delete", "pod", "x"]), 75);
    assert_eq!(code(&["nice", "kubectl", "delete", "pod", "x"]), 75);
    for argv in [&["env", "KUBECONFIG=prod", "kubectl", "delete", "pod", "x"][..], &["sudo", "kubectl", "delete", "pod", "x"]] {
        assert_eq!(code(argv), 77, "{argv:?}");
    }
}

#[test]
fn a_refusal_for_what_cannot_be_pinned_is_recorded() {
    let pin = "version = 1\n[layer]\ntrusted_programs = [\"/\"]\n[[rule]]\nid = \"own.pin\"\ntool = \"deploy\"\neffect = \"allow\"\noperands.only = [\"*\"]\npin = [\"@operand:1\"]\n";
    let world = World::new().user_policy(pin).program("deploy", "#!/bin/sh\n");
    let ran = world.run(["--json", "--", "deploy", "no-such-file"]);
    assert_eq!(ran.code(), 77, "{ran}");
    assert!(ran.err().contains("\"refusal\":\"changed\""), "{ran}");
    assert_eq!(world.records().last().unwrap()["decision"]["result"], "changed");
}
