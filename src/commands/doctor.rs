//! `gate doctor`: whether this gate can keep its promises here, and which they are.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::approvers;
use super::surroundings::{Surroundings, log_failed, now, request_id};
use super::tested;
use crate::audit::{Check, Reader, Signatures};
use crate::config::{self, Config};
use crate::error::Error;
use crate::policy::{self, Decision, Layers, PolicyFile};
use crate::record::{Draft, Kind};
use crate::request::{Argv, Program, Request};
use crate::sys::files::Owner;
use crate::sys::harden::Hardened;
use crate::sys::{clock, resolve};
use crate::text;

/// Something is wrong.
const UNWELL: u8 = 1;

/// What must be denied wherever gate stands.
const PROBE: [&str; 3] = ["rm", "-rf", "/"];

/// Checks this installation: layers, files, a probe that must be denied, the log.
#[derive(clap::Args, Debug)]
pub struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How well it is with one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Well,
    /// Worth knowing, and no fault.
    Note,
    Wrong,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Note => "note",
            Self::Wrong => "wrong",
        }
    }
}

/// One thing that was looked at.
struct Finding {
    about: &'static str,
    state: State,
    text: String,
    hint: Option<String>,
}

impl Finding {
    fn new(state: State, about: &'static str, text: impl Into<String>) -> Self {
        Self { about, state, text: text.into(), hint: None }
    }

    fn wrong(about: &'static str, error: &Error) -> Self {
        Self { about, state: State::Wrong, text: error.to_string(), hint: error.what_to_do().map(str::to_owned) }
    }
}

/// Looks at everything and says what it found; 0 when nothing is wrong.
pub fn run(args: &DoctorArgs) -> Result<u8, Error> {
    let findings = look();
    let well = findings.iter().all(|finding| finding.state != State::Wrong);
    if args.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| json!({ "about": finding.about, "state": finding.state.word(), "text": finding.text, "hint": finding.hint }))
            .collect();
        println!("{}", json!({ "gate": 1, "well": well, "findings": list }));
    } else {
        for finding in &findings {
            println!("{:<6}{:<12}{}", finding.state.word(), finding.about, text::escape(finding.text.as_bytes()));
            if let Some(hint) = &finding.hint {
                println!("{:18}{}", "", text::escape(hint.as_bytes()));
            }
        }
    }
    Ok(if well { 0 } else { UNWELL })
}

fn look() -> Vec<Finding> {
    let mut all = vec![program(), kernel()];
    match Surroundings::capture() {
        Err(error) => all.push(Finding::wrong("policy", &error)),
        Ok(around) => {
            all.extend(layers(around.policy.layers(), &around.config));
            all.extend(approvers(&around));
            all.push(tests(&around).unwrap_or_else(|error| Finding::wrong("tests", &error)));
            all.push(probe(&around).unwrap_or_else(|error| Finding::wrong("probe", &error)));
            all.push(log(&around).unwrap_or_else(|error| Finding::wrong("log", &error)));
        }
    }
    all.push(terminal());
    all.push(place());
    all
}

fn program() -> Finding {
    let path = std::env::current_exe().map_or_else(|_| "?".to_owned(), |path| path.display().to_string());
    Finding::new(State::Well, "program", format!("gate {}, {path}", env!("CARGO_PKG_VERSION")))
}

/// The oldest kernel that has every call that gate makes.
const OLDEST: (u32, u32) = (5, 10);

fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Finding::new(State::Well, "kernel", format!("Linux {release}")),
        _ => Finding::new(State::Wrong, "kernel", format!("`{release}` is not Linux {}.{} or later", OLDEST.0, OLDEST.1)),
    }
}

fn layers(layers: &Layers, config: &Config) -> Vec<Finding> {
    let mut all = Vec::new();
    let names = |head: Option<&PolicyFile>, tools: &[PolicyFile]| -> String {
        head.into_iter().chain(tools).map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    for (about, files) in [("system", &layers.system), ("user", &layers.user)] {
        let (state, text) = match files {
            Some(files) => (State::Well, format!("{}: safe", names(files.head.as_ref(), &files.tools))),
            None => (State::Note, "no policy of its own".to_owned()),
        };
        all.push(Finding::new(state, about, text));
    }
    all.push(Finding::new(State::Well, "embedded", format!("{} programs are known", crate::embedded::tools().names.len())));
    let (state, text) = match layers.projects.as_slice() {
        [] => (State::Note, "no .gate.toml from here upward".to_owned()),
        files => (State::Well, format!("{}: safe", names(None, files))),
    };
    all.push(Finding::new(state, "project", text));
    all.extend(config.skipped.iter().map(|skipped| Finding::new(State::Note, "skipped", skipped)));
    if !config.moved.is_empty() {
        let text = format!("{}: the user's policy or log is not where the passwd entry has it", config.moved.join(", "));
        all.push(Finding::new(State::Note, "moved", text));
    }
    all
}

/// The approvers files that are there, every change in them verified.
fn approvers(around: &Surroundings) -> Vec<Finding> {
    let own = around.config.user_directory.as_ref().map(|directory| (directory.join(approvers::NAME), Owner::User(around.context.who.uid)));
    let system = (Path::new(config::SYSTEM).join(approvers::NAME), Owner::Root);
    let looked = [Some(system), own].into_iter().flatten().filter_map(|(path, owner)| {
        let file = approvers::read(&path, owner).transpose()?;
        Some(file.map_or_else(
            |error| Finding::wrong("approvers", &error),
            |file| {
                let keys = file.approvers().at(i64::MAX).count();
                Finding::new(
                    State::Well,
                    "approvers",
                    format!("{}: {} changes verified, {keys} keys", path.display(), file.changes().len()),
                )
            },
        ))
    });
    looked.collect()
}

/// Runs the tests of every policy file, also of those that no command has needed yet.
fn tests(around: &Surroundings) -> Result<Finding, Error> {
    let mut count = 0;
    for (file, kind) in tested::files(around.policy.layers()) {
        let (tests, failures) = policy::check_file(&around.policy, file, kind)?;
        count += tests;
        if let Some(first) = failures.into_iter().next() {
            return Err(Error::from(first.error).hint("`gate policy test` runs them all"));
        }
    }
    Ok(Finding::new(
        State::Well,
        "tests",
        format!("{count} tests in these files pass; those of the embedded files passed when gate was built"),
    ))
}

fn probe(around: &Surroundings) -> Result<Finding, Error> {
    let shown = PROBE.join(" ");
    let argv = Argv::new(PROBE.map(Into::into).to_vec()).map_err(|_| Error::internal("there is no probe"))?;
    let program = match resolve::find(argv.typed(), around.context.environment.get("PATH")) {
        Ok(found) => found.program,
        Err(_) => Program::unresolved(argv.typed().to_owned()),
    };
    let mut around = Surroundings { context: around.context.clone(), ..Surroundings::capture()? };
    around.complete(&argv, &program)?;
    let request = Request::new(request_id(now()?)?, argv, program, around.context.clone());
    Ok(match around.policy.decide(&request)? {
        Decision::Deny(denied) => {
            let rules: Vec<&str> = denied.reasons.iter().map(|reason| reason.rule.as_str()).collect();
            Finding::new(State::Well, "probe", format!("`{shown}` comes back denied, by {}", rules.join(", ")))
        }
        Decision::Ask(_) => {
            Finding::new(State::Wrong, "probe", format!("`{shown}` is asked for, and not denied: a layer loosens that rule"))
        }
        Decision::Allow(_) => Finding::new(State::Wrong, "probe", format!("`{shown}` would run: a layer loosens that rule")),
    })
}

/// Writes an entry and verifies the whole log.
fn log(around: &Surroundings) -> Result<Finding, Error> {
    let place = around.place()?;
    let hardened = Hardened::new().map_err(|error| Error::internal(format!("gate cannot be hardened: {error}")))?;
    let at = now()?;
    let written = around
        .open_log(&place, at, &clock::boot_id())
        .and_then(|mut log| log.ready().and_then(|()| log.append(&[Draft::new(Kind::Heartbeat, None, serde_json::Map::new())], at)))
        .map_err(|error| log_failed(&error));
    hardened.undo().map_err(|error| Error::internal(format!("the process's limits cannot be given back: {error}")))?;
    written?;
    let check = Check { signatures: Signatures::Sample, ..Check::default() };
    let report = Reader::live(&place).and_then(|reader| reader.verify(&check)).map_err(|error| log_failed(&error))?;
    let shown = place.directory.display();
    if report.wrong > 0 {
        return Ok(Finding::new(
            State::Wrong,
            "log",
            format!("{shown}: {} things are not as gate wrote them; see `gate audit verify`", report.wrong),
        ));
    }
    let text =
        format!("{shown}: written and verified, {} entries; only its own key vouches for it (see `gate audit checkpoint`)", report.size);
    Ok(Finding::new(State::Well, "log", text))
}

fn terminal() -> Finding {
    match fs::File::options().read(true).write(true).open("/dev/tty") {
        Ok(_) => Finding::new(State::Well, "terminal", "questions are asked on this terminal"),
        Err(_) => Finding::new(State::Note, "terminal", "there is none: what must be asked is refused with 69"),
    }
}

fn place() -> Finding {
    let text = "personal: stops mistakes of people and honest agents; no wall against a hostile program of this user, who can run commands without gate";
    Finding::new(State::Note, "place", text)
}
