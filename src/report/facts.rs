use serde::Serialize;

use super::controls::Control;
use super::drift::{InForce, PolicyFile};
use super::shown::{share, took};

/// What a report says: about which log, how sure, what happened, and what that supports.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The framework's name.
    pub framework: &'static str,
    /// When the report was made.
    pub made: String,
    /// Which gate made it.
    pub gate: &'static str,
    /// What checking the log gave.
    pub verification: Verification,
    /// What happened.
    pub facts: Facts,
    /// What that supports.
    pub controls: Vec<Control>,
}

/// What checking the log gave.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// `tampered`, `not anchored` or `anchored`.
    pub assurance: &'static str,
    /// The words of `gate audit verify`, made visible.
    pub words: Vec<String>,
    /// How many entries were checked.
    pub entries: u64,
    /// The log's origin, made visible.
    pub origin: String,
    /// The log key, made visible.
    pub key: String,
    /// The signed end of the log, made visible, line by line.
    pub checkpoint: Vec<String>,
}

/// What happened in a span of time. All text in it is made visible and of limited length; times are UTC.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// From when on.
    pub since: String,
    /// Until when, this moment not included.
    pub until: String,
    /// The entries of the span: how many, the first, the last.
    pub entries: u64,
    /// The first of them.
    pub first: Option<u64>,
    /// The last of them.
    pub last: Option<u64>,
    /// Why the entries after the last one are not in it.
    pub stopped: Option<String>,
    /// All requests that were decided.
    pub totals: Row,
    /// How long people took.
    pub time_to_decision: Took,
    /// By effect and result: `ask approved`.
    pub results: Vec<Count>,
    /// By record kind.
    pub kinds: Vec<Count>,
    /// By rule; a request counts for each rule that took part.
    pub rules: Table,
    /// By user.
    pub users: Table,
    /// By program.
    pub programs: Table,
    /// By the person who decided.
    pub approvers: Table,
    /// Why something was refused.
    pub refusals: Vec<Count>,
    /// Over time.
    pub activity: Vec<Step>,
    /// What people approved, the last ones.
    pub approved: Vec<Case>,
    /// How many more before those.
    pub approved_earlier: u64,
    /// What was refused, the last ones.
    pub refused: Vec<Case>,
    /// How many more before those.
    pub refused_earlier: u64,
    /// Break-glass uses.
    pub break_glass: Vec<Case>,
    /// How many more before those.
    pub break_glass_earlier: u64,
    /// What ran and was reviewed by no other person although a rule wanted a question, the last ones.
    pub unreviewed: Vec<Case>,
    /// How many more before those.
    pub unreviewed_earlier: u64,
    /// Decisions under a policy that variables of the caller had moved.
    pub policy_moved: u64,
    /// Approvals that carry the approver's own signature.
    pub signed_approvals: u64,
    /// Requests that nobody has answered yet.
    pub open: u64,
    /// Commands that were granted and did not start.
    pub failed_starts: u64,
    /// The policies that decided.
    pub policies: Vec<InForce>,
    /// How many more.
    pub policies_more: u64,
    /// The files of these policies.
    pub policy_files: Vec<PolicyFile>,
    /// How often one of these files changed.
    pub policy_changes: u64,
    /// What happened to the log, its keys and its settings, the last ones.
    pub events: Vec<Event>,
    /// How many more before those.
    pub events_earlier: u64,
}

/// A name and how often.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// Rows, and what does not fit into them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// The foremost.
    pub rows: Vec<Row>,
    /// All others together.
    pub others: Option<Row>,
}

impl Table {
    /// All rows, that of the others last.
    pub fn all(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().chain(&self.others)
    }
}

/// How the requests of one name went.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// Of what.
    pub name: String,
    /// Decided requests.
    pub commands: u64,
    /// Run by a rule.
    pub allowed: u64,
    /// Run although a rule would have asked.
    pub observed: u64,
    /// Run by a person's word.
    pub approved: u64,
    /// Not run.
    pub refused: u64,
    /// Those where a person's answer was wanted.
    pub asked: u64,
    /// Their share, in thousandths.
    pub asked_per_mille: u64,
    /// From the question to its answer, in milliseconds; within 3 %.
    pub median_ms: Option<u64>,
    /// What 95 % do not exceed.
    pub p95_ms: Option<u64>,
}

impl Row {
    /// The share of questions as people read it.
    pub fn share(&self) -> String {
        share(self.asked_per_mille)
    }

    /// The median as people read it.
    pub fn median(&self) -> String {
        took(self.median_ms)
    }

    /// The 95th percentile as people read it.
    pub fn p95(&self) -> String {
        took(self.p95_ms)
    }
}

/// How long people took, in milliseconds; within 3 %.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Took {
    /// How many answers are known with their question.
    pub count: u64,
    /// Half took no longer.
    pub median_ms: Option<u64>,
    /// 95 % took no longer.
    pub p95_ms: Option<u64>,
    /// The longest.
    pub longest_ms: Option<u64>,
    /// By range.
    pub ranges: Vec<Count>,
}

impl Took {
    /// The median as people read it.
    pub fn median(&self) -> String {
        took(self.median_ms)
    }

    /// The 95th percentile as people read it.
    pub fn p95(&self) -> String {
        took(self.p95_ms)
    }

    /// The longest as people read it.
    pub fn longest(&self) -> String {
        took(self.longest_ms)
    }
}

/// One step of time.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// When it begins.
    pub from: String,
    /// Run by a rule, or only observed.
    pub allowed: u64,
    /// Run by a person's word.
    pub approved: u64,
    /// Not run.
    pub refused: u64,
}

/// One decided request.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// The decision's entry.
    pub seq: u64,
    /// When it was decided.
    pub time: String,
    /// Whose request.
    pub user: String,
    /// On whose behalf: a person, an agent.
    pub asker: String,
    /// The command, as a shell would take it.
    pub command: String,
    /// How bad.
    pub risk: String,
    /// The rules that took part.
    pub rules: Vec<String>,
    /// What was decided.
    pub result: String,
    /// Who decided.
    pub by: Vec<String>,
    /// How surely that person is known.
    pub assurance: String,
    /// Why, in the words of the record.
    pub why: String,
    /// From the question to the answer, in milliseconds.
    pub took_ms: Option<u64>,
}

impl Case {
    /// How long it took, as people read it.
    pub fn took(&self) -> String {
        took(self.took_ms)
    }
}

/// Something that happened to the log, its keys or its settings.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Its entry.
    pub seq: u64,
    /// When.
    pub time: String,
    /// The record's kind.
    pub kind: &'static str,
    /// What the record says.
    pub what: String,
}
