//! Files that must outlast a power cut, and the questions to ask before one is trusted.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// Why a file or directory is not used.
#[derive(Debug)]
pub enum Refused {
    /// It is not there.
    Absent,
    /// It is there but not safe; the reason in words.
    Unsafe(String),
    /// The system said no.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Absent } else { Self::Io(error) }
    }
}

/// What a private path has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// Looks at a path without following it: of this kind, ours, and nobody else may read or write it.
pub fn inspect(path: &Path, expected: Expected) -> Result<u64, Refused> {
    private(&std::fs::symlink_metadata(path)?, expected)
}

fn private(metadata: &std::fs::Metadata, expected: Expected) -> Result<u64, Refused> {
    let refuse = |reason: String| Err(Refused::Unsafe(reason));
    let own = nix::unistd::geteuid().as_raw();
    let kind = metadata.file_type();
    match expected {
        _ if kind.is_symlink() => return refuse("it is a symbolic link".to_owned()),
        Expected::File if !kind.is_file() => return refuse("it is not a regular file".to_owned()),
        Expected::Directory if !kind.is_dir() => return refuse("it is not a directory".to_owned()),
        _ => {}
    }
    if metadata.uid() != own {
        return refuse(format!("it belongs to uid {}, and gate runs as uid {own}", metadata.uid()));
    }
    if metadata.mode() & 0o077 != 0 {
        return refuse(format!("others may use it (mode {:04o})", metadata.mode() & 0o7777));
    }
    Ok(metadata.size())
}

/// Reads a small private file; a symbolic link, a foreign owner or a mode for others refuses it.
pub fn read_private(path: &Path, limit: u64) -> Result<Vec<u8>, Refused> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => Refused::Unsafe("it is a symbolic link".to_owned()),
        _ => Refused::from(error),
    })?;
    if private(&file.metadata()?, Expected::File)? > limit {
        return Err(Refused::Unsafe(format!("it is larger than {limit} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens or makes a private file, to be locked or filled.
pub fn open_private(path: &Path) -> Result<File, Refused> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    private(&file.metadata()?, Expected::File)?;
    Ok(file)
}

/// Makes a private file that is not there yet.
pub fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
}

/// Makes a private directory and those above it.
pub fn make_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Writes a private file so that it is either whole or not there, even after a power cut.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    remove(&unfinished)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(&unfinished, path)
}

/// Writes a file that everybody may read and its owner write, so that it is either whole or as it was, even after a power cut.
pub fn write_public(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    remove(&unfinished)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    // The caller's umask has no say in who can read whom they may ask.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.sync_all()?;
    rename(&unfinished, path)
}

/// Puts a finished file in its place, durably.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_directory)
}

/// Removes a file if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Overwrites a file with zeros and removes it, durably. What is no regular file is only removed.
pub fn erase(path: &Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.is_file() {
        let mut file = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)?;
        io::copy(&mut io::repeat(0).take(metadata.len()), &mut file)?;
        file.sync_all()?;
    }
    remove(path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    // The parent of a bare name is empty.
    File::open(if path.as_os_str().is_empty() { Path::new(".") } else { path })?.sync_all()
}

/// Makes a file whose blocks are really there, to be given up when the disk is full.
pub fn reserve(path: &Path, size: u32) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let file = open_private(&unfinished).map_err(|refused| match refused {
        Refused::Io(error) => error,
        Refused::Absent => io::ErrorKind::NotFound.into(),
        Refused::Unsafe(reason) => io::Error::other(reason),
    })?;
    let made = nix::fcntl::posix_fallocate(&file, 0, size.into()).map_err(io::Error::from).and_then(|()| file.sync_all());
    made.and_then(|()| rename(&unfinished, path)).inspect_err(|_| {
        // The space that was taken for it is wanted by others.
        let _ = remove(&unfinished);
    })
}

/// Takes the exclusive lock, in the order in which processes asked for it; false when the time is over.
///
/// The queueing call cannot be given a time limit, so a thread waits in it; one that comes too late gives the lock back.
pub fn lock(file: &File, limit: Duration) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => return Ok(true),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let (sender, receiver) = mpsc::sync_channel(0);
    let waiting = file.try_clone()?;
    std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        let locked = waiting.lock();
        if sender.send(locked).is_err() {
            let _ = waiting.unlock();
        }
    })?;
    match receiver.recv_timeout(limit) {
        Ok(locked) => locked.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// The name of the network file system that a directory stands on, if it does.
pub fn network_file_system(directory: &Path) -> io::Result<Option<String>> {
    #[cfg(target_os = "linux")]
    {
        linux::network_file_system(directory)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = directory;
        Ok(None)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::path::Path;

    const FUSE: i64 = 0x6573_5546;
    const NETWORK: [(i64, &str); 14] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x0102_1997, "9P"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
        (0x6b41_4653, "AFS"),
        (0x7375_7245, "Coda"),
        (0x564c, "NCP"),
        (0x0bd0_0bd0, "Lustre"),
        (0x4750_4653, "GPFS"),
        (0x7461_636f, "OCFS2"),
        (0x0116_1970, "GFS2"),
    ];

    pub(super) fn network_file_system(directory: &Path) -> io::Result<Option<String>> {
        let kind = nix::sys::statfs::statfs(directory)?.filesystem_type().0 & 0xffff_ffff;
        if kind == FUSE {
            return fuse(directory);
        }
        Ok(NETWORK.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| (*name).to_owned()))
    }

    /// What a FUSE mount really is stands in mountinfo only; those known to be local pass.
    fn fuse(directory: &Path) -> io::Result<Option<String>> {
        use std::os::unix::fs::MetadataExt;
        let device = std::fs::metadata(directory)?.dev();
        let wanted = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let name = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&wanted)).and_then(|line| {
            let (_, after) = line.split_once(" - ")?;
            after.split(' ').next()
        });
        Ok(match name {
            Some("fuseblk" | "fuse.fuse-overlayfs") => None,
            other => Some(other.unwrap_or("FUSE").to_owned()),
        })
    }
}
