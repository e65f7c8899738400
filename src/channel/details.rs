//! What `show` adds to the card.

use super::card::{View, command_line, field, hidden};
use super::paint::{Line, Style};
use crate::request::{Fact, Stdin};
use crate::text;

/// The command, one word after the other with its number; what goes on over lines goes on at `┆`.
pub(super) fn words(view: &View) -> Vec<Line> {
    let words: Vec<&[u8]> = view.asked.request().argv().bytes().collect();
    let hidden = hidden(view.asked);
    let digits = words.len().to_string().len();
    let mut lines = Vec::new();
    for index in 0..words.len() {
        for row in text::word_rows(&words, index, &hidden, view.columns.saturating_sub(digits + 4)) {
            let start = if row.inside { format!("{:digits$} ┆ ", "") } else { format!("{index:digits$} │ ") };
            lines.push(command_line(Line::of(Style::Plain, start), row));
        }
    }
    lines
}

/// Facts, digests and terms.
pub(super) fn more(view: &View) -> Vec<Line> {
    let asked = view.asked.asked();
    let request = view.asked.request();
    let context = request.context();
    let mut lines = vec![Line::default()];
    let mut add = |label: &str, value: String| lines.extend(field(view, label, &[(Style::Plain, value)]));
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
            add("compared", format!("{} right before it runs", text::quote(std::os::unix::ffi::OsStrExt::as_bytes(word.as_os_str()))));
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
        add("process", format!("{} {}", above.pid, text::quote(std::os::unix::ffi::OsStrExt::as_bytes(above.name.as_os_str()))));
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
    add("digest", view.asked.digest().to_string());
    add("policy", text::hex(&asked.policy_digest));
    lines
}
