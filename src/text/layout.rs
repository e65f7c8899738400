use std::ops::Range;

use unicode_width::UnicodeWidthChar;

use super::quote;

/// How many columns a text takes that has been escaped.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Breaks prose at spaces into lines of at most `room` columns; a word that is longer is broken where the line ends.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let wide = width(word);
        let gap = usize::from(!line.is_empty());
        if used + gap + wide <= room {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            used += gap + wide;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        used = 0;
        for c in word.chars() {
            if used + columns(c) > room {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += columns(c);
        }
    }
    lines.push(line);
    lines
}

/// Shortens a text to `room` columns, and shows by `…` that it did. Never for the command that is asked about.
pub fn ellipsis(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        if used + columns(c) > room {
            break;
        }
        used += columns(c);
        out.push(c);
    }
    out.push('…');
    out
}

/// A part of a quoted command that is never broken over lines: a character, or a whole escape.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Chunk<'a> {
    /// What is shown.
    text: &'a str,
    /// Something that the eye would not see or a person must not miss: an escape, a hidden part.
    marked: bool,
    /// A newline of the argument: the next chunk is better read on a line of its own.
    newline: bool,
}

/// One line of a command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Row {
    /// Whether it goes on with a word that the line before could not end.
    pub inside: bool,
    /// Its text: runs that are marked or not.
    pub runs: Vec<(bool, String)>,
}

/// Takes one word of a command apart where it may be broken over lines.
fn chunks(text: &str) -> Vec<Chunk<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut mode = None;
    while let Some(c) = rest.chars().next() {
        let (length, marked) = match (mode, c) {
            (None, '‹') => (rest.find('›').map_or(rest.len(), |end| end + '›'.len_utf8()), true),
            (None, '$') => {
                mode = Some('$');
                (2, false)
            }
            (None, '\'' | '"') => {
                mode = Some(c);
                (1, false)
            }
            (Some('$'), '\\') => {
                let length = match rest.as_bytes().get(1) {
                    Some(b'x') => 4,
                    Some(b'u') => 6,
                    Some(b'U') => 10,
                    _ => 2,
                };
                (length, !rest.starts_with("\\'") && !rest.starts_with("\\\\"))
            }
            (Some('$' | '\''), '\'') | (Some('"'), '"') => {
                mode = None;
                (1, false)
            }
            _ => (c.len_utf8(), false),
        };
        let (now, later) = rest.split_at(length.min(rest.len()));
        let newline = mode == Some('$') && now == "\\n";
        out.push(Chunk { text: now, marked, newline });
        rest = later;
    }
    out
}

/// Lays a command out in lines of at most `room` columns without leaving anything out.
///
/// Words are kept whole where a line can hold them; a newline inside an argument also ends the line it is shown on.
pub fn rows<W: AsRef<[u8]>>(words: &[W], hidden: &[(usize, usize, usize)], room: usize) -> Vec<Row> {
    lay(words, 0..words.len(), hidden, room)
}

/// Lays out one word of a command in the same way.
pub fn word_rows<W: AsRef<[u8]>>(words: &[W], index: usize, hidden: &[(usize, usize, usize)], room: usize) -> Vec<Row> {
    lay(words, index..index + 1, hidden, room)
}

fn lay<W: AsRef<[u8]>>(words: &[W], which: Range<usize>, hidden: &[(usize, usize, usize)], room: usize) -> Vec<Row> {
    let room = room.max(12);
    let mut out = vec![Row::default()];
    let mut used = 0;
    for index in which {
        let text = quote::one(index, words[index].as_ref(), hidden);
        let pieces = chunks(&text);
        let wide: usize = pieces.iter().map(|piece| width(piece.text)).sum();
        let scripted = pieces.iter().any(|piece| piece.newline);
        if used > 0 && (used + 1 + wide <= room || scripted && used + 8 <= room) {
            push(&mut out, " ", false);
            used += 1;
        } else if used > 0 {
            out.push(Row::default());
            used = 0;
        }
        let mut fresh = false;
        for piece in pieces {
            let columns = width(piece.text);
            if fresh && piece.text != "'" || used + columns > room {
                out.push(Row { inside: true, runs: Vec::new() });
                used = 0;
            }
            push(&mut out, piece.text, piece.marked);
            used += columns;
            fresh = piece.newline;
        }
    }
    out
}

fn push(rows: &mut [Row], text: &str, marked: bool) {
    let Some(row) = rows.last_mut() else { return };
    match row.runs.last_mut() {
        Some((same, run)) if *same == marked => run.push_str(text),
        _ => row.runs.push((marked, text.to_owned())),
    }
}
