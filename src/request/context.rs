use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::facts::Facts;

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
    /// When it started, in clock ticks since boot (proc_pid_stat(5) field 22).
    pub start: u64,
}

/// The variables that the command will get, as bytes, in the caller's order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// Takes the variables.
    pub fn new(variables: Vec<(OsString, OsString)>) -> Self {
        Self(variables)
    }

    /// The first value of a variable, which is what `getenv` gives.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(key, _)| key.as_bytes() == name.as_bytes()).map(|(_, value)| value.as_os_str())
    }

    /// All variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(key, value)| (key.as_os_str(), value.as_os_str()))
    }

    /// The same without the variables that `drop` names.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&[u8]) -> bool) -> Self {
        Self(self.0.iter().filter(|(key, _)| !drop(key.as_bytes())).cloned().collect())
    }
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
    /// The request of a gate above this one.
    pub parent: Option<String>,
}
