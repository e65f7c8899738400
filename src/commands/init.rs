//! `gate policy init`: a first policy of one's own, from a few questions or from what was run before.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use dialoguer::{Confirm, Input, Select};

use super::history::Past;
use super::surroundings::Surroundings;
use crate::error::Error;
use crate::exit_codes;
use crate::policy::{Effect, Policy, judged};
use crate::request::Argv;
use crate::sys::resolve;
use crate::text;

/// The policy that nobody has written yet, as TOML.
#[derive(Default)]
struct Wishes {
    unmatched: &'static str,
    production: Vec<String>,
    trusted: Vec<String>,
    outcome: bool,
}

/// Asks, and writes the user's `policy.toml` where there is none yet.
pub(super) fn by_questions(around: &Surroundings) -> Result<(), Error> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Error::new(exit_codes::USAGE, "`gate policy init` asks questions, and there is no terminal")
            .hint("`--from-history FILE` and `--from-log` print rules without asking"));
    }
    let directory = around.config.user_directory.clone().ok_or_else(|| Error::config("there is no place for a user's policy"))?;
    let path = directory.join("policy.toml");
    if path.exists() {
        return Err(Error::config(format!("`{}` is there already", text::escape(path.as_os_str().as_bytes())))
            .hint("`gate policy show` lists what holds, `gate policy lint` what could be better"));
    }
    let wishes = asked(around).map_err(|error| Error::new(exit_codes::REFUSED, format!("nothing was written: {error}")))?;
    let policy = written(&wishes);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| unwritable(&directory, &error))?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(policy.as_bytes())).map_err(|error| unwritable(&path, &error))?;
    crate::error::note(&format!("wrote `{}`; try `gate check -- COMMAND`", text::escape(path.as_os_str().as_bytes())));
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::config(format!("`{}` cannot be written: {error}", text::escape(path.as_os_str().as_bytes())))
}

fn asked(around: &Surroundings) -> Result<Wishes, dialoguer::Error> {
    let mut wishes = Wishes::default();
    let unmatched = ["ask me", "refuse it"];
    let chosen = Select::new().with_prompt("A command that no rule speaks of").items(unmatched).default(0).interact()?;
    wishes.unmatched = if chosen == 0 { "ask" } else { "deny" };
    let names: String = Input::new()
        .with_prompt("What production is called (patterns of contexts, profiles, projects, databases; blanks between)")
        .default("prod* *-prod live-*".to_owned())
        .interact_text()?;
    wishes.production = names.split_whitespace().map(str::to_owned).collect();
    for directory in own_directories(around) {
        let shown = text::escape(directory.as_bytes());
        let prompt = format!("Programs in {shown} are yours to write; trust them to be what their names say?");
        if Confirm::new().with_prompt(prompt).default(false).interact()? {
            wishes.trusted.push(directory);
        }
    }
    wishes.outcome = Confirm::new().with_prompt("Record how commands end that no rule speaks of").default(false).interact()?;
    Ok(wishes)
}

/// The directories of PATH whose programs somebody else than root could have put there.
fn own_directories(around: &Surroundings) -> Vec<String> {
    let path = around.context.environment.get("PATH").unwrap_or_default();
    let mut found = Vec::new();
    for directory in std::env::split_paths(path).filter(|directory| directory.is_absolute()) {
        let mut first = std::fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let program = first.find_map(|path| resolve::find(path.as_os_str(), None).ok());
        if let (Some(found_there), Some(directory)) = (program, directory.to_str())
            && around.policy.distrusts(&found_there.program).is_some()
            && !found.contains(&directory.to_owned())
        {
            found.push(directory.to_owned());
        }
    }
    found
}

fn written(wishes: &Wishes) -> String {
    let quoted = |text: &String| serde_json::Value::from(text.as_str()).to_string();
    let list = |items: &[String]| items.iter().map(quoted).collect::<Vec<_>>().join(", ");
    let mut policy = format!(
        "# What holds for you beside gate's own rules; see gate-policy(5).\nversion = 1\n\n[layer]\nunmatched = \"{}\"\noutcome = {}\n",
        wishes.unmatched, wishes.outcome
    );
    if !wishes.trusted.is_empty() {
        let _ = writeln!(policy, "trusted_programs = [{}]", list(&wishes.trusted));
    }
    let _ = write!(policy, "\n[names]\nproduction = [{}]\n", list(&wishes.production));
    policy
}

/// What a history teaches: a rule for each command that ran so often and would be asked about only because no rule speaks of it.
pub(super) fn by_history(policy: &Policy, past: &[Past], times: usize) -> Result<String, Error> {
    let mut rules = BTreeSet::new();
    let mut proposed = String::new();
    // A command that people refused, or that never ran, teaches nothing.
    let ran = |past: &&Past| past.decision.as_deref().is_none_or(|decision| matches!(decision, "allowed" | "approved" | "observed"));
    for past in past.iter().filter(ran).filter(|past| past.times >= times) {
        let words: Vec<OsString> = past.argv.iter().cloned().map(OsString::from_vec).collect();
        let Ok(argv) = Argv::new(words) else { continue };
        let unmatched = matches!(judged(policy, &past.argv)?, Some((Effect::Ask, by)) if by == ["unmatched"]);
        if !unmatched {
            continue;
        }
        if let Some(rule) = policy.rule_to_add(&argv)?
            && rules.insert(rule.clone())
        {
            let _ = writeln!(proposed, "# Ran {} times.\n{rule}", past.times);
        }
    }
    Ok(proposed)
}
