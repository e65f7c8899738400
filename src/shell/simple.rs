use super::builtins::{Effect, check_name};
use super::expand::name_length;
use super::place::Ends;
use super::reader::{Reader, Result, ends_a_word, is_reserved};
use super::word::Context;
use super::{Command, Input, Piece, Shell, Word};

/// A simple command as it is being read.
#[derive(Default)]
pub(super) struct Simple {
    pub(super) command: Command,
    /// Its name is neither quoted nor expanded.
    pub(super) bare: bool,
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
        simple.command.place = before;
        if simple.command.words.is_empty() {
            self.standing_alone(simple.command)?;
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
                continue;
            }
            if command.words.is_empty() && self.is_assignment()? {
                let assignment = self.assignment()?;
                if !simple.declared.is_empty() {
                    return Err("an assignment where none is read");
                }
                simple.command.assigned.push(assignment);
                continue;
            }
            if declares && self.is_assignment()? {
                let assignment = self.assignment()?;
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

    /// Whether `NAME=` stands here.
    fn is_assignment(&self) -> Result<bool> {
        let rest = self.rest();
        let length = name_length(rest);
        if length == 0 {
            return Ok(false);
        }
        match &rest[length..] {
            [b'=', ..] => Ok(true),
            [b'+', b'=', ..] | [b'[', ..] => Err("an assignment to a part of a variable"),
            _ => Ok(false),
        }
    }

    fn assignment(&mut self) -> Result<(Vec<u8>, Word)> {
        let rest = self.rest();
        let name = rest[..name_length(rest)].to_vec();
        self.at += name.len() + 1;
        if self.peek().is_none_or(ends_a_word) {
            return if self.peek() == Some(b'(') { Err("an array") } else { Ok((name, Word::text(Vec::new()))) };
        }
        if self.peek() == Some(b'#') {
            return Err("a value that begins as a comment");
        }
        let mut value = self.word(Context::Value)?.one()?;
        value.splits = false;
        Ok((name, value))
    }

    /// Takes up assignments and redirections without a command.
    fn standing_alone(&mut self, mut command: Command) -> Result<()> {
        for (name, _) in &command.assigned {
            check_name(name)?;
        }
        self.stand(std::mem::take(&mut command.assigned));
        self.push(command)
    }

    /// Takes up what a simple command does.
    fn run(&mut self, simple: Simple) -> Result<Ends> {
        if simple.bare && simple.command.words[0].literal().is_some_and(is_reserved) {
            return Err("a name that a shell may read as something else");
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
                command.words.drain(..skip);
                if command.words[0].literal() == Some(b":") {
                    self.stand(command.assigned.clone());
                }
                self.push(command)?;
            }
            Effect::Directory(skip) => {
                command.words.drain(..skip);
                let ends = self.change_directory(&command);
                self.push(command)?;
                return Ok(ends);
            }
            Effect::Leaves => {
                let leaves = command.files.is_empty();
                self.stay(command)?;
                return Ok(Ends::all(if leaves { None } else { self.place.clone() }));
            }
            Effect::Sets(variables) => {
                if command.words[0].literal() == Some(b"export") {
                    self.push(exported(&command, simple.declared.iter().chain(&variables)))?;
                }
                // In some shells what is assigned before such a builtin stays.
                self.stand(std::mem::take(&mut command.assigned));
                self.stand(variables);
                self.stand(simple.declared);
                self.stay(command)?;
            }
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
