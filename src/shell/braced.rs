use super::builtins::check_name;
use super::expand::{Value, name_length};
use super::reader::{Reader, Result};
use super::{Piece, Shell, Word};

impl Reader<'_> {
    /// Reads `${…}`.
    pub(super) fn braced(&mut self) -> Result<Value> {
        const WHY: &str = "an expansion in braces that the strict reader does not know";
        self.at += 2;
        let counts = self.peek() == Some(b'#') && self.text.get(self.at + 1) != Some(&b'}');
        self.at += usize::from(counts);
        let rest = self.rest();
        let first = *rest.first().ok_or(WHY)?;
        let mut words = false;
        let length = match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => name_length(rest),
            b'0'..=b'9' => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            b'@' | b'*' => {
                words = true;
                1
            }
            b'?' | b'#' | b'$' | b'!' if rest.get(1) == Some(&b'}') => 1,
            _ => return Err(WHY),
        };
        let name = &rest[..length];
        let home = name == b"HOME";
        self.at += length;
        if self.peek() == Some(b'[') {
            words |= self.subscript()?;
        }
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(match first {
                _ if counts => Value::Number,
                b'?' | b'#' | b'$' => Value::Number,
                _ if words => Value::Words,
                _ if home => Value::Home,
                _ if self.is_integer(name) => Value::Number,
                _ => Value::Any,
            });
        }
        if counts {
            return Err(WHY);
        }
        // What stands for an unset variable may be words of its own.
        words |= self.operator(name)?;
        Ok(if words { Value::Words } else { Value::Any })
    }

    /// Reads a subscript that is a number or all, and says whether it is all.
    fn subscript(&mut self) -> Result<bool> {
        const WHY: &str = "a subscript, which may run what a variable holds";
        let rest = self.rest();
        let length = rest.iter().position(|byte| *byte == b']').ok_or(WHY)?;
        let inside = &rest[1..length];
        let all = matches!(inside, b"@" | b"*");
        let number = !inside.is_empty() && inside.len() < 6 && inside.iter().all(u8::is_ascii_digit);
        let name = inside.strip_prefix(b"$").unwrap_or(inside);
        let number = number || name_length(name) > 0 && name_length(name) == name.len() && self.is_integer(name);
        if self.shell == Shell::Posix || !all && !number {
            return Err(WHY);
        }
        self.may_fail();
        self.at += length + 1;
        Ok(all)
    }

    /// Reads what follows the name in `${NAME…}`, the closing brace included; says whether it may be several words.
    fn operator(&mut self, name: &[u8]) -> Result<bool> {
        const WHY: &str = "an expansion in braces that the strict reader does not know";
        let rest = self.rest();
        let length = match rest {
            [b':', b'-' | b'+' | b'?', ..] | [b'#', b'#', ..] | [b'%', b'%', ..] => 2,
            [b'-' | b'+' | b'?' | b'#' | b'%', ..] => 1,
            [b':', b'=', ..] | [b'=', ..] if name_length(name) == name.len() && self.text[self.at - 1] != b']' => {
                check_name(name)?;
                self.stand([(name.to_vec(), Word { pieces: vec![Piece::Unknown], splits: false })])?;
                1 + usize::from(rest[0] == b':')
            }
            _ if self.shell == Shell::Posix => return Err(WHY),
            [b':', range @ ..] => {
                // Anything but numbers would be arithmetic.
                let length = range.iter().position(|byte| *byte == b'}').ok_or(WHY)?;
                let numbers: Vec<&[u8]> = range[..length].split(|byte| *byte == b':').collect();
                let number = |text: &[u8]| {
                    let digits = text.strip_prefix(b" -").unwrap_or(text);
                    !digits.is_empty() && digits.len() < 6 && digits.iter().all(u8::is_ascii_digit)
                };
                if numbers.len() > 2 || !numbers.into_iter().all(number) {
                    return Err(WHY);
                }
                self.may_fail();
                self.at += 1 + length + 1;
                return Ok(false);
            }
            [b'/', b'/', ..] | [b'^', b'^', ..] | [b',', b',', ..] => 2,
            [b'/' | b'^' | b',', ..] => 1,
            _ => return Err(WHY),
        };
        self.at += length;
        self.enter()?;
        let mut words = false;
        loop {
            match self.peek().ok_or(WHY)? {
                b'}' => break,
                b'$' => {
                    if matches!(self.text.get(self.at + 1), Some(b'\'' | b'"')) {
                        return Err(WHY);
                    }
                    words |= matches!(self.dollar(true)?, Value::Words);
                }
                byte if byte.is_ascii_alphanumeric() => self.at += 1,
                b'-' | b'_' | b'.' | b'/' | b':' | b',' | b'@' | b'%' | b'+' | b'=' | b'*' | b'?' | b'^' | b'#' | b'[' | b']' | b' ' => {
                    self.at += 1;
                }
                _ => return Err(WHY),
            }
        }
        self.at += 1;
        self.leave();
        Ok(words)
    }
}
