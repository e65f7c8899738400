use super::expand::name_length;
use super::place::Ends;
use super::reader::{Reader, Result};
use super::{Shell, Word};

/// A name in arithmetic is read as another expression, and a subscript in it runs what it holds: only what surely is a number may be named.
const WHY: &str = "arithmetic with what may be no number";

impl Reader<'_> {
    /// Goes over an expression; it ends before a parenthesis or a semicolon that does not belong to it.
    pub(super) fn expression(&mut self) -> Result<()> {
        self.may_fail();
        let start = self.at;
        let mut open = 0_usize;
        let mut names: Vec<(usize, usize)> = Vec::new();
        loop {
            match *self.text.get(self.at).ok_or(WHY)? {
                b'(' => open += 1,
                b')' if open > 0 => open -= 1,
                b')' | b';' => break,
                b'$' if matches!(self.text.get(self.at + 1), Some(b'#' | b'?' | b'$')) => self.at += 1,
                b'$' => {
                    let length = name_length(&self.text[self.at + 1..]);
                    let name = &self.text[self.at + 1..self.at + 1 + length];
                    if length == 0 || !self.is_integer(name) {
                        return Err(WHY);
                    }
                    self.at += length;
                }
                b'0'..=b'9' => {
                    let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
                    if self.text.get(self.at + digits).is_some_and(|after| after.is_ascii_alphabetic() || matches!(after, b'_' | b'#')) {
                        return Err(WHY);
                    }
                    self.at += digits - 1;
                }
                byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                    let length = name_length(self.rest());
                    names.push((self.at, length));
                    self.at += length - 1;
                }
                b' ' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' | b'&' | b'|' | b'^' | b'~' | b'?' | b':' => {}
                _ => return Err(WHY),
            }
            self.at += 1;
        }
        if open > 0 {
            return Err(WHY);
        }
        let whole = &self.text[start..self.at];
        // What is put in for `$NAME` may begin with a sign of its own.
        let sets = whole.contains(&b'=') || whole.contains(&b'$') || whole.windows(2).any(|pair| pair == b"++" || pair == b"--");
        for (at, length) in names {
            let name = &self.text[at..at + length];
            if self.text.get(at + length).is_some_and(|after| matches!(after, b'[' | b'(' | b'$')) {
                return Err(WHY);
            }
            // `NAME = …` does not read what the name held, as `++NAME = …` would.
            let after = &self.text[at + length..self.at];
            let after = &after[after.iter().take_while(|byte| **byte == b' ').count()..];
            let given = whole[..at - start].iter().all(|byte| *byte == b' ') && matches!(after, [b'=', next, ..] if *next != b'=');
            if !given && !self.is_integer(name) {
                return Err(WHY);
            }
            if sets {
                self.stand_number(name)?;
            }
        }
        Ok(())
    }

    /// Reads `((…))`.
    pub(super) fn calculation(&mut self) -> Result<Ends> {
        self.at += 2;
        self.expression()?;
        self.twice_closed()?;
        Ok(Ends::all(self.place.clone()))
    }

    pub(super) fn twice_closed(&mut self) -> Result<()> {
        if !self.rest().starts_with(b"))") {
            return Err(WHY);
        }
        self.at += 2;
        Ok(())
    }

    /// Reads `((…; …; …))` of a loop.
    pub(super) fn counting(&mut self) -> Result<()> {
        if self.shell == Shell::Posix {
            return Err("a loop that only bash knows");
        }
        self.at += 2;
        let start = self.at;
        self.expression()?;
        // `i=0` is done before anything else is.
        let first = self.text[start..self.at].trim_ascii();
        let length = name_length(first);
        if let Some(value) = first[length..].trim_ascii_start().strip_prefix(b"=")
            && super::state::is_plain_number(&Word::text(value.trim_ascii_start()))
        {
            self.holds_number(&first[..length]);
        }
        for _ in 0..2 {
            if self.peek() != Some(b';') {
                return Err(WHY);
            }
            self.at += 1;
            self.expression()?;
        }
        self.twice_closed()
    }
}
