use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::facts::Facts;
use super::program::Place;

/// Who started the command, as the kernel and the claims of the environment have it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Who {
    /// Real uid.
    pub uid: u32,
    /// Effective uid.
    pub euid: u32,
    /// Real gid.
    pub gid: u32,
    /// The login name of the real uid, if it has an entry.
    pub user: Option<String>,
    /// The audit uid that the login set (`/proc/self/loginuid`), which su and sudo keep.
    pub login_uid: Option<u32>,
    /// The controlling terminal.
    pub tty: Option<PathBuf>,
    /// `SSH_CLIENT`'s address. Claimed.
    pub ssh_client: Option<String>,
    /// The session id (`getsid`).
    pub session: i32,
}

/// The working directory: its path and which inode it was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cwd {
    /// The path that the kernel gives.
    pub path: PathBuf,
    /// The device.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
}

/// Who asks: a person, a coding agent or a CI job. Claimed: the caller can write the marks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Asker {
    /// No mark of anything else.
    #[default]
    Person,
    /// A coding agent, by its marks.
    Agent(String),
    /// A CI job, by its provider's variables.
    Ci(String),
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person => f.write_str("person"),
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::Ci(name) => write!(f, "ci:{name}"),
        }
    }
}

/// A process above this one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ancestor {
    /// Its process id.
    pub pid: i32,
    /// The base name of its executable, or its `comm` where that cannot be read.
    pub name: OsString,
    /// When it started, in clock ticks since boot (`proc_pid_stat(5)` field 22).
    pub start: u64,
}

/// The variables that the command will get: each `NAME=value` as bytes, in the caller's order.
///
/// An entry without `=` is no variable to anybody who reads the list, but `execve` would pass it on, so it stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Environment(Vec<OsString>);

impl Environment {
    /// Takes variables.
    pub fn new(variables: Vec<(OsString, OsString)>) -> Self {
        let joined = |(mut entry, value): (OsString, OsString)| {
            entry.push("=");
            entry.push(value);
            entry
        };
        Self(variables.into_iter().map(joined).collect())
    }

    /// Takes the list as `execve` knows it.
    pub fn from_entries(entries: Vec<OsString>) -> Self {
        Self(entries)
    }

    /// The list as `execve` wants it, entries without `=` too.
    pub fn entries(&self) -> impl Iterator<Item = &OsStr> {
        self.0.iter().map(OsString::as_os_str)
    }

    /// The first value of a variable, which is what `getenv` gives.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find_map(|entry| entry.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")).map(OsStr::from_bytes)
    }

    /// All variables in order; an entry without `=` is none.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().filter_map(|entry| split(entry))
    }

    /// The names that begin so; all others are passed over without being taken apart.
    pub fn names<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let entries = self.0.iter().filter(|entry| entry.as_bytes().starts_with(beginning.as_bytes()));
        entries.filter_map(|entry| split(entry)).map(|(name, _)| name.as_bytes())
    }

    /// The same without the variables that `drop` names.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&[u8]) -> bool) -> Self {
        let named = |entry: &OsString| split(entry).map_or(entry.as_bytes(), |(key, _)| key.as_bytes()).to_vec();
        Self(self.0.iter().filter(|entry| !drop(&named(entry))).cloned().collect())
    }
}

/// The name and the value of an entry; a `=` in front belongs to the name.
fn split(entry: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = entry.as_bytes();
    let equals = bytes.iter().skip(1).position(|byte| *byte == b'=')? + 1;
    Some((OsStr::from_bytes(&bytes[..equals]), OsStr::from_bytes(&bytes[equals + 1..])))
}

/// What the command will find on descriptor 0.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Stdin {
    /// A terminal.
    Tty,
    /// `/dev/null`, or closed.
    #[default]
    Empty,
    /// A regular file from this offset; its bytes' SHA-256 where a rule pins it or somebody is asked.
    File {
        /// Where reading starts.
        offset: u64,
        /// Its size.
        size: u64,
        /// SHA-256 of the whole file.
        sha256: Option<[u8; 32]>,
    },
    /// A pipe, socket or device: nobody can see what will come.
    Unseen,
}

/// A program that the command itself would run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inner {
    /// Who could have put it where it was found.
    pub place: Place,
    /// The last component of its path behind all symbolic links.
    pub real: Vec<u8>,
}

/// A script that a shell is given as a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptFile {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// SHA-256 of that.
    pub sha256: [u8; 32],
}

/// The surroundings of a request. What nothing asked for is not captured.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Who started it.
    pub who: Who,
    /// The host's name.
    pub host: String,
    /// Where it will run; none when the directory was deleted.
    pub cwd: Option<Cwd>,
    /// Who asks.
    pub asker: Asker,
    /// The processes above, nearest first; empty where nobody is asked.
    pub ancestry: Vec<Ancestor>,
    /// What the command will see.
    pub environment: Environment,
    /// What it reads from.
    pub stdin: Stdin,
    /// What rules asked about.
    pub facts: Facts,
    /// The subcommand's words as the tool reads them.
    pub words: Vec<String>,
    /// Files that a rule pins, each with its SHA-256.
    pub pinned: Vec<(PathBuf, [u8; 32])>,
    /// Where the programs were found that the command itself would run, by the name it gives them.
    pub inner: BTreeMap<Vec<u8>, Inner>,
    /// The scripts that the command hands to a shell, by the names that it gives them.
    pub scripts: BTreeMap<Vec<u8>, ScriptFile>,
    /// The request of a gate above this one.
    pub parent: Option<String>,
}
