//! What is different from an earlier command.

use super::words::{Shown, flat, shown};
use crate::approval::Said;

/// Commands of more words are not compared word by word.
const MOST: usize = 400;

/// Columns of a word that the comparison shows; the command above it has all of them.
const LONGEST: usize = 400;

/// A line of the comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// `same`, `gone` (only in the earlier one) or `new`.
    pub class: &'static str,
    /// What it is about: nothing for a word of the command.
    pub label: &'static str,
    /// The text.
    pub text: String,
}

/// Compares a request with an earlier one: the words, then where they ran. None where there is too much to compare.
pub fn compare(earlier: &Said, now: &Said) -> Option<Vec<Line>> {
    if earlier.argv.len() > MOST || now.argv.len() > MOST {
        return None;
    }
    let (old, new) = (lines(&shown(&earlier.argv)), lines(&shown(&now.argv)));
    let mut out = words(&old, &new);
    let targets = |said: &Said| said.target.iter().map(|(name, is)| format!("{name} {is}")).collect::<Vec<_>>().join(", ");
    let path = |path: Option<&Vec<u8>>| path.map_or_else(|| "gone".to_owned(), |path| crate::text::escape(path));
    for (label, was, is) in [
        ("host", crate::text::escape(earlier.host.as_bytes()), crate::text::escape(now.host.as_bytes())),
        ("directory", path(earlier.cwd.as_ref()), path(now.cwd.as_ref())),
        ("acts on", crate::text::escape(targets(earlier).as_bytes()), crate::text::escape(targets(now).as_bytes())),
        ("program's SHA-256", short(&earlier.program_sha256), short(&now.program_sha256)),
    ] {
        if was != is {
            out.push(Line { class: "gone", label, text: was });
            out.push(Line { class: "new", label, text: is });
        }
    }
    Some(out)
}

/// The beginning of a digest in hex.
pub(super) fn short(digest: &str) -> String {
    crate::text::ellipsis(&crate::text::escape(digest.as_bytes()), 17)
}

fn lines(words: &[Shown]) -> Vec<String> {
    words.iter().map(flat).collect()
}

/// The longest common run of words, and what is only in one of the two.
fn words(old: &[String], new: &[String]) -> Vec<Line> {
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            common[at * width + to] = if old[at] == new[to] {
                common[(at + 1) * width + to + 1] + 1
            } else {
                common[(at + 1) * width + to].max(common[at * width + to + 1])
            };
        }
    }
    let mut out = Vec::new();
    let line = |class, text: &str| Line { class, label: "", text: crate::text::ellipsis(text, LONGEST) };
    let (mut at, mut to) = (0, 0);
    while at < old.len() || to < new.len() {
        if at < old.len() && to < new.len() && old[at] == new[to] {
            out.push(line("same", &old[at]));
            (at, to) = (at + 1, to + 1);
        } else if at < old.len() && (to == new.len() || common[(at + 1) * width + to] >= common[at * width + to + 1]) {
            out.push(line("gone", &old[at]));
            at += 1;
        } else {
            out.push(line("new", &new[to]));
            to += 1;
        }
    }
    out
}
