//! `gate policy`: what the policies say, whether they do what they mean, and how to write them.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::surroundings::{Surroundings, log_failed};
use super::{compare, explain, history, init, tested};
use crate::audit::Reader;
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
        /// List the rules that no test reaches.
        #[arg(long)]
        coverage: bool,
    },
    /// Say why a command would be allowed, asked about or denied, step by step.
    Explain {
        /// One JSON object.
        #[arg(long)]
        json: bool,
        /// The command and its arguments.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Say what two policies decide differently; exit 1 where the new one is milder.
    Diff {
        /// A `policy.toml`, or a directory that holds one and `policies`.
        old: PathBuf,
        /// The same, as it would be.
        new: PathBuf,
        /// Commands to compare by: a log, a file of JSON lines with `argv`, or a shell's history; otherwise the own log.
        #[arg(long, value_name = "LOG")]
        against: Option<PathBuf>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Write a first `policy.toml` by a few questions, or print rules for what was run before.
    Init {
        /// Print a rule for each command of a shell's history that ran so often and is only asked about because no rule speaks of it.
        #[arg(long, value_name = "FILE", conflicts_with = "from_log")]
        from_history: Option<PathBuf>,
        /// The same for what ran by the own log.
        #[arg(long)]
        from_log: bool,
        /// How often a command ran at least.
        #[arg(long, value_name = "N", default_value_t = 2)]
        times: usize,
    },
    /// Print the JSON Schema of policy files, for editors.
    Schema,
    /// Look for rules that are allowed to say what they say, and should not.
    Lint,
}

/// Runs `gate policy`.
pub fn run(args: &PolicyArgs) -> Result<u8, Error> {
    match &args.what {
        What::Show { program, json } => show(program.as_deref(), *json),
        What::Test { files, coverage } if files.is_empty() => test_layers(*coverage),
        What::Test { files, coverage } => test_files(files, *coverage),
        What::Explain { json, command } => print(&explain::run(command, *json)?).map(|()| 0),
        What::Diff { old, new, against, json } => diff(old, new, against.as_ref(), *json),
        What::Init { from_history, from_log, times } => init(from_history.as_ref(), *from_log, *times),
        What::Schema => print(policy::SCHEMA).map(|()| 0),
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

fn own_log(around: &Surroundings) -> Result<Reader, Error> {
    Reader::live(&around.place()?).map_err(|error| log_failed(&error))
}

fn diff(old: &Path, new: &Path, against: Option<&PathBuf>, as_json: bool) -> Result<u8, Error> {
    let past = compare::commands(against, || own_log(&Surroundings::capture()?))?;
    let compared = compare::run(old, new, &past, as_json)?;
    print(&compared.text)?;
    Ok(u8::from(compared.milder))
}

fn init(from_history: Option<&PathBuf>, from_log: bool, times: usize) -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    let past = match from_history {
        Some(path) => history::of_file(path)?,
        None if from_log => history::of_log(&own_log(&around)?)?,
        None => return init::by_questions(&around).map(|()| 0),
    };
    print(&init::by_history(&around.policy, &past, times)?)?;
    Ok(0)
}

fn test_layers(coverage: bool) -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    let mut report = Report::default();
    for (file, kind) in tested::files(around.policy.layers()) {
        report.add(policy::check_file(&around.policy, file, kind)?);
        if coverage {
            report.unreached.extend(policy::unreached(&around.policy, file, kind)?);
        }
    }
    report.finish()
}

fn test_files(files: &[PathBuf], coverage: bool) -> Result<u8, Error> {
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
        if coverage {
            report.unreached.extend(policy::unreached(&policy, &file, kind)?);
        }
    }
    report.finish()
}

#[derive(Default)]
struct Report {
    run: usize,
    failed: Vec<String>,
    unreached: Vec<String>,
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
        for rule in &self.unreached {
            print(&format!("no test reaches `{}`\n", text::escape(rule.as_bytes())))?;
        }
        Ok(if self.failed.is_empty() && self.unreached.is_empty() { 0 } else { exit_codes::CONFIG })
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
