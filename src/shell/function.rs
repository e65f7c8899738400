use super::builtins::is_builtin;
use super::expand::name_length;
use super::place::Ends;
use super::reader::{Reader, Result, is_reserved};
use super::{Input, Place, Shell};

/// What the reader takes for the shell's own, or for a program that does no harm, whatever a script says.
const FIXED: &[&[u8]] = &[b"echo", b"printf", b"test", b"true", b"false", b"pwd", b"kill", b"ulimit", b"umask", b"times"];

impl Reader<'_> {
    /// The length of the name of a function that is defined here.
    pub(super) fn function_name(&self) -> Option<usize> {
        let rest = self.rest();
        let length = name_length(rest);
        let after = &rest[length..];
        let after = &after[after.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()..];
        (length > 0 && after.first() == Some(&b'(')).then_some(length)
    }

    /// Reads `NAME() { …; }`, and in bash `function NAME { …; }`.
    pub(super) fn function(&mut self) -> Result<Ends> {
        let mut parentheses = true;
        if self.keyword() == Some(b"function") {
            if self.shell == Shell::Posix {
                return Err("a function that only bash knows");
            }
            self.opening(b"function")?;
            self.blanks()?;
            parentheses = self.function_name().is_some();
        }
        let name = self.rest()[..name_length(self.rest())].to_vec();
        if name.is_empty() || is_builtin(&name) || is_reserved(&name) || FIXED.contains(&name.as_slice()) {
            return Err("a function of a name that means something already");
        }
        self.at += name.len();
        if parentheses {
            self.blanks()?;
            for sign in [b'(', b')'] {
                self.blanks()?;
                if self.peek() != Some(sign) {
                    return Err("a function that the strict reader does not know");
                }
                self.at += 1;
            }
        }
        self.lines()?;
        if self.keyword() != Some(b"{") {
            return Err("a function whose body is no group");
        }
        self.enter()?;
        let (first, place, moves, mark) = (self.found.len(), self.place.clone(), self.moves, self.mark());
        self.place = Some(if place == Some(Place::Here) { Place::Here } else { Place::Unknown });
        self.begin_function(&name)?;
        self.group()?;
        self.blanks()?;
        // What it is called with is anybody's.
        self.feed(first, &Input::Unknown);
        self.doubt(mark);
        self.end_function(&name, self.moves != moves);
        (self.place, self.moves) = (place, moves);
        self.leave();
        Ok(Ends::all(self.place.clone()))
    }
}
