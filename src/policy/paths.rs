//! Operands that are paths: `/etc`, `//etc/`, `/tmp/../etc` and, in `/`, `etc` are one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::pattern::{covers, fits, meets};
use super::truth::{Truth, any};
use crate::tool::Part;

/// The working directory, and what operands lead to from it: worked out once, however many rules look at them.
pub(super) struct Paths<'a> {
    cwd: Option<&'a Path>,
    home: Option<&'a Path>,
    forms: RefCell<BTreeMap<Vec<u8>, Rc<Forms>>>,
}

/// An operand as a path.
struct Forms {
    normal: Vec<u8>,
    /// Where a relative one leads; none where the working directory is gone.
    absolute: Option<Vec<u8>>,
}

impl<'a> Paths<'a> {
    pub(super) fn new(cwd: Option<&'a Path>, home: Option<&'a Path>) -> Self {
        Self { cwd, home, forms: RefCell::default() }
    }

    /// The same in some directory that no pattern names, where nobody knows which directory it is.
    pub(super) fn somewhere(&self) -> Option<Self> {
        self.cwd.is_none().then(|| Self::new(Some(Path::new("/\0")), self.home))
    }

    fn forms(&self, operand: &[u8]) -> Rc<Forms> {
        if let Some(known) = self.forms.borrow().get(operand) {
            return Rc::clone(known);
        }
        // A shell has made `~` a home; where none did, what is so called is taken for one, which can only be stricter.
        let below = match (operand, self.home) {
            ([b'~'] | [b'~', b'/', ..], Some(home)) => Some((home, &operand[1..])),
            _ => self.cwd.filter(|_| !operand.starts_with(b"/")).map(|cwd| (cwd, operand)),
        };
        let absolute = below.map(|(from, rest)| normal(&[from.as_os_str().as_bytes(), b"/", rest].concat()));
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
        Self::leads_to(pattern, operand, &self.forms(operand))
    }

    /// Whether an operand could mean what any of many patterns names.
    pub(super) fn could_fit_any(&self, patterns: &[&str], operand: &[u8]) -> Truth {
        let forms = self.forms(operand);
        let bare = bare(operand);
        any(patterns.iter().map(|pattern| {
            let pattern = pattern.as_bytes();
            if fits(pattern, operand) || bare.len() < operand.len() && fits(pattern, bare) {
                Truth::Yes
            } else if pattern.contains(&b'/') {
                Self::leads_to(pattern, operand, &forms)
            } else {
                Truth::No
            }
        }))
    }

    fn leads_to(pattern: &[u8], operand: &[u8], forms: &Forms) -> Truth {
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

    /// Whether one of the paths that have this shape could be what the pattern names.
    pub(super) fn shape_could_fit(&self, pattern: &str, shape: &[Part]) -> bool {
        let pattern = pattern.as_bytes();
        if meets(pattern, shape) {
            return true;
        }
        if !pattern.contains(&b'/') {
            return false;
        }
        if climbs(shape) {
            // Where it leads is open, but not what its last part is called.
            return meets(last_part(pattern), &last_part_of_shape(shape));
        }
        let anywhere = pattern.starts_with(b"/") || pattern.starts_with(b"*/") && pattern.get(2) != Some(&b'*');
        if !anywhere || matches!(shape.first(), Some(Part::Text(text)) if text.starts_with(b"/")) {
            return false;
        }
        match self.cwd {
            Some(cwd) => {
                let start = Part::Text([cwd.as_os_str().as_bytes(), b"/"].concat());
                meets(pattern, &[std::slice::from_ref(&start), shape].concat())
            }
            None => true,
        }
    }

    /// Whether every path that has this shape is surely what the pattern names.
    pub(super) fn shape_surely_fits(&self, pattern: &str, shape: &[Part]) -> bool {
        if climbs(shape) {
            return pattern == "*";
        }
        let relative = !matches!(shape.first(), Some(Part::Text(text)) if text.starts_with(b"/"));
        match self.cwd {
            Some(cwd) if pattern.starts_with('/') && relative => {
                let start = Part::Text([cwd.as_os_str().as_bytes(), b"/"].concat());
                covers(pattern.as_bytes(), &[std::slice::from_ref(&start), shape].concat())
            }
            _ => covers(pattern.as_bytes(), shape),
        }
    }

    /// Whether a relative path would be the system's own, or nobody knows whose.
    pub(super) fn in_core(&self) -> bool {
        self.cwd.is_none_or(|cwd| super::sets::CORE.iter().any(|core| fits(core.as_bytes(), cwd.as_os_str().as_bytes())))
    }

    /// Whether a path stays below the working directory by its letters, and is not the directory itself.
    pub(super) fn stays_inside(&self, operand: &[u8]) -> bool {
        if operand.is_empty()
            || operand.starts_with(b"~")
            || operand.len() > 1 && operand.starts_with(b"-")
            || operand.split(|byte| *byte == b'/').any(|part| part == b"..")
        {
            return false;
        }
        // `host:path` is somewhere else for those that copy.
        if operand.split(|byte| *byte == b'/').next().is_some_and(|first| first.contains(&b':')) {
            return false;
        }
        if !operand.starts_with(b"/") {
            return normal(operand) != b".";
        }
        self.cwd.is_some_and(|cwd| {
            normal(operand).strip_prefix(cwd.as_os_str().as_bytes()).is_some_and(|rest| rest.len() > 1 && rest.starts_with(b"/"))
        })
    }

    /// Whether an operand surely means what the pattern names.
    pub(super) fn surely_fits(&self, pattern: &str, operand: &[u8]) -> bool {
        let pattern = pattern.as_bytes();
        if pattern.first() == Some(&b'/') {
            let forms = self.forms(operand);
            return if operand.starts_with(b"/") {
                fits(pattern, &forms.normal)
            } else {
                !operand.starts_with(b"~") && forms.absolute.as_ref().is_some_and(|absolute| fits(pattern, absolute))
            };
        }
        let climbs = pattern.contains(&b'/') && operand.split(|byte| *byte == b'/').any(|part| part == b"..");
        !climbs && (fits(pattern, operand) || operand.starts_with(b"./") && fits(pattern, &self.forms(operand).normal))
    }
}

/// Whether a shape could hold a `..`, or is not written plainly enough to say.
pub(super) fn climbs(shape: &[Part]) -> bool {
    let mut text = Vec::new();
    for part in shape {
        match part {
            Part::Any => return true,
            Part::Name | Part::Letter => text.push(0),
            Part::Text(known) => text.extend_from_slice(known),
        }
    }
    let parts: Vec<&[u8]> = text.split(|byte| *byte == b'/').collect();
    let odd = |part: &&[u8]| {
        part.is_empty() || *part == b"." || *part == b".." || part.starts_with(b".") && part.contains(&0) || part.starts_with(b"~")
    };
    // A slash in front and one behind are plain.
    let inner = parts.strip_prefix(&[b"".as_slice()]).unwrap_or(&parts);
    let inner = if inner.len() > 1 { inner.strip_suffix(&[b"".as_slice()]).unwrap_or(inner) } else { inner };
    inner.iter().any(odd)
}

fn last_part(pattern: &[u8]) -> &[u8] {
    // A star may run over slashes, so that what comes after the last slash binds only where no star ends it.
    if pattern.ends_with(b"*") { b"*" } else { pattern.rsplit(|byte| *byte == b'/').next().unwrap_or(pattern) }
}

fn last_part_of_shape(shape: &[Part]) -> Vec<Part> {
    let mut tail = Vec::new();
    for part in shape.iter().rev() {
        match part {
            Part::Text(text) => match text.iter().rposition(|byte| *byte == b'/') {
                Some(at) => {
                    tail.push(Part::Text(text[at + 1..].to_vec()));
                    break;
                }
                None => tail.push(part.clone()),
            },
            other => tail.push(other.clone()),
        }
    }
    tail.reverse();
    tail
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
            assert_eq!(Paths::new(Some(Path::new(cwd)), None).could_fit("/etc", operand.as_bytes()), Truth::Yes, "{operand}");
        }
        assert_eq!(Paths::new(None, None).could_fit("/etc", b"etc"), Truth::Maybe);
        assert_eq!(Paths::new(Some(Path::new("/home")), None).could_fit("/etc", b"etc"), Truth::No);
    }

    #[test]
    fn what_find_hands_on_lies_below_its_start() {
        let paths = Paths::new(Some(Path::new("/home/ann/work")), None);
        assert!(!paths.could_lie_below("/etc", b"."));
        assert!(!paths.could_lie_below("/etc/*", b"build"));
        assert!(paths.could_lie_below("/etc", b"/"));
        assert!(paths.could_lie_below("/etc/*", b"/etc/ssh"));
        assert!(paths.could_lie_below("/home", b"/home"));
        assert!(Paths::new(Some(Path::new("/")), None).could_lie_below("/etc", b"."));
        assert!(paths.could_lie_below("*secret*", b"."));
        assert!(Paths::new(None, None).could_lie_below("/etc", b"."));
    }

    #[test]
    fn an_allow_is_not_led_out_of_its_directory() {
        let paths = Paths::new(Some(Path::new("/work")), None);
        assert!(paths.surely_fits("/tmp/*", b"/tmp/a"));
        assert!(!paths.surely_fits("/tmp/*", b"/tmp/../etc/a"));
        assert!(paths.surely_fits("build/*", b"build/a"));
        assert!(!paths.surely_fits("build/*", b"build/../../etc/a"));
        assert!(paths.surely_fits("/work/*", b"a"));
    }
}
