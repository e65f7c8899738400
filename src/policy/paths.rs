//! Operands that are paths: `/etc`, `//etc/`, `/tmp/../etc` and, in `/`, `etc` are one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::pattern::fits;
use super::truth::Truth;

/// The working directory, and what operands lead to from it: worked out once, however many rules look at them.
pub(super) struct Paths<'a> {
    cwd: Option<&'a Path>,
    forms: RefCell<BTreeMap<Vec<u8>, Rc<Forms>>>,
}

/// An operand as a path.
struct Forms {
    normal: Vec<u8>,
    /// Where a relative one leads; none where the working directory is gone.
    absolute: Option<Vec<u8>>,
}

impl<'a> Paths<'a> {
    pub(super) fn new(cwd: Option<&'a Path>) -> Self {
        Self { cwd, forms: RefCell::default() }
    }

    fn forms(&self, operand: &[u8]) -> Rc<Forms> {
        if let Some(known) = self.forms.borrow().get(operand) {
            return Rc::clone(known);
        }
        let absolute =
            self.cwd.filter(|_| !operand.starts_with(b"/")).map(|cwd| normal(&[cwd.as_os_str().as_bytes(), b"/", operand].concat()));
        let forms = Rc::new(Forms { normal: normal(operand), absolute });
        self.forms.borrow_mut().insert(operand.to_vec(), Rc::clone(&forms));
        forms
    }

    /// Whether an operand could mean what the pattern names: as typed, or as the path that it leads to.
    pub(super) fn could_fit(&self, pattern: &str, operand: &[u8]) -> Truth {
        let pattern = pattern.as_bytes();
        if fits(pattern, operand) {
            return Truth::Yes;
        }
        if !pattern.contains(&b'/') {
            return fits(pattern, bare(operand)).into();
        }
        let forms = self.forms(operand);
        if fits(pattern, &forms.normal) {
            return Truth::Yes;
        }
        // `*/.ssh/*` means one below any directory, the working directory's own included.
        let anywhere = pattern.starts_with(b"/") || pattern.starts_with(b"*/") && pattern.get(2) != Some(&b'*');
        if !anywhere || operand.starts_with(b"/") {
            return Truth::No;
        }
        match &forms.absolute {
            Some(absolute) => fits(pattern, absolute).into(),
            None => Truth::Maybe,
        }
    }

    /// Whether a path that begins at `root` could be one that an absolute pattern names.
    pub(super) fn could_lie_below(&self, pattern: &str, root: &[u8]) -> bool {
        let pattern = pattern.as_bytes();
        if !pattern.starts_with(b"/") || self.cwd.is_none() {
            return true;
        }
        let forms = self.forms(root);
        let root = forms.absolute.as_ref().unwrap_or(&forms.normal);
        let literal = pattern.iter().position(|byte| *byte == b'*').map_or(pattern, |star| &pattern[..star]);
        let inside = |path: &[u8], of: &[u8]| path == of || of == b"/" || path.strip_prefix(of).is_some_and(|rest| rest.starts_with(b"/"));
        if literal.len() == pattern.len() { inside(literal, root) } else { literal.starts_with(root) || root.starts_with(literal) }
    }

    /// Whether an operand surely means what the pattern names.
    pub(super) fn surely_fits(&self, pattern: &str, operand: &[u8]) -> bool {
        let pattern = pattern.as_bytes();
        if pattern.first() == Some(&b'/') {
            let forms = self.forms(operand);
            return if operand.starts_with(b"/") {
                fits(pattern, &forms.normal)
            } else {
                forms.absolute.as_ref().is_some_and(|absolute| fits(pattern, absolute))
            };
        }
        let climbs = pattern.contains(&b'/') && operand.split(|byte| *byte == b'/').any(|part| part == b"..");
        !climbs && (fits(pattern, operand) || operand.starts_with(b"./") && fits(pattern, &self.forms(operand).normal))
    }
}

/// The operand without slashes at its end.
pub(super) fn bare(operand: &[u8]) -> &[u8] {
    let end = operand.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    &operand[..end]
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
            assert_eq!(Paths::new(Some(Path::new(cwd))).could_fit("/etc", operand.as_bytes()), Truth::Yes, "{operand}");
        }
        assert_eq!(Paths::new(None).could_fit("/etc", b"etc"), Truth::Maybe);
        assert_eq!(Paths::new(Some(Path::new("/home"))).could_fit("/etc", b"etc"), Truth::No);
    }

    #[test]
    fn what_find_hands_on_lies_below_its_start() {
        let paths = Paths::new(Some(Path::new("/home/ann/work")));
        assert!(!paths.could_lie_below("/etc", b"."));
        assert!(!paths.could_lie_below("/etc/*", b"build"));
        assert!(paths.could_lie_below("/etc", b"/"));
        assert!(paths.could_lie_below("/etc/*", b"/etc/ssh"));
        assert!(paths.could_lie_below("/home", b"/home"));
        assert!(Paths::new(Some(Path::new("/"))).could_lie_below("/etc", b"."));
        assert!(paths.could_lie_below("*secret*", b"."));
        assert!(Paths::new(None).could_lie_below("/etc", b"."));
    }

    #[test]
    fn an_allow_is_not_led_out_of_its_directory() {
        let paths = Paths::new(Some(Path::new("/work")));
        assert!(paths.surely_fits("/tmp/*", b"/tmp/a"));
        assert!(!paths.surely_fits("/tmp/*", b"/tmp/../etc/a"));
        assert!(paths.surely_fits("build/*", b"build/a"));
        assert!(!paths.surely_fits("build/*", b"build/../../etc/a"));
        assert!(paths.surely_fits("/work/*", b"a"));
    }
}
