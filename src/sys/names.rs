//! Names of users and groups.
//!
//! The plain files answer first: gate is a static program, and loading the system's name services costs milliseconds.

use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};

use super::target::reader;

/// The login name of a uid: none where there is no entry, an error where the name services fail.
pub(super) fn user(uid: u32) -> Result<Option<String>, String> {
    if let Some(name) = in_file("/etc/passwd", uid) {
        return Ok(Some(name));
    }
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(user) => Ok(user.map(|user| user.name)),
        Err(error) => Err(format!("the name of uid {uid} could not be looked up: {error}")),
    }
}

/// The name of a group, or its number where it has none.
pub(super) fn group(gid: u32) -> Result<String, String> {
    if let Some(name) = in_file("/etc/group", gid) {
        return Ok(name);
    }
    match Group::from_gid(Gid::from_raw(gid)) {
        Ok(Some(group)) => Ok(group.name),
        Ok(None) => Ok(gid.to_string()),
        Err(error) => Err(format!("the name of gid {gid} could not be looked up: {error}")),
    }
}

fn in_file(path: &str, id: u32) -> Option<String> {
    first_name(&reader::read(Path::new(path)).ok()??, id)
}

/// The name on the first line whose third field is `id`, in the form of passwd(5) and group(5).
fn first_name(bytes: &[u8], id: u32) -> Option<String> {
    bytes.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        let number: u32 = std::str::from_utf8(number).ok()?.parse().ok()?;
        // `+` and `-` lines ask the name services for more.
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.starts_with(['+', '-', '#']))?;
        (number == id).then(|| name.to_owned())
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
