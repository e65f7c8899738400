//! The card: what runs and how bad it is first, then where, why and who. Pure.

use std::time::Duration;

use super::details;
use super::paint::{Line, Style};
use super::subject::Subject;
use crate::approval::{ApprovalRequest, Past, Stamp};
use crate::policy::Risk;
use crate::text;

/// Prose in wider lines is hard to read.
const READABLE: usize = 100;

/// So many of the last lines that a preview wrote are on the card.
const LINES_SHOWN: usize = 6;

/// What a card is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What is asked.
    pub asked: &'a ApprovalRequest,
    /// Similar commands of earlier, the latest first.
    pub past: &'a [Past],
    /// The moment it is.
    pub now: Stamp,
    /// How many columns the terminal has.
    pub columns: usize,
    /// How many lines it has.
    pub rows: usize,
}

/// The same for whatever tells of a request.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What is asked.
    pub subject: &'a Subject<'a>,
    /// Similar commands of earlier, the latest first; none where that is not known.
    pub past: Option<&'a [Past]>,
    /// The moment it is, in nanoseconds since 1970.
    pub now: i64,
    /// How many columns there are.
    pub columns: usize,
    /// How many lines there are.
    pub rows: usize,
}

/// A card that fits the screen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    /// Its lines.
    pub lines: Vec<Line>,
    /// Whether the whole command and all warnings are on it; else they must be read by `show` before it may run.
    pub whole: bool,
}

/// Everything there is to show, for reading page by page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Everything {
    /// Its lines.
    pub lines: Vec<Line>,
    /// After which line the whole command and all warnings have been shown.
    pub read_to: usize,
}

/// The word that lets it run. From high risk on it differs from request to request, so that no habit can type it.
pub fn run_word(asked: &ApprovalRequest, alone: bool) -> String {
    let digest = asked.digest().short();
    match asked.asked().risk {
        Risk::Low | Risk::Medium if alone => "run".to_owned(),
        Risk::Low | Risk::Medium | Risk::High | Risk::Critical => {
            format!("run {}", digest.rsplit('-').next().unwrap_or(&digest))
        }
    }
}

/// How long the request may still wait.
pub fn time_left(asked: &ApprovalRequest, now: Stamp) -> Duration {
    asked.created().boot.saturating_add(asked.asked().terms.within).saturating_sub(now.boot)
}

/// Seconds are noise while there are minutes.
fn rounded(left: Duration) -> Duration {
    let seconds = left.as_secs();
    if seconds < 120 { left } else { Duration::from_secs(seconds.div_ceil(60) * 60) }
}

/// Lines with how gladly they are given up when the screen is small: 0 never.
struct Block {
    lines: Vec<Line>,
    rank: u8,
}

/// Draws the card of a request at this host for a screen.
pub fn card(view: &View) -> Card {
    draw(&framed(view, &Subject::of(view.asked, view.now)))
}

/// Everything there is to show of a request at this host.
pub fn everything(view: &View) -> Everything {
    draw_everything(&framed(view, &Subject::of(view.asked, view.now)))
}

fn framed<'a>(view: &View<'a>, subject: &'a Subject<'a>) -> Frame<'a> {
    Frame { subject, past: Some(view.past), now: view.now.wall, columns: view.columns, rows: view.rows }
}

/// Draws the card for a screen: all of it where it fits, else without what matters least, and it says so.
pub fn draw(view: &Frame) -> Card {
    // The answers and the line to type on stand below.
    let room = view.rows.saturating_sub(if view.columns < 60 { 4 } else { 2 }).max(8);
    let mut command = command(view);
    let mut warnings: Vec<Line> = view.subject.warnings.iter().flat_map(|warning| warning_lines(view, warning)).collect();
    let mut blocks = blocks(view);
    // The lines of air, and the title.
    let fixed = 4 + usize::from(!warnings.is_empty());
    let first: usize = blocks.iter().filter(|block| block.rank <= 1).map(|block| block.lines.len()).sum();
    let mut whole = true;
    if fixed + command.len() + warnings.len() + first + 1 > room {
        // What cannot be on the card whole leaves room for what it is about.
        let spare = room.saturating_sub(fixed + first + 2);
        whole &= cut(&mut warnings, spare.max(4) / 2, |lines| Line::of(Style::Alert, format!("! … {lines} more lines of warnings")));
        let spare = spare.saturating_sub(warnings.len());
        whole &= cut(&mut command, spare.max(4), |lines| bar(false).and(Style::Alert, format!("… {lines} more lines of it")));
    }
    let mut left_out = 0;
    while fixed + command.len() + warnings.len() + height(&blocks) + usize::from(left_out > 0) > room {
        let Some((at, _)) = blocks.iter().enumerate().filter(|(_, block)| block.rank > 0).max_by_key(|(at, block)| (block.rank, *at))
        else {
            break;
        };
        left_out += blocks.remove(at).lines.len();
    }
    let mut lines = vec![Line::default(), title(view)];
    lines.append(&mut command);
    lines.push(Line::default());
    if !warnings.is_empty() {
        lines.append(&mut warnings);
        lines.push(Line::default());
    }
    lines.extend(blocks.into_iter().flat_map(|block| block.lines));
    if left_out > 0 {
        lines.push(Line::of(Style::Plain, format!("… {left_out} more lines: show")));
    }
    lines.push(Line::default());
    Card { lines, whole }
}

fn height(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.lines.len()).sum()
}

/// Cuts lines to at most so many, the last of which says how many are not there. Whether nothing was cut.
fn cut(lines: &mut Vec<Line>, most: usize, say: impl Fn(usize) -> Line) -> bool {
    if lines.len() <= most {
        return true;
    }
    let gone = lines.len() - (most - 1);
    lines.truncate(most - 1);
    lines.push(say(gone));
    false
}

/// Everything: one word of the command a line, every reason, fact, digest and term.
pub fn draw_everything(view: &Frame) -> Everything {
    let mut lines = vec![title(view)];
    lines.extend(details::words(view));
    lines.push(Line::default());
    let warnings = &view.subject.warnings;
    for warning in warnings {
        lines.extend(warning_lines(view, warning));
    }
    let read_to = lines.len();
    if !warnings.is_empty() {
        lines.push(Line::default());
    }
    lines.extend(blocks(view).into_iter().flat_map(|block| block.lines));
    lines.extend(details::more(view));
    Everything { lines, read_to }
}

/// What no card has room for: facts, digests and terms.
pub fn further(view: &Frame) -> Vec<Line> {
    details::more(view)
}

fn title(view: &Frame) -> Line {
    let risk = view.subject.risk;
    let badge = format!(" {} RISK ", risk.word().to_uppercase());
    let digest = format!(" gate {} ", view.subject.digest.short());
    let style = match risk {
        Risk::Critical => Style::Badge,
        Risk::High => Style::Alert,
        Risk::Medium | Risk::Low => Style::Bold,
    };
    let rule = view.columns.min(READABLE).saturating_sub(2 + text::width(&badge) + text::width(&digest) + 2);
    Line::of(Style::Plain, "━━")
        .and(style, badge)
        .and(Style::Plain, "━".repeat(rule.max(1)))
        .and(Style::Plain, digest)
        .and(Style::Plain, "━━")
}

/// What stands left of a command, where no argument can reach: whole words begin at `│`, a word goes on at `┆`.
pub(super) fn bar(inside: bool) -> Line {
    Line::of(Style::Plain, if inside { "┆ " } else { "│ " })
}

fn command(view: &Frame) -> Vec<Line> {
    let rows = text::rows(&view.subject.words, &view.subject.hidden, view.columns.saturating_sub(3));
    rows.into_iter().map(|row| command_line(bar(row.inside), row)).collect()
}

pub(super) fn command_line(start: Line, row: text::Row) -> Line {
    row.runs.into_iter().fold(start, |line, (marked, run)| line.and(if marked { Style::Marked } else { Style::Bold }, run))
}

fn warning_lines(view: &Frame, warning: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, line) in text::wrap(warning, view.columns.min(READABLE).saturating_sub(3)).into_iter().enumerate() {
        let start = if index == 0 { "! " } else { "  " };
        lines.push(Line::of(Style::Alert, start).and(Style::Bold, line));
    }
    lines
}

/// A label and its values, each value on lines of its own: side by side on a wide screen, run in on a narrow one.
pub(super) fn field(view: &Frame, label: &str, values: &[(Style, String)]) -> Vec<Line> {
    let mut lines = Vec::new();
    let wide = view.columns >= 60;
    let indent = if wide { 14 } else { 2 };
    let label = text::ellipsis(label, if wide { 13 } else { 20 });
    for (index, (style, value)) in values.iter().enumerate() {
        let start = match (wide, index) {
            (true, 0) => format!("{label}{}", " ".repeat(14 - text::width(&label))),
            (false, 0) => format!("{label}: "),
            _ => " ".repeat(indent),
        };
        // On a narrow screen the first line is shortened by its label, or given to it where the value then fits the next.
        let first = view.columns.min(READABLE).saturating_sub(text::width(&start) + 1).max(8);
        let rest = view.columns.min(READABLE).saturating_sub(indent + 1).max(8);
        let mut wrapped = text::wrap(value, first);
        if first != rest && wrapped.len() > 1 {
            let head = if text::width(value) <= rest { String::new() } else { wrapped.remove(0) };
            let tail = value[head.len()..].trim_start();
            wrapped = std::iter::once(head).chain(text::wrap(tail, rest)).collect();
        }
        for (at, line) in wrapped.into_iter().enumerate() {
            let start = if at == 0 { start.clone() } else { " ".repeat(indent) };
            lines.push(Line::of(Style::Plain, start).and(*style, line));
        }
    }
    lines
}

fn blocks(view: &Frame) -> Vec<Block> {
    let subject = view.subject;
    let plain = |text: &String| (Style::Plain, text.clone());
    let mut blocks = Vec::new();
    let mut add = |rank: u8, label: &str, values: Vec<(Style, String)>| {
        if !values.is_empty() {
            blocks.push(Block { lines: field(view, label, &values), rank });
        }
    };
    for (name, said) in &subject.target {
        add(0, name, said.clone());
    }
    for (at, reason) in subject.reasons.iter().enumerate() {
        add(if at == 0 { 1 } else { 3 }, if at == 0 { "why" } else { "and" }, reason.iter().map(plain).collect());
    }
    add(4, "safer", subject.instead.iter().map(plain).collect());
    add(6, "preview", subject.previews.iter().map(plain).collect());
    for shown in &subject.shown {
        let said = [(Style::Plain, shown.command.clone()), (Style::Bold, shown.ended.clone())];
        let more = shown.lines.len().saturating_sub(LINES_SHOWN);
        let rest = (more > 0).then(|| (Style::Plain, format!("… {more} lines before: show")));
        let last = shown.lines.iter().skip(more).map(plain);
        add(5, "preview", said.into_iter().chain(rest).chain(last).collect());
    }
    add(2, "asked by", vec![plain(&subject.who)]);
    add(3, "CI job", subject.job.iter().map(plain).collect());
    add(2, "because", subject.because.iter().map(plain).collect());
    add(3, "through", subject.through.iter().map(plain).collect());
    add(4, "directory", vec![plain(&subject.directory)]);
    add(5, "program", vec![plain(&subject.program)]);
    add(4, "stdin", subject.stdin.iter().map(plain).collect());
    add(7, "before", view.past.map(|past| before(view, past)).unwrap_or_default());
    add(5, "wanted", subject.wanted.iter().map(plain).collect());
    add(2, "time left", vec![(Style::Plain, text::duration(rounded(subject.left)))]);
    blocks
}

/// What a justification must be, in words.
pub fn wants(justification: &crate::policy::Justification) -> Option<String> {
    match justification {
        crate::policy::Justification::None => None,
        crate::policy::Justification::Text => Some("a justification".to_owned()),
        crate::policy::Justification::Pattern(pattern) => Some(format!("a justification that fits {}", text::quote(pattern.as_bytes()))),
    }
}

fn before(view: &Frame, past: &[Past]) -> Vec<(Style, String)> {
    let this = text::command(&view.subject.words, &view.subject.hidden);
    if past.is_empty() {
        return vec![(Style::Plain, "nothing like it in the log".to_owned())];
    }
    // A line on a wide screen, two on a narrow one.
    let room = if view.columns >= 60 { view.columns.min(READABLE).saturating_sub(15) } else { 2 * view.columns.saturating_sub(8) };
    let mut out = Vec::new();
    for past in past {
        let when = text::ago(past.wall, view.now);
        let how = if past.outcome.is_empty() { String::new() } else { format!(", {}", text::visible(&past.outcome)) };
        let refused = matches!(past.decision.as_str(), "denied" | "rejected");
        let what = unlike(&this, &past.command);
        let line = format!("{when} {}{how}: {what}", text::visible(&past.decision));
        out.push((if refused { Style::Bold } else { Style::Plain }, text::ellipsis(&line, room)));
    }
    out
}

/// A command of earlier, less the words that it begins with as this one does.
fn unlike(this: &str, that: &str) -> String {
    if this == that {
        return "the same command".to_owned();
    }
    let same = this.split(' ').zip(that.split(' ')).take_while(|(a, b)| a == b).count();
    let rest: Vec<&str> = that.split(' ').skip(same).collect();
    if same < 2 || rest.is_empty() { text::visible(that) } else { format!("… {}", text::visible(&rest.join(" "))) }
}
