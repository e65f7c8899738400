//! The processes above this one, as `/proc` has them; empty where there is no `/proc`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::request::Ancestor;

/// How far up anybody wants to read.
const MOST: usize = 32;

/// The processes above this one, nearest first, up to process 1.
pub fn ancestry() -> Vec<Ancestor> {
    this().as_ref().map(above).unwrap_or_default()
}

/// The same for another process; empty when it is gone.
pub fn ancestry_of(pid: i32) -> Vec<Ancestor> {
    read(pid).as_ref().map(above).unwrap_or_default()
}

fn above(of: &Stat) -> Vec<Ancestor> {
    let mut above = Vec::new();
    let (mut next, mut younger) = (of.parent, of.start);
    while next > 0 && above.len() < MOST {
        let Some(stat) = read(next) else { break };
        // A parent that is younger than its child is another process that got the same number.
        if stat.start > younger {
            break;
        }
        above.push(Ancestor { pid: next, name: name(next, stat.command), start: stat.start });
        (next, younger) = (stat.parent, stat.start);
    }
    above
}

/// When a process started, in clock ticks since boot; none when it is gone.
pub fn start_of(pid: i32) -> Option<u64> {
    read(pid).map(|stat| stat.start)
}

/// What `proc_pid_stat(5)` says of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stat {
    command: OsString,
    parent: i32,
    pub(super) terminal: i32,
    start: u64,
}

/// This process.
pub(super) fn this() -> Option<Stat> {
    parse(&proc("self/stat")?)
}

fn read(pid: i32) -> Option<Stat> {
    parse(&proc(&format!("{pid}/stat"))?)
}

/// Reads a file of `/proc`, whose size nobody knows before.
pub(super) fn proc(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    // `take` keeps the library from asking for the size first.
    fs::File::open(Path::new("/proc").join(name)).ok()?.take(1 << 16).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Reads a stat line. The command stands in parentheses and may hold anything, parentheses too.
fn parse(line: &[u8]) -> Option<Stat> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')').filter(|close| *close > open)?;
    let rest = std::str::from_utf8(&line[close + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        command: OsStr::from_bytes(&line[open + 1..close]).to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        terminal: fields.get(4)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

fn name(pid: i32, command: OsString) -> OsString {
    let Ok(path) = fs::read_link(format!("/proc/{pid}/exe")) else { return command };
    let bytes = path.as_os_str().as_bytes();
    let alive = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    Path::new(OsStr::from_bytes(alive)).file_name().map_or(command, OsStr::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_hold_parentheses_and_spaces() {
        let line = b"7 (a) R 1 (b) S 3 7 5 34817 7 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0\n";
        let stat = parse(line).unwrap();
        assert_eq!(stat.command, "a) R 1 (b");
        assert_eq!((stat.parent, stat.terminal, stat.start), (3, 34817, 4242));
    }

    #[test]
    fn a_broken_line_is_none() {
        for line in [&b""[..], b"7 (x", b"7 )x(", b"7 (x) S", b"7 (x) S a b c d e"] {
            assert_eq!(parse(line), None);
        }
    }
}
