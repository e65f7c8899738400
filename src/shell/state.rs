use std::collections::BTreeSet;

use super::builtins::check_name;
use super::reader::{Reader, Result};
use super::{Command, Input, Piece, Place, Shell, Word};

/// What is known of names while a script is read.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// Variables that surely hold a number here. One that turns out to hold something else is emptied.
    integers: Vec<Vec<u8>>,
    /// Functions that surely are defined here.
    certain: Vec<Vec<u8>>,
    /// Variables that were taken for numbers.
    relied: Vec<Vec<u8>>,
    /// Variables that are somewhere given what is no number.
    pub(super) others: Vec<Vec<u8>>,
    /// Whether reading once more, now that more of these are known, may go better.
    pub(super) again: bool,
    /// Functions, and what traps run.
    functions: Vec<Function>,
    /// What was called so far, by name.
    called: BTreeSet<Vec<u8>>,
    /// How much was read so far that may fail in a way that makes bash drop the rest of its line.
    failures: usize,
    /// Any assignment may fail in that way.
    readonly: bool,
    /// Whether the directory is changed anywhere.
    pub(super) moved: bool,
}

#[derive(Clone)]
struct Function {
    name: Vec<u8>,
    /// Its commands, from the one to the other.
    first: usize,
    end: usize,
    moves: bool,
}

/// What held where a line began.
pub(super) struct Line {
    place: Option<Place>,
    moves: usize,
    mark: Mark,
    failures: usize,
}

/// How much was certain at some point.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize, usize);

impl Reader<'_> {
    /// How much is certain here.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.known.integers.len(), self.known.certain.len())
    }

    /// What was read since then may not have run, or in a shell of its own.
    pub(super) fn doubt(&mut self, since: Mark) {
        self.known.integers.truncate(since.0);
        self.known.certain.truncate(since.1);
    }

    /// A line that is not part of a longer command begins here.
    pub(super) fn line(&self) -> Line {
        Line { place: self.place.clone(), moves: self.moves, mark: self.mark(), failures: self.known.failures }
    }

    /// Such a line ends here: bash may have dropped the rest of it, and go on with the next.
    pub(super) fn end_line(&mut self, line: &Line) {
        if self.shell == Shell::Bash && (self.known.readonly || self.known.failures != line.failures) {
            self.doubt(line.mark);
            self.place = if self.moves == line.moves { line.place.clone() } else { Some(Place::Unknown) };
        }
    }

    /// Something was read that may fail so.
    pub(super) fn may_fail(&mut self) {
        self.known.failures += 1;
    }

    /// Some variable may be made one that no assignment changes.
    pub(super) fn may_be_readonly(&mut self) {
        self.known.readonly = true;
    }

    /// Gives this stdin to the commands from `first` on that have none of their own.
    pub(super) fn feed(&mut self, first: usize, input: &Input) {
        if *input != Input::Inherited {
            for command in self.found[first..].iter_mut().filter(|command| command.input == Input::Inherited) {
                command.input.clone_from(input);
            }
        }
    }

    /// Takes up a command, and gives it the variables that stand.
    pub(super) fn push(&mut self, mut command: Command) -> Result<()> {
        if !self.standing.is_empty() {
            self.spend(self.standing.len())?;
            let own = std::mem::replace(&mut command.assigned, Vec::with_capacity(self.standing.len()));
            command.assigned.extend(self.standing.iter().cloned());
            command.assigned.extend(own);
        }
        self.found.push(command);
        Ok(())
    }

    /// Takes note of variables that stay set.
    pub(super) fn stand(&mut self, variables: impl IntoIterator<Item = (Vec<u8>, Word)>) -> Result<()> {
        for (name, value) in variables {
            if !is_plain_number(&value) {
                self.may_be_text(&name)?;
            }
            self.stand_as_it_is((name, value));
        }
        Ok(())
    }

    /// Takes note that a variable may be given what is no number, or be another one of the same name for a while.
    pub(super) fn may_be_text(&mut self, name: &[u8]) -> Result<()> {
        if !self.known.others.iter().any(|other| other == name) {
            self.known.others.push(name.to_vec());
        }
        // Loops, functions and traps come back to what was read already.
        if self.known.relied.iter().any(|relied| relied == name) {
            self.known.again = true;
            return Err("a number that may become something else");
        }
        for integer in self.known.integers.iter_mut().filter(|integer| *integer == name) {
            integer.clear();
        }
        Ok(())
    }

    fn stand_as_it_is(&mut self, variable: (Vec<u8>, Word)) {
        if !self.standing.contains(&variable) {
            self.standing.push(variable);
        }
    }

    /// Takes note of a variable that some expression sets to a number.
    pub(super) fn stand_number(&mut self, name: &[u8]) -> Result<()> {
        check_name(name)?;
        self.stand_as_it_is((name.to_vec(), Word { pieces: vec![Piece::Unknown], splits: false }));
        Ok(())
    }

    /// Takes note that a variable surely holds a number from here on.
    pub(super) fn holds_number(&mut self, name: &[u8]) {
        if !self.known.others.iter().any(|other| other == name) {
            self.known.integers.push(name.to_vec());
        }
    }

    /// Whether a variable surely holds a number here.
    pub(super) fn is_integer(&mut self, name: &[u8]) -> bool {
        // Some of the shell's own are numbers whatever the environment says; a shell that does not know them runs nothing in arithmetic.
        if self.shell == Shell::Bash && matches!(name, b"RANDOM" | b"SECONDS") {
            return true;
        }
        let integer = self.known.integers.iter().any(|integer| integer == name);
        if integer && !self.known.relied.iter().any(|relied| relied == name) {
            self.known.relied.push(name.to_vec());
        }
        integer
    }

    /// Counts variables given to commands.
    pub(super) fn spend(&mut self, count: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(count).ok_or("too many variables")?;
        Ok(())
    }

    /// A function of this name is about to be read.
    pub(super) fn begin_function(&mut self, name: &[u8]) -> Result<()> {
        // What it does would have been done before already, in a loop or by another function.
        if self.known.called.contains(name) {
            return Err("a function that is defined after it was called");
        }
        self.known.functions.push(Function { name: name.to_vec(), first: self.found.len(), end: self.found.len(), moves: true });
        self.known.certain.push(name.to_vec());
        Ok(())
    }

    /// The function that was begun last with this name is read.
    pub(super) fn end_function(&mut self, name: &[u8], moves: bool) {
        let end = self.found.len();
        if let Some(function) =
            self.known.functions.iter_mut().rev().find(|function| function.name == name && function.end == function.first)
        {
            (function.end, function.moves) = (end, moves);
        }
        self.known.certain.push(name.to_vec());
    }

    /// Whether a function of this name may be called here: whether it surely is, and whether it changes the directory.
    pub(super) fn call(&mut self, name: &[u8]) -> Option<(bool, bool)> {
        self.known.called.insert(name.to_vec());
        let mut named = self.known.functions.iter().filter(|function| function.name == name).peekable();
        named.peek()?;
        Some((self.known.certain.iter().any(|certain| certain == name), named.any(|function| function.moves)))
    }

    /// Reads what a trap runs, from here on at any time.
    pub(super) fn trap(&mut self, script: &[u8]) -> Result<()> {
        self.enter()?;
        let (place, moves, mark, first) = (self.place.clone(), self.moves, self.mark(), self.found.len());
        self.place = Some(if place == Some(Place::Here) { Place::Here } else { Place::Unknown });
        self.within(script, |reader| {
            reader.list()?;
            reader.ended()
        })?;
        if self.moves != moves {
            return Err("a trap that changes the directory");
        }
        self.place = place;
        self.doubt(mark);
        self.feed(first, &Input::Unknown);
        self.known.functions.push(Function { name: Vec::new(), first, end: self.found.len(), moves: false });
        self.leave();
        Ok(())
    }

    /// Gives what runs at any time what it may run with.
    pub(super) fn finish(&mut self) -> Result<()> {
        // Where there is no such variable, bash's `unset` takes the function.
        if self.known.functions.iter().any(|function| self.known.others.contains(&function.name)) {
            return Err("a function and a variable of one name");
        }
        let ranges: Vec<(usize, usize)> = self.known.functions.iter().map(|function| (function.first, function.end)).collect();
        for (first, end) in ranges {
            self.spend((end - first) * self.standing.len())?;
            for command in &mut self.found[first..end] {
                for variable in &self.standing {
                    if !command.assigned.contains(variable) {
                        command.assigned.push(variable.clone());
                    }
                }
                if self.known.moved {
                    command.place = Place::Unknown;
                }
            }
        }
        Ok(())
    }
}

/// A number that is the same in any arithmetic, and that surely can be assigned.
pub(super) fn is_plain_number(word: &Word) -> bool {
    word.literal().is_some_and(|text| match text {
        b"0" => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 9 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    })
}
