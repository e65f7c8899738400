use std::fmt::Write;

use super::escape::{Piece, each, push_byte};

/// One word as a person would type it for bash: bare where harmless, else `'…'`, `"…"` or `$'…'`.
///
/// No two words look the same, and bash in a UTF-8 locale reads the same bytes back.
pub fn quote(word: &[u8]) -> String {
    let mut pieces = Vec::with_capacity(word.len());
    each(word, |piece| pieces.push(piece));
    if pieces.iter().all(|piece| matches!(piece, Piece::Plain(_))) {
        let text: String = pieces.iter().filter_map(|piece| if let Piece::Plain(c) = piece { Some(*c) } else { None }).collect();
        if harmless(&text) {
            return text;
        }
        if !text.contains('\'') {
            return format!("'{text}'");
        }
        if !text.contains(['"', '$', '`', '\\', '!']) {
            return format!("\"{text}\"");
        }
    }
    let mut out = String::from("$'");
    for piece in pieces {
        match piece {
            Piece::Plain(c @ ('\\' | '\'')) => out.extend(['\\', c]),
            Piece::Plain(c) => out.push(c),
            Piece::Unseen('\n') => out.push_str("\\n"),
            Piece::Unseen('\t') => out.push_str("\\t"),
            Piece::Unseen('\r') => out.push_str("\\r"),
            Piece::Unseen(c) if c.is_ascii() => push_byte(&mut out, c as u8),
            // Always four or eight digits, so that a digit after it is never taken for one of them.
            Piece::Unseen(c) if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            Piece::Unseen(c) => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            Piece::Byte(byte) => push_byte(&mut out, byte),
        }
    }
    out.push('\'');
    out
}

/// A whole command, its words quoted and parted by one space. Of each hidden part (word, start, end) only the length is shown.
///
/// A hidden part stands outside quotes, where no word can imitate it.
pub fn command<W: AsRef<[u8]>>(words: &[W], hidden: &[(usize, usize, usize)]) -> String {
    let mut out = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(&one(index, word.as_ref(), hidden));
    }
    out
}

/// One word of a command, its hidden parts replaced by their length.
pub(super) fn one(index: usize, word: &[u8], hidden: &[(usize, usize, usize)]) -> String {
    let mut parts: Vec<(usize, usize)> = hidden
        .iter()
        .filter(|(which, start, end)| *which == index && start < end)
        .map(|(_, start, end)| (*start.min(&word.len()), *end.min(&word.len())))
        .collect();
    if parts.is_empty() {
        let quoted = quote(word);
        // The first word `A=b` would be an assignment.
        return if index == 0 && quoted.contains('=') && !quoted.starts_with(['\'', '"', '$']) { format!("'{quoted}'") } else { quoted };
    }
    parts.sort_unstable();
    let mut out = String::new();
    let mut at = 0;
    for (start, end) in parts {
        if start > at {
            out.push_str(&quote(&word[at..start]));
        }
        let from = start.max(at);
        if end > from {
            let _ = write!(out, "‹hidden, {} {}›", end - from, if end - from == 1 { "byte" } else { "bytes" });
            at = end;
        }
    }
    if at < word.len() {
        out.push_str(&quote(&word[at..]));
    }
    out
}

/// Whether bash reads a word as itself, with no expansion.
fn harmless(text: &str) -> bool {
    let mut before = None;
    let fine = text.chars().all(|c| {
        let ok = c.is_ascii_alphanumeric()
            || matches!(c, '_' | '@' | '%' | '+' | '=' | ':' | ',' | '.' | '/' | '-')
            // `HEAD~1`, but not `~root` or `a=~`.
            || (c == '~' && before.is_some_and(|b: char| b.is_ascii_alphanumeric()))
            || (!c.is_ascii() && (c.is_alphanumeric() || combining(c)));
        before = Some(c);
        ok
    });
    fine && !text.is_empty()
}

fn combining(c: char) -> bool {
    unicode_width::UnicodeWidthChar::width(c) == Some(0)
}
