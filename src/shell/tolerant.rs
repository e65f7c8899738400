//! Looks into scripts that cannot be told for what may run. It is often wrong, and never refuses: what it sees may only make an answer
//! stricter. It goes over the text once, without recursion, and over what `eval` and its like are given once more.

use super::reader::ends_a_word;
use super::{Command, Piece, Place, Redirection, Word};

/// How many bytes are looked at, texts inside of texts included.
const BYTES: usize = 256 * 1024;

/// How deep substitutions are kept apart.
const FRAMES: usize = 256;

/// What can be recognised in a script.
pub(super) fn see(script: &[u8]) -> Vec<Command> {
    let mut eye = Eye { left: BYTES, place: Place::Here, ..Eye::default() };
    eye.texts.push(script.to_vec());
    while let Some(text) = eye.texts.pop() {
        let length = text.len().min(eye.left);
        eye.left -= length;
        eye.look(&text[..length]);
    }
    eye.found
}

/// A command as it is being seen, and what it stands in.
#[derive(Default)]
pub(super) struct Frame {
    word: Option<Seen>,
    pub(super) words: Vec<Word>,
    pub(super) files: Vec<Redirection>,
    pub(super) redirection: Option<(bool, bool)>,
    /// The word that is being seen stands in double quotes.
    quoted: bool,
    closes: u8,
}

/// A word, or what braces make of it.
#[derive(Clone)]
pub(super) struct Seen {
    variants: Vec<Word>,
}

#[derive(Default)]
pub(super) struct Eye {
    pub(super) found: Vec<Command>,
    /// What variables were last seen to be set to.
    pub(super) values: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) place: Place,
    /// Texts that are yet to be looked at.
    pub(super) texts: Vec<Vec<u8>>,
    left: usize,
    pub(super) frame: Frame,
    around: Vec<Frame>,
    /// Where the texts after the current line end: their ends, as long as the line goes on.
    pub(super) ends: Vec<(Vec<u8>, bool)>,
    /// How many such texts had no end.
    pub(super) endless: usize,
}

impl Eye {
    fn look(&mut self, text: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            at += if self.frame.quoted { self.quoted(&text[at..], byte) } else { self.bare(&text[at..], byte) };
        }
        while let Some(around) = self.around.pop() {
            self.finish();
            self.frame = around;
        }
        self.frame.quoted = false;
        self.finish();
        self.frame = Frame::default();
        self.ends.clear();
    }

    fn quoted(&mut self, rest: &[u8], byte: u8) -> usize {
        match byte {
            b'"' => {
                self.frame.quoted = false;
                1
            }
            b'\\' => match rest.get(1) {
                Some(b'\n') => 2,
                Some(escaped @ (b'$' | b'`' | b'"' | b'\\')) => {
                    self.text(&[*escaped]);
                    2
                }
                _ => {
                    self.text(b"\\");
                    1
                }
            },
            b'$' => self.dollar(rest),
            b'`' => self.backquote(),
            0 => 1,
            _ => {
                self.text(&[byte]);
                1
            }
        }
    }

    fn bare(&mut self, rest: &[u8], byte: u8) -> usize {
        match byte {
            b' ' | b'\t' | b'\r' => self.end_word(),
            b'\n' => {
                self.finish();
                return 1 + self.skip_texts(&rest[1..]);
            }
            b'#' if self.frame.word.is_none() => return rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
            b'&' if matches!(rest.get(1), Some(b'>')) => return 1,
            b';' | b'|' | b'&' => self.finish(),
            b'(' => {
                self.finish();
                self.open(b')');
            }
            b')' => self.close(b')'),
            b'`' => return self.backquote(),
            b'\'' => {
                let length = rest[1..].iter().position(|byte| *byte == b'\'').unwrap_or(rest.len() - 1);
                self.text(&rest[1..=length]);
                return (length + 2).min(rest.len());
            }
            b'"' => {
                self.text(b"");
                self.frame.quoted = true;
            }
            b'\\' => match rest.get(1) {
                Some(b'\n') => return 2,
                Some(escaped) => {
                    self.text(&[*escaped]);
                    return 2;
                }
                None => {}
            },
            b'$' => return self.dollar(rest),
            b'<' | b'>' => return self.redirection(rest),
            b'*' | b'?' => self.piece(&Piece::Glob(vec![byte]), false),
            b'~' if self.frame.word.is_none() && rest.get(1).is_none_or(|after| *after == b'/' || ends_a_word(*after)) => {
                self.piece(&Piece::Home, false);
            }
            b'{' => return self.braces(rest),
            0 => {}
            _ => self.text(&[byte]),
        }
        1
    }

    fn word(&mut self) -> &mut Seen {
        self.frame.word.get_or_insert_with(|| Seen { variants: vec![Word::default()] })
    }

    fn text(&mut self, text: &[u8]) {
        for word in &mut self.word().variants {
            match word.pieces.last_mut() {
                Some(Piece::Text(last)) => last.extend_from_slice(text),
                _ => word.pieces.push(Piece::Text(text.to_vec())),
            }
        }
    }

    fn piece(&mut self, piece: &Piece, splits: bool) {
        for word in &mut self.word().variants {
            word.pieces.push(piece.clone());
            word.splits |= splits;
        }
    }

    fn open(&mut self, closes: u8) {
        if self.around.len() < FRAMES {
            let inner = Frame { closes, ..Frame::default() };
            self.around.push(std::mem::replace(&mut self.frame, inner));
        }
    }

    fn close(&mut self, with: u8) {
        self.finish();
        if self.frame.closes == with
            && let Some(around) = self.around.pop()
        {
            self.frame = around;
        }
    }

    fn backquote(&mut self) -> usize {
        if self.frame.closes == b'`' {
            self.frame.quoted = false;
            self.close(b'`');
        } else {
            let splits = !self.frame.quoted;
            self.piece(&Piece::Unknown, splits);
            self.open(b'`');
        }
        1
    }

    fn dollar(&mut self, rest: &[u8]) -> usize {
        let splits = !self.frame.quoted;
        match rest.get(1) {
            Some(b'(') => {
                self.piece(&Piece::Unknown, splits);
                if self.around.len() >= FRAMES {
                    self.frame.quoted = false;
                    self.finish();
                }
                self.open(b')');
                2
            }
            Some(b'\'') if splits => {
                let (text, length) = unescaped(&rest[2..]);
                self.text(&text);
                length + 2
            }
            Some(b'"') if splits => 1,
            Some(b'{') => {
                let name = super::expand::name_length(&rest[2..]);
                if name > 0 && rest.get(2 + name) == Some(&b'}') {
                    self.variable(&rest[2..2 + name]);
                    return name + 3;
                }
                // What is in it may hold substitutions, and is looked at as if it were a part of the word.
                self.piece(&Piece::Unknown, splits);
                2
            }
            Some(first) if first.is_ascii_alphabetic() || *first == b'_' => {
                let name = super::expand::name_length(&rest[1..]);
                self.variable(&rest[1..=name]);
                name + 1
            }
            Some(b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-') => {
                self.piece(&Piece::Unknown, splits);
                2
            }
            _ => {
                self.text(b"$");
                1
            }
        }
    }

    /// A variable is what the script set it to, if it did.
    fn variable(&mut self, name: &[u8]) {
        let quoted = self.frame.quoted;
        if name == b"IFS" && !quoted {
            self.end_word();
            return;
        }
        let value = self.values.iter().rev().find(|(set, _)| set == name).map(|(_, value)| value.clone());
        match value {
            // A value that is long and is said often would become longer than any text.
            Some(value) if quoted && value.len() <= self.left => {
                self.left -= value.len();
                self.text(&value);
            }
            Some(value) if value.len() <= self.left => {
                self.left -= value.len();
                let mut parts = value.split(u8::is_ascii_whitespace);
                self.text(parts.next().unwrap_or_default());
                for part in parts {
                    self.end_word();
                    self.text(part);
                }
            }
            _ if name == b"HOME" => self.piece(&Piece::Home, false),
            _ => self.piece(&Piece::Unknown, !quoted),
        }
    }

    fn redirection(&mut self, rest: &[u8]) -> usize {
        if rest.get(1) == Some(&b'(') {
            self.piece(&Piece::Unknown, false);
            self.open(b')');
            return 2;
        }
        // A number before it is no argument.
        let number = |word: &Seen| word.variants[0].known().is_some_and(|text| text.iter().all(u8::is_ascii_digit));
        if self.frame.word.as_ref().is_some_and(number) {
            self.frame.word = None;
        }
        self.end_word();
        match rest {
            [b'<', b'<', b'<', ..] => {
                self.frame.redirection = None;
                3
            }
            [b'<', b'<', tail @ ..] => 2 + self.heredoc(tail),
            [b'<' | b'>', b'&', after, ..] if after.is_ascii_digit() || *after == b'-' => 3,
            [b'<', b'>', ..] | [b'>', b'|' | b'&', ..] => {
                self.frame.redirection = Some((true, false));
                2
            }
            [b'>', b'>', ..] => {
                self.frame.redirection = Some((true, true));
                2
            }
            [sign, ..] => {
                self.frame.redirection = Some((*sign == b'>', false));
                1
            }
            [] => 1,
        }
    }

    /// `{a,b}` is two words; every other brace is itself.
    fn braces(&mut self, rest: &[u8]) -> usize {
        let inside =
            rest[1..].iter().position(|byte| ends_a_word(*byte) || matches!(byte, b'{' | b'}' | b'$' | b'`' | b'\'' | b'"' | b'\\'));
        let Some(length) = inside.filter(|length| rest[length + 1] == b'}' && rest[1..=*length].contains(&b',')) else {
            self.text(b"{");
            return 1;
        };
        let parts: Vec<&[u8]> = rest[1..=length].split(|byte| *byte == b',').collect();
        let word = self.word();
        if word.variants.len() * parts.len() <= 64 {
            let variants = std::mem::take(&mut word.variants);
            for before in variants {
                for part in &parts {
                    let mut variant = before.clone();
                    variant.pieces.push(Piece::Text(part.to_vec()));
                    word.variants.push(variant);
                }
            }
        }
        length + 2
    }

    pub(super) fn end_word(&mut self) {
        let Some(seen) = self.frame.word.take() else { return };
        for mut word in seen.variants {
            merge(&mut word);
            match self.frame.redirection.take() {
                Some((writes, appends)) => self.frame.files.push(Redirection { writes, appends, to: word }),
                None => self.frame.words.push(word),
            }
        }
    }
}

fn merge(word: &mut Word) {
    let mut pieces: Vec<Piece> = Vec::with_capacity(word.pieces.len());
    for piece in word.pieces.drain(..) {
        match (pieces.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text)) => last.extend_from_slice(&text),
            (_, piece) => pieces.push(piece),
        }
    }
    word.pieces = pieces;
}

/// The inside of `$'…'`, and how long it is with its end.
fn unescaped(rest: &[u8]) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        at += 1;
        match byte {
            b'\'' => break,
            b'\\' => {
                let Some(&escape) = rest.get(at) else { break };
                at += 1;
                let (radix, most) = match escape {
                    b'x' => (16, 2),
                    b'u' => (16, 4),
                    b'U' => (16, 8),
                    b'0'..=b'7' => {
                        at -= 1;
                        (8, 3)
                    }
                    _ => {
                        text.push(match escape {
                            b'n' => b'\n',
                            b't' => b'\t',
                            other => other,
                        });
                        continue;
                    }
                };
                let digits: Vec<u32> = rest[at..].iter().take(most).map_while(|byte| char::from(*byte).to_digit(radix)).collect();
                at += digits.len();
                let value = digits.iter().fold(0_u32, |value, digit| value.wrapping_mul(radix) | digit);
                match char::from_u32(value) {
                    Some('\0') | None => {}
                    Some(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
            _ => text.push(byte),
        }
    }
    (text, at)
}
