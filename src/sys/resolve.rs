//! Finding the program that a command names.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::held::{Held, Hold, Parts, Seen};
use super::path::{identity, walk};
use crate::request::{Kind, Place, Program, Stdin};

/// What `execvp` searches where PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// How much of a file the kernel looks at to tell what it is.
const HEAD: usize = 256;
/// `/dev/null`: character device 1:3.
const NULL_DEVICE: u64 = libc::makedev(1, 3);
/// How many interpreters of interpreters the kernel follows.
const MOST_INTERPRETERS: usize = 5;

/// A program that was found, and the hold on it that exec needs.
#[derive(Debug)]
pub struct Resolved {
    /// What is known about it.
    pub program: Program,
    /// The open descriptors.
    pub held: Held,
}

/// Why a command cannot run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotRunnable {
    /// There is no such file (exit 127): in words.
    NotFound(String),
    /// There is one that cannot be executed (exit 126): in words.
    NotExecutable(String),
}

impl fmt::Display for NotRunnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(text) | Self::NotExecutable(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for NotRunnable {}

/// Why one candidate of the search is not it.
enum Miss {
    /// The search goes on.
    Absent(Option<String>),
    /// The search goes on, but the answer is not "not found".
    Refused(String),
    /// `execvp` stops here.
    Broken(String),
}

/// Finds the program as `execvp` does and holds it open.
pub fn find(typed: &OsStr, path_variable: Option<&OsStr>) -> Result<Resolved, NotRunnable> {
    if typed.is_empty() {
        return Err(NotRunnable::NotFound("the command's name is empty".to_owned()));
    }
    let mut refused = None;
    let mut absent = None;
    for route in routes(typed, path_variable) {
        match hold(typed, route) {
            Ok(resolved) => return Ok(resolved),
            Err(Miss::Broken(text)) => return Err(NotRunnable::NotExecutable(text)),
            Err(Miss::Refused(text)) => refused = refused.or(Some(text)),
            Err(Miss::Absent(text)) => absent = absent.or(text),
        }
    }
    let shown = typed.display();
    Err(match (refused, absent) {
        (Some(text), _) => NotRunnable::NotExecutable(text),
        (None, Some(text)) => NotRunnable::NotFound(text),
        (None, None) => NotRunnable::NotFound(format!("`{shown}` was not found on PATH")),
    })
}

/// The paths that `execvp` would hand to the kernel, in order.
fn routes(typed: &OsStr, path_variable: Option<&OsStr>) -> Vec<PathBuf> {
    if typed.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(typed)];
    }
    let path = path_variable.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes();
    path.split(|byte| *byte == b':')
        .map(|directory| {
            let mut route = directory.to_vec();
            if !route.is_empty() {
                route.push(b'/');
            }
            route.extend_from_slice(typed.as_bytes());
            PathBuf::from(OsString::from_vec(route))
        })
        .collect()
}

fn hold(typed: &OsStr, route: PathBuf) -> Result<Resolved, Miss> {
    let shown = route.display().to_string();
    let on_path = !typed.as_bytes().contains(&b'/');
    let (handle, metadata) = locate(&route).map_err(|error| match error.raw_os_error() {
        // The search's own misses are told once, at its end.
        Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT) if on_path => Miss::Absent(None),
        Some(libc::ENOENT) => Miss::Absent(Some(format!("`{shown}` was not found"))),
        Some(libc::EACCES) => Miss::Refused(format!("`{shown}` cannot be reached: permission denied")),
        _ => Miss::Broken(format!("`{shown}` cannot be opened: {}", reason(&error))),
    })?;
    if metadata.is_dir() {
        return Err(Miss::Refused(format!("`{shown}` is a directory")));
    }
    if !metadata.is_file() {
        return Err(Miss::Refused(format!("`{shown}` is not a regular file")));
    }
    executable(&handle).map_err(|error| match error.raw_os_error() {
        Some(libc::EACCES) => Miss::Refused(format!("`{shown}` is not executable")),
        _ => Miss::Broken(format!("whether `{shown}` is executable cannot be told: {}", reason(&error))),
    })?;
    let readable = readable(&route, &metadata);
    let kind = readable.as_ref().map_or(Kind::Elf, kind_of);
    let interpreters = interpreters(&kind)?;
    let path = absolute(&route);
    let (real, place) = judge(&path, &metadata);
    let identity = identity(&metadata);
    let held = Held::new(Parts {
        file: readable.map_or(Hold::Unreadable(handle), Hold::Readable),
        seen: Seen { path: route, identity },
        interpreters,
        by_descriptor: kind == Kind::Elf && place != Place::Trusted,
    });
    Ok(Resolved { program: Program { typed: typed.to_owned(), path, real, kind, identity, place, sha256: None }, held })
}

/// Opens without reading: nothing happens to a device or a FIFO, and no read permission is needed.
fn locate(route: &Path) -> io::Result<(OwnedFd, Metadata)> {
    // std wants an access mode; the kernel ignores it beside O_PATH.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(route)?;
    let metadata = file.metadata()?;
    Ok((file.into(), metadata))
}

/// Whether the kernel would execute it: permission bits, ACLs and `noexec` mounts.
fn executable(handle: &OwnedFd) -> io::Result<()> {
    // SAFETY: the empty path is a NUL-terminated literal, the descriptor is open.
    let answer = unsafe {
        libc::syscall(libc::SYS_faccessat2, handle.as_raw_fd(), c"".as_ptr(), libc::X_OK, libc::AT_EMPTY_PATH | libc::AT_EACCESS)
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The same file open for reading, where the caller may.
fn readable(route: &Path, located: &Metadata) -> Option<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(route).ok()?;
    let metadata = file.metadata().ok()?;
    (metadata.dev() == located.dev() && metadata.ino() == located.ino()).then_some(file)
}

/// What the kernel would make of the file, from its first bytes.
fn kind_of(file: &File) -> Kind {
    let mut head = [0; HEAD];
    let mut length = 0;
    while length < HEAD {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(0) | Err(_) => break,
            Ok(more) => length += more,
        }
    }
    kind_of_head(&head[..length])
}

fn kind_of_head(head: &[u8]) -> Kind {
    if head.starts_with(b"\x7fELF") {
        return Kind::Elf;
    }
    head.strip_prefix(b"#!").and_then(|rest| shebang(rest, head.len() == HEAD)).unwrap_or(Kind::Text)
}

/// The line after `#!` as the kernel reads it: the interpreter, and all the rest as one argument.
fn shebang(rest: &[u8], cut: bool) -> Option<Kind> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = rest.iter().position(|byte| *byte == b'\n');
    let line = &rest[..end.unwrap_or(rest.len())];
    let start = line.iter().position(|byte| !blank(byte))?;
    let line = &line[start..=line.iter().rposition(|byte| !blank(byte))?];
    let line = line.split(|byte| *byte == 0).next()?;
    let split = line.iter().position(blank);
    // A path that the kernel's buffer cuts off is not run.
    if line.is_empty() || (end.is_none() && cut && split.is_none()) {
        return None;
    }
    let (interpreter, argument) = line.split_at(split.unwrap_or(line.len()));
    let argument = argument.iter().position(|byte| !blank(byte)).map(|from| OsString::from_vec(argument[from..].to_vec()));
    Some(Kind::Script { interpreter: PathBuf::from(OsStr::from_bytes(interpreter)), argument })
}

/// The programs that the kernel runs in the file's stead, to be compared right before exec.
fn interpreters(kind: &Kind) -> Result<Vec<Seen>, Miss> {
    let mut found = Vec::new();
    let mut next = match kind {
        Kind::Elf => return Ok(found),
        Kind::Text => PathBuf::from("/bin/sh"),
        Kind::Script { interpreter, .. } => interpreter.clone(),
    };
    while found.len() < MOST_INTERPRETERS {
        let shown = next.display().to_string();
        let metadata = fs::metadata(&next).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Miss::Absent(Some(format!("its interpreter `{shown}` was not found"))),
            _ => Miss::Refused(format!("its interpreter `{shown}` cannot be reached: {}", reason(&error))),
        })?;
        let kind = readable(&next, &metadata).as_ref().map_or(Kind::Elf, kind_of);
        found.push(Seen { path: next, identity: identity(&metadata) });
        match kind {
            Kind::Script { interpreter, .. } => next = interpreter,
            Kind::Elf | Kind::Text => break,
        }
    }
    Ok(found)
}

fn absolute(route: &Path) -> PathBuf {
    // Where the working directory is gone, the path stays relative, and its place is not trusted.
    std::path::absolute(route).unwrap_or_else(|_| route.to_owned())
}

/// Follows the path and says whether somebody other than root could have put the file there.
fn judge(path: &Path, found: &Metadata) -> (PathBuf, Place) {
    if !path.is_absolute() {
        return (path.to_owned(), Place::Untrusted("the working directory is gone".to_owned()));
    }
    let mut offender = None;
    let walked = walk(path, &mut |step, metadata| {
        if offender.is_none() {
            offender = not_roots_alone(step, metadata);
        }
    });
    match walked {
        Ok(real) => {
            let same = fs::symlink_metadata(&real).is_ok_and(|end| end.dev() == found.dev() && end.ino() == found.ino());
            let offender = offender.or_else(|| (!same).then(|| format!("`{}` changed while it was looked at", path.display())));
            (real, offender.map_or(Place::Trusted, Place::Untrusted))
        }
        Err(error) => (path.to_owned(), Place::Untrusted(format!("`{}` cannot be followed: {}", path.display(), reason(&error)))),
    }
}

fn not_roots_alone(step: &Path, metadata: &Metadata) -> Option<String> {
    let shown = step.display();
    if metadata.uid() != 0 {
        return Some(format!("`{shown}` belongs to uid {}", metadata.uid()));
    }
    // A link's mode says nothing: who may replace it is said by its directory.
    if !metadata.is_symlink() && metadata.mode() & 0o022 != 0 {
        return Some(format!("`{shown}` can be written by others"));
    }
    None
}

/// What descriptor 0 is.
pub fn stdin() -> Stdin {
    let Ok(file) = io::stdin().as_fd().try_clone_to_owned().map(File::from) else { return Stdin::Empty };
    let Ok(metadata) = file.metadata() else { return Stdin::Unseen };
    let kind = metadata.file_type();
    if kind.is_file() {
        // lseek by nothing tells the offset and leaves it.
        return match io::Seek::stream_position(&mut &file) {
            Ok(offset) => Stdin::File { offset, size: metadata.size(), sha256: None },
            Err(_) => Stdin::Unseen,
        };
    }
    if kind.is_char_device() && metadata.rdev() == NULL_DEVICE {
        return Stdin::Empty;
    }
    if io::IsTerminal::is_terminal(&file) { Stdin::Tty } else { Stdin::Unseen }
}

/// An error in the words of the system, without Rust's "(os error N)".
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
