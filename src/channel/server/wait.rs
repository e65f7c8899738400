//! Waiting for a server alone: no terminal is asked.

use std::time::Duration;

use super::card::{self, Shown};
use super::view::State;
use super::{End, News, View, Waiting};
use crate::approval::ApprovalRequest;
use crate::channel::Answered;
use crate::sys::clock;
use crate::sys::wake::{Woken, gives_up};

/// What the one who waits is to do about the news.
#[derive(Debug)]
pub(in crate::channel) enum Heard {
    /// Say these lines, and go on.
    Lines(Vec<String>),
    /// Say these lines; it is over.
    Over(Vec<String>, Answered),
    /// Nothing more comes from there: why.
    Gone(String),
}

impl Waiting {
    /// What came since the last time, one thing after the other.
    pub(in crate::channel) fn heard(&mut self, asked: &ApprovalRequest) -> Option<Heard> {
        let news = self.news.try_recv().ok()?;
        Some(match news {
            News::Stands(view) => self.stands(view, asked),
            News::Lost(why) => Heard::Lines(vec![format!("the connection to {} is lost ({why}); trying again", self.url)]),
            News::Back => Heard::Lines(vec![format!("{} is back", self.url)]),
            News::Failed(End::Unreachable(why)) => {
                let why = format!("the server {}: {why}", self.url);
                self.gone = Some(why.clone());
                Heard::Gone(why)
            }
            News::Failed(End::Conflict(why)) => Heard::Over(Vec::new(), Answered::Conflict(format!("the server {}: {why}", self.url))),
        })
    }

    /// Why nothing comes from there any more; none while something may.
    pub(in crate::channel) fn gone(&self) -> Option<&str> {
        self.gone.as_deref()
    }

    fn stands(&mut self, view: View, asked: &ApprovalRequest) -> Heard {
        let mut lines = match &self.last {
            None if view.state == State::Pending => card::lines(&view, &self.number, &since(asked)),
            _ => Vec::new(),
        };
        lines.extend(card::news(self.last.as_ref(), &view).iter().map(card::said));
        let answered = match view.state {
            State::Pending => None,
            State::Approved | State::Rejected | State::Consumed => Some(Answered::Server(Box::new(view.clone()))),
            State::Expired => Some(Answered::Expired),
            State::Cancelled => Some(Answered::Cancelled { signal: None }),
        };
        if answered.is_some() && lines.is_empty() {
            lines.push(card::over(view.state).to_owned());
        }
        self.last = Some(view);
        match answered {
            Some(answered) => Heard::Over(lines, answered),
            None => Heard::Lines(lines),
        }
    }

    /// What rings when there is something to hear.
    pub(in crate::channel) fn bell(&self) -> std::sync::Arc<crate::sys::wake::Bell> {
        std::sync::Arc::clone(&self.bell)
    }
}

/// When it was asked, as people read it.
fn since(asked: &ApprovalRequest) -> String {
    let time = jiff::Timestamp::from_nanosecond(asked.created().wall.into()).map(|time| time.strftime("%H:%M:%S UTC").to_string());
    time.unwrap_or_else(|_| "now".to_owned())
}

/// Waits for what people say at the server; Ctrl-C takes the request back, a signal that only ends gate leaves it there.
pub(in crate::channel) fn wait(asked: &ApprovalRequest, waiting: &mut Waiting) -> Answered {
    let failed = |error: std::io::Error| Answered::Unreachable(format!("gate cannot wait: {error}"));
    let deadline = asked.created().boot.saturating_add(asked.asked().terms.within);
    let dumb = asked.request().context().environment.get("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let now = || clock::now().map_or(deadline, |now| now.boot);
    let mut shown = Shown::new(dumb, now());
    loop {
        while let Some(heard) = waiting.heard(asked) {
            match heard {
                Heard::Lines(lines) => shown.say(&lines, now()),
                Heard::Over(lines, answered) => {
                    shown.say(&lines, now());
                    return answered;
                }
                Heard::Gone(why) => return Answered::Unreachable(why),
            }
        }
        let left = deadline.saturating_sub(now());
        if left == Duration::ZERO {
            waiting.cancel();
            return Answered::Expired;
        }
        match waiting.ending.wait(&waiting.bell, shown.pause(now()).min(left)) {
            Ok(Woken::Bell) => {}
            Ok(Woken::Time) => shown.still(deadline.saturating_sub(now()), now()),
            Ok(Woken::Ended(signal)) if gives_up(signal) => {
                waiting.cancel();
                return Answered::Cancelled { signal: Some(signal) };
            }
            Ok(Woken::Ended(_)) => {
                waiting.leave();
                return Answered::Pending;
            }
            Err(error) => return failed(error),
        }
    }
}
