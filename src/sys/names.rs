//! Names of users and groups, from the plain files.
//!
//! The system's name services are asked only where gate is linked dynamically: in a static program they load libraries
//! of another C library into it, and it dies.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::target::reader;

/// Whom this process acts for.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The login name of a uid, where it has one that can be read.
pub fn user(uid: u32) -> Option<String> {
    in_file("/etc/passwd", uid).or_else(|| services::user(uid))
}

/// The home directory that `/etc/passwd` gives a uid.
pub fn home(uid: u32) -> Option<PathBuf> {
    let bytes = reader::read(Path::new("/etc/passwd")).ok()??;
    let home = line(&bytes, uid)?.split(|byte| *byte == b':').nth(5)?;
    Some(PathBuf::from(OsStr::from_bytes(home))).filter(|home| home.is_absolute())
}

/// The name of a group, or its number where it surely has none.
pub fn group(gid: u32) -> Result<String, String> {
    match in_file("/etc/group", gid) {
        Some(name) => Ok(name),
        None => services::group(gid),
    }
}

#[cfg(target_feature = "crt-static")]
mod services {
    use std::path::Path;

    use super::reader;

    pub(super) fn user(_: u32) -> Option<String> {
        None
    }

    /// Only where the file is the one source of groups does a number that it lacks have no name.
    pub(super) fn group(gid: u32) -> Result<String, String> {
        let switch = reader::read(Path::new("/etc/nsswitch.conf"))?.unwrap_or_default();
        let switch = String::from_utf8_lossy(&switch);
        let sources = switch.lines().find_map(|line| line.trim_start().strip_prefix("group:")).unwrap_or("files");
        let sources = sources.split('#').next().unwrap_or_default();
        if sources.split_whitespace().all(|source| source == "files") {
            return Ok(gid.to_string());
        }
        Err(format!("the name of gid {gid} is not in `/etc/group`"))
    }
}

#[cfg(not(target_feature = "crt-static"))]
mod services {
    use nix::unistd::{Gid, Group, Uid, User};

    pub(super) fn user(uid: u32) -> Option<String> {
        User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
    }

    pub(super) fn group(gid: u32) -> Result<String, String> {
        match Group::from_gid(Gid::from_raw(gid)) {
            Ok(group) => Ok(group.map_or_else(|| gid.to_string(), |group| group.name)),
            Err(error) => Err(format!("the name of gid {gid} could not be looked up: {error}")),
        }
    }
}

fn in_file(path: &str, id: u32) -> Option<String> {
    first_name(&reader::read(Path::new(path)).ok()??, id)
}

fn first_name(bytes: &[u8], id: u32) -> Option<String> {
    let name = line(bytes, id)?.split(|byte| *byte == b':').next()?;
    String::from_utf8(name.to_vec()).ok()
}

/// The first line whose third field is `id`, in the form of passwd(5) and group(5).
fn line(bytes: &[u8], id: u32) -> Option<&[u8]> {
    bytes.split(|byte| *byte == b'\n').find(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        // `+` and `-` lines ask the name services for more.
        let named = fields.next().is_some_and(|name| !matches!(name, [] | [b'+' | b'-' | b'#', ..]));
        let number = fields.nth(1).and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
        named && number == Some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::first_name;

    #[test]
    fn the_first_line_with_the_number_wins_and_odd_lines_are_passed_over() {
        let file = b"\n#x:x:7:\n+nis:x:7:\nroot:x:0:0::/:/bin/sh\nshort:x\nann:x:7:7::/:\nbob:x:7:7::/:";
        assert_eq!(first_name(file, 7).as_deref(), Some("ann"));
        assert_eq!(first_name(file, 0).as_deref(), Some("root"));
        assert_eq!(first_name(file, 8), None);
    }
}
