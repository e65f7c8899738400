//! Who asks and where: what the kernel says of this process, and the marks of agents and CI.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use gate::request::{Ancestor, Asker, Environment};
use gate::sys::{asker, context, names, process_tree};

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn the_context_says_what_the_usual_tools_say() {
    let context = context::who_and_where(&context::environment()).unwrap();
    assert_eq!(context.who.uid.to_string(), printed("id", &["-ru"]));
    assert_eq!(context.who.euid.to_string(), printed("id", &["-u"]));
    assert_eq!(context.who.gid.to_string(), printed("id", &["-rg"]));
    assert_eq!(context.who.user.unwrap(), printed("id", &["-run"]));
    assert_eq!(context.host, printed("uname", &["-n"]));
    let cwd = context.cwd.unwrap();
    assert_eq!(cwd.path.to_str().unwrap(), printed("pwd", &["-P"]));
    assert_eq!(format!("{} {}", cwd.dev, cwd.ino), printed("stat", &["-c", "%d %i", "."]));
    assert_eq!(context.who.session.to_string(), printed("ps", &["-o", "sid=", "-p", &std::process::id().to_string()]).trim());
}

#[test]
fn the_environment_is_the_processs_own() {
    let ours: Vec<_> = context::environment().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(ours, std::env::vars_os().collect::<Vec<_>>());
}

#[test]
fn an_entry_without_an_equals_sign_is_kept_for_execve_and_is_no_variable() {
    let entries = Environment::from_entries(vec!["A=1".into(), "B".into(), "=C=2".into(), "B=3".into(), "".into()]);
    assert_eq!(entries.entries().collect::<Vec<_>>(), ["A=1", "B", "=C=2", "B=3", ""]);
    assert_eq!(entries.get("B").unwrap(), "3");
    assert_eq!(entries.get("=C").unwrap(), "2");
    assert_eq!(entries.without(|name| name == b"B").entries().collect::<Vec<_>>(), ["A=1", "=C=2", ""]);
    assert_eq!(environment(&[("A", "1=2")]).entries().collect::<Vec<_>>(), ["A=1=2"]);
}

#[test]
fn a_nested_gate_names_the_request_above_it() {
    let id = "01976d2c-3a41-7cc0-9b59-0b5d1c2e3f40";
    let nested = context::who_and_where(&environment(&[("GATE_REQUEST", id)])).unwrap();
    assert_eq!(nested.parent.as_deref(), Some(id));
    let claimed = context::who_and_where(&environment(&[("GATE_REQUEST", "\u{1b}[2J")])).unwrap();
    assert_eq!(claimed.parent, None);
}

#[test]
fn the_ssh_client_is_the_address_of_its_variable() {
    let by = |variables: &[(&str, &str)]| context::who_and_where(&environment(variables)).unwrap().who.ssh_client;
    assert_eq!(by(&[("SSH_CLIENT", "192.0.2.7 50000 22")]).as_deref(), Some("192.0.2.7"));
    assert_eq!(by(&[("SSH_CONNECTION", "2001:db8::1 50000 192.0.2.1 22")]).as_deref(), Some("2001:db8::1"));
    assert_eq!(by(&[("SSH_CLIENT", "")]), None);
    assert_eq!(by(&[]), None);
}

#[test]
fn the_ancestors_of_a_process_are_the_shells_above_it() {
    let script = "sh -c 'echo $$; read line; :'; :";
    let mut bash = Command::new("bash").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(bash.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let sh: i32 = line.trim().parse().unwrap();
    let above = process_tree::ancestry_of(sh);
    let this = i32::try_from(std::process::id()).unwrap();
    assert_eq!(above[0].name, "bash");
    assert_eq!(above[0].pid, i32::try_from(bash.id()).unwrap());
    assert_eq!(above[1].pid, this);
    assert_eq!(above[1].name, std::env::current_exe().unwrap().file_name().unwrap());
    assert_eq!(above[2..], process_tree::ancestry());
    assert_eq!(above.last().unwrap().pid, 1);
    assert_eq!(process_tree::start_of(this), Some(above[1].start));
    let start = process_tree::start_of(sh).unwrap();
    assert!(start >= above[0].start);
    drop(bash.stdin.take());
    bash.wait().unwrap();
    assert_eq!(process_tree::start_of(sh), None);
    assert_eq!(process_tree::ancestry_of(sh), []);
}

#[test]
fn agents_and_ci_are_told_by_their_marks() {
    let by = |variables: &[(&str, &str)]| asker::of(&environment(variables), &[]).to_string();
    assert_eq!(by(&[]), "person");
    assert_eq!(by(&[("CLAUDECODE", "1")]), "agent:claude-code");
    assert_eq!(by(&[("CODEX_THREAD_ID", "x")]), "agent:codex");
    assert_eq!(by(&[("AI_AGENT", "claude-code@2.1")]), "agent:claude-code");
    assert_eq!(by(&[("AGENT", "goose")]), "agent:goose");
    assert_eq!(by(&[("AGENT", "1")]), "agent:unknown");
    assert_eq!(by(&[("AI_AGENT", "person\u{1b}*")]), "agent:unknown");
    assert_eq!(by(&[("GITHUB_ACTIONS", "true"), ("CI", "true")]), "ci:github-actions");
    assert_eq!(by(&[("CI", "1")]), "ci:unknown");
    assert_eq!(by(&[("CI", "false")]), "person");
    assert_eq!(by(&[("CI", "true"), ("GEMINI_CLI", "1")]), "agent:gemini-cli");
    assert_eq!(by(&[("TERM_PROGRAM", "cursor"), ("CURSOR_TRACE_ID", "x")]), "person");
}

#[test]
fn an_agent_above_is_found_when_the_ancestors_are_known() {
    let above = [("bash", 9), ("aider", 8), ("systemd", 1)].map(|(name, pid)| Ancestor { pid, name: name.into(), start: 1 });
    assert_eq!(asker::of(&environment(&[]), &above), Asker::Agent("aider".to_owned()));
    assert_eq!(asker::of(&environment(&[]), &above[..1]), Asker::Person);
}

#[test]
fn a_number_that_no_file_names_has_no_name_and_harms_nobody() {
    assert_eq!(names::user(0).as_deref(), Some("root"));
    assert_eq!(names::home(0), Some(printed("sh", &["-c", "echo ~root"]).into()));
    assert_eq!(names::user(3_999_999_999), None);
    assert_eq!(names::home(3_999_999_999), None);
    assert_eq!(names::group(0).unwrap(), printed("id", &["-gn", "root"]));
    let unnamed = names::group(3_999_999_999);
    let why = "the name of gid 3999999999 is not in `/etc/group`";
    assert!(unnamed == Ok("3999999999".to_owned()) || unnamed == Err(why.to_owned()), "{unnamed:?}");
}
