use super::place::{Ends, join};
use super::redirect::Heredocs;
use super::state::Known;
use super::{Command, Input, Place, Shell, Word};

/// What cannot be read is told by why.
pub(super) type Result<T> = std::result::Result<T, &'static str>;

/// How deep constructs may stand in one another.
const DEPTH: usize = 64;

/// How many variables all commands together may be given.
const ASSIGNMENTS: usize = 16 * 1024;

/// The words of the shell's own grammar, where a command begins.
const RESERVED: &[&[u8]] = &[
    b"!",
    b"{",
    b"}",
    b"[[",
    b"]]",
    b"case",
    b"do",
    b"done",
    b"elif",
    b"else",
    b"esac",
    b"fi",
    b"for",
    b"function",
    b"if",
    b"in",
    b"select",
    b"then",
    b"time",
    b"until",
    b"while",
    b"coproc",
];

/// Reads a script from its beginning to its end, once.
pub(super) struct Reader<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) shell: Shell,
    /// What was found so far.
    pub(super) found: Vec<Command>,
    /// The variables that the script has set so far.
    pub(super) standing: Vec<(Vec<u8>, Word)>,
    /// Where what follows runs; none where nothing can follow.
    pub(super) place: Option<Place>,
    /// How often the directory was changed.
    pub(super) moves: usize,
    /// The texts that the current line has after it.
    pub(super) heredocs: Option<Heredocs>,
    /// How many `$(`, `<(` or backquotes are open.
    pub(super) substitutions: usize,
    pub(super) known: Known,
    depth: usize,
    /// How deep its text stands in another.
    top: usize,
    pub(super) budget: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8], shell: Shell) -> Self {
        Self {
            text,
            at: 0,
            shell,
            found: Vec::new(),
            standing: Vec::new(),
            place: Some(Place::Here),
            moves: 0,
            heredocs: None,
            substitutions: 0,
            known: Known::default(),
            depth: 0,
            top: 0,
            budget: ASSIGNMENTS,
        }
    }

    /// Reads another text as a part of this script.
    pub(super) fn within<T>(&mut self, text: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Result<T>) -> Result<T> {
        let mut inner = Reader {
            text,
            at: 0,
            shell: self.shell,
            found: std::mem::take(&mut self.found),
            standing: std::mem::take(&mut self.standing),
            place: self.place.clone(),
            moves: self.moves,
            heredocs: None,
            substitutions: self.substitutions,
            known: std::mem::take(&mut self.known),
            depth: self.depth,
            top: self.depth,
            budget: self.budget,
        };
        let result = read(&mut inner);
        self.found = inner.found;
        self.standing = inner.standing;
        self.place = inner.place;
        self.moves = inner.moves;
        self.known = inner.known;
        self.budget = inner.budget;
        result
    }

    /// Whether nothing is left to read.
    pub(super) fn ended(&self) -> Result<()> {
        if self.at < self.text.len() { Err("a word or an operator that does not belong there") } else { Ok(()) }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    pub(super) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH { Err("constructs that stand too deep in one another") } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Goes over blanks, and over the ends of lines that go on.
    pub(super) fn blanks(&mut self) -> Result<()> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' => self.at += 1,
                // Without a blank before it, it could join two halves of a word or of an operator.
                b'\\' if self.at > start && self.text.get(self.at + 1) == Some(&b'\n') => {
                    if self.heredocs.is_some() {
                        return Err("a line that goes on, with a text after it");
                    }
                    self.at += 2;
                }
                b'#' if self.comment_may_begin() => {
                    if self.substitutions > 0 {
                        return Err("a comment in a substitution");
                    }
                    self.at += self.rest().iter().position(|byte| *byte == b'\n').unwrap_or(self.rest().len());
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn comment_may_begin(&self) -> bool {
        self.at == 0 || matches!(self.text[self.at - 1], b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')')
    }

    /// Goes over a newline, and over the texts that follow it.
    fn newline(&mut self) -> Result<()> {
        match self.heredocs.take() {
            None => self.at += 1,
            Some(after) if after.line_end == self.at && after.within == self.substitutions => self.at = after.resume,
            Some(_) => return Err("a newline between a command and its text"),
        }
        Ok(())
    }

    /// Goes over blanks, comments and newlines.
    pub(super) fn lines(&mut self) -> Result<()> {
        self.blanks()?;
        while self.peek() == Some(b'\n') {
            self.newline()?;
            self.blanks()?;
        }
        Ok(())
    }

    /// The word of the grammar that stands here, if one does.
    pub(super) fn keyword(&self) -> Option<&'static [u8]> {
        let rest = self.rest();
        let length = rest.iter().take(9).position(|byte| ends_a_word(*byte)).unwrap_or(rest.len());
        let word = &rest[..length];
        RESERVED.iter().find(|reserved| **reserved == word).copied()
    }

    /// Goes over a word of the grammar after which a command begins.
    pub(super) fn opening(&mut self, keyword: &[u8]) -> Result<()> {
        if self.keyword() != Some(keyword) {
            return Err("a compound command without one of its words");
        }
        self.at += keyword.len();
        match self.peek() {
            Some(b' ' | b'\t' | b'\n') => Ok(()),
            _ => Err("a word of the grammar that something clings to"),
        }
    }

    /// Goes over a word of the grammar that ends a compound command.
    pub(super) fn closing(&mut self, keyword: &[u8]) -> Result<()> {
        if self.keyword() != Some(keyword) {
            return Err("a compound command without its end");
        }
        self.at += keyword.len();
        Ok(())
    }

    /// Reads commands until something that begins none.
    pub(super) fn list(&mut self) -> Result<Ends> {
        let mut ends = None;
        let mut line = self.line();
        loop {
            self.blanks()?;
            if self.depth == self.top && self.peek() == Some(b'\n') {
                self.end_line(&line);
                self.lines()?;
                line = self.line();
            }
            self.lines()?;
            let stop = match self.peek() {
                None | Some(b')' | b';') => true,
                _ => self.keyword().is_some_and(is_closing),
            };
            if stop {
                return ends.ok_or("a list without a command");
            }
            let (before, moves, mark) = (self.place.clone(), self.moves, self.mark());
            let last = self.and_or()?;
            self.place = join(last.good.clone(), last.bad.clone());
            ends = Some(last);
            self.blanks()?;
            match self.peek() {
                Some(b';') if matches!(self.text.get(self.at + 1), Some(b';' | b'&')) => return ends.ok_or("a list without a command"),
                Some(b';') => self.at += 1,
                Some(b'&') => {
                    if matches!(self.text.get(self.at + 1), Some(b'&' | b'>')) {
                        return Err("an operator that does not belong there");
                    }
                    self.at += 1;
                    ends = Some(Ends::all(before.clone()));
                    (self.place, self.moves) = (before, moves);
                    self.doubt(mark);
                }
                None | Some(b'\n' | b')') => {}
                _ => return Err("a word after a compound command"),
            }
        }
    }

    fn and_or(&mut self) -> Result<Ends> {
        let mut ends = self.pipeline()?;
        loop {
            self.blanks()?;
            let and = match self.rest() {
                [b'&', b'&', ..] => true,
                [b'|', b'|', ..] => false,
                _ => return Ok(ends),
            };
            self.at += 2;
            self.lines()?;
            self.place = if and { ends.good.clone() } else { ends.bad.clone() };
            let mark = self.mark();
            let next = self.pipeline()?;
            self.doubt(mark);
            ends = if and {
                Ends { good: next.good, bad: join(ends.bad, next.bad) }
            } else {
                Ends { good: join(ends.good, next.good), bad: next.bad }
            };
        }
    }

    fn pipeline(&mut self) -> Result<Ends> {
        let negated = self.prefixes()?;
        let (before, moves, mark) = (self.place.clone(), self.moves, self.mark());
        let mut ends = self.command()?;
        let mut piped = false;
        loop {
            self.blanks()?;
            match self.rest() {
                [b'|', b'|', ..] => break,
                [b'|', b'&', ..] if self.shell == Shell::Posix => return Err("an operator that only bash knows"),
                [b'|', b'&', ..] => self.at += 2,
                [b'|', ..] => self.at += 1,
                _ => break,
            }
            piped = true;
            self.doubt(mark);
            self.lines()?;
            self.place.clone_from(&before);
            let first = self.found.len();
            ends = self.command()?;
            self.feed(first, &Input::Pipe);
        }
        if piped {
            // The last one may run in this very shell.
            self.doubt(mark);
            let moved = self.moves != moves;
            ends = Ends::all(if moved { Some(Place::Unknown) } else { before });
        }
        Ok(if negated { Ends { good: ends.bad, bad: ends.good } } else { ends })
    }

    /// Goes over `!` and `time`, and says whether the status is turned around.
    fn prefixes(&mut self) -> Result<bool> {
        let (mut negated, mut timed) = (false, false);
        loop {
            match self.keyword() {
                Some(b"!") if !negated => {
                    self.opening(b"!")?;
                    negated = true;
                }
                Some(b"time") if !timed && self.shell == Shell::Bash => {
                    self.opening(b"time")?;
                    self.blanks()?;
                    if let [b'-', b'p', b' ' | b'\t', ..] = self.rest() {
                        self.at += 2;
                        self.blanks()?;
                    }
                    if self.peek() == Some(b'-') {
                        return Err("an option of `time`");
                    }
                    timed = true;
                }
                _ => return Ok(negated),
            }
            self.blanks()?;
        }
    }

    fn command(&mut self) -> Result<Ends> {
        if self.shell == Shell::Bash && self.rest().starts_with(b"((") {
            return self.compound(Self::calculation);
        }
        if self.peek() == Some(b'(') {
            return self.compound(Self::subshell);
        }
        match self.keyword() {
            Some(b"function") => self.function(),
            None if self.function_name().is_some() => self.function(),
            None => self.simple(),
            Some(b"{") => self.compound(Self::group),
            Some(b"if") => self.compound(Self::choice),
            Some(b"while") => self.compound(|reader| reader.repeat(b"while")),
            Some(b"until") => self.compound(|reader| reader.repeat(b"until")),
            Some(b"for") => self.compound(Self::each),
            Some(b"case") => self.compound(Self::case),
            Some(b"[[") if self.shell == Shell::Bash => self.compound(Self::condition),
            Some(_) => Err("a compound command that the strict reader does not know"),
        }
    }

    /// Reads a compound command and its redirections.
    fn compound(&mut self, read: impl FnOnce(&mut Self) -> Result<Ends>) -> Result<Ends> {
        self.enter()?;
        let (first, before, moves, mark) = (self.found.len(), self.place.clone(), self.moves, self.mark());
        let mut ends = read(self)?;
        self.doubt(mark);
        let mut whole = Command { place: before.clone().unwrap_or(Place::Unknown), ..Command::default() };
        let mut redirected = false;
        loop {
            self.blanks()?;
            if !self.redirection(&mut whole)? {
                break;
            }
            redirected = true;
        }
        if redirected {
            // Where a redirection fails, nothing of it is done.
            ends = Ends::all(if self.moves == moves { before } else { Some(Place::Unknown) });
        }
        self.feed(first, &whole.input);
        if !whole.files.is_empty() {
            self.push(whole)?;
        }
        self.leave();
        Ok(ends)
    }
}

/// Whether a word ends before this byte, where it is not quoted.
pub(super) fn ends_a_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

pub(super) fn is_reserved(word: &[u8]) -> bool {
    RESERVED.contains(&word)
}

fn is_closing(keyword: &[u8]) -> bool {
    matches!(keyword, b"then" | b"else" | b"elif" | b"fi" | b"do" | b"done" | b"esac" | b"}")
}
