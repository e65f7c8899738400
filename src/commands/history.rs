//! Commands that were run before: those of a log, of a shell's history, or of a file of argvs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::surroundings::log_failed;
use crate::audit::{Filter, Reader};
use crate::error::Error;
use crate::shell;
use crate::text;

/// No history is larger.
const LIMIT: u64 = 256 * 1024 * 1024;

/// One command, as often as it was run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Past {
    /// Its argv.
    pub argv: Vec<Vec<u8>>,
    /// How often.
    pub times: usize,
    /// What was decided, where a log says so.
    pub decision: Option<String>,
}

/// The commands of a log's database.
pub(super) fn of_log(reader: &Reader) -> Result<Vec<Past>, Error> {
    let mut all = Gathered::default();
    let filter = Filter { limit: usize::MAX, ..Filter::default() };
    let each = |line: crate::audit::Line| {
        if let Some(argv) = words(line.cmd.get("argv")) {
            all.add(argv, Some(line.decision));
        }
        true
    };
    reader.list(&filter, "", each).map_err(|error| log_failed(&error))?;
    Ok(all.all())
}

/// The commands of a file: a log's database, JSON lines with `argv`, or a shell's history.
pub(super) fn of_file(path: &Path) -> Result<Vec<Past>, Error> {
    let shown = text::escape(path.as_os_str().as_encoded_bytes());
    let cannot = |why: &dyn std::fmt::Display| Error::config(format!("`{shown}` cannot be read: {why}"));
    let size = std::fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if size > LIMIT {
        return Err(cannot(&"it is larger than 256 MB"));
    }
    let bytes = std::fs::read(path).map_err(|error| cannot(&error))?;
    if bytes.starts_with(b"SQLite format 3\0") {
        return of_log(&Reader::open(path).map_err(|error| log_failed(&error))?);
    }
    let mut all = Gathered::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(argv) = of_line(line) {
            all.add(argv, None);
        }
    }
    Ok(all.all())
}

/// One line: an object with `argv`, a line of bash's history, or one of zsh's with its times.
fn of_line(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    if line.starts_with(b"{") {
        return words(serde_json::from_slice::<Value>(line).ok()?.get("argv"));
    }
    let timed = line.strip_prefix(b": ").and_then(|rest| rest.iter().position(|byte| *byte == b';').map(|at| &rest[at + 1..]));
    let command = timed.unwrap_or(line);
    // What is not one plain command would be another one by the time that it runs.
    if command.starts_with(b"#") { None } else { shell::words(command) }
}

/// The words of an argv in JSON; none where one is no text, or was hidden.
fn words(argv: Option<&Value>) -> Option<Vec<Vec<u8>>> {
    let words: Option<Vec<Vec<u8>>> = argv?.as_array()?.iter().map(|word| Some(word.as_str()?.as_bytes().to_vec())).collect();
    words.filter(|words| words.first().is_some_and(|name| !name.is_empty()))
}

#[derive(Default)]
struct Gathered(BTreeMap<(Vec<Vec<u8>>, Option<String>), usize>);

impl Gathered {
    fn add(&mut self, argv: Vec<Vec<u8>>, decision: Option<String>) {
        *self.0.entry((argv, decision)).or_default() += 1;
    }

    fn all(self) -> Vec<Past> {
        self.0.into_iter().map(|((argv, decision), times)| Past { argv, times, decision }).collect()
    }
}
