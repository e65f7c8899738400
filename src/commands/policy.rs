//! `gate policy show|test|lint`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::surroundings::Surroundings;
use super::tested;
use crate::error::Error;
use crate::exit_codes;
use crate::policy::{self, FileKind, PolicyFile, Shown};
use crate::text;

/// Arguments of `gate policy`.
#[derive(Args, Debug)]
pub struct PolicyArgs {
    /// What to do with the policies.
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// List the rules of all layers with where they come from, or one tool's.
    Show {
        /// Only the rules that speak of this program.
        program: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Run the tests in policy files; all layers', or the files named.
    Test {
        /// Policy files to test as if they were the user's `policy.toml`.
        files: Vec<PathBuf>,
    },
    /// Look for rules that are allowed to say what they say, and should not.
    Lint,
}

/// Runs `gate policy`.
pub fn run(args: &PolicyArgs) -> Result<u8, Error> {
    match &args.what {
        What::Show { program, json } => show(program.as_deref(), *json),
        What::Test { files } if files.is_empty() => test_layers(),
        What::Test { files } => test_files(files),
        What::Lint => lint(),
    }
}

fn print(text: &str) -> Result<(), Error> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Error::internal(format!("the answer could not be written: {error}")))
}

fn show(program: Option<&str>, as_json: bool) -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    let names: Vec<String> = match program {
        Some(name) => vec![name.to_owned()],
        None => all_programs(&around),
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut out = String::new();
    for name in names {
        for rule in around.policy.rules_of(name.as_bytes())? {
            if seen.insert(rule.id.clone()) {
                out += &if as_json { object(&rule) } else { line(&rule) };
            }
        }
    }
    print(&out)?;
    Ok(0)
}

/// Every program that a file is about: gate's own tools, and those that the layers' rules name.
fn all_programs(around: &Surroundings) -> Vec<String> {
    let mut names: Vec<String> = around.policy.embedded_names().into_iter().map(str::to_owned).collect();
    names.extend(around.policy.named_tools());
    names.sort();
    names.dedup();
    names
}

fn object(rule: &Shown) -> String {
    let object = json!({
        "id": rule.id, "layer": rule.layer.to_string(), "effect": rule.effect.word(), "tools": rule.tools,
        "reason": rule.reason, "amended": rule.amended, "locked": rule.locked,
    });
    format!("{object}\n")
}

fn line(rule: &Shown) -> String {
    let mut marks = String::new();
    if rule.amended {
        marks += " (amended)";
    }
    if rule.locked {
        marks += " (locked)";
    }
    let escape = |said: &str| text::escape(said.as_bytes());
    let reason = if rule.reason.is_empty() { String::new() } else { format!("      {}\n", escape(&rule.reason)) };
    format!("{:5} {:8} {}{marks}\n{reason}", rule.effect.word(), rule.layer.to_string(), escape(&rule.id))
}

fn test_layers() -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    let mut report = Report::default();
    for (file, kind) in tested::files(around.policy.layers()) {
        report.add(policy::check_file(&around.policy, file, kind)?);
    }
    report.finish()
}

fn test_files(files: &[PathBuf]) -> Result<u8, Error> {
    let mut report = Report::default();
    for path in files {
        let bytes = std::fs::read(path)
            .map_err(|error| Error::config(format!("`{}` cannot be read: {error}", text::escape(path.as_os_str().as_encoded_bytes()))))?;
        let name = text::escape(path.as_os_str().as_encoded_bytes());
        let family = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let file = PolicyFile { name, family, bytes };
        let is_tool = path.parent().and_then(|parent| parent.file_name()).is_some_and(|parent| parent == "policies");
        let user = if is_tool {
            policy::LayerFiles { head: None, tools: vec![file.clone()] }
        } else {
            policy::LayerFiles { head: Some(file.clone()), tools: Vec::new() }
        };
        let kind = if is_tool { FileKind::Tool } else { FileKind::UserHead };
        let layers = policy::Layers { user: Some(user), ..policy::Layers::default() };
        let policy = policy::Policy::load(layers, crate::embedded::tools())?;
        report.add(policy::check_file(&policy, &file, kind)?);
    }
    report.finish()
}

#[derive(Default)]
struct Report {
    run: usize,
    failed: Vec<String>,
}

impl Report {
    fn add(&mut self, (run, failures): (usize, Vec<policy::Failure>)) {
        self.run += run;
        self.failed.extend(failures.into_iter().map(|failure| failure.error.to_string()));
    }

    fn finish(self) -> Result<u8, Error> {
        for failure in &self.failed {
            print(&format!("{failure}\n\n"))?;
        }
        print(&format!("{} tests, {} failed\n", self.run, self.failed.len()))?;
        Ok(if self.failed.is_empty() { 0 } else { exit_codes::CONFIG })
    }
}

fn lint() -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    let found = around.policy.lint()?;
    for finding in &found {
        print(&format!("{}\n", text::escape(finding.as_bytes())))?;
    }
    if found.is_empty() {
        print("nothing to say\n")?;
        return Ok(0);
    }
    Ok(exit_codes::CONFIG)
}
