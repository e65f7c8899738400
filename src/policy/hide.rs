//! What nobody is shown of an argv: secrets of the commands inside it, too.

use super::error::PolicyError;
use super::layers::Policy;
use crate::tool::{Arg, Hidden, hidden, merged, readings};

/// How many commands of one argv are looked into.
const COMMANDS: usize = 256;

impl Policy {
    /// The secrets of an argv that is only looked at.
    pub fn secrets(&self, words: &[&[u8]]) -> Result<Vec<Hidden>, PolicyError> {
        self.hidden(words.first().map_or(&[], |name| crate::request::base_name(name)), words)
    }

    /// The secrets of an argv, by the grammar of each command that it holds.
    pub(super) fn hidden(&self, name: &[u8], words: &[&[u8]]) -> Result<Vec<Hidden>, PolicyError> {
        let mut found = Vec::new();
        self.hide(name, &Self::args(words), words, &mut { COMMANDS }, &mut found)?;
        Ok(merged(found))
    }

    fn hide(&self, name: &[u8], args: &[Arg<'_>], words: &[&[u8]], left: &mut usize, found: &mut Vec<Hidden>) -> Result<(), PolicyError> {
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        let view = self.view(name)?;
        let tried = readings(&view.grammar, name, args);
        found.extend(hidden(&tried, words));
        for command in tried.iter().flat_map(|reading| &reading.inner) {
            // What a script holds has no place in the argv, and text that is executed is always shown.
            if let Some((program, rest)) = command.argv.split_first().filter(|(program, _)| program.is_known() && program.place.is_some()) {
                self.hide(crate::request::base_name(&program.text), rest, words, left, found)?;
            }
        }
        Ok(())
    }
}
