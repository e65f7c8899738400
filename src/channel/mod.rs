//! How people are asked, and what they answer.

pub mod approver;
pub mod card;
mod details;
mod paint;
mod reach;
pub mod server;
mod subject;
mod tty;

pub use paint::{Line, Style};
pub use reach::unreachable;
use server::Waiting;
pub use subject::Subject;

use crate::approval::{ApprovalRequest, Past, Review};

/// How the person who runs gate wants to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Never prompt.
    pub non_interactive: bool,
}

/// What came of asking.
#[derive(Clone, Debug)]
#[must_use]
pub enum Answered {
    /// People answered.
    Reviews(Vec<Review>),
    /// Nobody answered in time.
    Expired,
    /// The requester gave up; gate dies by the signal, if one told it so.
    Cancelled {
        /// The signal.
        signal: Option<i32>,
    },
    /// It was decided at the server; what that is worth shows its receipt.
    Server(Box<server::View>),
    /// gate has to end, and the request waits on at the server.
    Pending,
    /// The server knows something of this host's log that the log does not: what.
    Conflict(String),
    /// Nobody could be asked: why, and what to do instead.
    Unreachable(String),
}

/// Asks people by the channels of the terms, all at once, and waits for what they say; `waiting` is the request at a server, where
/// one is asked. The first who decide win, and the other way is closed.
pub fn ask(asked: &ApprovalRequest, past: &[Past], how: &Settings, waiting: Option<&mut Waiting>) -> Answered {
    match (unreachable(asked, how), waiting) {
        (Some(why), None) => Answered::Unreachable(why),
        (Some(_), Some(waiting)) => server::wait(asked, waiting),
        (None, None) => tty::ask(asked, past, None),
        (None, Some(waiting)) => {
            let answered = match tty::ask(asked, past, Some(waiting)) {
                // There is no terminal, or it went away: the others still may answer.
                Answered::Unreachable(why) => match waiting.gone() {
                    None => server::wait(asked, waiting),
                    Some(gone) => Answered::Unreachable(format!("{why}; {gone}")),
                },
                answered => answered,
            };
            match &answered {
                Answered::Reviews(_) | Answered::Expired | Answered::Cancelled { .. } => waiting.cancel(),
                Answered::Server(_) | Answered::Pending | Answered::Conflict(_) | Answered::Unreachable(_) => waiting.leave(),
            }
            answered
        }
    }
}
