use super::expand::name_length;
use super::place::{Ends, join};
use super::reader::{Reader, Result, ends_a_word, is_reserved};
use super::state::is_plain_number;
use super::word::{Context, Lexed};
use super::{Piece, Shell, Word};

/// How many values of a loop's variable are told.
const VALUES: usize = 8;

impl Reader<'_> {
    pub(super) fn subshell(&mut self) -> Result<Ends> {
        if self.text.get(self.at + 1) == Some(&b'(') {
            return Err("arithmetic");
        }
        self.at += 1;
        let (place, moves) = (self.place.clone(), self.moves);
        self.list()?;
        if self.peek() != Some(b')') {
            return Err("a subshell without its end");
        }
        self.at += 1;
        (self.place, self.moves) = (place.clone(), moves);
        Ok(Ends::all(place))
    }

    pub(super) fn group(&mut self) -> Result<Ends> {
        self.opening(b"{")?;
        let ends = self.list()?;
        self.closing(b"}")?;
        Ok(ends)
    }

    pub(super) fn choice(&mut self) -> Result<Ends> {
        self.opening(b"if")?;
        let mut all: Option<Ends> = None;
        let mut untaken = self.list()?;
        loop {
            self.opening(b"then")?;
            self.place = untaken.good.take();
            let mark = self.mark();
            let taken = self.list()?;
            self.doubt(mark);
            all = Some(either(all, taken));
            self.place = untaken.bad.take();
            match self.keyword() {
                Some(b"elif") => {
                    self.opening(b"elif")?;
                    untaken = self.list()?;
                }
                Some(b"else") => {
                    self.opening(b"else")?;
                    let last = self.list()?;
                    self.closing(b"fi")?;
                    return Ok(either(all, last));
                }
                _ => {
                    self.closing(b"fi")?;
                    return Ok(either(all, Ends { good: self.place.clone(), bad: None }));
                }
            }
        }
    }

    pub(super) fn repeat(&mut self, keyword: &[u8]) -> Result<Ends> {
        let (first, standing, moves, before) = (self.found.len(), self.standing.len(), self.moves, self.place.clone());
        self.opening(keyword)?;
        self.list()?;
        self.body()?;
        self.repeated(first, standing, moves, before)
    }

    fn body(&mut self) -> Result<()> {
        self.opening(b"do")?;
        self.list()?;
        self.closing(b"done")
    }

    pub(super) fn each(&mut self) -> Result<Ends> {
        self.opening(b"for")?;
        self.blanks()?;
        if self.rest().starts_with(b"((") {
            let (first, standing, moves, before) = (self.found.len(), self.standing.len(), self.moves, self.place.clone());
            self.counting()?;
            self.after_header()?;
            self.body()?;
            return self.repeated(first, standing, moves, before);
        }
        let length = name_length(self.rest());
        let name = self.rest()[..length].to_vec();
        super::builtins::check_name(&name)?;
        self.at += length;
        if !self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b';')) {
            return Err("a loop that the strict reader does not know");
        }
        let mut words = vec![Word { pieces: vec![Piece::Unknown], splits: true }];
        self.blanks()?;
        if self.keyword() == Some(b"in") {
            self.at += 2;
            if !matches!(self.peek(), Some(b' ' | b'\t')) {
                return Err("a loop that the strict reader does not know");
            }
            words = self.loop_words()?;
        }
        let values = words.len() <= VALUES && words.iter().all(|word| word.known().is_some());
        if values {
            let numbers = !words.is_empty() && words.iter().all(is_plain_number);
            self.stand(words.into_iter().map(|word| (name.clone(), word)))?;
            if numbers {
                self.holds_number(&name);
            }
        } else {
            self.stand([(name, Word { pieces: vec![Piece::Unknown], splits: false })])?;
        }
        self.after_header()?;
        let (first, standing, moves, before) = (self.found.len(), self.standing.len(), self.moves, self.place.clone());
        self.body()?;
        self.repeated(first, standing, moves, before)
    }

    /// Goes over what may stand between a loop's first line and its body.
    fn after_header(&mut self) -> Result<()> {
        self.blanks()?;
        if self.peek() == Some(b';') {
            self.at += 1;
        }
        self.lines()
    }

    fn loop_words(&mut self) -> Result<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            self.blanks()?;
            match self.peek() {
                Some(b';' | b'\n') => return Ok(words),
                _ => words.extend(self.word(Context::Argument)?.words),
            }
        }
    }

    pub(super) fn case(&mut self) -> Result<Ends> {
        if self.substitutions > 0 {
            return Err("a `case` in a substitution");
        }
        self.opening(b"case")?;
        self.blanks()?;
        self.word(Context::Pattern)?;
        self.blanks()?;
        self.opening(b"in")?;
        let before = self.place.clone();
        let mut all = Ends::all(before.clone());
        loop {
            self.lines()?;
            if self.keyword() == Some(b"esac") {
                self.closing(b"esac")?;
                return Ok(all);
            }
            self.patterns()?;
            // One clause may go on with the next.
            self.place = join(before.clone(), self.place.take());
            self.lines()?;
            let empty = self.rest().starts_with(b";;") || self.keyword() == Some(b"esac");
            if !empty {
                let mark = self.mark();
                let ends = self.list()?;
                self.doubt(mark);
                all = either(Some(all), ends);
            }
            match self.rest() {
                [b';', b';', b'&', ..] if self.shell == Shell::Bash => self.at += 3,
                [b';', b'&', ..] if self.shell == Shell::Bash => self.at += 2,
                [b';', b';', b'&', ..] => return Err("an operator that only bash knows"),
                [b';', b';', ..] => self.at += 2,
                _ if self.keyword() == Some(b"esac") => {}
                _ => return Err("a clause without its end"),
            }
        }
    }

    fn patterns(&mut self) -> Result<()> {
        if self.peek() == Some(b'(') {
            self.at += 1;
            self.blanks()?;
        }
        loop {
            let pattern = self.word(Context::Pattern)?;
            if pattern.bare && pattern.words[0].literal().is_some_and(is_reserved) {
                return Err("a pattern that is a word of the grammar");
            }
            self.blanks()?;
            match self.peek() {
                Some(b'|') => self.at += 1,
                Some(b')') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err("a pattern without its end"),
            }
            self.blanks()?;
        }
    }

    /// Reads `[[ … ]]`.
    pub(super) fn condition(&mut self) -> Result<Ends> {
        self.opening(b"[[")?;
        self.alternatives()?;
        self.closing(b"]]")?;
        Ok(Ends::all(self.place.clone()))
    }

    fn alternatives(&mut self) -> Result<()> {
        loop {
            self.primary()?;
            self.blanks()?;
            match self.rest() {
                [b'&', b'&', ..] | [b'|', b'|', ..] => self.at += 2,
                _ => return Ok(()),
            }
        }
    }

    fn primary(&mut self) -> Result<()> {
        self.blanks()?;
        if self.keyword() == Some(b"!") {
            self.opening(b"!")?;
            self.blanks()?;
        }
        if self.peek() == Some(b'(') {
            self.enter()?;
            self.at += 1;
            self.alternatives()?;
            if self.peek() != Some(b')') {
                return Err("a condition without its end");
            }
            self.at += 1;
            self.leave();
            return Ok(());
        }
        let first = self.operand()?;
        self.blanks()?;
        let asks = first.bare && first.words[0].literal().is_some_and(|text| text.len() == 2 && text[0] == b'-');
        if asks {
            let plain = first.words[0].literal().is_some_and(|text| b"abcdefghknoprstuwxzGLNOS".contains(&text[1]));
            if !plain || self.keyword() == Some(b"]]") {
                return Err("a condition that the strict reader does not know");
            }
            self.operand()?;
            return Ok(());
        }
        let operator = match self.rest() {
            _ if self.keyword() == Some(b"]]") => return Ok(()),
            [b'&', b'&', ..] | [b'|', b'|', ..] | [b')', ..] => return Ok(()),
            [sign @ (b'<' | b'>'), b' ' | b'\t', ..] => {
                self.at += 1;
                vec![*sign]
            }
            _ => self.operand()?.one()?.known().unwrap_or_default(),
        };
        self.blanks()?;
        let second = self.operand()?;
        match operator.as_slice() {
            b"=" | b"==" | b"!=" | b"=~" | b"<" | b">" | b"-nt" | b"-ot" | b"-ef" => Ok(()),
            // Both sides are arithmetic, which runs what a subscript in a variable's value holds.
            b"-eq" | b"-ne" | b"-lt" | b"-le" | b"-gt" | b"-ge" if is_number(&first) && is_number(&second) => {
                self.may_fail();
                Ok(())
            }
            _ => Err("a comparison that may run what a variable holds"),
        }
    }

    fn operand(&mut self) -> Result<Lexed> {
        if self.peek().is_none_or(ends_a_word) || self.keyword().is_some_and(|word| word == b"]]" || word == b"!") {
            return Err("a condition that the strict reader does not know");
        }
        self.word(Context::Pattern)
    }
}

fn is_number(lexed: &Lexed) -> bool {
    let text = lexed.words[0].literal();
    lexed.number || text.is_some_and(|text| !text.is_empty() && text.len() < 10 && text.iter().all(u8::is_ascii_digit))
}

fn either(one: Option<Ends>, other: Ends) -> Ends {
    match one {
        None => other,
        Some(one) => Ends { good: join(one.good, other.good), bad: join(one.bad, other.bad) },
    }
}
