//! What the pages say, as plain text in fields: filled from what the server keeps by pure functions, and safe to show as it is.

use std::time::Duration;

use super::compare::{self, Line, compare};
use super::words::{self, Shown};
use super::{viewer::May, warnings};
use crate::approval::{Answer, Rule, Said};
use crate::policy::{Assurance, Justification};
use crate::server::model::{Kept, KeptReview, State, Wall};
use crate::text;

const SECOND: i64 = 1_000_000_000;

/// A moment: for programs, and for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// RFC 3339 in UTC.
    pub iso: String,
    /// `3 min ago`.
    pub ago: String,
}

impl Moment {
    /// A moment as seen from another one.
    pub fn new(at: Wall, now: Wall) -> Self {
        let iso = jiff::Timestamp::from_nanosecond(at.into()).map_or_else(|_| String::new(), |time| format!("{time:.0}"));
        Self { iso, ago: text::ago(at, now) }
    }
}

/// A name and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The value.
    pub is: String,
}

fn field(name: &str, is: &str) -> Field {
    Field { name: text::escape(name.as_bytes()), is: text::escape(is.as_bytes()) }
}

/// A rule that took part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleView {
    /// Its id.
    pub id: String,
    /// Its layer.
    pub layer: String,
    /// Its effect.
    pub effect: String,
    /// How bad it is.
    pub risk: String,
    /// Classes of data.
    pub data: Vec<String>,
    /// Why it matters.
    pub reason: String,
    /// What would be safer.
    pub instead: String,
    /// The command that shows what would happen.
    pub preview: String,
}

/// A review as the card and the history show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReviewView {
    /// Their name, for display only.
    pub name: String,
    /// Issuer and subject.
    pub person: String,
    /// Whether they approved.
    pub approved: bool,
    /// How surely it was them.
    pub assurance: &'static str,
    /// By which way.
    pub channel: &'static str,
    /// Their words, a line each.
    pub comment: Vec<String>,
    /// When.
    pub at: Moment,
    /// Whether they signed it.
    pub signed: bool,
}

/// Who was asked: a slot of the terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotView {
    /// `team sre`, or a person.
    pub name: String,
    /// How many people of it are wanted.
    pub wanted: u32,
    /// Who approved and may stand in it.
    pub by: Vec<String>,
}

/// A request in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: &'static str,
    /// The same in words, with how the command ended where that is known.
    pub stands: String,
    /// What colour and mark that has: the state, or `failed` for a command that did not end well.
    pub class: &'static str,
    /// How bad it is.
    pub risk: &'static str,
    /// The command on one line.
    pub command: String,
    /// Who asks, through what, where.
    pub who: String,
    /// What it acts on, in few words.
    pub target: String,
    /// When it was asked.
    pub at: Moment,
    /// When it ends, in milliseconds since 1970.
    pub until: i64,
    /// How long that is from now.
    pub left: String,
    /// Who decided.
    pub by: String,
    /// Why the viewer may not decide; empty where they may.
    pub not_mine: &'static str,
}

/// An earlier command to compare with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Earlier {
    /// Its id.
    pub id: String,
    /// When it was approved, by whom.
    pub approved: String,
    /// What differs; none where it is too much to compare.
    pub lines: Option<Vec<Line>>,
    /// Whether nothing differs.
    pub same: bool,
}

/// The page of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    /// The request in a line.
    pub row: Row,
    /// The program's name.
    pub program: String,
    /// Who asked: an agent, a CI job or a person.
    pub asker: String,
    /// The user there.
    pub user: String,
    /// The host.
    pub host: String,
    /// The words of the command.
    pub words: Vec<Shown>,
    /// Bytes of it.
    pub bytes: usize,
    /// What can hurt.
    pub warnings: Vec<String>,
    /// Where it runs and what it acts on.
    pub places: Vec<Field>,
    /// Who asks, through what.
    pub people: Vec<Field>,
    /// Why, a paragraph each.
    pub justification: Vec<String>,
    /// The rules.
    pub rules: Vec<RuleView>,
    /// Compared with the last approved similar command.
    pub earlier: Option<Earlier>,
    /// What else this requester asked in the last hour.
    pub recent: Vec<Row>,
    /// What is compared before it runs, and what rules asked about.
    pub facts: Vec<Field>,
    /// The terms in words.
    pub terms: Vec<Field>,
    /// Who was asked.
    pub slots: Vec<SlotView>,
    /// What people said.
    pub reviews: Vec<ReviewView>,
    /// How the command ended.
    pub outcome: String,
    /// The digest.
    pub digest: String,
    /// Its short form.
    pub short: String,
    /// How long people have, in milliseconds.
    pub within: i64,
    /// Its version, for live updates.
    pub version: u64,
    /// What the viewer may do.
    pub may: May,
}

/// What stands around a request.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The last approved similar request.
    pub earlier: Option<&'a Kept>,
    /// What this requester asked lately.
    pub recent: &'a [Kept],
    /// Now.
    pub now: Wall,
}

/// Fills the card.
pub fn card(kept: &Kept, around: &Around, may: May) -> Card {
    let said = kept.submitted.said();
    let now = around.now;
    Card {
        row: row(kept, now, ""),
        program: words::program(&said.argv),
        asker: asker(&said.asker),
        user: if said.user.is_empty() { format!("uid {}", said.uid) } else { text::escape(said.user.as_bytes()) },
        host: text::escape(said.host.as_bytes()),
        words: words::shown(&said.argv),
        bytes: said.argv.iter().map(|word| word.shown.len()).sum(),
        warnings: warnings::of(said),
        places: places(said),
        people: people(kept),
        justification: paragraphs(&said.justification),
        rules: said.rules.iter().map(rule).collect(),
        earlier: around.earlier.map(|earlier| self::earlier(earlier, said, now)),
        recent: around.recent.iter().map(|other| row(other, now, "")).collect(),
        facts: facts(said),
        terms: terms(said),
        slots: slots(kept),
        reviews: kept.reviews.iter().map(|one| review(one, now)).collect(),
        outcome: outcome(kept),
        digest: kept.digest().to_string(),
        short: kept.digest().short(),
        within: kept.expires.saturating_sub(kept.created) / 1_000_000,
        version: kept.version,
        may,
    }
}

/// Fills a line of a list.
pub fn row(kept: &Kept, now: Wall, not_mine: &'static str) -> Row {
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
        not_mine,
    }
}

fn stands(state: State, ended: &str) -> String {
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

fn paragraphs(said: &str) -> Vec<String> {
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

fn rule(rule: &Rule) -> RuleView {
    let plain = |text: &str| text::escape(text.as_bytes());
    RuleView {
        id: plain(&rule.id),
        layer: plain(&rule.layer),
        effect: plain(&rule.effect),
        risk: plain(&rule.risk),
        data: rule.data.iter().map(|class| plain(class)).collect(),
        reason: text::visible(&rule.reason),
        instead: text::visible(&rule.instead),
        preview: if rule.preview.is_empty() { String::new() } else { text::command(&rule.preview, &[]) },
    }
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
fn slot_name(slot: &str) -> String {
    let plain = |text: &str| text::escape(text.as_bytes());
    match slot.split_once(':') {
        Some(("team", name)) => format!("team {}", plain(name)),
        Some(("person", who)) => {
            who.rsplit_once('#').map_or_else(|| plain(who), |(issuer, subject)| format!("{} at {}", plain(subject), plain(issuer)))
        }
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

fn review(review: &KeptReview, now: Wall) -> ReviewView {
    ReviewView {
        name: text::escape(review.name.as_bytes()),
        person: text::escape(review.approver.to_string().as_bytes()),
        approved: review.answer == Answer::Approve,
        assurance: review.assurance.word(),
        channel: review.channel.word(),
        comment: paragraphs(&review.comment),
        at: Moment::new(review.at, now),
        signed: review.evidence.is_some(),
    }
}

/// How the command ended, as its host told it.
fn outcome(kept: &Kept) -> String {
    let Some(outcome) = &kept.outcome else { return String::new() };
    match outcome.get("exit").and_then(serde_json::Value::as_i64) {
        Some(exit) => format!("exit {exit}"),
        None => "ended".to_owned(),
    }
}
