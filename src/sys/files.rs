//! Files that decide what gate does, read only where nobody else could have written them.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::path::{identity, walk};
use super::resolve::reason;
use crate::request::Identity;

/// The most that a policy or configuration file may hold.
pub const USUAL_LIMIT: u64 = 8 * 1024 * 1024;

/// Whose files are believed; root's always are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody else's.
    Root,
    /// This user's too.
    User(u32),
}

/// A file that nobody but its owner could have written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SafeFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Which file it was.
    pub identity: Identity,
    /// Where it lies behind all symbolic links.
    pub real: PathBuf,
}

/// A file that gate refuses: its name and the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsafe(String);

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsafe {}

impl Unsafe {
    fn new(path: &Path, why: &str) -> Self {
        Self(format!("`{}` {why}", path.display()))
    }
}

/// Reads a file that decides what gate does. None where there is no such file; refused where anybody else could have written it.
pub fn read_safely(path: &Path, owner: Owner, limit: u64) -> Result<Option<SafeFile>, Unsafe> {
    let Some((real, seen)) = judged(path, owner)? else { return Ok(None) };
    regular(&real, &seen)?;
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&real)
        .map_err(|error| Unsafe::new(&real, &format!("cannot be opened: {}", reason(&error))))?;
    let metadata = file.metadata().map_err(|error| Unsafe::new(&real, &format!("cannot be read: {}", reason(&error))))?;
    if identity(&metadata) != identity(&seen) {
        return Err(Unsafe::new(&real, "changed while it was looked at"));
    }
    let bytes = read_within(&file, limit).map_err(|why| Unsafe::new(&real, &why))?;
    Ok(Some(SafeFile { bytes, identity: identity(&metadata), real }))
}

/// The names in a directory that nobody but its owner could have written, sorted; none where there is no such directory.
pub fn names_safely(directory: &Path, owner: Owner) -> Result<Option<Vec<OsString>>, Unsafe> {
    let Some((real, seen)) = judged(directory, owner)? else { return Ok(None) };
    if !seen.is_dir() {
        return Err(Unsafe::new(&real, "is not a directory"));
    }
    if seen.mode() & 0o002 != 0 {
        return Err(Unsafe::new(&real, "can be written by others"));
    }
    let names =
        fs::read_dir(&real).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>());
    let mut names = names.map_err(|error| Unsafe::new(&real, &format!("cannot be listed: {}", reason(&error))))?;
    names.sort();
    Ok(Some(names))
}

/// Follows the path; refused by the first thing on the way that somebody else could have put there.
fn judged(path: &Path, owner: Owner) -> Result<Option<(PathBuf, Metadata)>, Unsafe> {
    if !path.is_absolute() {
        return Err(Unsafe::new(path, "is not an absolute path"));
    }
    let mut refused = None;
    let mut last = None;
    let walked = walk(path, &mut |step, metadata| {
        if refused.is_none() {
            refused = somebody_elses(metadata, owner).map(|why| Unsafe::new(step, &why));
        }
        last = Some(metadata.clone());
    });
    if let Some(refused) = refused {
        return Err(refused);
    }
    match (walked, last) {
        (Ok(real), Some(metadata)) => Ok(Some((real, metadata))),
        (Ok(_), None) => Err(Unsafe::new(path, "cannot be followed")),
        (Err(error), _) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => dangling(path),
        (Err(error), _) => Err(Unsafe::new(path, &format!("cannot be followed: {}", reason(&error)))),
    }
}

/// A path that leads nowhere is absent, unless a symbolic link in it was meant to lead somewhere.
fn dangling<T>(path: &Path) -> Result<Option<T>, Unsafe> {
    for step in path.ancestors() {
        if step.is_symlink() && fs::metadata(step).is_err() {
            return Err(Unsafe::new(step, "is a symbolic link that leads to nothing"));
        }
    }
    Ok(None)
}

/// Who else than the owner could have put this here, in words.
fn somebody_elses(metadata: &Metadata, owner: Owner) -> Option<String> {
    let uid = metadata.uid();
    if uid != 0 && owner != Owner::User(uid) {
        return Some(format!("belongs to uid {uid}"));
    }
    // A link's mode says nothing, and in a sticky directory nobody can replace what is another's.
    if metadata.is_symlink() || (metadata.is_dir() && metadata.mode() & libc::S_ISVTX != 0) {
        return None;
    }
    if metadata.mode() & 0o002 != 0 {
        return Some("can be written by others".to_owned());
    }
    if metadata.mode() & 0o020 != 0 && !private_group(uid, metadata.gid()) {
        return Some("can be written by its group".to_owned());
    }
    None
}

/// Whether the group has the owner's name and nobody else in it. The files are read, not asked through NSS, whose
/// modules a static program cannot load; a group that they do not know is not private.
fn private_group(uid: u32, gid: u32) -> bool {
    let Ok(users) = fs::read_to_string("/etc/passwd") else { return false };
    let Ok(groups) = fs::read_to_string("/etc/group") else { return false };
    is_private_group(&users, &groups, uid, gid)
}

fn is_private_group(users: &str, groups: &str, uid: u32, gid: u32) -> bool {
    let number = |field: &str| field.parse::<u32>().ok();
    let mut name = None;
    for line in users.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let &[user, _, id, first_group, ..] = fields.as_slice() else { continue };
        if number(id) == Some(uid) {
            name = name.or(Some(user));
        } else if number(first_group) == Some(gid) {
            return false;
        }
    }
    let Some(name) = name else { return false };
    let mut found = false;
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let &[group, _, id, members, ..] = fields.as_slice() else { continue };
        if number(id) == Some(gid) {
            if group != name || members.split(',').any(|member| !member.is_empty() && member != name) {
                return false;
            }
            found = true;
        }
    }
    found
}

fn regular(path: &Path, metadata: &Metadata) -> Result<(), Unsafe> {
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(Unsafe::new(path, &format!("is {what}, not a file")))
}

fn read_within(file: &File, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {}", reason(&error)))?;
    if bytes.len() as u64 > limit { Err(format!("is larger than {limit} bytes")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::is_private_group;

    const USERS: &str =
        "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1000::/home/bob:/bin/sh\ncat:x:1002:1002::/:/bin/sh\n";

    #[test]
    fn a_private_group_has_the_owner_s_name_and_nobody_else() {
        let private = |users: &str, group: &str| is_private_group(users, group, 1002, 1002);
        assert!(private(USERS, "cat:x:1002:\n"));
        assert!(private(USERS, "cat:x:1002:cat\n"));
        assert!(!private(USERS, "cat:x:1002:cat,ann\n"), "another member");
        assert!(!private(USERS, "cats:x:1002:\n"), "another name");
        assert!(!private(USERS, ""), "an unknown group");
        assert!(!private("", "cat:x:1002:\n"), "an unknown user");
        assert!(!private(USERS, "cat:x:1002:\ncats:x:1002:ann\n"), "two names for one group");
        assert!(!is_private_group(USERS, "ann:x:1000:\n", 1000, 1000), "somebody else's first group");
    }
}
