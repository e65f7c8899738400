//! What a card is drawn from: a request at this host, or one that a server tells of. All texts in it have passed through `text`. Pure.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use super::card::{time_left, wants};
use super::details;
use super::paint::Style;
use crate::approval::{ApprovalRequest, Digest, Part, Previewed, Rule, Said, Stamp, Word, warnings};
use crate::policy::{Effect, Justification, Reason, Risk};
use crate::request::{Asker, Fact, Job, Kind, Stdin};
use crate::text;

/// A preview as it was run.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) command: String,
    pub(super) ended: String,
    pub(super) lines: Vec<String>,
}

/// What a card tells of a request.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The command's words.
    pub(super) words: Vec<Cow<'a, [u8]>>,
    /// Parts of words (word, start, end) of which only the length is shown.
    pub(super) hidden: Vec<(usize, usize, usize)>,
    pub(super) risk: Risk,
    pub(super) digest: Digest,
    pub(super) warnings: Vec<String>,
    /// What it acts on.
    pub(super) target: Vec<(String, Vec<(Style, String)>)>,
    /// The rules that ask, the gravest first: what each says, and its name.
    pub(super) reasons: Vec<Vec<String>>,
    pub(super) instead: Vec<String>,
    pub(super) previews: Vec<String>,
    /// Previews as they were run: the command, how it ended, what it wrote.
    pub(super) shown: Vec<Shown>,
    pub(super) who: String,
    /// The CI job: its name, and where it is found.
    pub(super) job: Option<String>,
    /// Why the requester wants it.
    pub(super) because: Option<String>,
    pub(super) through: Option<String>,
    pub(super) directory: String,
    pub(super) program: String,
    pub(super) stdin: Option<String>,
    /// What the terms want of a justification.
    pub(super) wanted: Vec<String>,
    pub(super) left: Duration,
    /// What is shown last: label and value.
    pub(super) more: Vec<(String, String)>,
}

impl<'a> Subject<'a> {
    /// A request at this host.
    pub fn of(asked: &'a ApprovalRequest, now: Stamp) -> Self {
        let request = asked.request();
        let (told, context) = (asked.asked(), request.context());
        let reasons: Vec<&Reason> = asking(&told.reasons);
        let target = told.target.iter().map(|(name, fact)| {
            // A value is quoted and bold; what is not known is said in plain words, so that no value can look like it.
            let said = match fact {
                Fact::Known { values, .. } => values.iter().map(|value| (Style::Bold, text::quote(value.as_bytes()))).collect(),
                Fact::Absent => vec![(Style::Plain, "there is none".to_owned())],
                Fact::Unknown(why) => vec![(Style::Alert, format!("cannot be told: {}", text::visible(why)))],
            };
            (text::visible(name), said)
        });
        let reason = |one: &&Reason| said_of(&one.text, &one.rule, one.risk.word(), &one.layer.to_string());
        let mut instead: Vec<_> = reasons.iter().filter_map(|one| one.instead.as_deref()).map(text::visible).collect();
        instead.dedup();
        Self {
            words: request.argv().bytes().map(Cow::Borrowed).collect(),
            hidden: told.hidden.iter().map(|part| (part.word, part.start, part.end)).collect(),
            risk: told.risk,
            digest: asked.digest(),
            warnings: warnings::of(asked),
            target: target.collect(),
            reasons: reasons.iter().map(reason).collect(),
            instead,
            previews: reasons
                .iter()
                .filter(|one| !was_run(&one.preview, asked.previews()))
                .filter_map(|one| preview(&one.preview))
                .collect(),
            shown: asked.previews().iter().map(Shown::of).collect(),
            who: who(asked),
            job: Job::claimed(&context.environment).filter(|_| context.asker != Asker::Person).as_ref().map(job),
            because: because(asked.justification()),
            through: ancestry(context.ancestry.iter().map(|above| above.name.as_bytes())),
            directory: directory(context.cwd.as_ref().map(|cwd| cwd.path.as_os_str().as_bytes())),
            program: program(asked),
            stdin: stdin(asked),
            wanted: wanted(&told.terms.justification),
            left: time_left(asked, now),
            more: details::of(asked),
        }
    }

    /// A request as its canonical text tells it, with its digest and the time it may still wait.
    pub fn told(said: &'a Said, digest: Digest, left: Duration) -> Self {
        let mut words = Vec::with_capacity(said.argv.len());
        let mut hidden = Vec::new();
        for (index, word) in said.argv.iter().enumerate() {
            let (bytes, parts) = if word.hidden { unhidden(word) } else { (Cow::Borrowed(word.shown.as_slice()), Vec::new()) };
            words.push(bytes);
            hidden.extend(parts.into_iter().map(|(start, end)| (index, start, end)));
        }
        let mut rules: Vec<&Rule> = said.rules.iter().filter(|rule| rule.effect == Effect::Ask.word()).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(Risk::parse(&rule.risk)));
        let mut instead: Vec<_> = rules.iter().filter(|rule| !rule.instead.is_empty()).map(|rule| text::visible(&rule.instead)).collect();
        instead.dedup();
        Self {
            warnings: warnings::told(said),
            more: details::told(said, digest),
            words,
            hidden,
            risk: said.risk,
            digest,
            target: said.target.iter().map(|(name, is)| (text::visible(name), vec![(Style::Bold, text::quote(is.as_bytes()))])).collect(),
            reasons: rules.iter().map(|rule| said_of(&rule.reason, &rule.id, &rule.risk, &rule.layer)).collect(),
            instead,
            previews: rules.iter().filter(|one| !was_run(&one.preview, &said.previews)).filter_map(|rule| preview(&rule.preview)).collect(),
            shown: said.previews.iter().map(Shown::of).collect(),
            who: who_told(said),
            job: said.job.as_ref().map(job),
            because: because(&said.justification),
            through: ancestry(said.ancestry.iter().map(Vec::as_slice)),
            directory: directory(said.cwd.as_deref()),
            program: text::quote(&said.program),
            stdin: (said.stdin == "file").then(|| "a file of that host".to_owned()),
            wanted: wanted(&said.terms.justification),
            left,
        }
    }

    /// The command on one line.
    pub fn command(&self) -> String {
        text::command(&self.words, &self.hidden)
    }

    /// The digest's last part, which differs from request to request.
    pub fn mark(&self) -> String {
        let digest = self.digest.short();
        digest.rsplit('-').next().unwrap_or(&digest).to_owned()
    }
}

/// A word with so many bytes in the place of each hidden part, and where those stand.
fn unhidden(word: &Word) -> (Cow<'_, [u8]>, Vec<(usize, usize)>) {
    let (mut out, mut hidden) = (Vec::new(), Vec::new());
    for part in word.parts() {
        match part {
            Part::Shown(bytes) => out.extend_from_slice(bytes),
            Part::Hidden(count) => {
                hidden.push((out.len(), out.len() + count));
                out.resize(out.len() + count, b'.');
            }
        }
    }
    (Cow::Owned(out), hidden)
}

fn asking(reasons: &[Reason]) -> Vec<&Reason> {
    let mut sorted: Vec<&Reason> = reasons.iter().filter(|reason| reason.effect == Effect::Ask).collect();
    sorted.sort_by_key(|reason| std::cmp::Reverse(reason.risk));
    sorted
}

fn said_of(reason: &str, rule: &str, risk: &str, layer: &str) -> Vec<String> {
    let said = (!reason.is_empty()).then(|| text::visible(reason));
    let named = format!("rule {}, {}, {} layer", text::visible(rule), text::visible(risk), text::visible(layer));
    said.into_iter().chain([named]).collect()
}

fn was_run(preview: &[String], shown: &[Previewed]) -> bool {
    shown.iter().any(|one| one.argv == preview)
}

impl Shown {
    fn of(one: &Previewed) -> Self {
        let cut = (one.left_out > 0).then(|| format!("… {} bytes before this are left out", one.left_out));
        let said = one.output.split(|byte| *byte == b'\n').map(text::escape);
        let mut lines: Vec<String> = cut.into_iter().chain(said).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Self { command: preview(&one.argv).unwrap_or_default(), ended: text::visible(&one.ended.to_string()), lines }
    }
}

fn preview(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| text::command(&words.iter().map(String::as_bytes).collect::<Vec<_>>(), &[]))
}

fn because(justification: &str) -> Option<String> {
    (!justification.is_empty()).then(|| text::quote(justification.as_bytes()))
}

fn job(job: &Job) -> String {
    format!("{} {} (claimed)", text::quote(job.name().as_bytes()), job.url())
}

fn wanted(justification: &[Justification]) -> Vec<String> {
    justification.iter().filter_map(wants).collect()
}

fn directory(path: Option<&[u8]>) -> String {
    path.map_or_else(|| "deleted".to_owned(), text::quote)
}

fn ancestry<'a>(names: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let names: Vec<String> = names.map(text::quote).collect();
    (!names.is_empty()).then(|| names.join(" ← "))
}

fn program(asked: &ApprovalRequest) -> String {
    let program = asked.request().program();
    let mut out = text::quote(program.path.as_os_str().as_bytes());
    if program.real != program.path {
        out.push_str(" → ");
        out.push_str(&text::quote(program.real.as_os_str().as_bytes()));
    }
    match &program.kind {
        Kind::Elf => {}
        Kind::Script { interpreter, argument } => {
            let mut words = vec![interpreter.as_os_str().as_bytes()];
            words.extend(argument.iter().map(|argument| argument.as_bytes()));
            out.push_str(", a script run by ");
            out.push_str(&text::command(&words, &[]));
        }
        Kind::Text => out.push_str(", a text run by /bin/sh"),
    }
    out
}

fn stdin(asked: &ApprovalRequest) -> Option<String> {
    match asked.request().context().stdin {
        Stdin::Tty | Stdin::Empty | Stdin::Unseen => None,
        Stdin::File { offset: 0, size, .. } => Some(format!("a file of {size} bytes")),
        Stdin::File { offset, size, .. } => Some(format!("a file of {size} bytes, read from byte {offset}")),
    }
}

fn user_on(user: Option<&str>, uid: u32, host: &str) -> String {
    let user = match user {
        Some(name) if uid == 0 => format!("{} (root)", text::quote(name.as_bytes())).replace("root (root)", "root"),
        Some(name) => format!("{} (uid {uid})", text::quote(name.as_bytes())),
        None => format!("uid {uid}"),
    };
    if host.is_empty() { user } else { format!("{user} on {}", text::quote(host.as_bytes())) }
}

fn who(asked: &ApprovalRequest) -> String {
    let context = asked.request().context();
    let who = &context.who;
    let user = user_on(who.user.as_deref(), who.uid, &context.host);
    let from = who.ssh_client.as_ref().map(|from| format!(", from {}", text::quote(from.as_bytes()))).unwrap_or_default();
    match &context.asker {
        Asker::Person => format!("{user}{from}"),
        Asker::Agent(name) => format!("agent {} (claimed), as {user}{from}", text::quote(name.as_bytes())),
        Asker::Ci(name) => format!("CI job {} (claimed), as {user}{from}", text::quote(name.as_bytes())),
    }
}

fn who_told(said: &Said) -> String {
    let user = user_on(Some(said.user.as_str()).filter(|user| !user.is_empty()), said.uid, &said.host);
    match said.asker.split_once(':') {
        Some(("agent", name)) => format!("agent {} (claimed), as {user}", text::quote(name.as_bytes())),
        Some(("ci", name)) => format!("CI job {} (claimed), as {user}", text::quote(name.as_bytes())),
        _ => user,
    }
}
