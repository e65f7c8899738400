use super::reader::{Reader, Result};
use super::word::{Context, Lexed};
use super::{Input, Piece, Shell};

/// What an expansion becomes.
pub(super) enum Value {
    /// The dollar sign itself.
    Dollar,
    /// Surely this text.
    Text(Vec<u8>),
    /// The user's home directory.
    Home,
    /// A number, which is one word without quotes too.
    Number,
    /// A number or nothing.
    Job,
    /// One word in quotes, any words without.
    Any,
    /// Any words in quotes too.
    Words,
}

impl Reader<'_> {
    /// Reads `$…` or `` `…` `` outside of quotes.
    pub(super) fn expansion(&mut self, word: &mut Lexed, context: Context) -> Result<()> {
        let value = if self.peek() == Some(b'`') { self.backquoted(false)? } else { self.dollar(false)? };
        add(word, value, context != Context::Argument, false);
        Ok(())
    }

    /// Reads the inside of `"…"`, the closing quote included.
    pub(super) fn double_quoted(&mut self, word: &mut Lexed) -> Result<()> {
        loop {
            let rest = self.rest();
            let length = rest.iter().position(|byte| matches!(byte, b'"' | b'$' | b'`' | b'\\')).ok_or("an open quote")?;
            word.push_text(&rest[..length]);
            self.at += length;
            // In some encodings one of these after such a byte is the second half of a letter.
            if length > 0 && !rest[length - 1].is_ascii() && matches!(rest[length], b'`' | b'\\') {
                return Err("a letter that might be longer than it looks");
            }
            match rest[length] {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.backslash(word, true)?,
                b'`' => {
                    let value = self.backquoted(true)?;
                    add(word, value, false, true);
                }
                _ => {
                    let value = self.dollar(true)?;
                    add(word, value, false, true);
                }
            }
        }
    }

    /// Reads a text that is expanded as if it were quoted, to its end.
    pub(super) fn text(&mut self, word: &mut Lexed) -> Result<()> {
        while self.at < self.text.len() {
            let rest = self.rest();
            let length = rest.iter().position(|byte| matches!(byte, b'$' | b'`' | b'\\')).unwrap_or(rest.len());
            word.push_text(&rest[..length]);
            self.at += length;
            if length > 0 && !rest[length - 1].is_ascii() && matches!(rest.get(length), Some(b'`' | b'\\')) {
                return Err("a letter that might be longer than it looks");
            }
            match rest.get(length) {
                None => {}
                Some(b'\\') => self.backslash(word, false)?,
                Some(b'`') => {
                    let value = self.backquoted(false)?;
                    add(word, value, false, true);
                }
                Some(_) => {
                    let value = self.dollar(true)?;
                    add(word, value, false, true);
                }
            }
        }
        Ok(())
    }

    /// Reads a backslash inside `"…"`, or in a text after a command.
    fn backslash(&mut self, word: &mut Lexed, quoted: bool) -> Result<()> {
        match self.text.get(self.at + 1) {
            Some(&escaped @ (b'$' | b'`' | b'\\')) => {
                word.push_text(&[escaped]);
                self.at += 2;
            }
            Some(b'"') if quoted => {
                word.push_text(b"\"");
                self.at += 2;
            }
            Some(b'\n') => return Err("a line that goes on within a word"),
            _ => {
                word.push_text(b"\\");
                self.at += 1;
            }
        }
        Ok(())
    }

    pub(super) fn dollar(&mut self, quoted: bool) -> Result<Value> {
        let rest = self.rest();
        let Some(&after) = rest.get(1) else {
            self.at += 1;
            return Ok(Value::Dollar);
        };
        let (length, value) = match after {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let length = name_length(&rest[1..]);
                if rest.get(1 + length).is_some_and(|byte| !byte.is_ascii()) {
                    return Err("a letter that some shells take for a part of a variable's name");
                }
                let value = match &rest[1..=length] {
                    b"HOME" => Value::Home,
                    name if self.is_integer(name) => Value::Number,
                    _ => Value::Any,
                };
                (length + 1, value)
            }
            b'@' => (2, Value::Words),
            b'?' | b'#' | b'$' => (2, Value::Number),
            b'!' => (2, Value::Job),
            b'*' | b'-' | b'0'..=b'9' => (2, Value::Any),
            b'{' => return self.braced(),
            b'(' if rest.get(2) == Some(&b'(') => return self.arithmetic(),
            b'(' => {
                self.at += 2;
                self.substitution()?;
                return Ok(Value::Any);
            }
            b'\'' if !quoted && self.shell == Shell::Bash => return self.ansi(),
            b' ' | b'\n' | b')' | b'|' | b';' => (1, Value::Dollar),
            b'"' | b'\'' | b'/' | b'.' | b',' | b':' | b'%' | b'=' | b'+' | b'^' | b'&' | b']' | b'}' | b'\\' if quoted => {
                (1, Value::Dollar)
            }
            _ => return Err("an expansion that the strict reader does not know"),
        };
        self.at += length;
        Ok(value)
    }

    /// Reads the inside of `$(…)` or `<(…)`, the closing parenthesis included.
    fn substitution(&mut self) -> Result<()> {
        self.nested(|reader| {
            reader.list()?;
            if reader.peek() != Some(b')') || reader.heredocs.is_some() {
                return Err("a substitution without its end");
            }
            reader.at += 1;
            Ok(())
        })
    }

    /// Reads what runs in a shell of its own, which leaves the directory of this one alone.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.heredocs.is_some() {
            return Err("a substitution between a command and its text");
        }
        self.enter()?;
        self.substitutions += 1;
        let (place, moves, mark) = (self.place.clone(), self.moves, self.mark());
        read(self)?;
        self.doubt(mark);
        (self.place, self.moves) = (place, moves);
        self.substitutions -= 1;
        self.leave();
        Ok(())
    }

    fn backquoted(&mut self, quoted: bool) -> Result<Value> {
        let inside = &self.rest()[1..];
        let inside = &inside[..inside.iter().position(|byte| *byte == b'`').ok_or("an open quote")?];
        if inside.contains(&b'\\') || quoted && inside.contains(&b'"') {
            return Err("quotes inside backquotes");
        }
        self.nested(|reader| {
            reader.within(inside, |inner| {
                inner.list()?;
                inner.ended()
            })
        })?;
        self.at += inside.len() + 2;
        Ok(Value::Any)
    }

    /// Reads `<(…)` or `>(…)`: the word becomes the name of a pipe.
    pub(super) fn process(&mut self, word: &mut Lexed, start: usize, context: Context) -> Result<()> {
        let digits = self.text[start..self.at].iter().all(u8::is_ascii_digit);
        if self.shell == Shell::Posix || context != Context::Argument || digits && self.at > start {
            return Err("a process substitution where a shell may read something else");
        }
        let first = self.found.len();
        let fed = self.peek() == Some(b'>');
        self.at += 2;
        self.substitution()?;
        if fed {
            self.feed(first, &Input::Pipe);
        }
        // The name of a descriptor (bash(1), "Process Substitution"), of which only the number is open.
        word.push(&Piece::Text(b"/dev/fd/".to_vec()), false);
        word.push(&Piece::Glob(b"[0-9][0-9]".to_vec()), false);
        Ok(())
    }

    /// Reads `$((…))`.
    fn arithmetic(&mut self) -> Result<Value> {
        self.at += 3;
        self.expression()?;
        self.twice_closed()?;
        Ok(Value::Number)
    }

    /// Reads `$'…'`.
    fn ansi(&mut self) -> Result<Value> {
        const WHY: &str = "an escape that the strict reader does not know";
        let mut text = Vec::new();
        self.at += 2;
        loop {
            let byte = self.peek().ok_or("an open quote")?;
            self.at += 1;
            match byte {
                b'\'' => return Ok(Value::Text(text)),
                b'\\' if self.at > 1 && !self.text[self.at - 2].is_ascii() => return Err("a letter that might be longer than it looks"),
                b'\\' => {
                    let escape = self.peek().ok_or("an open quote")?;
                    self.at += 1;
                    let escaped = match escape {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        b'a' => 7,
                        b'b' => 8,
                        b'f' => 12,
                        b'v' => 11,
                        b'e' | b'E' => 27,
                        b'\\' | b'\'' | b'"' | b'?' => escape,
                        b'0'..=b'7' => {
                            self.at -= 1;
                            self.number(8, 3)?
                        }
                        b'x' => self.number(16, 2)?,
                        _ => return Err(WHY),
                    };
                    // A NUL would end it.
                    if escaped == 0 {
                        return Err(WHY);
                    }
                    text.push(escaped);
                }
                _ => text.push(byte),
            }
        }
    }

    fn number(&mut self, radix: u32, most: usize) -> Result<u8> {
        let mut value = 0_u32;
        let digits = self.rest().iter().take(most).map_while(|byte| char::from(*byte).to_digit(radix));
        let mut length = 0;
        for digit in digits {
            value = value * radix + digit;
            length += 1;
        }
        self.at += length;
        if length == 0 {
            Err("an escape that the strict reader does not know")
        } else {
            u8::try_from(value).map_err(|_| "an escape too large")
        }
    }
}

fn add(word: &mut Lexed, value: Value, one: bool, quoted: bool) {
    let whole = quoted || one;
    match value {
        Value::Dollar => word.push_text(b"$"),
        Value::Text(text) => word.push_text(&text),
        Value::Home => word.push(&Piece::Home, !whole),
        Value::Number => {
            let alone = word.is_empty();
            word.push(&Piece::Unknown, false);
            word.number = alone;
        }
        Value::Job => {
            let alone = word.is_empty();
            word.push(&Piece::Unknown, !whole);
            word.number = alone;
        }
        Value::Any => word.push(&Piece::Unknown, !whole),
        Value::Words => word.push(&Piece::Unknown, !one),
    }
    word.bare = false;
}

/// How long the variable's name is with which `text` begins.
pub(super) fn name_length(text: &[u8]) -> usize {
    match text.first() {
        Some(first) if first.is_ascii_alphabetic() || *first == b'_' => {
            text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(text.len())
        }
        _ => 0,
    }
}
