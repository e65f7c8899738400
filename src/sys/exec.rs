//! Running a granted command in gate's place.

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use super::harden::Hardened;
use super::held::{Changed, Held, Seen};
use super::resolve::reason;
use super::signals::{self, Inherited};
use crate::approval::Grant;
use crate::policy::pattern::fits;
use crate::request::Identity;

/// Runs what is neither ELF nor `#!`, as `execvp` does.
const SHELL: &CStr = c"/bin/sh";

/// Why the command did not run.
#[derive(Debug)]
pub enum Failed {
    /// Something is no longer what was decided (a refusal).
    Changed(Changed),
    /// The kernel found no such file (exit 127): in words.
    NotFound(String),
    /// The kernel would not execute it (exit 126): in words.
    NotExecutable(String),
    /// gate itself failed (exit 125).
    Internal(io::Error),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(changed) => changed.fmt(f),
            Self::NotFound(text) | Self::NotExecutable(text) => f.write_str(text),
            Self::Internal(error) => write!(f, "the command could not be started: {}", reason(error)),
        }
    }
}

impl std::error::Error for Failed {}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Internal(error)
    }
}

/// Replaces gate by the command; returns only when that failed.
pub fn in_place(grant: Grant, held: Held, hardened: Option<Hardened>) -> Failed {
    let Err(failed) = try_in_place(grant, &held, hardened);
    drop(held);
    failed
}

fn try_in_place(grant: Grant, held: &Held, hardened: Option<Hardened>) -> Result<std::convert::Infallible, Failed> {
    let orders = Orders::new(grant, held)?;
    let inherited = Inherited::take()?;
    hardened.map_or(Ok(()), Hardened::undo)?;
    held.still_the_same().map_err(Failed::Changed)?;
    inherited.restore();
    let failure = orders.execute();
    signals::ignore_sigpipe();
    Err(orders.failed(failure))
}

/// Why [`Orders::execute`] came back.
#[derive(Clone, Copy)]
pub(super) enum Failure {
    /// The kernel's error number.
    Errno(libc::c_int),
    /// A path led elsewhere at the last moment.
    Swapped,
}

impl Failure {
    /// One number for the pipe between child and parent.
    pub(super) fn number(self) -> libc::c_int {
        match self {
            Self::Errno(number) => number,
            Self::Swapped => -1,
        }
    }

    /// Reads that number back.
    pub(super) fn from_number(number: libc::c_int) -> Self {
        if number < 0 { Self::Swapped } else { Self::Errno(number) }
    }
}

/// A path to compare by nothing but system calls.
struct Compared {
    path: CString,
    identity: Identity,
}

/// Everything that exec needs, laid out before any fork: a forked child must not allocate.
pub(super) struct Orders {
    argv: Words,
    shell_argv: Words,
    environment: Words,
    path: CString,
    shown: String,
    compared: Vec<Compared>,
    descriptor: Option<RawFd>,
}

/// C strings and the null-terminated array of pointers to them.
struct Words {
    pointers: Vec<*const libc::c_char>,
    #[expect(dead_code, reason = "owns what the pointers point to")]
    strings: Vec<CString>,
}

impl Words {
    fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, strings }
    }
}

impl Orders {
    /// Takes the grant, so that it runs once.
    #[expect(clippy::needless_pass_by_value, reason = "a grant is used up by what is ordered with it")]
    pub(super) fn new(grant: Grant, held: &Held) -> Result<Self, Failed> {
        let request = grant.request();
        let argv = request.argv().words().iter().map(|word| c_string(word)).collect::<Result<Vec<_>, _>>()?;
        let environment = request
            .context()
            .environment
            .iter()
            .filter(|(name, _)| !grant.how().strip.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes())))
            .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let (program, interpreters) = held.paths();
        let path = c_string(program.path.as_os_str())?;
        let shell_argv = [SHELL.to_owned(), path.clone()].into_iter().chain(argv.iter().skip(1).cloned()).collect();
        Ok(Self {
            argv: Words::new(argv),
            shell_argv: Words::new(shell_argv),
            environment: Words::new(environment),
            shown: program.path.display().to_string(),
            path,
            compared: std::iter::once(program).chain(interpreters).map(compared).collect::<Result<_, _>>()?,
            descriptor: held.by_descriptor().then(|| held.descriptor().as_raw_fd()),
        })
    }

    /// Executes; returns only when that failed. Only async-signal-safe calls: a forked child runs it.
    pub(super) fn execute(&self) -> Failure {
        let (argv, environment) = (self.argv.pointers.as_ptr(), self.environment.pointers.as_ptr());
        if let Some(descriptor) = self.descriptor {
            // SAFETY: both arrays are null-terminated and point to C strings that live in `self`.
            unsafe { libc::syscall(libc::SYS_execveat, descriptor, c"".as_ptr(), argv, environment, libc::AT_EMPTY_PATH) };
            // These mean that the program is handed to an interpreter, which must open it by its path.
            if !matches!(errno(), libc::ENOENT | libc::ENOEXEC) {
                return Failure::Errno(errno());
            }
        }
        if !self.compared.iter().all(Compared::unchanged) {
            return Failure::Swapped;
        }
        // SAFETY: as above; the path is a C string that lives in `self`.
        unsafe { libc::execve(self.path.as_ptr(), argv, environment) };
        if errno() == libc::ENOEXEC {
            // SAFETY: as above; the shell's path is a literal.
            unsafe { libc::execve(SHELL.as_ptr(), self.shell_argv.pointers.as_ptr(), environment) };
        }
        Failure::Errno(errno())
    }

    /// The failure in words.
    pub(super) fn failed(&self, failure: Failure) -> Failed {
        let shown = &self.shown;
        match failure {
            Failure::Swapped => Failed::Changed(Changed::swapped(shown)),
            Failure::Errno(libc::ENOENT) => Failed::NotFound(format!("`{shown}` or its interpreter was not found")),
            Failure::Errno(number) => {
                Failed::NotExecutable(format!("`{shown}` cannot be executed: {}", reason(&io::Error::from_raw_os_error(number))))
            }
        }
    }
}

impl Compared {
    fn unchanged(&self) -> bool {
        // SAFETY: stat is plain old data, for which all zeros is a valid value.
        let mut now: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the path is a C string, `now` outlives the call.
        if unsafe { libc::stat(self.path.as_ptr(), &raw mut now) } != 0 {
            return false;
        }
        let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        now.st_dev == self.identity.dev
            && now.st_ino == self.identity.ino
            && u64::try_from(now.st_size) == Ok(self.identity.size)
            && nanos(now.st_mtime, now.st_mtime_nsec) == self.identity.mtime
            && nanos(now.st_ctime, now.st_ctime_nsec) == self.identity.ctime
    }
}

fn compared(seen: &Seen) -> io::Result<Compared> {
    Ok(Compared { path: c_string(seen.path.as_os_str())?, identity: seen.identity })
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// The calling thread's last error number.
fn errno() -> libc::c_int {
    // SAFETY: glibc gives a valid pointer to this thread's errno.
    unsafe { *libc::__errno_location() }
}
