//! How people are asked, and what they answer.

pub mod approver;
pub mod card;
mod details;
mod paint;
mod reach;
mod subject;
mod tty;
mod warnings;

pub use paint::{Line, Style};
pub use reach::unreachable;
pub use subject::Subject;

use crate::approval::{ApprovalRequest, Past, Review};
use crate::policy::Channel;

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
    /// Nobody could be asked: why, and what to do instead.
    Unreachable(String),
}

/// Asks people by the channels of the terms, and waits for what they say.
pub fn ask(asked: &ApprovalRequest, past: &[Past], how: &Settings) -> Answered {
    if let Some(why) = unreachable(asked, how) {
        return Answered::Unreachable(why);
    }
    for channel in &asked.asked().terms.channels {
        match channel {
            Channel::Tty => return tty::ask(asked, past),
            // Terms may name them beside a terminal; nothing here speaks their protocols.
            Channel::Server | Channel::Slack | Channel::Teams | Channel::Ssh => {}
        }
    }
    Answered::Unreachable(reach::no_way(&asked.asked().terms))
}
