//! Following a path by hand.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::request::Identity;

/// As many symbolic links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Follows an absolute path to the file behind all symbolic links, and shows `see` everything on the way:
/// each directory, each link, and the file itself.
pub(super) fn walk(path: &Path, see: &mut dyn FnMut(&Path, &Metadata)) -> io::Result<PathBuf> {
    let mut real = PathBuf::from("/");
    see(&real, &fs::symlink_metadata(&real)?);
    let mut ahead = parts(path);
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        let metadata = fs::symlink_metadata(&next)?;
        see(&next, &metadata);
        if !metadata.is_symlink() {
            real = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        let target = fs::read_link(&next)?;
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        for part in parts(&target).into_iter().rev() {
            ahead.push_front(part);
        }
    }
    Ok(real)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// What tells this file from another.
pub(super) fn identity(metadata: &Metadata) -> Identity {
    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    Identity {
        dev: metadata.dev(),
        ino: metadata.ino(),
        size: metadata.size(),
        mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
        ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
    }
}
