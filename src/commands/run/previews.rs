//! The previews of the rules that ask: run before people are asked, where the policy allows them by themselves.

use std::ffi::OsString;
use std::time::Duration;

use super::fixed::fix;
use super::{Teller, not_runnable};
use crate::approval::{ApprovalRequest, Grant, PreviewEnd, Previewed};
use crate::commands::surroundings::{Surroundings, now, request_id};
use crate::commands::tested;
use crate::error::Error;
use crate::policy::{Allowed, Decision, Effect};
use crate::record::story;
use crate::request::{Argv, Request, Stdin};
use crate::sys::held::Held;
use crate::sys::preview::{self, Seen};
use crate::sys::supervise::Status;
use crate::sys::{process_tree, resolve};
use crate::text;

/// So many previews are run at most.
const MOST: usize = 3;

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept of the output of each, in bytes.
const OUTPUT: usize = 8 * 1024;

/// A secret that is shorter would be found everywhere.
const SHORTEST_SECRET: usize = 4;

/// So much of a line without a beginning is taken away at most, in bytes.
const LONGEST_CUT: usize = 1024;

/// A preview that may run.
struct Ready {
    request: Request,
    allowed: Allowed,
    held: Held,
}

impl Teller<'_> {
    /// The same request with what its previews showed, where there is a terminal that could show it.
    pub(super) fn previewed_at_terminal(&self, asked: ApprovalRequest) -> Result<ApprovalRequest, Error> {
        if asked.request().context().who.tty.is_some() { self.previewed(asked) } else { Ok(asked) }
    }

    /// The same request with what its previews showed.
    pub(super) fn previewed(&self, asked: ApprovalRequest) -> Result<ApprovalRequest, Error> {
        let mut wanted: Vec<&Vec<String>> = Vec::new();
        for reason in asked.asked().reasons.iter().filter(|reason| reason.effect == Effect::Ask && !reason.preview.is_empty()) {
            if !wanted.contains(&&reason.preview) {
                wanted.push(&reason.preview);
            }
        }
        if wanted.is_empty() {
            return Ok(asked);
        }
        let secrets = secrets(&asked);
        let mut left = PATIENCE;
        let mut shown = Vec::with_capacity(MOST);
        for argv in wanted.into_iter().take(MOST) {
            let not_run = |why: String| Previewed { argv: argv.clone(), ended: PreviewEnd::NotRun(why), output: Vec::new(), left_out: 0 };
            shown.push(match self.ready(argv, &asked)? {
                Err(why) => not_run(why),
                Ok(_) if left.is_zero() => not_run("those before it took all the time".to_owned()),
                Ok(ready) => match self.look(ready, left)? {
                    Err(why) => not_run(why),
                    Ok(seen) => {
                        left = left.saturating_sub(seen.took);
                        shown_of(argv, seen, &secrets)
                    }
                },
            });
        }
        Ok(asked.with_previews(shown))
    }

    /// Decides about it as about any command of this caller, in the same place and without input; why it may not run.
    fn ready(&self, argv: &[String], asked: &ApprovalRequest) -> Result<Result<Ready, String>, Error> {
        let Ok(argv) = Argv::new(argv.iter().map(OsString::from).collect()) else { return Ok(Err("it is empty".to_owned())) };
        let mut around = Surroundings::capture()?;
        around.context.stdin = Stdin::Empty;
        let found = match resolve::find(argv.typed(), around.context.environment.get("PATH")) {
            Ok(found) => found,
            Err(error) => return Ok(Err(not_runnable(error).to_string())),
        };
        around.complete(&argv, &found.program)?;
        tested::ensure(&around.policy, around.config.state().ok(), around.context.who.uid)?;
        let context = asked.request().context();
        around.context.asker.clone_from(&context.asker);
        around.context.parent = Some(asked.request().id().to_string());
        if around.context.cwd != context.cwd {
            return Ok(Err("the working directory is no longer there".to_owned()));
        }
        let request = Request::new(request_id(now()?)?, argv, found.program, around.context.clone());
        let allowed = match around.policy.decide(&request)? {
            Decision::Allow(allowed) if !allowed.observed() => allowed,
            _ => return Ok(Err("the policy does not allow it by itself".to_owned())),
        };
        if let Some(why) = self.standing()? {
            return Ok(Err(why));
        }
        let mut held = found.held;
        let (id, argv, mut program, mut context) = request.into_parts();
        if let Err(why) = fix(&argv, &mut program, &mut context, &mut held, allowed.how(), false) {
            return Ok(Err(why));
        }
        Ok(Ok(Ready { request: Request::new(id, argv, program, context), allowed, held }))
    }

    /// Records that it starts, runs it, and records how it ended.
    fn look(&self, ready: Ready, patience: Duration) -> Result<Result<Seen, String>, Error> {
        let id = ready.request.id();
        let grant = Grant::by_rule(ready.request, ready.allowed).watched();
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let drafts = self.drafted(|setting| story::granted(&grant, (pid, process_tree::start_of(pid).unwrap_or_default()), setting));
        let mut log = self.open()?;
        log.append(&drafts, now()?).map_err(|error| self.failed(&error))?;
        let (end, seen) = match preview::look(grant, &ready.held, patience, OUTPUT) {
            Ok(seen) => {
                let (exit, signal) = match seen.status {
                    Some(Status::Exit(code)) => (Some(code), None),
                    Some(Status::Signal(number)) => (None, Some(number)),
                    None => (None, Some(9)),
                };
                (story::ended(id, exit, signal, seen.took, seen.status.is_none()), Ok(seen))
            }
            Err(failed) => (story::failed(id, &failed.to_string()), Err(text::visible(&failed.to_string()))),
        };
        log.append(&[end], now()?).map_err(|error| self.failed(&error))?;
        Ok(seen)
    }
}

fn shown_of(argv: &[String], seen: Seen, secrets: &[Vec<u8>]) -> Previewed {
    let ended = match seen.status {
        Some(Status::Exit(code)) => PreviewEnd::Exit(code),
        Some(Status::Signal(number)) => PreviewEnd::Signal(u8::try_from(number).unwrap_or_default()),
        None => PreviewEnd::Late(PATIENCE.as_secs()),
    };
    let Seen { mut output, mut left_out, .. } = seen;
    if left_out > 0 {
        // A line whose beginning is gone may be the end of a secret.
        let cut = output.iter().position(|byte| *byte == b'\n').map_or(output.len().min(LONGEST_CUT), |at| at + 1);
        left_out = left_out.saturating_add(cut as u64);
        output.drain(..cut);
    }
    let output = secrets.iter().fold(output, |output, secret| without(&output, secret));
    Previewed { argv: argv.to_vec(), ended, output, left_out }
}

/// The hidden parts of the command that is asked for: nobody is shown them in a preview's output either.
fn secrets(asked: &ApprovalRequest) -> Vec<Vec<u8>> {
    let words: Vec<&[u8]> = asked.request().argv().bytes().collect();
    let hidden = asked.asked().hidden.iter().filter_map(|span| words.get(span.word)?.get(span.start..span.end));
    hidden.filter(|secret| secret.len() >= SHORTEST_SECRET).map(<[u8]>::to_vec).collect()
}

fn without(output: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(output.len());
    let mut rest = output;
    while let Some((first, after)) = rest.split_first() {
        if rest.starts_with(secret) {
            out.extend_from_slice(b"<hidden>");
            rest = rest.get(secret.len()..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}
