//! Fills what the pages say from what the server keeps. Pure.

use std::time::Duration;

use super::compare::{self, compare};
use super::view::{Around, Card, Earlier, Field, JobView, Moment, PreviewView, ReviewView, Row, RuleView, SlotView};
use super::viewer::{Glass, May};
use super::{standing, story, words};
use crate::approval::{Answer, Approver, PreviewEnd, Previewed, Rule, Said, Standing, warnings};
use crate::policy::{Assurance, Justification};
use crate::server::api::glass_is_broken;
use crate::server::model::{Kept, KeptReview, State, Wall};
use crate::text;

const SECOND: i64 = 1_000_000_000;

fn field(name: &str, is: &str) -> Field {
    Field { name: text::escape(name.as_bytes()), is: text::escape(is.as_bytes()) }
}

/// Fills the card.
pub fn card(kept: &Kept, around: &Around, may: May) -> Card {
    let said = kept.submitted.said();
    let now = around.now;
    Card {
        row: row(kept, now, String::new()),
        program: words::program(&said.argv),
        asker: asker(&said.asker),
        user: if said.user.is_empty() { format!("uid {}", said.uid) } else { text::escape(said.user.as_bytes()) },
        host: text::escape(said.host.as_bytes()),
        words: words::marked(&said.argv, standing::allowed(kept).as_ref().map_or(&[][..], Standing::open)),
        bytes: said.argv.iter().map(|word| word.shown.len()).sum(),
        warnings: warnings::told(said).iter().map(|warning| sentence(warning)).collect(),
        places: places(said),
        people: people(kept),
        jobs: jobs(kept),
        justification: paragraphs(&said.justification),
        rules: said.rules.iter().map(|one| rule(one, &said.previews)).collect(),
        previews: said.previews.iter().map(preview).collect(),
        earlier: around.earlier.map(|earlier| self::earlier(earlier, said, now)),
        recent: around.recent.iter().map(|other| row(other, now, String::new())).collect(),
        facts: facts(said),
        terms: terms(said),
        slots: slots(kept),
        broken: glass_is_broken(kept),
        before: around.before.map(|before| story::before(kept, before, now)),
        steps: story::steps(kept, now),
        reviews: kept.reviews.iter().map(|one| review(one, said, now)).collect(),
        outcome: outcome(kept),
        digest: kept.digest().to_string(),
        short: kept.digest().short(),
        within: kept.expires.saturating_sub(kept.created) / 1_000_000,
        version: kept.version,
        drawn: kept.drawn.as_ref().map(|drawing| (drawing.request.clone(), drawing.drawn.nth, drawing.uses)),
        grant: String::new(),
        may,
        glass: Glass::None,
    }
}

/// A warning as a sentence.
fn sentence(warning: &str) -> String {
    let mut rest = warning.chars();
    let first = rest.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}

/// Fills a line of a list.
pub fn row(kept: &Kept, now: Wall, note: String) -> Row {
    let said = kept.submitted.said();
    let state = kept.at(now);
    let until = if state == State::Approved { kept.valid_until.unwrap_or(kept.expires) } else { kept.expires };
    let decided =
        |wanted| kept.reviews.iter().filter(move |review| review.answer == wanted).map(|review| text::escape(review.name.as_bytes()));
    let by: Vec<String> = if state == State::Rejected { decided(Answer::Reject).collect() } else { decided(Answer::Approve).collect() };
    let ended = outcome(kept);
    Row {
        id: kept.id.clone(),
        state: state.word(),
        stands: stands(state, &ended),
        class: if ended.is_empty() || ended == "exit 0" { state.word() } else { "failed" },
        risk: said.risk.word(),
        command: words::in_a_list(&said.argv),
        who: format!("{} · {}@{}", asker(&said.asker), text::escape(said.user.as_bytes()), text::escape(said.host.as_bytes())),
        target: said.target.iter().take(3).map(|(_, is)| text::ellipsis(&text::escape(is.as_bytes()), 40)).collect::<Vec<_>>().join(" · "),
        at: Moment::new(kept.created, now),
        until: until / 1_000_000,
        left: left(until, now),
        by: by.join(", "),
        note,
    }
}

pub(super) fn stands(state: State, ended: &str) -> String {
    let word = match state {
        State::Pending => "Pending",
        State::Approved => "Approved",
        State::Rejected => "Rejected",
        State::Expired => "Expired",
        State::Cancelled => "Cancelled",
        State::Consumed => "Consumed",
    };
    if ended.is_empty() { word.to_owned() } else { format!("{word}, {ended}") }
}

/// How long it is until then: `4 min 32 s`.
pub fn left(until: Wall, now: Wall) -> String {
    let seconds = until.saturating_sub(now).max(0) / SECOND;
    text::duration(Duration::from_secs(seconds.unsigned_abs()))
}

/// Who asked, in words.
fn asker(asker: &str) -> String {
    match asker.split_once(':') {
        Some(("agent", name)) => format!("{} (agent)", text::escape(name.as_bytes())),
        Some(("ci", name)) => format!("{} (CI)", text::escape(name.as_bytes())),
        _ if asker == "person" => "a person".to_owned(),
        _ => text::escape(asker.as_bytes()),
    }
}

pub(super) fn paragraphs(said: &str) -> Vec<String> {
    said.lines().map(text::visible).filter(|line| !line.is_empty()).collect()
}

fn places(said: &Said) -> Vec<Field> {
    let cwd = said.cwd.as_ref().map_or_else(|| "deleted".to_owned(), |cwd| text::escape(cwd));
    let mut out = vec![field("host", &said.host), Field { name: "directory".to_owned(), is: cwd }];
    out.extend(said.target.iter().map(|(name, is)| field(name, is)));
    out
}

fn people(kept: &Kept) -> Vec<Field> {
    let said = kept.submitted.said();
    let user = if said.user.is_empty() { format!("uid {}", said.uid) } else { format!("{} (uid {})", said.user, said.uid) };
    let above: Vec<String> = said.ancestry.iter().map(|name| text::escape(name)).collect();
    let mut out = vec![field("user", &user), Field { name: "asked by".to_owned(), is: asker(&said.asker) }];
    if !above.is_empty() {
        out.push(Field { name: "called by".to_owned(), is: above.join(" ← ") });
    }
    out.push(field("proved by", &format!("{}: {}", kept.requester.way, kept.requester.name)));
    out
}

fn rule(rule: &Rule, run: &[Previewed]) -> RuleView {
    let plain = |text: &str| text::escape(text.as_bytes());
    let was_run = run.iter().any(|one| one.argv == rule.preview);
    RuleView {
        id: plain(&rule.id),
        layer: plain(&rule.layer),
        effect: plain(&rule.effect),
        risk: plain(&rule.risk),
        data: rule.data.iter().map(|class| plain(class)).collect(),
        reason: text::visible(&rule.reason),
        instead: text::visible(&rule.instead),
        preview: if rule.preview.is_empty() || was_run { String::new() } else { text::command(&rule.preview, &[]) },
    }
}

fn preview(one: &Previewed) -> PreviewView {
    let lines: Vec<String> = one.output.split(|byte| *byte == b'\n').map(text::escape).collect();
    PreviewView {
        command: text::command(&one.argv, &[]),
        ended: text::visible(&one.ended.to_string()),
        well: one.ended == PreviewEnd::Exit(0),
        output: lines.join("\n").trim_end().to_owned(),
        left_out: one.left_out,
    }
}

/// The job that a token proved, and the one that is claimed where that is another.
fn jobs(kept: &Kept) -> Vec<JobView> {
    let proved = kept.requester.job.iter().map(|job| (job, true));
    let claimed =
        kept.submitted.said().job.iter().filter(|claimed| kept.requester.job.as_ref().is_none_or(|job| job.url() != claimed.url()));
    let all = proved.chain(claimed.map(|job| (job, false)));
    all.map(|(job, proved)| JobView { name: text::escape(job.name().as_bytes()), url: job.url().to_owned(), proved }).collect()
}

fn earlier(earlier: &Kept, said: &Said, now: Wall) -> Earlier {
    let by: Vec<String> = earlier
        .reviews
        .iter()
        .filter(|review| review.answer == Answer::Approve)
        .map(|review| text::escape(review.name.as_bytes()))
        .collect();
    let when = text::ago(earlier.decided.unwrap_or(earlier.created), now);
    let ended = outcome(earlier);
    let ended = if ended.is_empty() { String::new() } else { format!("; {ended}") };
    let lines = compare(earlier.submitted.said(), said);
    let same = lines.as_ref().is_some_and(|lines| lines.iter().all(|line| line.class == "same"));
    Earlier { id: earlier.id.clone(), approved: format!("approved {when} by {}{ended}", by.join(", ")), lines, same }
}

fn facts(said: &Said) -> Vec<Field> {
    let path = |path: &[u8]| text::escape(path);
    let mut out = vec![
        Field { name: "program".to_owned(), is: path(&said.program) },
        Field { name: "its SHA-256".to_owned(), is: text::escape(said.program_sha256.as_bytes()) },
        field(
            "input",
            match said.stdin {
                "tty" => "the terminal",
                "empty" => "empty",
                "file" => "a file, compared before it runs",
                _ => "a pipe that nobody can see",
            },
        ),
    ];
    out.extend(said.facts.iter().map(|(name, is)| field(name, is)));
    out.extend(said.pinned.iter().map(|(file, digest)| Field { name: path(file), is: compare::short(digest) }));
    out
}

fn terms(said: &Said) -> Vec<Field> {
    let terms = &said.terms;
    let mut out = vec![field("assurance", assurance(terms.assurance))];
    if let Some(fresh) = terms.fresh {
        out.push(field("proved within", &text::duration(fresh)));
    }
    out.push(field("decided within", &text::duration(terms.within)));
    out.push(field("then used within", &text::duration(terms.valid)));
    out.push(field("channels", &terms.channels.iter().map(|channel| channel.word()).collect::<Vec<_>>().join(", ")));
    let wanted = |one: &Justification| match one {
        Justification::None => None,
        Justification::Text => Some("any text".to_owned()),
        Justification::Pattern(pattern) => Some(pattern.clone()),
    };
    let wanted: Vec<String> = terms.justification.iter().filter_map(wanted).collect();
    if !wanted.is_empty() {
        out.push(field("justification", &wanted.join(", ")));
    }
    if let Some(limits) = terms.standing {
        let open = if limits.patterns { ", words may be left open" } else { "" };
        out.push(field("standing grant", &format!("{} uses within {} at most{open}", limits.uses, text::duration(limits.longest))));
    }
    for step in &terms.escalate {
        let slots: Vec<String> = step.approvers.iter().map(|slot| slot_name(slot)).collect();
        out.push(Field { name: format!("after {}", text::duration(step.after)), is: format!("also {}", slots.join(", ")) });
    }
    out
}

/// What an assurance means, in words.
pub fn assurance(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Confirm => "confirm: a person at the terminal",
        Assurance::SecondPerson => "second-person: another person, signed on",
        Assurance::FreshMfa => "fresh-mfa: a second factor minutes old, and the number",
        Assurance::Passkey => "passkey: signed by an enrolled passkey",
        Assurance::Hardware => "hardware: signed by an enrolled hardware key",
    }
}

/// A slot as people read it.
pub(super) fn slot_name(slot: &str) -> String {
    let plain = |text: &str| text::escape(text.as_bytes());
    match (slot.strip_prefix("team:"), Approver::of_slot(slot)) {
        (Some(name), _) => format!("team {}", plain(name)),
        (_, Some(person)) => plain(&person.to_string()),
        _ => plain(slot),
    }
}

/// Who stands in which slot. One person fills one slot: who can fill the fewest is placed first.
fn slots(kept: &Kept) -> Vec<SlotView> {
    let terms = &kept.submitted.said().terms;
    let mut approved: Vec<&KeptReview> = kept.reviews.iter().filter(|review| review.answer == Answer::Approve).collect();
    let name = |review: &KeptReview| text::escape(review.name.as_bytes());
    if terms.approvers.is_empty() {
        return vec![SlotView {
            name: "anybody who signs on".to_owned(),
            wanted: terms.threshold,
            by: approved.into_iter().map(name).collect(),
        }];
    }
    let may = |slot: &String, review: &KeptReview| {
        let after = Duration::from_nanos(review.at.saturating_sub(kept.created).max(0).unsigned_abs());
        let added = terms.escalate.iter().filter(|step| after >= step.after).flat_map(|step| &step.approvers);
        review.slots.contains(slot) || added.into_iter().any(|slot| review.slots.contains(slot))
    };
    approved.sort_by_key(|review| terms.approvers.iter().filter(|slot| may(slot, review)).count());
    let empty = |slot: &String| SlotView { name: slot_name(slot), wanted: terms.threshold, by: Vec::new() };
    let mut slots: Vec<SlotView> = terms.approvers.iter().map(empty).collect();
    for review in approved {
        let free = terms.approvers.iter().zip(&mut slots).find(|(slot, view)| view.by.len() < view.wanted as usize && may(slot, review));
        if let Some((_, view)) = free {
            view.by.push(name(review));
        }
    }
    slots
}

fn review(review: &KeptReview, said: &Said, now: Wall) -> ReviewView {
    ReviewView {
        name: text::escape(review.name.as_bytes()),
        person: text::escape(review.approver.to_string().as_bytes()),
        approved: review.answer == Answer::Approve,
        assurance: review.assurance.word(),
        channel: review.channel.word(),
        comment: paragraphs(&review.comment),
        at: Moment::new(review.at, now),
        signed: review.evidence.is_some(),
        how: story::how(review, &said.argv),
    }
}

/// How the command ended, as its host told it.
pub(super) fn outcome(kept: &Kept) -> String {
    let Some(outcome) = &kept.outcome else { return String::new() };
    match outcome.get("exit").and_then(serde_json::Value::as_i64) {
        Some(exit) => format!("exit {exit}"),
        None => "ended".to_owned(),
    }
}
