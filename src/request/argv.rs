use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A command's words as bytes; never empty. Empty words stay, and so does what is not UTF-8.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argv(Vec<OsString>);

/// There was no command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EmptyArgv;

impl Argv {
    /// Takes the words; the first one names the program.
    pub fn new(words: Vec<OsString>) -> Result<Self, EmptyArgv> {
        match words.first() {
            Some(first) if !first.is_empty() => Ok(Self(words)),
            _ => Err(EmptyArgv),
        }
    }

    /// The first word, as typed.
    pub fn typed(&self) -> &OsStr {
        &self.0[0]
    }

    /// The last component of the first word: the name that policies know.
    pub fn name(&self) -> &[u8] {
        base_name(self.0[0].as_bytes())
    }

    /// All words, the program's first.
    pub fn words(&self) -> &[OsString] {
        &self.0
    }

    /// The words as bytes.
    pub fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|word| word.as_bytes())
    }
}

/// What follows the last slash.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}
