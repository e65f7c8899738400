//! Keeps the house's floors: who may import whom, and where the outside world may be touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms and the floor of each; a room may import rooms of lower floors only, but for the command line and what it calls.
const FLOORS: [(&str, u8); 20] = [
    ("exit_codes", 0),
    ("text", 0),
    ("key", 0),
    ("request", 1),
    ("shell", 2),
    ("tool", 3),
    ("policy", 4),
    ("approval", 5),
    ("record", 6),
    ("embedded", 6),
    ("report", 7),
    ("sys", 7),
    ("config", 8),
    ("audit", 8),
    ("channel", 8),
    // It keeps a log of its own.
    ("server", 9),
    ("error", 9),
    ("commands", 10),
    ("cli", 10),
    ("main", 11),
];

/// From here on rooms of one floor know each other.
const SECOND: u8 = 10;

/// The rooms without I/O, clock, environment and async.
const PURE: [&str; 11] = ["embedded", "report", "exit_codes", "text", "key", "request", "shell", "tool", "policy", "approval", "record"];

/// Who may use what: words of the source, and the only places where they may stand.
const RESERVED: [(&[&str], &[&str]); 4] = [
    (&["tokio::"], &["channel/", "server/", "commands/serve.rs"]),
    (&["nix::", "libc::", "unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"], &["sys/"]),
    (
        &["env::var", "env::vars", "env::args", "env::current_dir", "SystemTime", "Instant", "Timestamp::now", "Zoned::now"],
        &["sys/", "commands/", "config.rs", "main.rs"],
    ),
    // A command that gate guards is never run by it: it resets SIGPIPE.
    (&["process::Command", "Command::new"], &["sys/pty.rs", "sys/alert.rs", "commands/demo.rs"]),
];

/// What a pure room never names.
const OUTSIDE: [&str; 9] =
    ["std::fs", "std::net", "std::process", "std::env", "std::thread", "std::os::unix::fs", "std::os::unix::net", "rusqlite::", "tokio"];

/// Files that may be longer than [`LONGEST`] lines, each with its reason.
const LONG: [(&str, &str); 0] = [];

const LONGEST: usize = 400;

struct Source {
    /// Relative to `src`.
    path: String,
    room: String,
    /// Without comments and without the unit tests at its end.
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![base.clone()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
            let room = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
            let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let code = shipped.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
            found.push(Source { path, room, code, lines: text.lines().count() });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 10, "the sources were not found");
    found
}

/// The rooms that a file names by `crate::room` or `crate::{room, …}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => drop(rooms.insert(ident(rest))),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            rooms.insert(ident(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    rooms
}

fn ident(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether the code has the words, not as the end of a longer name.
fn names(code: &str, words: &str) -> bool {
    code.match_indices(words).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.room != "lib") {
        let Some(own) = floor(&source.room) else {
            wrong.push(format!("src/{}: the room `{}` has no floor", source.path, source.room));
            continue;
        };
        for room in imports(&source.code).into_iter().filter(|room| *room != source.room) {
            if floor(&room).is_some_and(|other| other > own || other == own && own < SECOND) {
                wrong.push(format!("src/{}: `{}` may not import `{room}`", source.path, source.room));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_outside_is_touched_only_where_it_belongs() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (words, places) in RESERVED {
            for word in words.iter().filter(|word| names(&source.code, word)) {
                if !places.iter().any(|place| source.path.starts_with(place)) {
                    wrong.push(format!("src/{}: `{word}`", source.path));
                }
            }
        }
        if PURE.contains(&source.room.as_str()) {
            wrong.extend(
                OUTSIDE.iter().filter(|word| names(&source.code, word)).map(|word| format!("src/{}: `{word}` in a pure room", source.path)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for source in sources() {
        let text = fs::read_to_string(root.join(&source.path)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("unsafe {") || line.contains("unsafe impl")) {
            if !lines[number.saturating_sub(6)..=number].iter().any(|line| line.contains("// SAFETY:")) {
                wrong.push(format!("src/{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_fits_a_few_screens() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.lines > LONGEST && !LONG.iter().any(|(path, _)| *path == source.path))
        .map(|source| format!("src/{}: {} lines", source.path, source.lines))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_attribute_silences_a_warning_without_a_reason() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| source.code.contains("#[allow(") || source.code.contains("#![allow("))
        .map(|source| format!("src/{}", source.path))
        .collect();
    assert!(wrong.is_empty(), "use `#[expect(…, reason)]`:\n{}", wrong.join("\n"));
}
