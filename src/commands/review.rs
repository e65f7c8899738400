//! `gate pending`, `show`, `approve` and `reject`: deciding on what others ask, from a terminal.

mod sign;
mod standing;
mod watch;

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use self::standing::More;
pub use self::standing::{GrantsArgs, grants};
use super::login::kept::KeptLogin;
use super::login::{At, failed, nobody, place};
use super::surroundings::{Surroundings, now};
use crate::approval::{Answer, WantedStanding};
use crate::audit::ascii_json;
use crate::channel::approver::{self, Decided, Failed, How, Saying, Server, Told};
use crate::error::{Error, note};
use crate::exit_codes;
use crate::policy::{Assurance, Channel};
use crate::sys::wake::deaf;
use crate::sys::window;
use crate::text;

/// A part of an id that is shorter says too little.
const SHORTEST: usize = 4;

/// Lists what waits for you
#[derive(Debug, Args)]
pub struct PendingArgs {
    #[command(flatten)]
    at: At,
    /// Show it as it comes, on the whole screen
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows a request as its approvers see it
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    at: At,
    /// Its id, or the beginning or the end of it
    id: String,
    /// Print the server's JSON object
    #[arg(long)]
    json: bool,
}

/// Approves a request, once you have read it at your terminal
#[derive(Debug, Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    at: At,
    /// Its id, or the beginning or the end of it
    id: String,
    /// Why; the requester reads it
    #[arg(long, default_value = "")]
    comment: String,
    /// The number that the requester sees, where the terms want it
    #[arg(long, value_name = "NN")]
    number: Option<String>,
    /// Sign with this key of your ssh-agent: its public key file, or its fingerprint
    #[arg(long, value_name = "FILE|SHA256:…")]
    ssh_key: Option<String>,
    #[command(flatten)]
    more: More,
    /// Print the server's JSON object
    #[arg(long)]
    json: bool,
}

/// How a request is approved.
#[derive(Default)]
struct Approval<'a> {
    comment: &'a str,
    number: Option<&'a str>,
    standing: Option<&'a WantedStanding>,
    json: bool,
}

/// Rejects a request
#[derive(Debug, Args)]
pub struct RejectArgs {
    #[command(flatten)]
    at: At,
    /// Its id, or the beginning or the end of it
    id: String,
    /// Why; the requester reads it
    #[arg(long, default_value = "")]
    comment: String,
    /// Print the server's JSON object
    #[arg(long)]
    json: bool,
}

/// Somebody who is logged in, and the server.
struct Reviewer {
    around: Surroundings,
    login: KeptLogin,
    server: Arc<Server>,
}

/// Lists what waits.
pub fn pending(args: &PendingArgs) -> Result<u8, Error> {
    let reviewer = Reviewer::new(&args.at)?;
    if args.watch {
        return watch::watch(&reviewer);
    }
    let waiting = reviewer.server.waiting(None, 0).map_err(|why| reviewer.failed(why))?;
    let requests = waiting.map(|waiting| waiting.requests).unwrap_or_default();
    if args.json {
        let all: Vec<&Value> = requests.iter().map(Told::value).collect();
        return print(&format!("{}\n", ascii_json(&json!({ "requests": all }))));
    }
    if requests.is_empty() {
        return print("nothing waits\n");
    }
    let (now, columns) = (now()?.wall, columns());
    print(&requests.iter().fold(String::new(), |all, told| all + &reviewer.listed(told, now, columns)))
}

/// Shows one request.
pub fn show(args: &ShowArgs) -> Result<u8, Error> {
    let reviewer = Reviewer::new(&args.at)?;
    let told = reviewer.find(&args.id)?;
    if args.json {
        return print(&format!("{}\n", ascii_json(told.value())));
    }
    let colour = std::io::stdout().is_terminal() && reviewer.colour();
    let lines = approver::lines(&told, now()?.wall, columns());
    print(&lines.iter().fold(String::new(), |all, line| all + &line.paint(colour) + "\n"))
}

/// Approves one request.
pub fn approve(args: &ApproveArgs) -> Result<u8, Error> {
    let reviewer = Reviewer::new(&args.at)?;
    let told = reviewer.find(&args.id)?;
    let key = args.ssh_key.as_deref().map(sign::Key::find).transpose()?;
    let standing = args.more.wanted(&told)?;
    let how = Approval { comment: &args.comment, number: args.number.as_deref(), standing: standing.as_ref(), json: args.json };
    reviewer.approve(&told, key.as_ref(), &how)
}

/// Rejects one request.
pub fn reject(args: &RejectArgs) -> Result<u8, Error> {
    let reviewer = Reviewer::new(&args.at)?;
    let told = reviewer.find(&args.id)?;
    reviewer.may_decide(&told)?;
    reviewer.say(&told, &Saying { answer: Answer::Reject, comment: &args.comment, number: None, standing: None, evidence: None }, args.json)
}

impl Reviewer {
    fn new(at: &At) -> Result<Self, Error> {
        let around = Surroundings::capture()?;
        let login = KeptLogin::read(&around.place()?.directory)?.ok_or_else(nobody)?;
        let (url, ca) = place(at, &around, Some(&login))?;
        // The token is shown to the one server that gave it.
        if url != login.url {
            return Err(Error::config(format!("you are logged in at {}, not at {url}", login.url))
                .hint(format!("`gate login --decide --server {url}`")));
        }
        // A signal is for the one who asks at the terminal, and has to give that back.
        let server = deaf(|| Server::new(&url, ca.as_deref(), Some(login.token.clone())));
        let server = server.map_err(|error| Error::internal(format!("signals cannot be held: {error}")))?.map_err(Error::config)?;
        Ok(Self { around, login, server: Arc::new(server) })
    }

    fn failed(&self, why: Failed) -> Error {
        failed(&self.login.url, why)
    }

    fn colour(&self) -> bool {
        let variable = |name: &str| self.around.context.environment.get(name).filter(|value| !value.is_empty());
        variable("NO_COLOR").is_none() && variable("TERM").is_some_and(|term| term != "dumb")
    }

    /// The request with this id, or the one that waits and whose id begins or ends so.
    fn find(&self, typed: &str) -> Result<Told, Error> {
        let id = part(typed)?;
        if id.len() == 26 {
            return self.server.request(&format!("req_{id}")).map_err(|why| self.failed(why));
        }
        let waiting = self.server.waiting(None, 0).map_err(|why| self.failed(why))?.map(|waiting| waiting.requests).unwrap_or_default();
        let id = one_of(typed, waiting.iter().map(Told::id), "waits")?;
        waiting.into_iter().find(|told| told.id() == id).ok_or_else(|| unknown(typed, "fits nothing that waits"))
    }

    /// One request of the list, on two lines.
    fn listed(&self, told: &Told, now: i64, columns: usize) -> String {
        let said = told.submitted().said();
        let own = if told.person() == Some(&self.login.person) { ", yours" } else { "" };
        let left = text::duration(std::time::Duration::from_secs(told.left(now).as_secs()));
        let who = text::quote(said.asker.as_bytes());
        let line = format!("{}  {:8}  {left} left  {who} on {}{own}", told.id(), said.risk.word(), text::quote(said.host.as_bytes()));
        let command = text::ellipsis(&told.subject(now).command(), columns.saturating_sub(5).max(20));
        format!("{}\n    {command}\n", text::ellipsis(&line, columns.max(60)))
    }

    /// Whether this login may say anything of it; the server judges that again.
    fn may_decide(&self, told: &Told) -> Result<(), Error> {
        if !self.login.decides() {
            return Err(
                Error::new(exit_codes::REFUSED, "this login may ask, and not decide").hint("`gate login --decide` makes one that may")
            );
        }
        if told.person() == Some(&self.login.person) {
            return Err(Error::new(exit_codes::REFUSED, "nobody decides on their own request").hint("somebody else has to decide this one"));
        }
        if !told.is_pending() {
            let code = if told.state() == "expired" { exit_codes::UNDECIDED } else { exit_codes::REFUSED };
            return Err(Error::new(code, format!("it does not wait any more: it is {}", told.state())));
        }
        Ok(())
    }

    /// The same for an approval, and whether it could be enough in this way.
    fn may_approve(&self, told: &Told, key: Option<&sign::Key>) -> Result<(), Error> {
        self.may_decide(told)?;
        let terms = &told.submitted().said().terms;
        let channel = if key.is_some() { Channel::Ssh } else { Channel::Server };
        if !terms.channels.contains(&channel) {
            let ways: Vec<&str> = terms.channels.iter().map(|channel| channel.word()).collect();
            let hint = if key.is_some() {
                "leave `--ssh-key` out, where `server` is one of them"
            } else {
                "sign with `--ssh-key`, where `ssh` is one of them"
            };
            return Err(Error::new(
                exit_codes::REFUSED,
                format!("its terms take answers by {}, not by {}", ways.join(", "), channel.word()),
            )
            .hint(hint));
        }
        if terms.assurance >= Assurance::Passkey && !key.is_some_and(sign::Key::is_hardware) {
            return Err(Error::new(
                exit_codes::REFUSED,
                format!("its terms want `{}`, which a sign-on alone does not prove", terms.assurance.word()),
            )
            .hint(format!("decide with your passkey at {}, or here with `--ssh-key` and a key of hardware", told.url())));
        }
        Ok(())
    }

    /// Asks at the terminal, and approves what was read there.
    fn approve(&self, told: &Told, key: Option<&sign::Key>, by: &Approval<'_>) -> Result<u8, Error> {
        self.may_approve(told, key)?;
        let asks = told.submitted().said().terms.assurance == Assurance::FreshMfa && by.number.is_none();
        let beyond = by.standing.map(|wanted| standing::beyond(told, wanted));
        let how = How { colour: self.colour(), tty: self.around.context.who.tty.as_deref(), number: asks, beyond: beyond.as_ref() };
        let nothing = || Error::new(exit_codes::UNDECIDED, "nothing was said; the request still waits");
        let typed = match approver::decide(told, &how).map_err(|error| Error::internal(format!("the terminal failed: {error}")))? {
            Decided::Approve(typed) => typed,
            Decided::Nothing => return Err(nothing()),
            Decided::Expired => return Err(Error::new(exit_codes::UNDECIDED, "its time is over")),
            Decided::Ended(signal) => return Err(nothing().by_signal(Some(signal))),
            Decided::NoTerminal(why) => {
                return Err(Error::new(exit_codes::UNREACHABLE, format!("an approval is typed at a terminal, and {why}"))
                    .hint(format!("run the same at a terminal, or decide at {}", told.url())));
            }
        };
        let evidence = key.map(|key| key.evidence(&self.server, told, &self.login, by.standing)).transpose()?;
        let number = typed.as_deref().or(by.number);
        self.say(told, &Saying { answer: Answer::Approve, comment: by.comment, number, standing: by.standing, evidence }, by.json)
    }

    /// Says it to the server, and how the request stands then.
    fn say(&self, told: &Told, saying: &Saying<'_>, json: bool) -> Result<u8, Error> {
        let told = self.server.review(told, saying).map_err(|why| self.failed(why))?;
        if json {
            return print(&format!("{}\n", ascii_json(told.value())));
        }
        let said = match (saying.answer, told.is_pending()) {
            (Answer::Approve, true) => "you approved it; it waits for others, too".to_owned(),
            (Answer::Approve, false) => format!("you approved it; it is {}", told.state()),
            (Answer::Reject, _) => format!("you rejected it; it is {}", told.state()),
        };
        note(&said);
        Ok(0)
    }
}

fn unknown(typed: &str, what: &str) -> Error {
    Error::new(exit_codes::USAGE, format!("`{}` {what}", text::escape(typed.as_bytes())))
        .hint("`gate pending` lists what waits for you, `gate grants` what stands")
}

/// The part of an id that somebody typed.
fn part(typed: &str) -> Result<String, Error> {
    let part = typed.strip_prefix("req_").unwrap_or(typed).to_ascii_uppercase();
    if part.len() < SHORTEST || part.len() > 60 || !part.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(unknown(typed, "is no id of a request, or too little of one"));
    }
    Ok(part)
}

/// The one of these ids that begins or ends as somebody typed; `does` is what those do that are looked through.
fn one_of<'a>(typed: &str, ids: impl Iterator<Item = &'a str>, does: &str) -> Result<String, Error> {
    let part = part(typed)?;
    let mut found = ids.filter(|id| id.strip_prefix("req_").is_some_and(|id| id.starts_with(&part) || id.ends_with(&part)));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.to_owned()),
        (Some(_), Some(_)) => Err(unknown(typed, &format!("fits more than one that {does}"))),
        (None, _) => Err(unknown(typed, &format!("fits nothing that {does}"))),
    }
}

fn columns() -> usize {
    window::columns().map_or(80, usize::from)
}

/// Writes to standard output; a reader that went away is no failure.
pub(super) fn print(text: &str) -> Result<u8, Error> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::internal(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(0),
    }
}
