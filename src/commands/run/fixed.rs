//! What must still be the same when it runs: read once before people are asked, and looked at again afterwards.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::commands::surroundings::Surroundings;
use crate::commands::tested;
use crate::error::Error;
use crate::policy::{Asked, Decision, Reason, RunHow, StdinRule};
use crate::request::{Argv, Context, FactName, Program, Request};
use crate::sys::held::Held;
use crate::text;

/// Reads and hashes what must still be the same when it runs; why that failed.
pub(super) fn fix(
    argv: &Argv,
    program: &mut Program,
    context: &mut Context,
    held: &mut Held,
    how: &RunHow,
    asking: bool,
) -> Result<(), String> {
    let unreadable = |what: &str, error: std::io::Error| format!("{what} cannot be pinned: {error}");
    if asking {
        program.sha256 = held.hash().map_err(|error| unreadable("the program", error))?;
    }
    if asking || how.stdin == StdinRule::Pin {
        context.stdin = held.pin_stdin().map_err(|error| unreadable("stdin", error))?;
    }
    for word in &how.pins {
        let path = argv.words().get(*word).map(OsString::as_os_str).unwrap_or_default();
        let path = path.as_bytes().strip_prefix(b"@").map_or(path, OsStr::from_bytes);
        // A script that is run by its name was found on PATH.
        let path = if *word == 0 { program.path.as_os_str() } else { path };
        let pinned = held.pin_file(*word, path).map_err(|error| unreadable("a file that the command names", error))?;
        if context.scripts.get(path.as_bytes()).is_some_and(|read| read.sha256 != pinned.sha256) {
            return Err(format!("`{}` changed while it was read", text::escape(path.as_bytes())));
        }
        context.pinned.push((pinned.path.clone(), pinned.sha256));
    }
    Ok(())
}

/// Decides again with fresh eyes: what is no longer as it was when people were asked. None where all is.
pub(super) fn changed(request: &Request, asked: &Asked) -> Result<Option<String>, Error> {
    let mut around = Surroundings::capture()?;
    around.complete(request.argv(), request.program())?;
    tested::ensure(&around.policy, around.config.state().ok(), around.context.who.uid)?;
    for (name, fact) in request.context().facts.iter() {
        // Time goes on; whether rules see it otherwise is decided again below.
        if *name != FactName::Time && around.context.facts.get(name).is_some_and(|now| now != fact) {
            return Ok(Some(format!("`{name}` is no longer what was shown")));
        }
    }
    let same_cwd = around.context.cwd == request.context().cwd;
    let context = Context { cwd: request.context().cwd.clone(), ..around.context };
    let context = Context { asker: request.context().asker.clone(), ancestry: request.context().ancestry.clone(), ..context };
    let again = Request::new(request.id(), request.argv().clone(), request.program().clone(), context);
    let ids = |reasons: &[Reason]| -> Vec<String> { reasons.iter().map(|reason| reason.rule.clone()).collect() };
    Ok(match around.policy.decide(&again)? {
        _ if !same_cwd => Some("the working directory is no longer the one that was shown".to_owned()),
        Decision::Ask(now) if now.terms == asked.terms && ids(&now.reasons) == ids(&asked.reasons) && now.how == asked.how => None,
        _ => Some("the policy now says something else".to_owned()),
    })
}
