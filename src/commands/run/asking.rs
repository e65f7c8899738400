//! Whom to ask, what they say, and what that is worth.

use serde_json::{Map, Value};

use super::Teller;
use super::elsewhere::{self, Asking, Prepared, Reach};
use super::fixed::changed;
use crate::approval::{Answer, Answers, ApprovalRequest, Approver, Approvers, Grant, Receipt, Refusal, Review, Trust, verify};
use crate::audit::{self, Log};
use crate::channel::server::{Consumed, State, View};
use crate::channel::{self, Answered, card};
use crate::cli::RunArgs;
use crate::commands::approvers;
use crate::commands::surroundings::{log_failed, now};
use crate::error::{Error, note};
use crate::record::{Decider, Draft, Kind};
use crate::request::Request;
use crate::sys::wake::Ending;

/// How many similar commands a card shows.
const SIMILAR: usize = 3;

/// A grant, or the request with why there is none.
type Judged = Result<Grant, (Request, Refusal)>;

/// The other place where people are asked: what waits there, and what came of it.
#[derive(Default)]
pub(super) struct Other {
    asking: Option<Box<Asking>>,
    /// Why the server that is named is not asked.
    unasked: Option<String>,
    decider: Option<Decider>,
}

impl Other {
    /// Lets the draft of a decision name the server that decided.
    pub(super) fn told(&self, draft: &mut Draft) {
        if let Some(decider) = &self.decider {
            decider.told(draft);
        }
    }

    /// Nothing waits there any more; keys and places are given back.
    pub(super) fn close(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.forget();
        }
    }
}

impl Teller<'_> {
    fn settings(args: &RunArgs) -> channel::Settings {
        channel::Settings { non_interactive: args.non_interactive }
    }

    /// Takes up the request that waits at the server already, or makes a new one ready for it. A refusal where neither a server nor
    /// a terminal could meet the terms.
    pub(super) fn find_whom_to_ask(
        &mut self,
        asked: ApprovalRequest,
        args: &RunArgs,
    ) -> Result<Result<ApprovalRequest, Box<(Request, Refusal)>>, Error> {
        let at_terminal = channel::unreachable(&asked, &Self::settings(args)).is_none();
        if self.around.policy.server().is_none() {
            return Ok(Ok(if at_terminal { self.previewed_at_terminal(asked)? } else { asked }));
        }
        // The key that this host is known by is the log's, which is made with it.
        let log = self.open()?;
        let mut unasked = None;
        let mut or_terminal = |asked: ApprovalRequest, why: String| {
            if !at_terminal {
                return Err(Box::new((asked.request().clone(), Refusal::Unreachable(why))));
            }
            unasked = Some(why);
            Ok(asked)
        };
        let found = match elsewhere::reach(&self.around, &self.place, asked.asked())? {
            Reach::Nowhere => Ok(asked),
            Reach::Distrusted(why) => or_terminal(asked, why.to_owned()),
            Reach::There(_) if !justified(&asked) => {
                let why = unjustified(&asked);
                or_terminal(asked, why)
            }
            Reach::There(there) => {
                let used = |digest: crate::approval::Digest| log.used(&digest.to_string()).map_err(|error| log_failed(&error));
                match there.prepare(asked, &self.place.directory, used, |asked| self.previewed(asked))? {
                    Prepared::Not(asked, why) => or_terminal(asked, why),
                    Prepared::Busy(asked) => {
                        note("another gate on this host waits for the very same command");
                        Err(Box::new((asked.request().clone(), Refusal::Pending)))
                    }
                    Prepared::Ready(asked, asking) => {
                        self.id = asked.request().id();
                        self.elsewhere.asking = Some(asking);
                        Ok(asked)
                    }
                }
            }
        };
        self.elsewhere.unasked = unasked;
        match found {
            Ok(asked) if at_terminal && self.elsewhere.asking.is_none() => self.previewed_at_terminal(asked).map(Ok),
            found => Ok(found),
        }
    }

    /// Whether the request was made, and recorded, by an earlier run.
    pub(super) fn waits_already(&self) -> bool {
        self.elsewhere.asking.as_ref().is_some_and(|asking| asking.resumed)
    }

    /// Asks by every way there is, and waits for the first who decide.
    pub(super) fn answer(&mut self, asked: &ApprovalRequest, mut log: Log, args: &RunArgs) -> Result<Answered, Error> {
        let typed = String::from_utf8_lossy(asked.request().program().typed_name()).into_owned();
        let past = log.similar(&typed, &asked.request().context().words, SIMILAR).unwrap_or_default();
        drop(log);
        let Some(asking) = &self.elsewhere.asking else {
            let unasked = self.elsewhere.unasked.take();
            return Ok(match channel::ask(asked, &past, &Self::settings(args), None) {
                Answered::Unreachable(why) => {
                    Answered::Unreachable(unasked.map_or(why.clone(), |of| format!("{why}; nor is the server asked: {of}")))
                }
                answered => answered,
            });
        };
        if let Some(view) = &asking.decided {
            return Ok(Answered::Server(Box::new(view.clone())));
        }
        let mut waiting = asking.start()?;
        let answered = channel::ask(asked, &past, &Self::settings(args), Some(&mut waiting));
        if !waiting.is_made() && matches!(answered, Answered::Unreachable(_)) {
            asking.forget();
        }
        Ok(answered)
    }

    /// Judges what was answered, and says by which signal gate ends where it was one.
    pub(super) fn judge(&mut self, asked: ApprovalRequest, answered: Answered) -> Result<(Option<i32>, Judged), Error> {
        let mut signalled = None;
        let refusal = match answered {
            Answered::Reviews(reviews) => {
                self.elsewhere.close();
                return Ok((None, decided(asked, &reviews, None, None, &[])?));
            }
            Answered::Server(view) => return Ok((None, self.decided_elsewhere(asked, &view)?)),
            Answered::Expired => {
                self.elsewhere.close();
                Refusal::Expired
            }
            Answered::Cancelled { signal } => {
                self.elsewhere.close();
                signalled = signal;
                Refusal::Cancelled
            }
            Answered::Pending => Refusal::Pending,
            Answered::Conflict(why) => Refusal::Halted(self.halted_by_server(why)?),
            Answered::Unreachable(why) => Refusal::Unreachable(why),
        };
        Ok((signalled, Err((asked.request().clone(), refusal))))
    }

    /// What the server decided: looked at again, used up there, and believed only by its receipt.
    fn decided_elsewhere(&mut self, asked: ApprovalRequest, view: &View) -> Result<Judged, Error> {
        let Some(asking) = self.elsewhere.asking.take() else {
            return Err(Error::internal("a server answered that nobody asked"));
        };
        let refused = |asked: &ApprovalRequest, refusal| Ok(Err((asked.request().clone(), refusal)));
        let receipt = if view.state == State::Rejected {
            view.receipt.clone().unwrap_or_default()
        } else {
            if let Some(what) = changed(asked.request(), asked.asked()).unwrap_or_else(|error| Some(error.to_string())) {
                asking.forget();
                return refused(&asked, Refusal::Changed(what));
            }
            match asking.consume(view) {
                Consumed::Receipt(receipt) => receipt,
                Consumed::Unclear(why) => {
                    note(&why);
                    return refused(&asked, Refusal::Pending);
                }
                Consumed::Conflict(why) => return refused(&asked, Refusal::Halted(self.halted_by_server(why)?)),
                Consumed::Over(why) => {
                    asking.forget();
                    return refused(&asked, Refusal::Changed(format!("the approval cannot be used any more: {why}")));
                }
            }
        };
        let now = now()?;
        let judged = match asking.believe(&receipt, view, &asked, now) {
            Err(why) => refused(&asked, Refusal::Unreachable(why)),
            Ok((receipt, decider)) => {
                self.elsewhere.decider = Some(decider);
                let enrolled = approvers::enrolled(&self.around.config, asked.asked().terms_layer, self.around.context.who.uid)?;
                decided(asked, &[], Some(&receipt), Some(asking.root()), &enrolled)
            }
        };
        match &judged {
            // It is used where the start is recorded; until then the next run may go on from here.
            Ok(Ok(_)) => self.elsewhere.asking = Some(asking),
            _ => asking.forget(),
        }
        judged
    }

    /// The server has seen another history of this log: nothing runs until somebody looked.
    fn halted_by_server(&mut self, why: String) -> Result<String, Error> {
        let mut log = self.open()?;
        if log.ready().is_ok() {
            audit::halt(&self.place, &why).map_err(|error| log_failed(&error))?;
            let fields = Map::from_iter([
                ("error".to_owned(), Value::from("the server knows another history")),
                ("refused".to_owned(), Value::from(true)),
            ]);
            log.append(&[Draft::new(Kind::AuditFailure, None, fields)], now()?).map_err(|error| log_failed(&error))?;
        }
        Ok(why)
    }

    /// Tells the server how it ended. Whatever comes of that changes nothing.
    pub(super) fn tell_server(&self, outcome: &Value) {
        let Some(decider) = &self.elsewhere.decider else { return };
        // The command has ended, and its status is what counts: no signal may take its place now.
        std::mem::forget(Ending::take());
        if let Ok(Some(server)) = elsewhere::again(&self.around, &self.place) {
            server.tell(&decider.request, outcome);
        }
    }
}

/// Judges the answers, after looking again at everything that could have changed while people thought.
fn decided(
    asked: ApprovalRequest,
    reviews: &[Review],
    receipt: Option<&Receipt>,
    server: Option<crate::approval::Root>,
    approvers: &[Approvers],
) -> Result<Judged, Error> {
    let who = &asked.request().context().who;
    let requester = Approver { issuer: format!("tty:{}", asked.request().context().host), subject: who.uid.to_string() };
    let approved = receipt.is_none() && reviews.iter().all(|review| review.answer == Answer::Approve);
    if approved && let Some(what) = changed(asked.request(), asked.asked()).unwrap_or_else(|error| Some(error.to_string())) {
        return Ok(Err((asked.request().clone(), Refusal::Changed(what))));
    }
    let trust = Trust { requester: &requester, server, approvers };
    Ok(verify(asked, Answers { terminal: reviews, receipt }, trust, now()?).map_err(|refused| *refused))
}

/// Whether the requester gave what the terms want to be told.
fn justified(asked: &ApprovalRequest) -> bool {
    asked.asked().terms.justification.iter().all(|wanted| wanted.satisfied_by(asked.justification()))
}

fn unjustified(asked: &ApprovalRequest) -> String {
    let wants: Vec<String> = asked.asked().terms.justification.iter().filter_map(card::wants).collect();
    format!("the terms want {} before anybody is asked; give it with `--justification TEXT`", wants.join(" and "))
}
