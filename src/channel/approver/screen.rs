//! What waits, on a whole screen: the list at the left, the card at the right.

use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style as Look};
use ratatui::text::{Line as Row, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::{Told, lines};
use crate::approval::Approver;
use crate::channel::paint::{Line, Style};
use crate::text;

/// A screen that is narrower has the list above the card.
const WIDE: u16 = 90;

/// Lines that one request takes in the list.
const TALL: usize = 2;

/// What somebody at the screen wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// To leave.
    Quit,
    /// To approve this one.
    Approve(String),
    /// To reject it.
    Reject(String),
}

/// What the screen shows.
#[derive(Debug)]
pub struct Screen {
    requests: Vec<Told>,
    /// None before the server has answered.
    known: bool,
    chosen: usize,
    /// Whether the keys move the card instead of the list.
    reading: bool,
    scroll: usize,
    lost: Option<String>,
    own: Approver,
    colour: bool,
}

impl Screen {
    /// An empty one for this person.
    pub fn new(own: Approver, colour: bool) -> Self {
        Self { requests: Vec::new(), known: false, chosen: 0, reading: false, scroll: 0, lost: None, own, colour }
    }

    /// What waits now. The one that was looked at stays the one that is looked at.
    pub fn waits(&mut self, requests: Vec<Told>) {
        let before = self.chosen().map(|told| told.id().to_owned());
        self.requests = requests;
        let again = before.as_ref().and_then(|id| self.requests.iter().position(|told| told.id() == id));
        if again.is_none() {
            (self.reading, self.scroll) = (false, 0);
        }
        self.chosen = again.unwrap_or_else(|| self.chosen.min(self.requests.len().saturating_sub(1)));
        (self.known, self.lost) = (true, None);
    }

    /// The server is not there now: why.
    pub fn lost(&mut self, why: String) {
        self.lost = Some(why);
    }

    /// The one that is looked at.
    pub fn chosen(&self) -> Option<&Told> {
        self.requests.get(self.chosen)
    }

    /// What a key means.
    pub fn key(&mut self, event: &Event) -> Option<Wish> {
        let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return None };
        let id = || self.chosen().map(|told| told.id().to_owned());
        match code {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return Some(Wish::Quit),
            KeyCode::Char('q') => return Some(Wish::Quit),
            KeyCode::Char('a') => return id().map(Wish::Approve),
            KeyCode::Char('r') => return id().map(Wish::Reject),
            KeyCode::Enter => self.reading = !self.reading && !self.requests.is_empty(),
            KeyCode::Esc => self.reading = false,
            KeyCode::Char('j') | KeyCode::Down => self.step(1, true),
            KeyCode::Char('k') | KeyCode::Up => self.step(1, false),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll = self.scroll.saturating_add(10),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            _ => {}
        }
        None
    }

    fn step(&mut self, by: usize, down: bool) {
        let from = if self.reading { self.scroll } else { self.chosen };
        let to = if down { from.saturating_add(by) } else { from.saturating_sub(by) };
        if self.reading {
            self.scroll = to;
        } else {
            (self.chosen, self.scroll) = (to.min(self.requests.len().saturating_sub(1)), 0);
        }
    }

    /// Draws it, at a moment in nanoseconds since 1970.
    pub fn draw(&mut self, frame: &mut Frame<'_>, now: i64) {
        let [main, foot] = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
        let (list, card) = if main.width >= WIDE {
            let [list, card] = Layout::horizontal([Constraint::Percentage(35), Constraint::Min(40)]).areas(main);
            (list, card)
        } else {
            let tall = u16::try_from(self.requests.len().max(1) * TALL + 2).unwrap_or(u16::MAX).min(main.height / 3).max(3);
            let [list, card] = Layout::vertical([Constraint::Length(tall), Constraint::Min(1)]).areas(main);
            (list, card)
        };
        self.draw_list(frame, list, now);
        self.draw_card(frame, card, now);
        let keys = "j/k move  Enter read  a approve  r reject  q quit";
        let said = self.lost.as_ref().map_or_else(|| keys.to_owned(), |why| format!("the server is gone ({why}); trying again   q quit"));
        frame.render_widget(Paragraph::new(text::ellipsis(&said, usize::from(foot.width))), foot);
    }

    fn draw_list(&self, frame: &mut Frame<'_>, area: Rect, now: i64) {
        let block = self.block(format!(" {} waiting ", self.requests.len()), !self.reading);
        let inner = block.inner(area);
        let (columns, fits) = (usize::from(inner.width), (usize::from(inner.height) / TALL).max(1));
        let from = self.chosen.saturating_sub(fits.saturating_sub(1));
        let mut rows: Vec<Row<'_>> = Vec::new();
        for (at, told) in self.requests.iter().enumerate().skip(from).take(fits) {
            let said = told.submitted().said();
            let mark = if at == self.chosen { "▸ " } else { "  " };
            let own = if told.person() == Some(&self.own) { "  yours" } else { "" };
            let left = text::duration(Duration::from_secs(told.left(now).as_secs()));
            let look = if at == self.chosen { self.look(Style::Bold) } else { Look::default() };
            let first = format!("{mark}{}", told.subject(now).command());
            rows.push(Row::styled(text::ellipsis(&first, columns), look));
            let second = format!("  {}  {left}  {}{own}", said.risk.word(), text::quote(said.host.as_bytes()));
            rows.push(Row::raw(text::ellipsis(&second, columns)));
        }
        if self.requests.is_empty() {
            rows.push(Row::raw(if self.known { "nothing waits" } else { "asking the server" }));
        }
        frame.render_widget(Paragraph::new(rows).block(block), area);
    }

    fn draw_card(&mut self, frame: &mut Frame<'_>, area: Rect, now: i64) {
        let block = self.block(self.chosen().map(|told| format!(" {} ", told.id())).unwrap_or_default(), self.reading);
        let inner = block.inner(area);
        let all = self.chosen().map(|told| lines(told, now, usize::from(inner.width))).unwrap_or_default();
        // Never past the end: the last line stays on the screen.
        self.scroll = self.scroll.min(all.len().saturating_sub(usize::from(inner.height)));
        let rows: Vec<Row<'_>> = all.iter().skip(self.scroll).take(usize::from(inner.height)).map(|line| self.row(line)).collect();
        frame.render_widget(Paragraph::new(rows).block(block), area);
    }

    fn block(&self, title: String, active: bool) -> Block<'static> {
        let look = if active { self.look(Style::Bold) } else { Look::default() };
        Block::new().borders(Borders::ALL).title(title).border_style(look)
    }

    fn row(&self, line: &Line) -> Row<'static> {
        Row::from(line.pieces().iter().map(|(style, text)| Span::styled(text.clone(), self.look(*style))).collect::<Vec<_>>())
    }

    fn look(&self, style: Style) -> Look {
        if !self.colour {
            return Look::default();
        }
        match style {
            Style::Plain => Look::default(),
            Style::Bold => Look::default().add_modifier(Modifier::BOLD),
            Style::Alert => Look::default().fg(Color::Red).add_modifier(Modifier::BOLD),
            Style::Badge => Look::default().fg(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Style::Marked => Look::default().add_modifier(Modifier::REVERSED),
        }
    }
}
