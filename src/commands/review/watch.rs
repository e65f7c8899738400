//! `gate pending --watch`: what waits, as it comes, on the whole screen.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ratatui::crossterm::event;

use super::{Approval, Reviewer};
use crate::approval::Answer;
use crate::channel::approver::{Failed, Saying, Screen, Server, Told, Wish, comment};
use crate::commands::surroundings::now;
use crate::error::{Error, note};
use crate::exit_codes;
use crate::sys::wake::{Bell, Ending, Woken, deaf_thread};

/// How long the server may keep an answer back while nothing changes, in seconds.
const WAIT: u64 = 25;

/// How long until a server that is gone is asked again, at first and at last.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(8);

/// How often the time that is left is drawn anew, and keys and signals are looked for.
const TURN: Duration = Duration::from_millis(100);

/// What became of the screen.
enum Left {
    By(Wish),
    Ended(i32),
}

/// Shows what waits until told to leave.
pub(super) fn watch(reviewer: &Reviewer) -> Result<u8, Error> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Error::new(exit_codes::UNREACHABLE, "`--watch` needs a terminal").hint("`gate pending --json` is for programs"));
    }
    let news = follow(Arc::clone(&reviewer.server))?;
    let mut screen = Screen::new(reviewer.login.person.clone(), reviewer.colour());
    loop {
        let left = show(&mut screen, &news).map_err(|error| Error::internal(format!("the terminal failed: {error}")))?;
        let done = match left.map_err(|why| reviewer.failed(why))? {
            Left::By(Wish::Quit) => return Ok(0),
            Left::Ended(signal) => return Err(Error::new(exit_codes::UNDECIDED, "nothing was said").by_signal(Some(signal))),
            Left::By(Wish::Approve(id)) => reviewer.find(&id).and_then(|told| reviewer.approve(&told, None, &Approval::default())),
            Left::By(Wish::Reject(id)) => reviewer.find(&id).and_then(|told| reject(reviewer, &told)),
        };
        if let Err(error) = done {
            if error.signal().is_some() {
                return Err(error);
            }
            note(&error.to_string());
        }
        // What was said is read before the screen comes back.
        if comment("Enter goes back to the list").map_err(|error| Error::internal(format!("the terminal failed: {error}")))?.is_none() {
            return Ok(0);
        }
    }
}

fn reject(reviewer: &Reviewer, told: &Told) -> Result<u8, Error> {
    reviewer.may_decide(told)?;
    let typed = comment("Why not? The requester reads it. (Enter for no comment, Ctrl-D to leave it)");
    let Some(why) = typed.map_err(|error| Error::internal(format!("the terminal failed: {error}")))? else {
        return Err(Error::new(exit_codes::UNDECIDED, "nothing was said; the request still waits"));
    };
    reviewer.say(told, &Saying { answer: Answer::Reject, comment: &why, number: None, standing: None, evidence: None }, false)
}

/// Asks the server again and again, in a thread of its own that ends with the process.
fn follow(server: Arc<Server>) -> Result<Receiver<Result<Vec<Told>, Failed>>, Error> {
    let (tell, news) = channel();
    let thread = deaf_thread(move || {
        let (mut tag, mut pause) = (None::<String>, FIRST);
        loop {
            let told = match server.waiting(tag.as_deref(), WAIT) {
                Ok(None) => {
                    pause = FIRST;
                    continue;
                }
                Ok(Some(waiting)) => {
                    pause = FIRST;
                    tag = Some(waiting.tag);
                    tell.send(Ok(waiting.requests))
                }
                Err(why) => {
                    // What waits is told anew once the server is back.
                    tag = None;
                    let told = tell.send(Err(why));
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LAST);
                    told
                }
            };
            if told.is_err() {
                return;
            }
        }
    });
    thread.map(|_| news).map_err(|error| Error::internal(format!("the server cannot be followed: {error}")))
}

/// The screen, until somebody wants something. The terminal is as it was on every way out, a panic among them.
fn show(screen: &mut Screen, news: &Receiver<Result<Vec<Told>, Failed>>) -> io::Result<Result<Left, Failed>> {
    let (ending, bell) = (Ending::take()?, Bell::new()?);
    let mut terminal = ratatui::try_init()?;
    let _restored = Restored;
    loop {
        while let Ok(told) = news.try_recv() {
            match told {
                Ok(requests) => screen.waits(requests),
                Err(Failed::Unreachable(why)) => screen.lost(why),
                Err(why) => return Ok(Err(why)),
            }
        }
        let moment = now().map_err(|error| io::Error::other(error.to_string()))?.wall;
        terminal.draw(|frame| screen.draw(frame, moment))?;
        let mut patience = TURN;
        // All that was typed counts before it is drawn.
        while event::poll(patience)? {
            if let Some(wish) = screen.key(&event::read()?) {
                return Ok(Ok(Left::By(wish)));
            }
            patience = Duration::ZERO;
        }
        if let Woken::Ended(signal) = ending.wait(&bell, Duration::ZERO)? {
            return Ok(Ok(Left::Ended(signal)));
        }
    }
}

/// Gives the terminal back when dropped.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
