use super::reader::{Reader, Result, ends_a_word};
use super::word::{Context, Lexed};
use super::{Command, Input, Redirection, Shell};

/// The texts after the current line, which are read before the rest of it is.
#[derive(Clone, Copy)]
pub(super) struct Heredocs {
    /// The newline that ends the line.
    pub(super) line_end: usize,
    /// Where reading goes on after it.
    pub(super) resume: usize,
    /// How many substitutions were open.
    pub(super) within: usize,
}

impl<'a> Reader<'a> {
    /// Reads a redirection, if one stands here; a digit before it belongs to it only without a blank between.
    pub(super) fn redirection(&mut self, command: &mut Command) -> Result<bool> {
        let digit = match self.rest() {
            [digit @ b'0'..=b'9', b'<' | b'>', ..] => Some(*digit),
            _ => None,
        };
        let operator = &self.rest()[usize::from(digit.is_some())..];
        let bash = self.shell == Shell::Bash;
        let stdin = digit.is_none_or(|digit| digit == b'0');
        let after = usize::from(digit.is_some());
        match operator {
            [b'<' | b'>', b'(', ..] => return Ok(false),
            [b'<', b'<', b'<', ..] if bash && digit.is_none() => {
                self.at += 3;
                self.blanks()?;
                let word = self.word(Context::Value)?.one()?;
                command.input = match word.known() {
                    Some(mut text) => {
                        text.push(b'\n');
                        Input::Text(text)
                    }
                    None => Input::Unknown,
                };
            }
            [b'<', b'<', b'<', ..] => return Err("a here-string"),
            [b'<', b'<', ..] if digit.is_none() => {
                self.at += 2;
                command.input = self.heredoc()?;
            }
            [b'<', b'<', ..] => return Err("a text for another than stdin"),
            [b'<' | b'>', b'&', ..] => {
                self.at += after + 2;
                self.duplicate(command, operator[0] == b'>' && digit.is_none())?;
                if digit.map_or(operator[0] == b'<', |digit| digit == b'0') {
                    command.input = Input::Unknown;
                }
            }
            [b'<', b'>', ..] => self.file(command, after + 2, true, false, stdin)?,
            [b'<', ..] => self.file(command, after + 1, false, false, stdin)?,
            [b'>', b'>', ..] => self.file(command, after + 2, true, true, digit == Some(b'0'))?,
            [b'>', b'|', ..] => self.file(command, after + 2, true, false, digit == Some(b'0'))?,
            [b'>', ..] => self.file(command, after + 1, true, false, digit == Some(b'0'))?,
            [b'&', b'>', b'>', ..] if bash && digit.is_none() => self.file(command, 3, true, true, false)?,
            [b'&', b'>', ..] if bash && digit.is_none() => self.file(command, 2, true, false, false)?,
            [b'&', b'>', ..] => return Err("an operator that only bash knows"),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads the name of a file after an operator of so many bytes.
    fn file(&mut self, command: &mut Command, operator: usize, writes: bool, appends: bool, stdin: bool) -> Result<()> {
        self.at += operator;
        self.blanks()?;
        let process = matches!(self.rest(), [b'<' | b'>', b'(', ..]);
        let first = self.found.len();
        let lexed = self.word(Context::Argument)?;
        // It may read what this command was given before.
        self.feed(first, &Input::Unknown);
        let to = lexed.one()?;
        let null = to.literal() == Some(b"/dev/null");
        if stdin {
            command.input = match (null, process) {
                (true, _) => Input::Text(Vec::new()),
                (false, true) => Input::Pipe,
                _ => Input::Unknown,
            };
        }
        if !null && !process {
            command.files.push(Redirection { writes, appends, to });
        }
        Ok(())
    }

    /// Reads what follows `>&` or `<&`: a digit, a dash, or in bash a file.
    fn duplicate(&mut self, command: &mut Command, may_be_a_file: bool) -> Result<()> {
        let first = *self.rest().first().ok_or("an operator without a word after it")?;
        let after = self.text.get(self.at + 1);
        if matches!(first, b'0'..=b'9' | b'-') && after.is_none_or(|after| ends_a_word(*after)) {
            self.at += 1;
            return Ok(());
        }
        if may_be_a_file && self.shell == Shell::Bash && (first.is_ascii_alphabetic() || matches!(first, b'.' | b'/' | b' ')) {
            self.blanks()?;
            let to = self.word(Context::Argument)?.one()?;
            let plain = to.literal().and_then(|text| text.first().copied());
            if !plain.is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, b'.' | b'/')) {
                return Err("a redirection to what may be a number");
            }
            if to.literal() != Some(b"/dev/null") {
                command.files.push(Redirection { writes: true, appends: false, to });
            }
            return Ok(());
        }
        Err("a redirection that the strict reader does not know")
    }

    /// Reads the word after `<<`, and at once the text on the lines that follow.
    fn heredoc(&mut self) -> Result<Input> {
        let strips = self.peek() == Some(b'-');
        self.at += usize::from(strips);
        self.blanks()?;
        let (delimiter, quoted) = self.delimiter()?;
        let (line_end, mut at) = if let Some(before) = self.heredocs {
            (before.line_end, before.resume)
        } else {
            let length = self.rest().iter().position(|byte| *byte == b'\n').ok_or("a text that is not there")?;
            (self.at + length, self.at + length + 1)
        };
        let mut body = Vec::new();
        loop {
            let rest = self.text.get(at..).filter(|rest| !rest.is_empty()).ok_or("a text without its end")?;
            let length = rest.iter().position(|byte| *byte == b'\n');
            let line = &rest[..length.unwrap_or(rest.len())];
            let tabs = if strips { line.iter().take_while(|byte| **byte == b'\t').count() } else { 0 };
            at += line.len() + 1;
            if &line[tabs..] == delimiter {
                break;
            }
            // bash ends a text inside `$(…)` there too, and reads on behind the word as code.
            if self.substitutions > 0 && line[tabs..].starts_with(delimiter) && line.contains(&b')') {
                return Err("a text with a line that may end it");
            }
            if !quoted && line.ends_with(b"\\") {
                return Err("a line that goes on, in a text");
            }
            if length.is_none() {
                return Err("a text without its end");
            }
            body.extend_from_slice(&line[tabs..]);
            body.push(b'\n');
        }
        let text = if quoted { Input::Text(body) } else { self.expanded(&body, strips)? };
        self.heredocs = Some(Heredocs { line_end, resume: at.min(self.text.len()), within: self.substitutions });
        Ok(text)
    }

    fn delimiter(&mut self) -> Result<(&'a [u8], bool)> {
        const WHY: &str = "a text whose end is not plain";
        let rest = self.rest();
        let quote = rest.first().copied().filter(|byte| matches!(byte, b'\'' | b'"' | b'\\'));
        let start = usize::from(quote.is_some());
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let length = rest[start..].iter().position(|byte| !plain(byte)).unwrap_or(rest.len() - start);
        let mut end = start + length;
        if matches!(quote, Some(b'\'' | b'"')) {
            if rest.get(end).copied() != quote {
                return Err(WHY);
            }
            end += 1;
        }
        if length == 0 || !rest.get(end).is_some_and(|byte| ends_a_word(*byte)) {
            return Err(WHY);
        }
        self.at += end;
        Ok((&rest[start..start + length], quote.is_some()))
    }

    /// What is expanded in a text becomes no words, but it may run commands.
    fn expanded(&mut self, body: &[u8], strips: bool) -> Result<Input> {
        let (first, pending) = (self.found.len(), self.heredocs.take());
        let mut lexed = Lexed::new();
        self.within(body, |reader| reader.text(&mut lexed))?;
        if strips && self.found.len() > first {
            return Err("a substitution in a text whose tabs are dropped");
        }
        self.heredocs = pending;
        Ok(lexed.one()?.known().map_or(Input::Unknown, Input::Text))
    }
}
