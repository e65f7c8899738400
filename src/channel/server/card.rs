//! What whoever waits is told on stderr: whom it waits for, where they decide, the number to match, the time that is left.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use super::view::{Said, State, View};
use crate::text;

/// The least time between two lines that only say that it still waits.
const STILL: Duration = Duration::from_mins(1);

/// How often a terminal's last line is drawn anew.
const TURN: Duration = Duration::from_millis(200);

const SPINNER: [&str; 8] = ["⣾", "⣽", "⣻", "⢿", "⡿", "⣟", "⣯", "⣷"];

/// The lines that say who is asked and how to decide.
pub(super) fn lines(view: &View, number: &str, since: &str) -> Vec<String> {
    let asked: Vec<String> = view.asked.iter().map(|slot| text::escape(slot.as_bytes())).collect();
    let whom = match asked.as_slice() {
        [] => "anybody else who may decide".to_owned(),
        slots => slots.join(" and "),
    };
    let each = if view.threshold > 1 { format!(", {} people each", view.threshold) } else { String::new() };
    vec![
        format!("waiting for {whom}{each}, since {since}"),
        format!("  decide at  {}", text::escape(view.url.as_bytes())),
        format!("  digest     {}", short(&view.digest)),
        format!("  number     {number} (to be typed by whoever approves; it is shown only here)"),
    ]
}

/// What one more review says.
pub(super) fn said(one: &Said) -> String {
    let name = text::escape(one.name.as_bytes());
    let verb = if one.approves { "approved" } else { "rejected" };
    format!("{name} {verb} it at {} ({})", text::escape(one.at.as_bytes()), text::escape(one.assurance.as_bytes()))
}

/// How it ended at the server.
pub(super) fn over(state: State) -> &'static str {
    match state {
        State::Pending => "it waits",
        State::Approved => "it is approved",
        State::Rejected => "it is rejected",
        State::Expired => "nobody decided in time",
        State::Cancelled => "it was cancelled at the server",
        State::Consumed => "the approval was used",
    }
}

/// The digest as other screens show it.
fn short(digest: &str) -> String {
    let digest = text::escape(digest.as_bytes());
    format!("{}-{}", digest.get(..5).unwrap_or_default(), digest.get(5..10).unwrap_or_default())
}

/// The reviews that were not there before.
pub(super) fn news<'a>(before: Option<&View>, now: &'a View) -> &'a [Said] {
    let known = before.map_or(0, |before| before.reviews.len());
    now.reviews.get(known..).unwrap_or_default()
}

/// stderr while it waits: lines for good, and on a terminal one more that is drawn over.
#[derive(Debug)]
pub(super) struct Shown {
    in_place: bool,
    /// When the last line was written for good.
    told: Duration,
    turn: usize,
    drawn: bool,
}

impl Shown {
    pub(super) fn new(dumb: bool, now: Duration) -> Self {
        Self { in_place: !dumb && std::io::stderr().is_terminal(), told: now, turn: 0, drawn: false }
    }

    /// How long until there is something to draw.
    pub(super) fn pause(&self, now: Duration) -> Duration {
        if self.in_place { TURN } else { STILL.saturating_sub(now.saturating_sub(self.told)).max(Duration::from_millis(1)) }
    }

    /// Says something for good.
    pub(super) fn say(&mut self, lines: &[String], now: Duration) {
        self.write(&lines.iter().fold(String::new(), |all, line| all + "gate: " + line + "\n"));
        self.told = now;
    }

    /// Shows that it still waits.
    pub(super) fn still(&mut self, left: Duration, now: Duration) {
        if self.in_place {
            self.turn = (self.turn + 1) % SPINNER.len();
            let line = format!("\r\x1b[2K{} waiting, {} left", SPINNER[self.turn], text::duration(Duration::from_secs(left.as_secs())));
            let _ = std::io::stderr().write_all(line.as_bytes());
            self.drawn = true;
        } else if now.saturating_sub(self.told) >= STILL {
            self.say(&[format!("still waiting, {} left", text::duration(Duration::from_secs(left.as_secs())))], now);
        }
    }

    fn write(&mut self, line: &str) {
        let start = if std::mem::take(&mut self.drawn) { "\r\x1b[2K" } else { "" };
        // A closed stderr does not change what people decide.
        let _ = std::io::stderr().write_all(format!("{start}{line}").as_bytes());
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.write("");
    }
}
