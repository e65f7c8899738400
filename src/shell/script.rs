/// Which shell a script is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shell {
    /// `sh`, which may be dash, ash or bash: what is read is what each of them would do.
    Posix,
    /// bash, not in its POSIX mode.
    Bash,
}

/// What a script is to us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Script {
    /// These commands and no others can run; which of them do, and how often, is up to their statuses.
    Static(Vec<Command>),
    /// It cannot be told.
    Opaque {
        /// Why.
        why: &'static str,
        /// What a tolerant reader saw in it, which may only make an answer stricter.
        seen: Vec<Command>,
    },
}

/// One command that a script runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Command {
    /// The name and its arguments; empty where there are only redirections or assignments.
    pub words: Vec<Word>,
    /// Variables in its environment that the script sets, before it or earlier on; the last one of a name need not be the one that holds.
    pub assigned: Vec<(Vec<u8>, Word)>,
    /// The files that the shell opens for it, `/dev/null` left out.
    pub files: Vec<Redirection>,
    /// Where its stdin comes from.
    pub input: Input,
    /// Which directory it runs in, and the names of its files begin from.
    pub place: Place,
}

impl Command {
    /// Its argv, where there is nothing else to know about it.
    pub fn plain(&self) -> Option<Vec<Vec<u8>>> {
        let bare = self.assigned.is_empty() && self.files.is_empty() && self.place == Place::Here;
        let fed = matches!(self.input, Input::Text(_) | Input::Unknown);
        if !bare || fed || self.words.is_empty() {
            return None;
        }
        self.words.iter().map(Word::known).collect()
    }
}

/// A file that the shell opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirection {
    /// It is opened for writing, and made where there is none.
    pub writes: bool,
    /// What it holds stays.
    pub appends: bool,
    /// Its name.
    pub to: Word,
}

/// Where a command's stdin comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Input {
    /// From whoever runs the script.
    #[default]
    Inherited,
    /// From another command of the script.
    Pipe,
    /// These bytes.
    Text(Vec<u8>),
    /// A text that is only known when it runs, or a file, which then is among the files.
    Unknown,
}

/// The directory that a command runs in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Place {
    /// The one that the script began in.
    #[default]
    Here,
    /// This one, absolute or relative to where the script began.
    Below(Vec<u8>),
    /// Any.
    Unknown,
}

/// A word: one piece after the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Word {
    /// Its pieces.
    pub pieces: Vec<Piece>,
    /// It may become several arguments, or none.
    pub splits: bool,
}

impl Word {
    /// A word whose text is known.
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())], splits: false }
    }

    /// Its text, where it is only that and in one piece.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] if !self.splits => Some(b""),
            [Piece::Text(text)] if !self.splits => Some(text),
            _ => None,
        }
    }

    /// Its text, where it is only that.
    pub fn known(&self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => whole.extend_from_slice(text),
                Piece::Glob(_) | Piece::Home | Piece::Unknown => return None,
            }
        }
        (!self.splits).then_some(whole)
    }
}

/// A piece of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// These bytes.
    Text(Vec<u8>),
    /// What the shell fits file names to, as written: `*`, `?` or `[…]`. It stands for itself where no file fits.
    Glob(Vec<u8>),
    /// The user's home directory: `~` where a word begins, or `$HOME`.
    Home,
    /// What is only known when it runs.
    Unknown,
}
