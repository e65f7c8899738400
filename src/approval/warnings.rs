//! What of a request can hurt, in the words of every place that shows it: lower case, without an end.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt as _;

use super::asked::ApprovalRequest;
use super::submitted::{Part, Said};
use crate::request::{Place, Stdin};
use crate::text;

/// How many arguments of one kind are named before the rest is counted.
const NAMED: usize = 3;

/// Variables that make programs run other code.
const LOADERS: [&str; 12] = [
    "BASH_ENV",
    "ENV",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "JAVA_TOOL_OPTIONS",
    "GIT_SSH_COMMAND",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
];
const LOADER_PREFIXES: [&str; 4] = ["LD_", "DYLD_", "BASH_FUNC_", "GIT_CONFIG_"];

/// The warnings of a request, the gravest kind first.
pub fn of(asked: &ApprovalRequest) -> Vec<String> {
    let request = asked.request();
    let context = request.context();
    let mut out = Vec::new();
    if let Place::Untrusted(why) = &request.program().place {
        out.push(format!("untrusted program: {}", text::visible(why)));
    }
    if request.program().sha256.is_none() {
        out.push("not pinned: without its SHA-256 another program may run".to_owned());
    }
    let hidden: Vec<_> = asked.asked().hidden.iter().map(|part| (part.word, part.start, part.end)).collect();
    words(request.argv().bytes().enumerate().map(|(index, word)| shown(&hidden, index, word)), &mut out);
    loaders(asked, &mut out);
    match context.stdin {
        Stdin::Unseen => out.push("stdin is a pipe: nobody can see what comes through it".to_owned()),
        Stdin::File { sha256: None, .. } => out.push("stdin is a file that may change before it is read".to_owned()),
        Stdin::File { .. } | Stdin::Tty | Stdin::Empty => {}
    }
    if context.cwd.is_none() {
        out.push("the working directory was deleted".to_owned());
    }
    if context.who.euid != context.who.uid {
        out.push(format!("it runs with the rights of uid {}, not of uid {}", context.who.euid, context.who.uid));
    }
    out
}

/// The same of a request that a server tells of. What its environment holds is not told there.
pub fn told(said: &Said) -> Vec<String> {
    let mut out = Vec::new();
    if said.program_sha256 == "unpinned" {
        out.push("not pinned: without its SHA-256 another program may run".to_owned());
    }
    let shown = said.argv.iter().map(|word| {
        let bytes = word.parts().into_iter().filter_map(|part| match part {
            Part::Shown(bytes) => Some(bytes),
            Part::Hidden(_) => None,
        });
        bytes.collect::<Vec<_>>().concat()
    });
    words(shown.map(Cow::Owned), &mut out);
    match said.stdin {
        "unseen" => out.push("stdin is a pipe: nobody can see what comes through it".to_owned()),
        "file" => out.push("stdin is a file of that host, and is not shown here".to_owned()),
        _ => {}
    }
    if said.cwd.is_none() {
        out.push("the working directory was deleted".to_owned());
    }
    if said.uid == 0 {
        out.push("it runs as root".to_owned());
    }
    out
}

fn words<'a>(argv: impl Iterator<Item = Cow<'a, [u8]>>, out: &mut Vec<String>) {
    let mut unseen = Vec::new();
    let mut alike = Vec::new();
    let mut turned = Vec::new();
    for (index, word) in argv.enumerate() {
        if word.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
            continue;
        }
        let plain = String::from_utf8_lossy(&word);
        if text::quote(&word).starts_with("$'") {
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
        out.push(format!("unseen characters in {}, shown as escapes", named(&unseen)));
    }
    for (index, why) in alike.iter().take(NAMED) {
        out.push(format!("look-alike in {}: {}", named(&[*index]), text::visible(why)));
    }
    if alike.len() > NAMED {
        out.push(format!("look-alikes in {} more words", alike.len() - NAMED));
    }
    if !turned.is_empty() {
        out.push(format!("right-to-left letters in {}: what shows them may change their order", named(&turned)));
    }
}

/// A word without its hidden parts, of which nothing may be told but the length.
fn shown<'a>(hidden: &[(usize, usize, usize)], index: usize, word: &'a [u8]) -> Cow<'a, [u8]> {
    if hidden.iter().all(|(which, _, _)| *which != index) {
        return Cow::Borrowed(word);
    }
    let keep = |at: &usize| !hidden.iter().any(|(which, start, end)| *which == index && (*start..*end).contains(at));
    word.iter().enumerate().filter(|(at, _)| keep(at)).map(|(_, byte)| *byte).collect()
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

fn loaders(asked: &ApprovalRequest, out: &mut Vec<String>) {
    let mut found = Vec::new();
    for (name, value) in asked.request().context().environment.iter() {
        let name = name.as_bytes();
        let listed = LOADERS.iter().any(|loader| loader.as_bytes() == name);
        let prefixed = LOADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes()));
        if (listed || prefixed) && !asked.asked().how.strips(name) && !value.is_empty() {
            found.push(format!("{}={}", text::visible(&text::quote(name)), text::ellipsis(&text::quote(value.as_bytes()), 60)));
        }
    }
    if !found.is_empty() {
        let more = found.len().saturating_sub(2 * NAMED);
        found.truncate(2 * NAMED);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        out.push(format!("can make programs run other code: {}{rest}", found.join(" ")));
    }
}
