use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::query::Line;
use super::words;

/// How a table is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// The columns there are; none lets lines be as long as they are.
    pub width: Option<usize>,
    /// Whether to use colours.
    pub colours: bool,
}

const HEADS: [&str; 7] = ["TIME", "USER", "DECISION", "RISK", "RULE", "OUTCOME", "COMMAND"];
/// A narrow terminal goes without these, in this order, before the command gets less than [`LEAST_COMMAND`].
const DISPENSABLE: [usize; 4] = [3, 4, 1, 5];
const DECISION: usize = 2;
const COMMAND: usize = 6;
const LEAST_COMMAND: usize = 24;
const WIDEST: usize = 24;
const GAP: usize = 2;

/// Draws requests as a table that fits; everything in it is made visible.
pub fn table(lines: &[Line], look: Look) -> String {
    let mut rows: Vec<[String; 7]> = vec![HEADS.map(str::to_owned)];
    rows.extend(lines.iter().map(cells));
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut shown: Vec<usize> = (0..HEADS.len()).collect();
    if let Some(width) = look.width {
        widths[..COMMAND].iter_mut().for_each(|column| *column = (*column).min(WIDEST));
        let before = |shown: &[usize]| shown.iter().filter(|column| **column != COMMAND).map(|column| widths[*column] + GAP).sum::<usize>();
        for column in DISPENSABLE {
            if before(&shown) + LEAST_COMMAND.min(widths[COMMAND]) > width {
                shown.retain(|kept| *kept != column);
            }
        }
        widths[COMMAND] = width.saturating_sub(before(&shown)).min(widths[COMMAND]);
    }
    let mut drawn = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut text = String::new();
        for column in &shown {
            let cell = cut(&row[*column], if look.width.is_some() { widths[*column] } else { usize::MAX });
            let padding = if *column == COMMAND { 0 } else { widths[*column].saturating_sub(cell.width()) + GAP };
            let painted = if look.colours && number > 0 && *column == DECISION { paint(&cell) } else { cell };
            text.push_str(&painted);
            text.extend(std::iter::repeat_n(' ', padding));
        }
        let whole = if look.colours { text } else { cut(text.trim_end(), look.width.unwrap_or(usize::MAX)) };
        drawn.push_str(whole.trim_end());
        drawn.push('\n');
    }
    drawn
}

fn cells(line: &Line) -> [String; 7] {
    [
        words::time(line.wall),
        words::shown(&line.user),
        words::shown(&line.decision),
        words::shown(&line.risk),
        words::shown(&line.rules.join(",")),
        words::shown(&line.outcome),
        words::command(&line.cmd),
    ]
}

/// Cuts to a width, and shows that it did.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut kept: String = text
        .chars()
        .take_while(|c| {
            let fits = c.width().is_some_and(|wide| wide <= left);
            left = left.saturating_sub(c.width().unwrap_or(0));
            fits
        })
        .collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

fn paint(decision: &str) -> String {
    let colour = match decision {
        "allowed" | "approved" => 32,
        "observed" | "pending" => 33,
        _ => 31,
    };
    format!("\x1b[{colour}m{decision}\x1b[0m")
}
