use std::fmt::Write;

/// Shows bytes as one line of text in which nothing is invisible and nothing acts on a terminal.
///
/// What cannot be seen reads `\n`, `\x1b`, `\u{202e}`; a backslash is doubled, so that no two inputs look the same.
pub fn escape(bytes: &[u8]) -> String {
    shown(bytes, true)
}

/// The same for text in which a backslash already has its meaning: shell words, prose of a policy.
pub fn visible(text: &str) -> String {
    shown(text.as_bytes(), false)
}

fn shown(bytes: &[u8], double: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    each(bytes, |piece| match piece {
        Piece::Plain('\\') if double => out.push_str("\\\\"),
        Piece::Plain(c) => out.push(c),
        Piece::Unseen('\n') => out.push_str("\\n"),
        Piece::Unseen('\t') => out.push_str("\\t"),
        Piece::Unseen('\r') => out.push_str("\\r"),
        Piece::Unseen(c) if c.is_ascii() => push_byte(&mut out, c as u8),
        Piece::Unseen(c) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        Piece::Byte(byte) => push_byte(&mut out, byte),
    });
    out
}

pub(super) fn push_byte(out: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\x{byte:02x}");
}

/// What a piece of a byte string is to the eye.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// A character that is seen as itself.
    Plain(char),
    /// A character that is not seen, or that moves others.
    Unseen(char),
    /// A byte that is not UTF-8.
    Byte(u8),
}

/// Goes through bytes and says of each piece whether it can be seen.
pub(super) fn each(bytes: &[u8], mut take: impl FnMut(Piece)) {
    for chunk in bytes.utf8_chunks() {
        // A combining mark may stand on a letter, and two may, but no more: piled up they cover other lines.
        let mut room = 0;
        for c in chunk.valid().chars() {
            if matches!(c, ' '..='~') {
                room = if c.is_ascii_alphabetic() { 2 } else { 0 };
                take(Piece::Plain(c));
            } else if !printable(c) {
                room = 0;
                take(Piece::Unseen(c));
            } else if unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) == 0 {
                let piece = if room > 0 { Piece::Plain(c) } else { Piece::Unseen(c) };
                room = if room > 0 { room - 1 } else { 0 };
                take(piece);
            } else {
                room = if c.is_alphabetic() { 2 } else { 0 };
                take(Piece::Plain(c));
            }
        }
        chunk.invalid().iter().for_each(|byte| take(Piece::Byte(*byte)));
    }
}

/// Whether a character is seen as a mark of its own: std's table of printable characters, less what it keeps and eyes do not see.
fn printable(c: char) -> bool {
    if unseen(c) {
        return false;
    }
    // std escapes a combining mark only where a text begins, so a letter stands before it here.
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().nth(1) != Some('\\')
}

/// Default-ignorable, blank or object characters of Unicode that std takes for printable, and those it does not, for safety.
fn unseen(c: char) -> bool {
    matches!(u32::from(c),
        0..=0x1f | 0x7f..=0xa0 | 0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
        | 0x1680 | 0x2000..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f | 0x2800 | 0x3000 | 0x3164
        | 0xe000..=0xf8ff | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xffff | 0x13430..=0x13455 | 0x16fe4
        | 0x1bca0..=0x1bca3 | 0x1d159 | 0x1d173..=0x1d17a | 0xe0000..=0x0010_ffff)
}
