//! What `show` adds to the card.

use std::os::unix::ffi::OsStrExt as _;

use super::card::{Frame, command_line, field};
use super::paint::{Line, Style};
use crate::approval::{ApprovalRequest, Digest, Said};
use crate::request::{Fact, Stdin};
use crate::text;

/// The command, one word after the other with its number; what goes on over lines goes on at `┆`.
pub(super) fn words(view: &Frame) -> Vec<Line> {
    let (words, hidden) = (&view.subject.words, &view.subject.hidden);
    let digits = words.len().to_string().len();
    let mut lines = Vec::new();
    for index in 0..words.len() {
        for row in text::word_rows(words, index, hidden, view.columns.saturating_sub(digits + 4)) {
            let start = if row.inside { format!("{:digits$} ┆ ", "") } else { format!("{index:digits$} │ ") };
            lines.push(command_line(Line::of(Style::Plain, start), row));
        }
    }
    lines
}

/// Facts, digests and terms.
pub(super) fn more(view: &Frame) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    for shown in &view.subject.shown {
        let said = std::iter::once(&shown.command).chain(&shown.lines).map(|line| (Style::Plain, line.clone()));
        lines.extend(field(view, "preview", &said.collect::<Vec<_>>()));
    }
    for (label, value) in &view.subject.more {
        lines.extend(field(view, label, &[(Style::Plain, value.clone())]));
    }
    lines
}

/// Those of a request at this host.
pub(super) fn of(whole: &ApprovalRequest) -> Vec<(String, String)> {
    let asked = whole.asked();
    let request = whole.request();
    let context = request.context();
    let mut lines = Vec::new();
    let mut add = |label: &str, value: String| lines.push((label.to_owned(), value));
    for (name, fact) in context.facts.iter() {
        let value = match fact.shown(name) {
            Fact::Known { values, .. } => values.iter().map(|value| text::quote(value.as_bytes())).collect::<Vec<_>>().join(" "),
            Fact::Absent => "none".to_owned(),
            Fact::Unknown(why) => format!("unknown: {}", text::visible(&why)),
        };
        let claimed = if name.claimed() { " (claimed)" } else { "" };
        add(&text::visible(&name.to_string()), format!("{value}{claimed}"));
    }
    if let Some(sha256) = request.program().sha256 {
        add("program is", format!("sha256 {}", text::hex(&sha256)));
    }
    if let Stdin::File { sha256: Some(sha256), .. } = context.stdin {
        add("stdin is", format!("sha256 {}", text::hex(&sha256)));
    }
    for pin in &asked.how.pins {
        if let Some(word) = request.argv().words().get(*pin) {
            add("compared", format!("{} right before it runs", text::quote(word.as_os_str().as_bytes())));
        }
    }
    if !asked.how.strip.is_empty() {
        let names: Vec<String> = asked.how.strip.iter().map(|name| text::quote(name.as_bytes())).collect();
        add("taken out", format!("variables {}", names.join(" ")));
    }
    if let Some(timeout) = asked.how.timeout {
        add("runs at most", text::duration(timeout));
    }
    for above in &context.ancestry {
        add("process", format!("{} {}", above.pid, text::quote(above.name.as_os_str().as_bytes())));
    }
    if let Some(login) = context.who.login_uid.filter(|login| *login != context.who.uid) {
        add("logged in as", format!("uid {login}"));
    }
    if let Some(parent) = &context.parent {
        add("inside", format!("request {}", text::quote(parent.as_bytes())));
    }
    add("approved for", format!("one run, within {}", text::duration(asked.terms.valid)));
    add("proves", "confirm: somebody at this terminal answered, perhaps whoever asks, and the record says no more than that".to_owned());
    add("request", request.id().to_string());
    add("digest", whole.digest().to_string());
    add("policy", text::hex(&asked.policy_digest));
    lines
}

/// Those of a request that a server tells of.
pub(super) fn told(said: &Said, digest: Digest) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut add = |label: &str, value: String| lines.push((label.to_owned(), value));
    for (name, is) in &said.facts {
        add(&text::visible(name), text::quote(is.as_bytes()));
    }
    if said.program_sha256 != "unpinned" {
        add("program is", format!("sha256 {}", text::visible(&said.program_sha256)));
    }
    for (path, sha256) in &said.pinned {
        add("compared", format!("{} right before it runs, sha256 {}", text::quote(path), text::visible(sha256)));
    }
    add("approved for", format!("one run, within {}", text::duration(said.terms.valid)));
    if let Some(most) = said.terms.standing {
        let words = if most.patterns { ", words of it open" } else { "" };
        add("or else for", format!("{} runs at most, within {} at most{words}", most.uses, text::duration(most.longest)));
    }
    let asked: Vec<String> = said.terms.approvers.iter().map(|slot| text::visible(slot)).collect();
    if !asked.is_empty() {
        add("decided by", format!("{}, {} of each", asked.join(" and "), said.terms.threshold));
    }
    add("has to prove", said.terms.assurance.word().to_owned());
    let channels: Vec<&str> = said.terms.channels.iter().map(|channel| channel.word()).collect();
    add("by way of", channels.join(", "));
    add("request", text::visible(&said.request));
    add("digest", digest.to_string());
    lines
}
