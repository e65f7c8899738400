//! What of a request can hurt, in words.

use crate::approval::{Said, Word};
use crate::text;

/// How many arguments of one kind are named before the rest is counted.
const NAMED: usize = 3;

/// The warnings of a request, the gravest kind first.
pub(super) fn of(said: &Said) -> Vec<String> {
    let mut out = Vec::new();
    if said.program_sha256 == "unpinned" {
        out.push("The program is not pinned: without its SHA-256 another one may run.".to_owned());
    }
    words(&said.argv, &mut out);
    match said.stdin {
        "unseen" => out.push("Its input is a pipe: nobody can see what comes through it.".to_owned()),
        "file" => out.push("Its input is a file that stands on the host, not on this page.".to_owned()),
        _ => {}
    }
    if said.cwd.is_none() {
        out.push("The working directory was deleted.".to_owned());
    }
    if said.uid == 0 {
        out.push("It runs as root.".to_owned());
    }
    out
}

fn words(argv: &[Word], out: &mut Vec<String>) {
    let mut unseen = Vec::new();
    let mut alike = Vec::new();
    let mut turned = Vec::new();
    for (index, word) in argv.iter().enumerate() {
        if word.shown.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
            continue;
        }
        let plain = String::from_utf8_lossy(&word.shown);
        if text::quote(&word.shown).starts_with("$'") {
            unseen.push(index);
        }
        if let Some(why) = text::suspicious(&plain) {
            alike.push((index, why));
        }
        if text::right_to_left(&plain) {
            turned.push(index);
        }
    }
    if !unseen.is_empty() {
        out.push(format!("Characters that cannot be seen stand in {}; they are shown as marked escapes.", named(&unseen)));
    }
    for (index, why) in alike.iter().take(NAMED) {
        out.push(format!("A look-alike stands in {}: {}.", named(&[*index]), text::visible(why)));
    }
    if alike.len() > NAMED {
        out.push(format!("Look-alikes stand in {} more words.", alike.len() - NAMED));
    }
    if !turned.is_empty() {
        out.push(format!(
            "Letters that are written from right to left stand in {}; here they stand in the order in which they run.",
            named(&turned)
        ));
    }
}

fn named(indices: &[usize]) -> String {
    let arguments: Vec<String> = indices.iter().filter(|index| **index > 0).take(NAMED).map(usize::to_string).collect();
    let more = indices.iter().filter(|index| **index > 0).count() - arguments.len();
    let mut parts = Vec::new();
    if indices.first() == Some(&0) {
        parts.push("the program's name".to_owned());
    }
    if !arguments.is_empty() {
        let many = if arguments.len() > 1 { "s" } else { "" };
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        parts.push(format!("argument{many} {}{rest}", arguments.join(", ")));
    }
    parts.join(" and ")
}
