//! THE STORY: a command is read, decided, perhaps shown to people, recorded, and run; once.

mod asking;
mod elsewhere;
mod fixed;
mod previews;
mod vouching;
mod waiting;

use std::ffi::OsString;
use std::time::Duration;

use serde_json::{Value, json};

use asking::Other;

use super::anchor::{Anchoring, Said};
use super::key::due_by;
use super::surroundings::{Surroundings, log_failed, now, random, request_id};
use super::{failure, refusal, tested};
use crate::approval::{ApprovalRequest, Basis, Grant, Refusal, Use};
use crate::audit::{self, Log, Place};
use crate::cli::RunArgs;
use crate::error::{Error, note};
use crate::exit_codes;
use crate::policy::{Allowed, Asked, Decision, Hidden, Reason, RunHow};
use crate::record::{Draft, Stored, story};
use crate::request::{Argv, Request, RequestId};
use crate::sys::exec::{self, Failed};
use crate::sys::harden::Hardened;
use crate::sys::held::Held;
use crate::sys::resolve::{self, NotRunnable};
use crate::sys::stdio::StatusFd;
use crate::sys::supervise::{self, Outcome, Status};
use crate::sys::{clock, process_tree};
use crate::text;

/// How gate ends: as the command did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// With this code.
    Exit(u8),
    /// By this signal.
    Signal(i32),
}

/// Runs a command as policy and people have it, and leaves one line for `--status-fd` however that ends.
pub fn run(args: &RunArgs, words: Vec<OsString>) -> Result<End, Error> {
    let argv = Argv::new(words).map_err(|_| Error::new(exit_codes::USAGE, "there is no command after `--`"))?;
    let fd = args.status_fd.map(StatusFd::take).transpose();
    let fd = fd.map_err(|error| Error::new(exit_codes::USAGE, format!("--status-fd: {error}")))?;
    let mut status = StatusLine { fd, said: false };
    let end = story(args, argv, &mut status);
    if let Err(error) = &end {
        status.say(&json!({ "executed": false, "error": error.to_string() }));
    }
    end
}

fn story(args: &RunArgs, argv: Argv, status: &mut StatusLine) -> Result<End, Error> {
    let mut around = Surroundings::capture()?;
    let found = resolve::find(argv.typed(), around.context.environment.get("PATH")).map_err(not_runnable)?;
    around.complete(&argv, &found.program)?;
    tested::ensure(&around.policy, around.config.state().ok(), around.context.who.uid)?;
    let request = Request::new(request_id(now()?)?, argv, found.program, around.context.clone());
    let mut teller = Teller::new(around, status, request.id())?;
    match teller.around.policy.decide(&request)? {
        Decision::Allow(allowed) => match teller.standing()? {
            Some(why) => Err(teller.refuse(&request, allowed.grounds(), &Refusal::Halted(why))?),
            None => match teller.hold(request, found.held, allowed.how(), false) {
                Ok((request, held)) => {
                    let grant = teller.by_rule(request, allowed);
                    teller.carry_out(grant, held)
                }
                Err(failed) => Err(teller.refuse(&failed.0, allowed.grounds(), &Refusal::Changed(failed.1))?),
            },
        },
        Decision::Deny(denied) => Err(teller.refuse(&request, denied.grounds(), &Refusal::Denied)?),
        Decision::Ask(asked) => match teller.hold(request, found.held, &asked.how, true) {
            Ok((request, held)) => match teller.ask(request, asked, args)? {
                Ok(grant) => teller.carry_out(grant, held),
                Err(refused) => Err(refused),
            },
            Err(failed) => Err(teller.refuse(&failed.0, asked.grounds(), &Refusal::Changed(failed.1))?),
        },
    }
}

/// The one line of `--status-fd`.
struct StatusLine {
    fd: Option<StatusFd>,
    said: bool,
}

impl StatusLine {
    /// Says it, once. A caller that stopped reading has no say in how the command ends.
    fn say(&mut self, line: &Value) {
        if let Some(fd) = self.fd.as_mut().filter(|_| !self.said) {
            let _ = fd.line(&line.to_string());
        }
        self.said = true;
    }
}

fn not_runnable(error: NotRunnable) -> Error {
    match error {
        NotRunnable::NotFound(text) => Error::new(exit_codes::NOT_FOUND, text::visible(&text)),
        NotRunnable::NotExecutable(text) => Error::new(exit_codes::NOT_EXECUTABLE, text::visible(&text)),
    }
}

/// The rules, secrets and policy digest that a refusal rests on.
type Grounds<'a> = (&'a [Reason], &'a [Hidden], &'a [u8; 32]);

/// Who tells the story to the log and to the caller.
struct Teller<'a> {
    around: Surroundings,
    status: &'a mut StatusLine,
    place: Place,
    boot: String,
    id: RequestId,
    salt: [u8; 16],
    /// No core dump and no tracer from the moment the keys are read.
    hardened: Option<Hardened>,
    /// What waits at a server, and what that server decided.
    elsewhere: Other,
}

impl<'a> Teller<'a> {
    fn new(around: Surroundings, status: &'a mut StatusLine, id: RequestId) -> Result<Self, Error> {
        let place = around.place()?;
        let hardened = Hardened::new().map_err(|error| Error::internal(format!("gate cannot be hardened: {error}")))?;
        Ok(Self {
            around,
            status,
            place,
            boot: clock::boot_id(),
            id,
            salt: random()?,
            hardened: Some(hardened),
            elsewhere: Other::default(),
        })
    }

    fn open(&self) -> Result<Log, Error> {
        self.around.open_log(&self.place, now()?, &self.boot).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &audit::Error) -> Error {
        failure::of_log(error, &self.around.policy, &self.place)
    }

    /// Records what is over: nobody waits for what follows, so the record key is changed here when it is due.
    fn append(&self, drafts: &[Draft]) -> Result<Vec<Stored>, Error> {
        let mut log = self.open()?;
        let stored = log.append(drafts, now()?).map_err(|error| self.failed(&error))?;
        if let Err(error) = log.rotate_if(due_by(&self.around.policy.log_settings()), now()?) {
            note(&format!("the record key is due to change, and could not be changed: {}", log_failed(&error)));
        }
        Ok(stored)
    }

    /// Why nothing may run as far as witnesses are concerned. Nobody is asked.
    fn standing(&self) -> Result<Option<String>, Error> {
        let settings = self.around.policy.log_settings();
        let Some(anchoring) = Anchoring::new(&self.place, &settings, self.around.context.who.uid, now()?)? else { return Ok(None) };
        if settings.max_unanchored.is_some() {
            // A log that nobody vouches for yet has to be there before anybody can.
            drop(self.open()?);
        }
        anchoring.standing()
    }

    /// Lets witnesses countersign what is recorded so far, and says why nothing may run. One that cannot be reached stops nothing by itself.
    fn anchored(&self, log: &mut Log) -> Result<Option<String>, Error> {
        let settings = self.around.policy.log_settings();
        let Some(anchoring) = Anchoring::new(&self.place, &settings, self.around.context.who.uid, now()?)? else { return Ok(None) };
        let anchored = anchoring.ask(log, WITNESS_PATIENCE)?;
        for (witness, said) in &anchored.said {
            if let Said::Nothing(why) = said {
                note(&format!("witness {}: {}", witness.name, text::escape(why.as_bytes())));
            }
        }
        anchored.halted.map_or_else(|| anchoring.standing(), |why| Ok(Some(why)))
    }

    fn drafted<T>(&self, draft: impl FnOnce(story::Setting<'_>) -> T) -> T {
        let files = self.around.policy.used();
        draft(story::Setting { files: &files, moved: &self.around.config.moved, salt: &self.salt })
    }

    /// Fixes what will run: pinned files and stdin where rules want it, the program's bytes where people will be asked.
    fn hold(&mut self, request: Request, mut held: Held, how: &RunHow, asking: bool) -> Result<(Request, Held), Box<(Request, String)>> {
        let (id, argv, mut program, mut context) = request.into_parts();
        if asking {
            self.around.look_up();
            context.ancestry.clone_from(&self.around.context.ancestry);
            context.asker = self.around.context.asker.clone();
        }
        let fixed = fixed::fix(&argv, &mut program, &mut context, &mut held, how, asking);
        let request = Request::new(id, argv, program, context);
        match fixed {
            Ok(()) => Ok((request, held)),
            Err(why) => Err(Box::new((request, why))),
        }
    }

    fn by_rule(&self, request: Request, allowed: Allowed) -> Grant {
        let grant = Grant::by_rule(request, allowed);
        if self.status.fd.is_some() { grant.watched() } else { grant }
    }

    /// Asks people, and turns what they say into a grant, or into a refusal that is recorded.
    fn ask(&mut self, request: Request, asked: Asked, args: &RunArgs) -> Result<Result<Grant, Error>, Error> {
        let grounds = (asked.reasons.clone(), asked.hidden.clone(), asked.policy_digest);
        let asked = ApprovalRequest::new(request, asked, random()?, now()?, args.justification.clone().unwrap_or_default());
        let (signal, result) = match self.find_whom_to_ask(asked, args)? {
            Err(refused) => (None, Err(*refused)),
            Ok(asked) => {
                let mut log = self.open()?;
                if !self.waits_already() {
                    log.append(&[self.drafted(|setting| story::asked(&asked, setting))], now()?).map_err(|error| self.failed(&error))?;
                }
                if let Some(why) = self.anchored(&mut log)? {
                    (None, Err((asked.request().clone(), Refusal::Halted(why))))
                } else {
                    let answered = self.answer(&asked, log, args)?;
                    self.judge(asked, answered)?
                }
            }
        };
        Ok(match result {
            Ok(grant) => Ok(grant),
            Err((request, refused)) => Err(self.refuse(&request, (&grounds.0, &grounds.1, &grounds.2), &refused)?.by_signal(signal)),
        })
    }

    fn refuse(&mut self, request: &Request, (reasons, hidden, digest): Grounds<'_>, refused: &Refusal) -> Result<Error, Error> {
        let mut draft = self.drafted(|setting| story::refused(request, reasons, hidden, digest, refused, setting));
        self.elsewhere.told(&mut draft);
        let stored = self.append(&[draft])?;
        self.status
            .say(&json!({ "executed": false, "refusal": refused.word(), "request": self.id.to_string(), "record": record(&stored) }));
        let hidden: Vec<(usize, usize, usize)> = hidden.iter().map(|span| (span.word, span.start, span.end)).collect();
        // It is refused and recorded already: advice that cannot be worked out is left out.
        let addable = self.around.policy.rule_to_add(request.argv()).ok().flatten();
        Ok(refusal::error(request, reasons, &hidden, refused, addable.as_deref()))
    }

    /// Records that it starts, durably, and then runs it.
    fn carry_out(mut self, grant: Grant, held: Held) -> Result<End, Error> {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let process = (pid, process_tree::start_of(pid).unwrap_or_default());
        let mut drafts = self.drafted(|setting| story::granted(&grant, process, setting));
        self.elsewhere.told(&mut drafts[0]);
        let mut log = self.open()?;
        let used = match grant.basis() {
            Basis::Reviews { digest, standing, .. } => {
                // A server that lied about how often it let this run is held to what the approvers signed, in this log at least.
                let grants: Vec<String> = [digest.to_string()].into_iter().chain(standing.as_ref().map(Use::once)).collect();
                log.consume_all(&grants.iter().map(String::as_str).collect::<Vec<_>>(), &drafts, now()?)
            }
            Basis::Rule | Basis::Observed => log.append(&drafts, now()?),
        };
        // Used or not to be used again: nothing waits for it any more.
        self.elsewhere.close();
        let stored = used.map_err(|error| self.failed(&error))?;
        drop(log);
        if !grant.how().outcome {
            let failed = exec::in_place(grant, held, self.hardened.take());
            return Err(self.not_started(&failed, &stored));
        }
        match supervise::supervised(grant, held, self.hardened.take()) {
            Ok(outcome) => Ok(self.ended(&outcome, &stored)),
            Err(failed) => Err(self.not_started(&failed, &stored)),
        }
    }

    /// Records how it ended. The command has run, so its status is what counts, whatever becomes of the record.
    fn ended(&mut self, outcome: &Outcome, stored: &[Stored]) -> End {
        let (exit, signal) = match outcome.status {
            Status::Exit(code) => (Some(code), None),
            Status::Signal(number) => (None, Some(number)),
        };
        let duration = outcome.ended.boot.saturating_sub(outcome.started.boot);
        let hardened = Hardened::new();
        if let Err(error) = self.append(&[story::ended(self.id, exit, signal, duration, outcome.timed_out)]) {
            note(&format!("the command ran, and how it ended could not be recorded: {error}"));
        }
        let said = exit.map_or_else(|| json!({ "signal": signal }), |code| json!({ "exit": code }));
        self.status.say(&json!({ "executed": true, "outcome": &said, "request": self.id.to_string(), "record": record(stored) }));
        self.tell_server(&said);
        drop(hardened);
        exit.map_or_else(|| End::Signal(signal.unwrap_or_default()), End::Exit)
    }

    /// It was granted and recorded, and did not start.
    fn not_started(&mut self, failed: &Failed, stored: &[Stored]) -> Error {
        let hardened = Hardened::new();
        let said = self.append(&[story::failed(self.id, &failed.to_string())]);
        self.tell_server(&json!({ "failed": text::ellipsis(&failed.to_string(), 200) }));
        drop(hardened);
        self.status
            .say(&json!({ "executed": false, "error": failed.to_string(), "request": self.id.to_string(), "record": record(stored) }));
        if let Err(error) = said {
            return error;
        }
        match failed {
            Failed::Changed(what) => {
                let object = json!({
                    "gate": 1, "executed": false, "refusal": "changed", "rules": [], "reason": what.to_string(),
                    "instead": Value::Null, "request": self.id.to_string(), "retry": true,
                });
                Error::new(exit_codes::REFUSED, format!("changed before it ran, so it did not: {}", text::visible(&what.to_string())))
                    .object(object)
            }
            Failed::NotFound(text) => Error::new(exit_codes::NOT_FOUND, text::visible(text)),
            Failed::NotExecutable(text) => Error::new(exit_codes::NOT_EXECUTABLE, text::visible(text)),
            Failed::Internal(_) => Error::internal(text::visible(&failed.to_string())),
        }
    }
}

/// How long somebody who wants to run a command waits for witnesses.
const WITNESS_PATIENCE: Duration = Duration::from_secs(5);

fn record(stored: &[Stored]) -> Value {
    stored.first().map_or(Value::Null, |first| json!({ "seq": first.seq }))
}
