use super::Settings;
use crate::approval::ApprovalRequest;
use crate::policy::{Assurance, Channel, Terms};
use crate::text;

/// Why nobody can be asked on these terms from here, and what to do instead; none where a terminal can answer.
///
/// Whether there is a terminal shows only when it is opened.
pub fn unreachable(asked: &ApprovalRequest, how: &Settings) -> Option<String> {
    let terms = &asked.asked().terms;
    if let Some(want) = beyond_a_terminal(terms) {
        return Some(format!(
            "{want}; a terminal proves only that somebody confirmed, and no other way to ask is set up here; \
             set up a server that proves who approves, or have the owner of the policy change the terms of {}",
            rules(asked)
        ));
    }
    if !terms.channels.contains(&Channel::Tty) {
        return Some(no_way(terms));
    }
    how.non_interactive.then(|| {
        format!(
            "somebody must confirm this at a terminal, and `--non-interactive` forbids to ask; \
             run it at a terminal without that flag, or have the owner of the policy allow it in {}",
            rules(asked)
        )
    })
}

/// The terms can only be met by ways that are not set up.
pub(super) fn no_way(terms: &Terms) -> String {
    let names: Vec<&str> = terms.channels.iter().map(|channel| channel.word()).collect();
    format!(
        "the terms allow answers by {} only, and that is not set up here; set it up, or have the owner of the policy add `tty`",
        names.join(", ")
    )
}

/// There is no terminal, or it cannot be used: why.
pub(super) fn no_terminal(why: &str) -> String {
    format!(
        "somebody must confirm this at a terminal, and {why}; run the same command yourself at a terminal, or have the owner of the policy allow it"
    )
}

fn beyond_a_terminal(terms: &Terms) -> Option<String> {
    let mut wants = Vec::new();
    if terms.assurance > Assurance::Confirm {
        wants.push(format!("assurance `{}`", terms.assurance.word()));
    }
    if terms.threshold != 1 {
        wants.push(format!("{} people", terms.threshold));
    }
    if !terms.approvers.is_empty() {
        let names: Vec<String> = terms.approvers.iter().map(|name| format!("`{}`", text::escape(name.as_bytes()))).collect();
        wants.push(format!("an answer by {}", names.join(" and ")));
    }
    (!wants.is_empty()).then(|| format!("the terms want {}", wants.join(" and ")))
}

fn rules(asked: &ApprovalRequest) -> String {
    let mut names: Vec<String> = Vec::new();
    for reason in &asked.asked().reasons {
        let name = format!("`{}`", text::escape(reason.rule.as_bytes()));
        if reason.effect == crate::policy::Effect::Ask && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "the rules that ask".to_owned() } else { names.join(", ") }
}
