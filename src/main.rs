//! The door: arguments in, status out.

use std::ffi::OsString;
use std::io::Write;

use clap::Parser;
use gate::cli::{Cli, RunArgs, Sub};
use gate::commands::run::End;
use gate::commands::{self, run};
use gate::error::{self, Error};
use gate::exit_codes;

fn main() {
    let words: Vec<OsString> = std::env::args_os().collect();
    let ready = gate::sys::stdio::ready().map_err(|error| Error::internal(error.to_string()));
    let (json, end) = match words.get(1) {
        // The allow path does without the reader of options.
        Some(first) if first == "--" && words.len() > 2 => (false, ready.and_then(|()| run::run(&RunArgs::default(), words[2..].to_vec()))),
        _ => match Cli::try_parse_from(&words) {
            Ok(cli) => (cli.run.json, ready.and_then(|()| dispatch(cli))),
            Err(told) => (false, Ok(End::Exit(usage(&told, &words)))),
        },
    };
    match end {
        Ok(End::Exit(code)) => std::process::exit(code.into()),
        Ok(End::Signal(signal)) => gate::sys::signals::die_by(signal),
        Err(error) => tell(&error, json),
    }
}

/// Says what is wrong with the command line, or what was asked about it.
fn usage(told: &clap::Error, words: &[OsString]) -> u8 {
    // The reader of options repeats words as they are.
    let text = error::lines(&told.to_string());
    if !told.use_stderr() {
        let _ = std::io::stdout().write_all(text.as_bytes());
        return 0;
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
    if words.get(1).is_some_and(|first| !first.as_encoded_bytes().starts_with(b"-")) {
        error::note("a command to run stands after `--`: gate -- COMMAND");
    }
    exit_codes::USAGE
}

fn dispatch(cli: Cli) -> Result<End, Error> {
    match cli.subcommand {
        None => run::run(&cli.run, cli.command),
        Some(sub) => subcommand(sub).map(End::Exit),
    }
}

fn subcommand(sub: Sub) -> Result<u8, Error> {
    match sub {
        Sub::Check(args) => commands::check::run(&args),
        Sub::Policy(args) => commands::policy::run(&args),
        Sub::Audit(args) => commands::audit::run_here(args),
        Sub::Approvers(args) => commands::approvers::run(&args),
        Sub::Key(args) => commands::key::run(&args),
        Sub::Login(args) => commands::login::run(&args),
        Sub::Logout(args) => commands::login::out(&args),
        Sub::Pending(args) => commands::review::pending(&args),
        Sub::Show(args) => commands::review::show(&args),
        Sub::Approve(args) => commands::review::approve(&args),
        Sub::Reject(args) => commands::review::reject(&args),
        Sub::Grants(args) => commands::review::grants(&args),
        Sub::Serve(args) => commands::serve::run(&args),
        Sub::Doctor(args) => commands::doctor::run(&args),
        Sub::Demo(args) => commands::demo::run(&args),
        Sub::Completions(args) => Ok(commands::completions::run(&args)),
    }
}

/// Says what went wrong, once, and ends as it says.
fn tell(error: &Error, json: bool) -> ! {
    let json = json || std::env::var_os("GATE_ERROR_FORMAT").is_some_and(|format| format == "json");
    // A closed stderr must not change how gate ends.
    let _ = std::io::stderr().write_all(if json { error.for_programs() } else { error.for_people() }.as_bytes());
    match error.signal() {
        Some(signal) => gate::sys::signals::die_by(signal),
        None => std::process::exit(error.code().into()),
    }
}
