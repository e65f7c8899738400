use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::argv::base_name;

/// What the kernel would make of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A program that the kernel loads itself.
    Elf,
    /// A file that begins with `#!`: the interpreter and its one optional argument.
    Script {
        /// The path after `#!`.
        interpreter: PathBuf,
        /// The rest of that line, if there is any.
        argument: Option<OsString>,
    },
    /// Neither: `execvp` runs it with `/bin/sh`, and so does gate.
    Text,
}

/// What tells one file from another without reading it. Times are nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// The device.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
    /// The size in bytes.
    pub size: u64,
    /// When its bytes last changed.
    pub mtime: i64,
    /// When its inode last changed.
    pub ctime: i64,
}

/// Whether the place where the program was found can be trusted to hold what its name says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// File and every directory above it belong to root, and nobody else can write them.
    Trusted,
    /// Somebody else could put another file there: who, in words.
    Untrusted(String),
    /// Found nowhere (only `gate check` judges such a name).
    Unresolved,
}

/// The program that a command names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// As typed.
    pub typed: OsString,
    /// The absolute path that PATH led to.
    pub path: PathBuf,
    /// The same with symbolic links followed.
    pub real: PathBuf,
    /// What kind of file it is.
    pub kind: Kind,
    /// Which file it is.
    pub identity: Identity,
    /// Who could have put it there.
    pub place: Place,
    /// Its bytes' SHA-256; only taken when somebody is asked or a rule pins it.
    pub sha256: Option<[u8; 32]>,
}

impl Program {
    /// A program that was found nowhere, judged by its name.
    pub fn unresolved(typed: OsString) -> Self {
        let path = PathBuf::from(&typed);
        Self { typed, real: path.clone(), path, kind: Kind::Elf, identity: Identity::default(), place: Place::Unresolved, sha256: None }
    }

    /// The last component of the typed name.
    pub fn typed_name(&self) -> &[u8] {
        base_name(self.typed.as_bytes())
    }

    /// The last component of the path behind all symbolic links.
    pub fn real_name(&self) -> &[u8] {
        base_name(self.real.as_os_str().as_bytes())
    }

    /// Whether the program lies in `directory` or below it, by either path.
    pub fn lies_below(&self, directory: &Path) -> bool {
        self.path.starts_with(directory) && self.real.starts_with(directory)
    }
}
