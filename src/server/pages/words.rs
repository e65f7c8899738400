//! The words of a command as the page shows them: nothing left out, nothing invisible, nothing that reads as another field.

use crate::approval::{Part, Word};
use crate::text;

/// How many columns a list gives to a command; the card has all of it.
const IN_A_LIST: usize = 160;

/// A part of a word: its text, and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// What is shown.
    pub text: String,
    /// The class of the element: nothing, `e` for an escape, `h` for a hidden secret.
    pub class: &'static str,
}

/// A word of the command, quoted as bash would read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its lines: one, or more where it has newlines.
    pub rows: Vec<Vec<Run>>,
    /// How many bytes are shown, where they are many.
    pub long: Option<usize>,
    /// Whether approvals let another word stand there.
    pub open: bool,
}

/// All words of a command.
pub fn shown(argv: &[Word]) -> Vec<Shown> {
    argv.iter().enumerate().map(|(at, word)| one(at, word)).collect()
}

/// All words of a command, those marked that approvals leave open.
pub(super) fn marked(argv: &[Word], open: &[usize]) -> Vec<Shown> {
    shown(argv).into_iter().enumerate().map(|(at, word)| Shown { open: open.contains(&at), ..word }).collect()
}

/// The command on one line for a list; what is too long ends in `…`.
pub fn in_a_list(argv: &[Word]) -> String {
    let line: Vec<String> = started(argv).map(|word| flat(&word)).collect();
    text::ellipsis(&line.join(" "), IN_A_LIST)
}

/// The words of a command for a list, and whether each may be another; what is too long ends in `…`.
pub(super) fn pattern(argv: &[Word], open: &[usize]) -> Vec<(String, bool)> {
    const COLUMNS: usize = 40;
    let words = started(argv).enumerate().map(|(at, word)| (text::ellipsis(&flat(&word), COLUMNS), open.contains(&at)));
    words.chain((argv.len() > IN_A_LIST).then(|| ("…".to_owned(), false))).collect()
}

/// The beginnings of a command's first words: what is cut anyway is not worth being escaped, and an argument may be large.
fn started(argv: &[Word]) -> impl Iterator<Item = Shown> {
    let start = |word: &Word| Word { shown: word.shown.iter().take(2 * IN_A_LIST).copied().collect(), hidden: word.hidden };
    argv.iter().take(IN_A_LIST).map(start).enumerate().map(|(at, word)| one(at, &word))
}

/// One word as a line of text.
pub(super) fn flat(word: &Shown) -> String {
    word.rows.iter().flatten().map(|run| run.text.as_str()).collect()
}

/// The program's name without its directory.
pub fn program(argv: &[Word]) -> String {
    let first = argv.first().map(|word| word.shown.as_slice()).unwrap_or_default();
    let name = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    text::ellipsis(&text::escape(name), 40)
}

/// Where a word counts only as the program does its `=` need quotes.
fn one(at: usize, word: &Word) -> Shown {
    const MANY: usize = 1000;
    let mut rows: Vec<Vec<Run>> = vec![Vec::new()];
    for part in word.parts() {
        match part {
            Part::Shown(bytes) => quoted(at, bytes, &mut rows),
            Part::Hidden(count) => {
                let many = if count == 1 { "byte" } else { "bytes" };
                push(&mut rows, Run { text: format!("hidden, {count} {many}"), class: "h" });
            }
        }
    }
    if word.shown.is_empty() {
        quoted(at, &[], &mut rows);
    }
    Shown { rows, long: (word.shown.len() > MANY).then_some(word.shown.len()), open: false }
}

fn quoted(at: usize, bytes: &[u8], rows: &mut Vec<Vec<Run>>) {
    // The first word is quoted by other rules than those after it.
    let words: [&[u8]; 2] = [bytes, bytes];
    for (number, row) in text::word_rows(&words, at.min(1), &[], usize::MAX).into_iter().enumerate() {
        if number > 0 {
            rows.push(Vec::new());
        }
        row.runs.into_iter().for_each(|(marked, text)| push(rows, Run { text, class: if marked { "e" } else { "" } }));
    }
}

fn push(rows: &mut [Vec<Run>], run: Run) {
    if let Some(row) = rows.last_mut() {
        row.push(run);
    }
}
