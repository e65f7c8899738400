//! What the pages say, as plain text in fields that is safe to show as it is.

use super::compare::Line;
use super::viewer::{Glass, May};
use super::words::Shown;
use crate::server::model::{Kept, Wall};
use crate::text;

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

/// A CI job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobView {
    /// What it is called.
    pub name: String,
    /// Where it is found: `http://` or `https://`.
    pub url: String,
    /// Whether a token of the provider says it; else the requester does.
    pub proved: bool,
}

/// A preview as the requester's machine ran it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviewView {
    /// The command.
    pub command: String,
    /// How it ended.
    pub ended: String,
    /// Whether it ended well.
    pub well: bool,
    /// What it wrote, in lines.
    pub output: String,
    /// How many bytes before that are left out.
    pub left_out: u64,
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
    /// In whose place, that they broke the glass, or how far it goes beyond one run; nothing else.
    pub how: String,
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
    /// Why the viewer may not decide, in whose place they may, or of what standing grant it is; empty where there is nothing to say.
    pub note: String,
}

/// The same, asked before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Before {
    /// The id of the last one.
    pub id: String,
    /// How often, in words.
    pub times: String,
    /// When the last one was asked.
    pub at: Moment,
    /// How it ended, by whom.
    pub ended: String,
    /// What was said about it.
    pub comment: Vec<String>,
}

/// What happens while it waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// When, in milliseconds since 1970.
    pub until: i64,
    /// How long that is from now; empty where it has come.
    pub left: String,
    /// What.
    pub what: String,
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
    /// The CI jobs that it runs in, as claimed and as proved.
    pub jobs: Vec<JobView>,
    /// Why, a paragraph each.
    pub justification: Vec<String>,
    /// The rules.
    pub rules: Vec<RuleView>,
    /// What previews showed.
    pub previews: Vec<PreviewView>,
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
    /// Whether one person approved it alone, without those who were asked.
    pub broken: bool,
    /// The same, asked before.
    pub before: Option<Before>,
    /// Who is asked later, and when people are reminded.
    pub steps: Vec<Step>,
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
    /// The standing grant that it is a use of: the request that people saw, which use, and of how many.
    pub drawn: Option<(String, u32, u32)>,
    /// How far its approvals go beyond it; empty where they do not.
    pub grant: String,
    /// What the viewer may do.
    pub may: May,
    /// What the viewer may do about broken glass.
    pub glass: Glass,
}

/// What stands around a request.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The last approved similar request.
    pub earlier: Option<&'a Kept>,
    /// What this requester asked lately.
    pub recent: &'a [Kept],
    /// The same request, the last time that it was asked.
    pub before: Option<&'a Kept>,
    /// Now.
    pub now: Wall,
}
