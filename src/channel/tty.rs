//! The question at the terminal.

mod elsewhere;
mod lines;

use std::io;
use std::time::Duration;

use super::card::{self, Everything, View};
use super::paint::{Line, Style};
use super::server::Waiting;
use super::{Answered, reach};
use crate::approval::{Answer, ApprovalRequest, Approver, Past, Review, Stamp};
use crate::policy::{Assurance, Channel};
use crate::sys::clock;
use crate::sys::tty::{Claim, Event, Terminal, went_away};
use crate::sys::wake::gives_up;
use crate::text;

/// After the window's last change of size, how long until the card is drawn anew.
const SETTLED: Duration = Duration::from_millis(150);
/// How often to look whether the other question at this terminal has been answered.
const AGAIN: Duration = Duration::from_millis(200);

const GONE: &str = "this one went away before anybody answered";

/// Asks at the controlling terminal, while others are asked at a server.
pub(super) fn ask(asked: &ApprovalRequest, past: &[Past], elsewhere: Option<&mut Waiting>) -> Answered {
    let deadline = asked.created().boot.saturating_add(asked.asked().terms.within);
    let Ok(terminal) = Terminal::open(deadline) else {
        return Answered::Unreachable(reach::no_terminal("there is none here"));
    };
    Prompt::new(asked, past, terminal, elsewhere).run().unwrap_or_else(|error| {
        let why = if went_away(&error) { GONE.to_owned() } else { format!("this one failed ({})", plain(&error)) };
        Answered::Unreachable(reach::no_terminal(&why))
    })
}

fn plain(error: &io::Error) -> String {
    text::escape(error.to_string().as_bytes())
}

/// What the next line is taken for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    /// The answer.
    Answer,
    /// Why not; the answer is no already.
    Comment,
    /// What the requester must say; the answer is yes already.
    Justify,
    /// More pages, from this line on.
    Read(usize),
}

struct Prompt<'a> {
    asked: &'a ApprovalRequest,
    past: &'a [Past],
    terminal: Terminal,
    stage: Stage,
    /// Whether the whole command and all warnings have been shown.
    read: bool,
    /// The columns that the card was drawn for.
    columns: usize,
    word: String,
    /// Whether escape sequences may be written at all.
    ansi: bool,
    colour: bool,
    everything: Everything,
    /// Kept while this question is the one that is open at the terminal.
    claim: Option<Claim>,
    /// The same request at a server; none where there is none, or nothing comes from there any more.
    elsewhere: Option<&'a mut Waiting>,
}

impl<'a> Prompt<'a> {
    fn new(asked: &'a ApprovalRequest, past: &'a [Past], mut terminal: Terminal, elsewhere: Option<&'a mut Waiting>) -> Self {
        let environment = &asked.request().context().environment;
        let set = |name| environment.get(name).is_some_and(|value| !value.is_empty());
        let dumb = environment.get("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let everything = Everything { lines: Vec::new(), read_to: 0 };
        if let Some(waiting) = &elsewhere {
            terminal.listen(waiting.bell());
        }
        let columns = terminal.size().0;
        let (ansi, colour) = (!dumb, !dumb && !set("NO_COLOR"));
        Self {
            asked,
            past,
            terminal,
            stage: Stage::Answer,
            read: false,
            columns,
            word: String::new(),
            ansi,
            colour,
            everything,
            claim: None,
            elsewhere,
        }
    }

    fn run(&mut self) -> io::Result<Answered> {
        if let Some(answered) = self.come_forward()? {
            return Ok(answered);
        }
        self.draw()?;
        let mut resized = false;
        loop {
            let event = self.terminal.next(resized.then_some(SETTLED))?;
            match event {
                Event::Resized => resized = true,
                Event::Quiet => {
                    resized = false;
                    if self.terminal.size().0 < self.columns {
                        self.draw()?;
                    }
                }
                Event::Line(line) => {
                    if let Some(answered) = self.line(&line)? {
                        return Ok(answered);
                    }
                }
                Event::Rung => {
                    if let Some(answered) = self.otherwise(&Event::Rung)? {
                        return Ok(answered);
                    }
                    self.question()?;
                }
                other => {
                    if let Some(answered) = self.otherwise(&other)? {
                        return Ok(answered);
                    }
                    self.draw()?;
                }
            }
        }
    }

    /// Waits for the foreground, and until no other question is open at this terminal.
    fn come_forward(&mut self) -> io::Result<Option<Answered>> {
        // A stopped gate holds nothing that another one waits for.
        self.claim = None;
        if self.elsewhere.is_some() && !self.terminal.foreground()? {
            return Ok(Some(Answered::Unreachable(reach::no_terminal("gate runs in the background, where others are asked"))));
        }
        if !self.terminal.come_forward()? {
            return Ok(Some(Answered::Unreachable(reach::no_terminal("gate runs in the background, where nobody can bring it forward"))));
        }
        // It was continued only to be ended: nothing is drawn over what others do at the terminal.
        if let Some(event) = self.terminal.ended() {
            return self.otherwise(&event);
        }
        let mut told = false;
        let claim = loop {
            let claim = self.asked.request().context().who.tty.as_deref().map_or(Claim::Unknown, Terminal::claim);
            if !matches!(claim, Claim::Busy) {
                break claim;
            }
            if !told {
                // The other one's cursor stands behind its mark.
                self.say("")?;
                self.say("gate: another question is open at this terminal; this one comes next")?;
                told = true;
            }
            match self.terminal.stand_by(AGAIN)? {
                Event::Quiet | Event::Resized | Event::Line(_) => {}
                other => {
                    if let Some(answered) = self.otherwise(&other)? {
                        return Ok(Some(answered));
                    }
                }
            }
        };
        // Where two questions could be open at once, a bare word might answer the wrong one.
        self.word = card::run_word(self.asked, matches!(claim, Claim::Held(_)));
        self.claim = Some(claim);
        self.terminal.edit_lines()?;
        Ok(None)
    }

    /// What happened beside a line; none when the question goes on and is to be drawn again.
    fn otherwise(&mut self, event: &Event) -> io::Result<Option<Answered>> {
        match event {
            // Whoever ends the input has not agreed.
            Event::End => {
                self.say("")?;
                self.review(Answer::Reject, "", "").map(Some)
            }
            Event::Deadline => {
                self.say("")?;
                if self.stage == Stage::Comment { self.review(Answer::Reject, "", "").map(Some) } else { Ok(Some(Answered::Expired)) }
            }
            Event::Ended(signal) => {
                self.say("")?;
                let stays = self.elsewhere.is_some() && !gives_up(*signal);
                Ok(Some(if stays { Answered::Pending } else { Answered::Cancelled { signal: Some(*signal) } }))
            }
            Event::Rung => self.heard(),
            Event::Gone => Ok(Some(Answered::Unreachable(reach::no_terminal(GONE)))),
            Event::Suspend => {
                self.say("")?;
                self.claim = None;
                self.terminal.suspend()?;
                self.come_forward()
            }
            Event::Continued => self.come_forward(),
            Event::Line(_) | Event::Resized | Event::Quiet => Ok(None),
        }
    }

    fn line(&mut self, line: &[u8]) -> io::Result<Option<Answered>> {
        let text = String::from_utf8_lossy(line).trim().to_owned();
        match self.stage.clone() {
            Stage::Answer => self.answer(&text),
            Stage::Comment => self.review(Answer::Reject, &text, "").map(Some),
            Stage::Justify => self.justify(&text),
            Stage::Read(from) => {
                if self.ansi {
                    // The line that said where the page ends is not part of the text.
                    self.terminal.write(b"\x1b[A\r\x1b[2K")?;
                }
                match text.as_str() {
                    "q" => self.ask_again("")?,
                    "all" => self.page(from, usize::MAX)?,
                    "" => self.page(from, self.page_length())?,
                    _ => return self.answer(&text),
                }
                Ok(None)
            }
        }
    }

    fn answer(&mut self, text: &str) -> io::Result<Option<Answered>> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (first, rest) = text.split_once(|c: char| c.is_whitespace() || c == ':').unwrap_or((text, ""));
        if words.join(" ").eq_ignore_ascii_case(&self.word) {
            if !self.read {
                self.ask_again("not yet: the whole command has not been shown; read it with show, to its end")?;
                return Ok(None);
            }
            return self.justify(self.asked.justification());
        }
        match first.to_ascii_lowercase().as_str() {
            "no" | "deny" | "n" => {
                let comment = rest.trim();
                if comment.is_empty() {
                    self.stage = Stage::Comment;
                    self.question()?;
                    return Ok(None);
                }
                self.review(Answer::Reject, comment, "").map(Some)
            }
            "show" => {
                self.view_everything();
                self.page(0, self.page_length())?;
                Ok(None)
            }
            "" => {
                self.ask_again("")?;
                Ok(None)
            }
            _ => {
                let word = self.word.clone();
                self.ask_again(&format!("that is none of the answers: {word}, no, show"))?;
                Ok(None)
            }
        }
    }

    fn justify(&mut self, text: &str) -> io::Result<Option<Answered>> {
        if self.asked.asked().terms.justification.iter().all(|wanted| wanted.satisfied_by(text)) {
            return self.review(Answer::Approve, "", text).map(Some);
        }
        if self.stage == Stage::Justify {
            self.say("that is not what the policy wants")?;
        }
        self.stage = Stage::Justify;
        self.question()?;
        Ok(None)
    }

    fn review(&mut self, answer: Answer, comment: &str, justification: &str) -> io::Result<Answered> {
        let context = self.asked.request().context();
        Ok(Answered::Reviews(vec![Review {
            approver: Approver { issuer: format!("tty:{}", context.host), subject: context.who.uid.to_string() },
            assurance: Assurance::Confirm,
            channel: Channel::Tty,
            answer,
            comment: comment.to_owned(),
            justification: justification.to_owned(),
            at: clock::now()?,
            digest: self.asked.digest(),
            slots: Vec::new(),
            evidence: None,
        }]))
    }

    /// Draws what is asked now, for the size that the window has now.
    fn draw(&mut self) -> io::Result<()> {
        let (columns, rows) = self.terminal.size();
        self.columns = columns;
        if let Stage::Read(_) = self.stage {
            self.view_everything();
            return self.page(0, self.page_length());
        }
        let card = card::card(&self.view(columns, rows, clock::now()?));
        self.read |= self.print(&card.lines)? && card.whole;
        self.question()
    }

    fn view(&self, columns: usize, rows: usize, now: Stamp) -> View<'a> {
        View { asked: self.asked, past: self.past, now, columns, rows }
    }

    /// Asks for the answer once more, after a word on the last one.
    fn ask_again(&mut self, why: &str) -> io::Result<()> {
        self.stage = Stage::Answer;
        if !why.is_empty() {
            self.say(why)?;
        }
        self.question()
    }

    /// Says what may be typed now, and forgets what was typed before it could be read.
    fn question(&mut self) -> io::Result<()> {
        let lines = match self.stage {
            Stage::Answer => self.answers(),
            Stage::Comment => vec![Line::of(Style::Plain, "Why not? The requester reads it. (Enter for no comment)")],
            Stage::Justify => self.wanted(),
            Stage::Read(_) => Vec::new(),
        };
        self.print(&lines)?;
        // A comment may follow its `no` at once; an answer counts only when the question could be read.
        if self.stage != Stage::Comment {
            self.terminal.forget_typed()?;
        }
        self.terminal.write(b"> ").map(drop)
    }

    fn view_everything(&mut self) {
        let (columns, rows) = self.terminal.size();
        self.columns = columns;
        let now = clock::now().unwrap_or(self.asked.created());
        self.everything = card::everything(&self.view(columns, rows, now));
    }

    fn page_length(&self) -> usize {
        self.terminal.size().1.saturating_sub(2).max(4)
    }

    /// Shows the next lines of everything; after the last ones, asks again.
    fn page(&mut self, from: usize, most: usize) -> io::Result<()> {
        let all = self.everything.lines.len();
        let to = from.saturating_add(most).min(all);
        let lines = self.everything.lines[from.min(all)..to].to_vec();
        self.read |= self.print(&lines)? && to >= self.everything.read_to;
        if to == all {
            self.everything.lines.clear();
            self.say("")?;
            return self.ask_again("");
        }
        self.stage = Stage::Read(to);
        let line = format!("-- {to} of {all} lines: Enter for more, all, q to leave -- ");
        let line = if text::width(&line) > self.columns { format!("-- {to}/{all}: Enter, all, q ") } else { line };
        self.terminal.forget_typed()?;
        self.terminal.write(Line::of(Style::Bold, line).paint(self.colour).as_bytes()).map(drop)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let lines: Vec<Line> = text::wrap(text, self.columns.max(20)).into_iter().map(|line| Line::of(Style::Plain, line)).collect();
        self.print(&lines).map(drop)
    }

    /// Prints lines, and says whether all of them have been.
    fn print(&mut self, lines: &[Line]) -> io::Result<bool> {
        let mut out = String::new();
        for line in lines {
            out.push_str(&line.paint(self.colour));
            out.push('\n');
        }
        self.terminal.write(out.as_bytes())
    }
}
