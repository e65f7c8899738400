use super::builtins::{Effect, check_name};
use super::expand::name_length;
use super::place::Ends;
use super::reader::{Reader, Result, ends_a_word, is_reserved};
use super::state::is_plain_number;
use super::word::Context;
use super::{Command, Input, Piece, Place, Shell, Word};

/// A simple command as it is being read.
#[derive(Default)]
pub(super) struct Simple {
    pub(super) command: Command,
    /// Its name is neither quoted nor expanded.
    pub(super) bare: bool,
    /// Which of the assignments before it are surely numbers.
    pub(super) calculated: Vec<bool>,
    /// It has a redirection, which may fail.
    redirected: bool,
    /// An array is assigned before it.
    arrays: bool,
    /// Which of the words are surely numbers.
    pub(super) numbers: Vec<usize>,
    /// What `export` and its like set.
    pub(super) declared: Vec<(Vec<u8>, Word)>,
}

impl Reader<'_> {
    pub(super) fn simple(&mut self) -> Result<Ends> {
        let (before, first) = (self.here(), self.found.len());
        let mut simple = self.simple_words()?;
        self.share(first, &simple)?;
        if !simple.command.words.is_empty() {
            for (name, _) in simple.command.assigned.iter().chain(&simple.declared) {
                self.may_be_text(name)?;
            }
        }
        simple.command.place = before;
        if simple.command.words.is_empty() {
            self.standing_alone(simple)?;
            return Ok(Ends::all(self.place.clone()));
        }
        self.run(simple)
    }

    /// Gives what a command sets to what runs for its words: `A=x B=$(c)` gives A to c.
    fn share(&mut self, first: usize, simple: &Simple) -> Result<()> {
        let given = simple.command.assigned.len() + simple.declared.len();
        self.spend((self.found.len() - first) * given)?;
        for inner in &mut self.found[first..] {
            inner.assigned.extend(simple.command.assigned.iter().chain(&simple.declared).cloned());
        }
        Ok(())
    }

    /// Reads the words, assignments and redirections of a simple command.
    pub(super) fn simple_words(&mut self) -> Result<Simple> {
        let start = self.at;
        let mut simple = Simple::default();
        let mut declares = false;
        loop {
            self.blanks()?;
            let command = &mut simple.command;
            match self.rest() {
                [] | [b'\n' | b';' | b'|' | b')', ..] => break,
                [b'&', after @ ..] if after.first() != Some(&b'>') => break,
                _ => {}
            }
            if self.redirection(command)? {
                simple.redirected = true;
                continue;
            }
            if command.words.is_empty() && self.is_assignment()? {
                let (assignment, calculated) = self.assignment(&mut simple.arrays)?;
                simple.command.assigned.push(assignment);
                simple.calculated.push(calculated);
                continue;
            }
            if declares && self.is_assignment()? {
                let mut array = false;
                let (assignment, _) = self.assignment(&mut array)?;
                if array {
                    return Err("an array that is declared");
                }
                simple.declared.push(assignment);
                continue;
            }
            let first = simple.command.words.is_empty();
            let lexed = self.word(Context::Argument)?;
            if first {
                let name = lexed.words.first().and_then(Word::literal);
                if name.is_some_and(|name| name.contains(&b'=')) {
                    return Err("a name that a shell may read as something else");
                }
                simple.bare = lexed.bare;
                declares = self.shell == Shell::Bash
                    && lexed.bare
                    && name.is_some_and(|name| matches!(name, b"export" | b"readonly" | b"declare" | b"typeset" | b"local"));
                if lexed.words.len() != 1 {
                    return Err("braces where a command's name should be");
                }
            }
            if lexed.number {
                simple.numbers.push(simple.command.words.len());
            }
            simple.command.words.extend(lexed.words);
        }
        if self.at == start { Err("an operator without a command before it") } else { Ok(simple) }
    }

    /// Whether `NAME=` stands here, or in bash `NAME+=` or `NAME[1]=`.
    fn is_assignment(&self) -> Result<bool> {
        let rest = self.rest();
        let length = name_length(rest);
        if length == 0 {
            return Ok(false);
        }
        match &rest[length..] {
            [b'+', b'=', ..] | [b'[', ..] if self.shell == Shell::Posix => Err("an assignment that only bash knows"),
            [b'=', ..] | [b'+', b'=', ..] => Ok(true),
            [b'[', after @ ..] => {
                let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let plain = (1..6).contains(&digits) && after[digits..].starts_with(b"]=");
                if plain { Ok(true) } else { Err("a subscript, which may run what a variable holds") }
            }
            _ => Ok(false),
        }
    }

    /// Reads an assignment, and says whether it surely is to a number; takes note of one of an array.
    fn assignment(&mut self, array: &mut bool) -> Result<((Vec<u8>, Word), bool)> {
        let rest = self.rest();
        let length = name_length(rest);
        let name = rest[..length].to_vec();
        let sign = rest[length..].iter().position(|byte| *byte == b'=').ok_or("an assignment without its sign")?;
        let whole = sign == 0;
        if rest[length] == b'[' {
            self.may_fail();
        }
        self.at += length + sign + 1;
        let unknown = Word { pieces: vec![Piece::Unknown], splits: false };
        if self.peek() == Some(b'(') {
            let appends = rest[length] == b'+';
            if self.shell == Shell::Posix || !whole && !appends {
                return Err("an array");
            }
            self.elements()?;
            *array = true;
            return Ok(((name, unknown), false));
        }
        if self.peek().is_none_or(ends_a_word) {
            return Ok(((name, if whole { Word::text(Vec::new()) } else { unknown }), false));
        }
        if self.peek() == Some(b'#') {
            return Err("a value that begins as a comment");
        }
        let start = self.at;
        let lexed = self.word(Context::Value)?;
        // `$!` is nothing as long as no job was begun.
        let number = lexed.number && !self.text[start..self.at].contains(&b'!');
        let mut value = lexed.one()?;
        value.splits = false;
        Ok(if whole { ((name, value), number) } else { ((name, unknown), false) })
    }

    /// Reads `(…)` of an array.
    fn elements(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            self.lines()?;
            match self.peek() {
                Some(b')') => break,
                // `[1]=x` would be an element of its own.
                Some(b'[') => return Err("an array with subscripts"),
                _ => drop(self.word(Context::Argument)?),
            }
        }
        self.at += 1;
        if self.peek().is_none_or(ends_a_word) { Ok(()) } else { Err("a word that clings to an array") }
    }

    /// Takes up assignments and redirections without a command.
    fn standing_alone(&mut self, simple: Simple) -> Result<()> {
        let mut command = simple.command;
        for ((name, value), calculated) in std::mem::take(&mut command.assigned).into_iter().zip(simple.calculated) {
            check_name(&name)?;
            let certain = is_plain_number(&value) && !simple.redirected;
            if calculated {
                self.stand_number(&name)?;
            } else {
                self.stand([(name.clone(), value)])?;
            }
            if certain {
                self.holds_number(&name);
            }
        }
        self.push(command)
    }

    /// Takes up what a simple command does.
    fn run(&mut self, simple: Simple) -> Result<Ends> {
        if simple.bare && simple.command.words[0].literal().is_some_and(is_reserved) {
            return Err("a name that a shell may read as something else");
        }
        if simple.arrays {
            return Err("an array before a command");
        }
        if let Some(name) = simple.command.words[0].literal() {
            if matches!(name, b"readonly" | b"declare" | b"typeset" | b"local") {
                self.may_be_readonly();
            }
            if let Some((certain, moves)) = self.call(name) {
                return self.call_function(simple.command, certain, moves);
            }
        }
        let effect = self.effect(&simple)?;
        let mut command = simple.command;
        let reads = matches!(effect, Effect::Sets(_)) && command.words[0].literal() == Some(b"read");
        for (name, value) in &command.assigned {
            // `IFS= read` holds for `read` alone, which splits no words.
            if !(reads && name == b"IFS" && value.literal().is_some()) {
                check_name(name)?;
            }
        }
        command.assigned.retain(|(name, _)| name != b"IFS");
        match effect {
            Effect::Runs(skip) => {
                // A trap may see them where such a builtin fails or is a special one.
                let stays = matches!(command.words[0].literal(), Some(b":" | b"exec"));
                command.words.drain(..skip);
                if stays || command.words[0].literal() == Some(b":") {
                    self.stand(command.assigned.clone())?;
                }
                self.push(command)?;
            }
            Effect::Directory(skip) => {
                command.words.drain(..skip);
                let ends = self.change_directory(&command);
                self.push(command)?;
                return Ok(ends);
            }
            Effect::Traps(script) => {
                self.stand(std::mem::take(&mut command.assigned))?;
                self.trap(&script)?;
                self.stay(command)?;
            }
            Effect::Leaves => {
                let leaves = !simple.redirected;
                self.stand(std::mem::take(&mut command.assigned))?;
                self.stay(command)?;
                return Ok(Ends::all(if leaves { None } else { self.place.clone() }));
            }
            Effect::Sets(variables) => {
                if command.words[0].literal() == Some(b"export") {
                    self.push(exported(&command, simple.declared.iter().chain(&variables)))?;
                }
                // In some shells what is assigned before such a builtin stays.
                self.stand(std::mem::take(&mut command.assigned))?;
                for (name, _) in &variables {
                    self.may_be_text(name)?;
                }
                self.stand(variables)?;
                self.stand(simple.declared)?;
                self.stay(command)?;
            }
        }
        Ok(Ends::all(self.place.clone()))
    }

    /// Takes up a call of a function, whose commands are known already.
    fn call_function(&mut self, mut command: Command, certain: bool, moves: bool) -> Result<Ends> {
        for (name, _) in &command.assigned {
            check_name(name)?;
        }
        self.stand(command.assigned.clone())?;
        if certain {
            command.assigned.clear();
            self.stay(command)?;
        } else {
            self.push(command)?;
        }
        self.may_fail();
        if moves {
            self.moves += 1;
            return Ok(Ends::all(Some(Place::Unknown)));
        }
        Ok(Ends::all(self.place.clone()))
    }

    /// Takes up a builtin that does nothing outside of the shell.
    fn stay(&mut self, mut command: Command) -> Result<()> {
        command.words.clear();
        command.input = Input::Inherited;
        if command.files.is_empty() { Ok(()) } else { self.push(command) }
    }
}

/// Whether a command of this name surely is a program: no builtin's name has a slash, and this one has.
pub(super) fn is_a_path(word: &Word) -> bool {
    let slash = word.pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(&b'/')));
    slash && !word.splits && !word.pieces.iter().any(|piece| matches!(piece, Piece::Glob(_)))
}

/// `export` as a command with each variable as one word, for those who have rules for it.
fn exported<'a>(command: &Command, variables: impl Iterator<Item = &'a (Vec<u8>, Word)>) -> Command {
    let word = |(name, value): &(Vec<u8>, Word)| {
        let name = Piece::Text([name.as_slice(), b"="].concat());
        Word { pieces: std::iter::once(name).chain(value.pieces.iter().cloned()).collect(), splits: false }
    };
    Command {
        words: std::iter::once(Word::text("export")).chain(variables.map(word)).collect(),
        place: command.place.clone(),
        ..Command::default()
    }
}
