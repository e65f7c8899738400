//! Asking the approver at their own terminal: the whole card is read, then the number and a word are typed.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Told;
use crate::channel::card::{self, Frame};
use crate::channel::paint::{Line, Style};
use crate::sys::clock;
use crate::sys::tty::{Claim, Event, Terminal};
use crate::text;

/// How somebody is asked at their terminal.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Whether escape sequences may be written.
    pub colour: bool,
    /// The terminal's own file.
    pub tty: Option<&'a Path>,
    /// Whether the terms want the number that the requester sees, and it was not given yet.
    pub number: bool,
    /// What is approved beyond this one run.
    pub beyond: Option<&'a Beyond>,
}

/// More than one run, as the approver is asked for it.
#[derive(Clone, Debug)]
pub struct Beyond {
    /// How many in all.
    pub uses: u32,
    /// What may run, in words that are fit to be shown.
    pub words: Vec<String>,
}

/// What somebody said at their terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decided {
    /// Yes, with the number where one was wanted.
    Approve(Option<String>),
    /// Not yes.
    Nothing,
    /// Its time ran out meanwhile.
    Expired,
    /// A signal ended the question.
    Ended(i32),
    /// There is no terminal to ask at: why.
    NoTerminal(&'static str),
}

/// The lines of a request: the card, all details, and what the server says beside them.
pub fn lines(told: &Told, now: i64, columns: usize) -> Vec<Line> {
    let subject = told.subject(now);
    let frame = Frame { subject: &subject, past: None, now, columns, rows: usize::MAX };
    let mut lines = card::draw(&frame).lines;
    lines.extend(card::further(&frame));
    lines.push(Line::default());
    let said = format!("the server says: {}, asked by {}; the digest does not cover that", told.state(), told.requester());
    let reviews = told.reviews().iter().map(|one| {
        let comment = if one.comment.is_empty() { String::new() } else { format!(": {}", one.comment) };
        format!("{} says {} ({}){comment}", one.name, one.review, one.assurance)
    });
    for said in std::iter::once(said).chain(reviews).chain([format!("page {}", told.url())]) {
        lines.extend(text::wrap(&said, columns.max(20)).into_iter().map(|line| Line::of(Style::Plain, line)));
    }
    lines
}

/// Shows the whole request at the terminal, and asks for a yes that no habit can type.
pub fn decide(told: &Told, how: &How<'_>) -> io::Result<Decided> {
    let now = clock::now()?;
    let deadline = now.boot.saturating_add(told.left(now.wall));
    let Ok(terminal) = Terminal::open(deadline) else {
        return Ok(Decided::NoTerminal("there is no terminal here"));
    };
    let mut asking = Asking { terminal, colour: how.colour, tty: how.tty, claim: None };
    match asking.ask(told, how, now.wall) {
        Ok(decided) | Err(Ended::With(decided)) => Ok(decided),
        Err(Ended::Failed(error)) => Err(error),
    }
}

/// One line that somebody types at the terminal; none where they end it otherwise.
pub fn comment(words: &str) -> io::Result<Option<String>> {
    let terminal = Terminal::open(Duration::from_secs(u64::from(u32::MAX)))?;
    let mut asking = Asking { terminal, colour: false, tty: None, claim: None };
    let typed = asking.come_forward().and_then(|()| {
        asking.print(&[Line::of(Style::Plain, words)])?;
        asking.question("> ")
    });
    match typed {
        Ok(line) => Ok(Some(line)),
        Err(Ended::With(_)) => Ok(None),
        Err(Ended::Failed(error)) => Err(error),
    }
}

/// Why a question ends without an answer.
enum Ended {
    With(Decided),
    Failed(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

struct Asking<'a> {
    terminal: Terminal,
    colour: bool,
    tty: Option<&'a Path>,
    claim: Option<Claim>,
}

impl Asking<'_> {
    fn ask(&mut self, told: &Told, how: &How<'_>, now: i64) -> Result<Decided, Ended> {
        self.come_forward()?;
        let (columns, rows) = self.terminal.size();
        let mut lines = lines(told, now, columns);
        for words in how.beyond.into_iter().flat_map(|beyond| &beyond.words) {
            lines.extend(text::wrap(words, columns.max(20)).into_iter().map(|line| Line::of(Style::Alert, line)));
        }
        let page = rows.saturating_sub(1).max(4);
        for (at, part) in lines.chunks(page).enumerate() {
            self.print(part)?;
            if (at + 1) * page < lines.len() {
                let more = format!("-- {} of {} lines: Enter for more, q to leave ", (at + 1) * page, lines.len());
                if self.question(&more)? == "q" {
                    return Ok(Decided::Nothing);
                }
            }
        }
        let number = if how.number {
            let typed = self.question("The number that the requester sees: ")?;
            if typed.len() != 2 || !typed.bytes().all(|digit| digit.is_ascii_digit()) {
                self.print(&[Line::of(Style::Plain, "that is no number of two digits; nothing was said")])?;
                return Ok(Decided::Nothing);
            }
            Some(typed)
        } else {
            None
        };
        let times = how.beyond.map(|beyond| format!("{} times ", beyond.uses)).unwrap_or_default();
        let word = format!("approve {times}{}", told.subject(now).mark());
        self.print(&[Line::of(Style::Plain, "Type ")
            .and(Style::Bold, word.as_str())
            .and(Style::Plain, " to approve it; anything else says nothing.")])?;
        let typed = self.question("> ")?;
        let typed = typed.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(if typed.eq_ignore_ascii_case(&word) { Decided::Approve(number) } else { Decided::Nothing })
    }

    /// Waits for the foreground, where nobody else may ask at the same time.
    fn come_forward(&mut self) -> Result<(), Ended> {
        self.claim = None;
        if !self.terminal.come_forward()? {
            return Err(Ended::With(Decided::NoTerminal("gate runs in the background, where nobody can bring it forward")));
        }
        let claim = self.tty.map_or(Claim::Unknown, Terminal::claim);
        if matches!(claim, Claim::Busy) {
            return Err(Ended::With(Decided::NoTerminal("another question is open at this terminal")));
        }
        self.claim = Some(claim);
        Ok(self.terminal.edit_lines()?)
    }

    /// One line that was typed after the question could be read.
    fn question(&mut self, words: &str) -> Result<String, Ended> {
        self.terminal.forget_typed()?;
        self.terminal.write(words.as_bytes())?;
        loop {
            match self.terminal.next(None::<Duration>)? {
                Event::Line(line) => return Ok(String::from_utf8_lossy(&line).trim().to_owned()),
                Event::End => return Err(Ended::With(Decided::Nothing)),
                Event::Deadline => return Err(Ended::With(Decided::Expired)),
                Event::Ended(signal) => return Err(Ended::With(Decided::Ended(signal))),
                Event::Gone => return Err(Ended::With(Decided::NoTerminal("the terminal went away"))),
                Event::Suspend => {
                    self.claim = None;
                    self.terminal.write(b"\n")?;
                    self.terminal.suspend()?;
                    self.come_forward()?;
                    self.terminal.write(words.as_bytes())?;
                }
                Event::Continued => {
                    self.come_forward()?;
                    self.terminal.write(words.as_bytes())?;
                }
                Event::Resized | Event::Rung | Event::Quiet => {}
            }
        }
    }

    fn print(&mut self, lines: &[Line]) -> io::Result<()> {
        let text = lines.iter().fold(String::new(), |text, line| text + &line.paint(self.colour) + "\n");
        self.terminal.write(text.as_bytes()).map(drop)
    }
}
