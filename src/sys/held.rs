//! What was seen, held until it runs or found to have changed.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::path::identity;
use super::resolve::{reason, stdin};
use crate::request::{Identity, Stdin};

/// What was seen may no longer be what would run: what, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed(String);

impl Changed {
    pub(super) fn swapped(shown: &str) -> Self {
        Self(format!("`{shown}` or its interpreter was swapped at the last moment"))
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path, and which file it led to.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
}

impl Seen {
    fn unchanged(&self) -> Result<(), Changed> {
        match fs::metadata(&self.path) {
            Ok(now) if identity(&now) == self.identity => Ok(()),
            Ok(_) => Err(Changed(format!("`{}` is now another file, or its bytes changed", self.path.display()))),
            Err(error) => Err(Changed(format!("`{}` can no longer be reached: {}", self.path.display(), reason(&error)))),
        }
    }
}

/// The program, open.
#[derive(Debug)]
pub(super) enum Hold {
    /// Its bytes can be read.
    Readable(File),
    /// It may only be executed.
    Unreadable(OwnedFd),
}

/// How firmly the program's bytes are held between being seen and being run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pin {
    /// The caller cannot write it, so its descriptor is enough.
    Held,
    /// The caller could write it, and the kernel tells when somebody opens it to do so.
    Leased,
    /// Neither: why.
    Unpinned(String),
}

/// A file that the argv names, as it was when somebody was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinnedFile {
    /// Which word of the argv.
    pub word: usize,
    /// The path in it.
    pub path: PathBuf,
    /// Which file it led to.
    pub identity: Identity,
    /// Its bytes.
    pub sha256: [u8; 32],
}

/// What the search hands over.
pub(super) struct Parts {
    pub(super) file: Hold,
    pub(super) seen: Seen,
    pub(super) interpreters: Vec<Seen>,
    pub(super) by_descriptor: bool,
}

/// Everything that must still be the same when the command runs. Its descriptors close on exec.
#[derive(Debug)]
pub struct Held {
    parts: Parts,
    pin: Pin,
    directory: Option<(File, PathBuf)>,
    pinned: Vec<PinnedFile>,
    stdin: Option<Stdin>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Held {
    pub(super) fn new(parts: Parts) -> Self {
        let pin = match &parts.file {
            Hold::Readable(_) => Pin::Held,
            Hold::Unreadable(_) => Pin::Unpinned("it cannot be read".to_owned()),
        };
        let directory = std::env::current_dir().ok().and_then(|path| {
            let open = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(".").ok()?;
            Some((open, path))
        });
        Self { parts, pin, directory, pinned: Vec::new(), stdin: None }
    }

    /// How firmly the program is held; told by [`Held::hash`].
    pub fn pin(&self) -> &Pin {
        &self.pin
    }

    /// Takes a lease where the caller could write the program, then hashes it through the open descriptor.
    /// None where it cannot be read.
    pub fn hash(&mut self) -> io::Result<Option<[u8; 32]>> {
        let Hold::Readable(file) = &self.parts.file else { return Ok(None) };
        self.pin = lease(file);
        let digest = sha256(file)?;
        if identity(&file.metadata()?) != self.parts.seen.identity {
            return Err(io::Error::other(format!("`{}` changed while it was read", self.parts.seen.path.display())));
        }
        Ok(Some(digest))
    }

    /// Reads a file that a word of the argv names, to be compared right before the command runs.
    pub fn pin_file(&mut self, word: usize, path: &OsStr) -> io::Result<&PinnedFile> {
        let pinned = read_pinned(word, Path::new(path))?;
        self.pinned.push(pinned);
        self.pinned.last().ok_or_else(|| io::Error::other("no file was pinned"))
    }

    /// The files that will be compared.
    pub fn pinned(&self) -> &[PinnedFile] {
        &self.pinned
    }

    /// What descriptor 0 is; a regular file is hashed without moving its offset, and compared right before the command runs.
    pub fn pin_stdin(&mut self) -> io::Result<Stdin> {
        let seen = hashed_stdin()?;
        self.stdin = Some(seen.clone());
        Ok(seen)
    }

    /// Compares everything with what was seen.
    pub fn still_the_same(&self) -> Result<(), Changed> {
        self.parts.seen.unchanged()?;
        self.parts.interpreters.iter().try_for_each(Seen::unchanged)?;
        self.program_unchanged()?;
        self.directory_unchanged()?;
        for then in &self.pinned {
            let now = read_pinned(then.word, &then.path)
                .map_err(|error| Changed(format!("`{}` can no longer be read: {}", then.path.display(), reason(&error))))?;
            if now != *then {
                return Err(Changed(format!("`{}` is no longer what was seen", then.path.display())));
            }
        }
        match &self.stdin {
            Some(then) if hashed_stdin().ok().as_ref() != Some(then) => Err(Changed("stdin is no longer what was seen".to_owned())),
            _ => Ok(()),
        }
    }

    fn program_unchanged(&self) -> Result<(), Changed> {
        let shown = self.parts.seen.path.display();
        if self.pin == Pin::Leased && !lease_stands(self.descriptor()) {
            return Err(Changed(format!("somebody opened `{shown}` to write it")));
        }
        let now = match &self.parts.file {
            Hold::Readable(file) => file.metadata(),
            Hold::Unreadable(handle) => handle.try_clone().and_then(|handle| File::from(handle).metadata()),
        };
        match now {
            Ok(now) if identity(&now) == self.parts.seen.identity => Ok(()),
            _ => Err(Changed(format!("the bytes of `{shown}` changed"))),
        }
    }

    fn directory_unchanged(&self) -> Result<(), Changed> {
        let Some((open, path)) = &self.directory else { return Ok(()) };
        let changed = |why: &str| Changed(format!("the working directory `{}` {why}", path.display()));
        let then = open.metadata().map_err(|_| changed("is gone"))?;
        let now = fs::metadata(path).map_err(|_| changed("is gone"))?;
        if (now.dev(), now.ino()) == (then.dev(), then.ino()) { Ok(()) } else { Err(changed("is now another directory")) }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.parts.file {
            Hold::Readable(file) => file.as_fd(),
            Hold::Unreadable(handle) => handle.as_fd(),
        }
    }

    /// Whether exec takes the descriptor: only a program that the kernel loads itself, and not where root alone could have
    /// swapped the file behind the path, since older kernels then name the process after the descriptor.
    pub(super) fn by_descriptor(&self) -> bool {
        self.parts.by_descriptor
    }

    /// The program's path as `execvp` would hand it to the kernel, and the interpreters behind it.
    pub(super) fn paths(&self) -> (&Seen, &[Seen]) {
        (&self.parts.seen, &self.parts.interpreters)
    }
}

/// Takes a read lease where the caller may write the file: as its owner, or by its mode.
fn lease(file: &File) -> Pin {
    // SAFETY: the empty path is a NUL-terminated literal, the descriptor is open.
    let writable =
        unsafe { libc::syscall(libc::SYS_faccessat2, file.as_raw_fd(), c"".as_ptr(), libc::W_OK, libc::AT_EMPTY_PATH | libc::AT_EACCESS) }
            == 0;
    let owned = file.metadata().is_ok_and(|metadata| metadata.uid() == nix::unistd::geteuid().as_raw());
    if !writable && !owned {
        return Pin::Held;
    }
    // SAFETY: F_SETLEASE takes an integer and touches no memory.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) } < 0 {
        return Pin::Unpinned(format!("no lease: {}", reason(&io::Error::last_os_error())));
    }
    // Nobody is to be signalled when the lease is broken: SIGIO would end gate, and the lease is asked about before exec.
    // SAFETY: F_SETOWN takes an integer and touches no memory.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETOWN, 0) };
    Pin::Leased
}

/// A lease that somebody wants broken reads as the type that it is to become.
fn lease_stands(file: BorrowedFd<'_>) -> bool {
    // SAFETY: F_GETLEASE takes no further argument and touches no memory.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) == libc::F_RDLCK }
}

fn read_pinned(word: usize, path: &Path) -> io::Result<PinnedFile> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let sha256 = sha256(&file)?;
    if identity(&file.metadata()?) != identity(&before) {
        return Err(io::Error::other("changed while it was read"));
    }
    Ok(PinnedFile { word, path: path.to_owned(), identity: identity(&before), sha256 })
}

fn hashed_stdin() -> io::Result<Stdin> {
    match stdin() {
        Stdin::File { offset, size, .. } => {
            let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            Ok(Stdin::File { offset, size, sha256: Some(sha256(&file)?) })
        }
        other => Ok(other),
    }
}

/// SHA-256 of a whole file, wherever its offset stands.
fn sha256(file: &File) -> io::Result<[u8; 32]> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 128 * 1024];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset) {
            Ok(0) => break,
            Ok(length) => {
                context.update(&buffer[..length]);
                offset += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(digest)
}
