//! Operands that are paths: `/etc`, `//etc/`, `/tmp/../etc` and, in `/`, `etc` are one.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::pattern::fits;
use super::truth::Truth;

/// Whether an operand could mean what the pattern names: as typed, or as the path that it leads to.
pub(super) fn could_fit(pattern: &str, operand: &[u8], cwd: Option<&Path>) -> Truth {
    let pattern = pattern.as_bytes();
    if fits(pattern, operand) {
        return Truth::Yes;
    }
    if !pattern.contains(&b'/') {
        return fits(pattern, bare(operand)).into();
    }
    if fits(pattern, &normal(operand)) {
        return Truth::Yes;
    }
    // `*/.ssh/*` means one below any directory, the working directory's own included.
    let anywhere = pattern.starts_with(b"/") || pattern.starts_with(b"*/") && pattern.get(2) != Some(&b'*');
    if !anywhere || operand.starts_with(b"/") {
        return Truth::No;
    }
    match cwd {
        Some(cwd) => fits(pattern, &absolute(cwd, operand)).into(),
        None => Truth::Maybe,
    }
}

/// Whether an operand surely means what the pattern names.
pub(super) fn surely_fits(pattern: &str, operand: &[u8], cwd: Option<&Path>) -> bool {
    let pattern = pattern.as_bytes();
    if pattern.first() == Some(&b'/') {
        return if operand.starts_with(b"/") {
            fits(pattern, &normal(operand))
        } else {
            cwd.is_some_and(|cwd| fits(pattern, &absolute(cwd, operand)))
        };
    }
    let climbs = pattern.contains(&b'/') && operand.split(|byte| *byte == b'/').any(|part| part == b"..");
    !climbs && (fits(pattern, operand) || operand.starts_with(b"./") && fits(pattern, &normal(operand)))
}

/// Whether a path that begins at `root` could be one that an absolute pattern names.
pub(super) fn could_lie_below(pattern: &str, root: &[u8], cwd: Option<&Path>) -> bool {
    let pattern = pattern.as_bytes();
    let (true, Some(cwd)) = (pattern.starts_with(b"/"), cwd) else {
        return true;
    };
    let root = if root.starts_with(b"/") { normal(root) } else { absolute(cwd, root) };
    let literal = pattern.iter().position(|byte| *byte == b'*').map_or(pattern, |star| &pattern[..star]);
    let inside = |path: &[u8], of: &[u8]| path == of || of == b"/" || path.strip_prefix(of).is_some_and(|rest| rest.starts_with(b"/"));
    if literal.len() == pattern.len() { inside(literal, &root) } else { literal.starts_with(&root) || root.starts_with(literal) }
}

/// The operand without slashes at its end.
pub(super) fn bare(operand: &[u8]) -> &[u8] {
    let end = operand.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    &operand[..end]
}

fn absolute(cwd: &Path, operand: &[u8]) -> Vec<u8> {
    normal(&[cwd.as_os_str().as_bytes(), b"/", operand].concat())
}

/// The path without `//`, `/./`, a trailing slash, and `x/..` undone by its letters alone.
fn normal(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            other => parts.push(other),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/".as_slice(), &joined].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_by_every_way_of_writing_it() {
        for operand in ["/etc", "//etc/", "/tmp/../etc", "/etc/.", "etc", "../../etc", "./etc", "/../etc"] {
            let cwd = if operand.starts_with("../..") { "/home/ann" } else { "/" };
            assert_eq!(could_fit("/etc", operand.as_bytes(), Some(Path::new(cwd))), Truth::Yes, "{operand}");
        }
        assert_eq!(could_fit("/etc", b"etc", None), Truth::Maybe);
        assert_eq!(could_fit("/etc", b"etc", Some(Path::new("/home"))), Truth::No);
    }

    #[test]
    fn what_find_hands_on_lies_below_its_start() {
        let cwd = Some(Path::new("/home/ann/work"));
        assert!(!could_lie_below("/etc", b".", cwd));
        assert!(!could_lie_below("/etc/*", b"build", cwd));
        assert!(could_lie_below("/etc", b"/", cwd));
        assert!(could_lie_below("/etc/*", b"/etc/ssh", cwd));
        assert!(could_lie_below("/home", b"/home", cwd));
        assert!(could_lie_below("/etc", b".", Some(Path::new("/"))));
        assert!(could_lie_below("*secret*", b".", cwd));
        assert!(could_lie_below("/etc", b".", None));
    }

    #[test]
    fn an_allow_is_not_led_out_of_its_directory() {
        let cwd = Some(Path::new("/work"));
        assert!(surely_fits("/tmp/*", b"/tmp/a", cwd));
        assert!(!surely_fits("/tmp/*", b"/tmp/../etc/a", cwd));
        assert!(surely_fits("build/*", b"build/a", cwd));
        assert!(!surely_fits("build/*", b"build/../../etc/a", cwd));
        assert!(surely_fits("/work/*", b"a", cwd));
    }
}
