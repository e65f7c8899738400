//! The documents say what is true: tables equal constants, manuals equal the command line, examples run, named tests exist.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::world::World;

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_readme_has_the_exit_codes_of_the_program() {
    let readme = read("README.md");
    let table: String = gate::exit_codes::TABLE.iter().fold(String::new(), |mut table, (code, meaning)| {
        writeln!(table, "| {code} | {meaning} |").unwrap();
        table
    });
    assert!(readme.contains(&table), "README.md should have:\n{table}");
}

#[test]
fn the_manual_is_what_the_command_line_says() {
    let path = root().join("man/gate.1");
    let wanted = manual(&gate::cli::command());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == wanted, "man/gate.1 is old: run this test with UPDATE=1");
}

/// gate(1): the command itself, each subcommand in a section of its own, and the exit codes.
fn manual(command: &clap::Command) -> String {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).date("").source("gate").manual("gate");
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    let mut page = String::from_utf8(page).unwrap();
    page.push_str(".SH SUBCOMMANDS\n");
    subcommands(command, "gate", &mut page);
    page.push_str(".SH EXIT STATUS\nThe status of the command passes through. gate\\*(Aqs own endings:\n");
    for (code, meaning) in gate::exit_codes::TABLE {
        writeln!(page, ".TP\n{code}\n{}", meaning.replace('`', "").replace('-', "\\-")).unwrap();
    }
    page.push_str(".SH SEE ALSO\ngate\\-policy(5), gate\\-audit(1), gate\\-key(1)\n");
    page
}

fn subcommands(command: &clap::Command, name: &str, page: &mut String) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        let name = format!("{name} {}", sub.get_name());
        let man = clap_mangen::Man::new(sub.clone().bin_name(&name).display_name(&name));
        let mut part = Vec::new();
        man.render_synopsis_section(&mut part).unwrap();
        man.render_description_section(&mut part).unwrap();
        if sub.get_opts().next().is_some() || sub.get_positionals().next().is_some() {
            man.render_options_section(&mut part).unwrap();
        }
        let part = String::from_utf8(part).unwrap();
        let heads = [".SH SYNOPSIS\n", ".SH DESCRIPTION\n", ".SH OPTIONS\n"];
        let part = heads.iter().fold(part, |part, head| part.replace(head, ".PP\n"));
        writeln!(page, ".SS \"{name}\"\n{}", part.trim_end()).unwrap();
        subcommands(sub, &name, page);
    }
}

#[test]
fn the_commands_of_the_readme_run() {
    let readme = read("README.md");
    let commands: Vec<String> =
        blocks(&readme, "sh").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(commands.first().map(String::as_str), Some("cargo run --release -- demo"));
    assert!(commands.contains(&"tests/all".to_owned()));
    assert!(root().join("tests/all").exists());

    let world = World::new();
    let scratch = world.root().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let world = world.env("TMPDIR", scratch.as_os_str());
    let told = world.run(["demo", "--keep"]);
    assert_eq!(told.code(), 0, "{told}");
    let enter = told.out().lines().rev().find_map(|line| line.trim().strip_prefix(". ").map(str::to_owned)).expect("how to enter");
    let codes = [0, 69, 77, 0, 0, 0, 3, 0, 0];
    assert_eq!(commands.len(), codes.len() + 2, "{commands:?}");
    for (line, code) in commands[1..].iter().filter(|line| *line != "tests/all").zip(codes) {
        let ran = world.bare(["sh", "-c", &format!(". {enter} && {line}")]);
        assert_eq!(ran.code(), code, "`{line}`: {ran}");
    }
}

#[test]
fn the_demo_tells_the_whole_story_and_leaves_nothing() {
    let world = World::new();
    let scratch = world.root().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let world = world.env("TMPDIR", scratch.as_os_str());
    let told = world.run(["demo"]);
    assert_eq!(told.code(), 0, "{told}");
    for part in ["git status", "git push --force origin feature", "no-force-push-to-main", "audit list", "audit verify"] {
        assert!(told.out().contains(part), "`{part}` is missing: {told}");
    }
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "the scratch directory stays");
    assert!(!world.state().exists(), "the demo wrote to the user's own log");
}

#[test]
fn the_policy_of_the_readme_is_fifteen_lines_that_work() {
    let readme = read("README.md");
    let policy = blocks(&readme, "toml").remove(0);
    let lines = policy.lines().filter(|line| !line.is_empty()).count();
    assert!(lines <= 15, "{lines} lines");
    let world = World::new().user_tool("deploy", &policy);
    let tested = world.run(["policy", "test"]);
    assert_eq!(tested.code(), 0, "{tested}");
    assert_eq!(world.run(["check", "--", "deploy", "-eprod-eu", "shop"]).code(), 75);
}

#[test]
fn every_link_leads_somewhere() {
    for document in ["README.md", "SECURITY.md", "CHANGELOG.md", "docs/architecture.md"] {
        let text = read(document);
        let base = root().join(document);
        let base = base.parent().unwrap_or(Path::new("."));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(link.starts_with("https://") || base.join(link).exists(), "{document}: `{link}` is not there");
        }
    }
}

#[test]
fn every_defence_names_a_test_that_exists() {
    let mut tests = String::new();
    for entry in fs::read_dir(root().join("tests/it")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|ext| ext == "rs") {
            tests.push_str(&fs::read_to_string(entry).unwrap());
        }
    }
    let security = read("SECURITY.md");
    let mut named = 0;
    for row in security.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let last = row.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap();
        for name in last.split('`').skip(1).step_by(2) {
            named += 1;
            assert!(tests.contains(&format!("fn {name}(")), "SECURITY.md names `{name}`, which is no test");
        }
    }
    assert!(named > 20, "only {named} tests are named");
}
