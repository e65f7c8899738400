use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::drift::Drift;
use super::facts::{Case, Count, Event, Facts, Step, Took};
use super::shown::{cut, moment, shown};
use super::spread::Spread;
use super::tally::{Answers, Latest, Outcome, Tally};
use crate::record::export::Entry;
use crate::record::{Body, Kind, bytes_text, command_line};

/// Questions kept until their answers come.
const MOST_OPEN: usize = 10_000;

/// Steps of time kept apart: ten years of days.
const MOST_STEPS: usize = 4000;

/// Steps of time shown at most.
const MOST_COLUMNS: i64 = 60;

const HOUR: i64 = 3600 * 1_000_000_000;
const DAY: i64 = 24 * HOUR;

/// The ranges in which durations are counted: each up to its milliseconds.
const RANGES: [(&str, u64); 9] = [
    ("under 5 s", 5_000),
    ("5–15 s", 15_000),
    ("15–30 s", 30_000),
    ("30–60 s", 60_000),
    ("1–2 min", 120_000),
    ("2–5 min", 300_000),
    ("5–15 min", 900_000),
    ("15–60 min", 3_600_000),
    ("over 1 h", u64::MAX),
];

/// From when until when, in nanoseconds since 1970; the end is not included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// From then on.
    pub since: i64,
    /// Until then.
    pub until: i64,
}

/// The way through the entries of a log, from the first to the last.
#[derive(Clone, Debug)]
pub struct Gathering {
    span: Span,
    entries: u64,
    first: Option<u64>,
    last: Option<u64>,
    totals: Answers,
    results: Tally<u64>,
    kinds: BTreeMap<Kind, u64>,
    rules: Tally<Answers>,
    users: Tally<Answers>,
    programs: Tally<Answers>,
    approvers: Tally<Answers>,
    refusals: Tally<u64>,
    waiting: HashMap<String, Moment>,
    unit: i64,
    steps: BTreeMap<i64, [u64; 3]>,
    approved: Latest<Case>,
    refused: Latest<Case>,
    unreviewed: Latest<Case>,
    break_glass: Latest<Case>,
    policy_moved: u64,
    signed_approvals: u64,
    failed_starts: u64,
    drift: Drift,
    events: Latest<Event>,
}

/// When a question was asked.
#[derive(Clone, Debug)]
struct Moment {
    wall: i64,
    boot: String,
    monotonic: Duration,
}

impl Moment {
    fn of(body: &Body<'_>) -> Self {
        Self { wall: body.header.wall, boot: body.header.boot.to_owned(), monotonic: body.header.monotonic }
    }

    /// Milliseconds until the answer: by the clock that nobody sets, unless the machine was started anew in between.
    fn until(&self, body: &Body<'_>) -> u64 {
        let passed = match body.header.monotonic.checked_sub(self.monotonic) {
            Some(passed) if self.boot == body.header.boot => passed.as_millis(),
            _ => u128::try_from(i128::from(body.header.wall) - i128::from(self.wall)).unwrap_or_default() / 1_000_000,
        };
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

impl Gathering {
    /// Nothing yet.
    pub fn new(span: Span) -> Self {
        let short = span.until.saturating_sub(span.since) <= 3 * DAY;
        Self {
            span,
            entries: 0,
            first: None,
            last: None,
            totals: Answers::default(),
            results: Tally::default(),
            kinds: BTreeMap::new(),
            rules: Tally::default(),
            users: Tally::default(),
            programs: Tally::default(),
            approvers: Tally::default(),
            refusals: Tally::default(),
            waiting: HashMap::new(),
            unit: if short { HOUR } else { DAY },
            steps: BTreeMap::new(),
            approved: Latest::default(),
            refused: Latest::default(),
            unreviewed: Latest::default(),
            break_glass: Latest::default(),
            policy_moved: 0,
            signed_approvals: 0,
            failed_starts: 0,
            drift: Drift::default(),
            events: Latest::default(),
        }
    }

    /// Takes the next entry. Those before the span are wanted too: they hold the questions that the span answers, and the policy it began with.
    pub fn see(&mut self, entry: &Entry<'_>) {
        let body = entry.body();
        let wall = body.header.wall;
        if wall >= self.span.until {
            return;
        }
        let in_span = wall >= self.span.since;
        if in_span {
            self.entries += 1;
            self.first.get_or_insert(body.header.seq);
            self.last = Some(body.header.seq);
            *self.kinds.entry(body.kind).or_default() += 1;
        }
        match (body.kind, body.request) {
            (Kind::Request, Some(request)) if self.waiting.len() < MOST_OPEN => {
                self.waiting.insert(request.to_owned(), Moment::of(body));
            }
            (Kind::Decision, request) => {
                let asked = request.and_then(|request| self.waiting.remove(request));
                let policy = entry.get("policy").unwrap_or_default();
                self.drift.see(body.header.seq, wall, in_span, &policy);
                if in_span {
                    self.policy_moved += u64::from(policy.get("moved_by").is_some());
                    self.decision(entry, asked.map(|asked| asked.until(body)));
                }
            }
            (Kind::ExecFail, _) => self.failed_starts += u64::from(in_span),
            // What begins or ends a command, what a decision tells once more, and what is of no command.
            (
                Kind::Request
                | Kind::ExecStart
                | Kind::ExecReplace
                | Kind::ExecEnd
                | Kind::Heartbeat
                | Kind::Review
                | Kind::RequestState
                | Kind::Login
                | Kind::Logout,
                _,
            ) => {}
            _ if in_span => self.events.add(event(body)),
            _ => {}
        }
    }

    fn decision(&mut self, entry: &Entry<'_>, took: Option<u64>) {
        let decision = entry.get("decision").unwrap_or_default();
        let case = case(entry, &decision, took);
        let effect = text(&decision, "effect");
        let outcome = Outcome::of(&effect, &case.result);
        // What a rule answered, and what nobody could be asked, is no person's time.
        let took = took.filter(|_| outcome.asked() && case.result != "unreachable");
        self.totals.add(outcome, took);
        *self.results.of(&format!("{effect} {}", case.result)) += 1;
        let mut rules = case.rules.clone();
        rules.sort();
        rules.dedup();
        for rule in &rules {
            self.rules.of(rule).add(outcome, took);
        }
        self.users.of(&case.user).add(outcome, took);
        let program = entry.get("cmd").and_then(|cmd| bytes_text(cmd.get("program")?)).map(|program| shown(&program));
        self.programs.of(program.as_deref().unwrap_or("unknown")).add(outcome, took);
        for person in &case.by {
            self.approvers.of(person).add(outcome, took);
        }
        let step = match outcome {
            Outcome::Allowed | Outcome::Observed => 0,
            Outcome::Approved => 1,
            Outcome::Refused { .. } => 2,
        };
        let at = entry.body().header.wall.div_euclid(self.unit);
        if self.steps.len() < MOST_STEPS || self.steps.contains_key(&at) {
            self.steps.entry(at).or_default()[step] += 1;
        }
        self.listed(case, outcome, &decision);
    }

    fn listed(&mut self, case: Case, outcome: Outcome, decision: &Value) {
        match outcome {
            Outcome::Allowed => {}
            Outcome::Observed => self.unreviewed.add(case),
            Outcome::Approved => {
                let people = decision.get("approvers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                self.signed_approvals += u64::from(people.iter().any(|review| review.get("evidence").is_some()));
                if people.iter().any(|review| review.get("break_glass") == Some(&Value::Bool(true))) {
                    self.break_glass.add(case.clone());
                }
                // Who confirms at the own terminal is not shown to be another person.
                if !people.iter().any(|review| review.get("other_person") == Some(&Value::Bool(true))) {
                    self.unreviewed.add(case.clone());
                }
                self.approved.add(case);
            }
            Outcome::Refused { .. } => {
                let why = if case.why.is_empty() { case.result.clone() } else { format!("{}: {}", case.result, case.why) };
                *self.refusals.of(&why) += 1;
                self.refused.add(case);
            }
        }
    }

    /// What was found. `stopped` says why the entries after the last one are not in it.
    pub fn finish(self, stopped: Option<String>) -> Facts {
        let took = times(&self.totals.took);
        let activity = self.activity();
        let (approved, approved_earlier) = self.approved.finish();
        let (refused, refused_earlier) = self.refused.finish();
        let (unreviewed, unreviewed_earlier) = self.unreviewed.finish();
        let (break_glass, break_glass_earlier) = self.break_glass.finish();
        let (events, events_earlier) = self.events.finish();
        let (policies, policies_more, policy_files, policy_changes) = self.drift.finish();
        Facts {
            since: moment(self.span.since),
            until: moment(self.span.until),
            entries: self.entries,
            first: self.first,
            last: self.last,
            stopped,
            totals: self.totals.row("all".to_owned()),
            time_to_decision: took,
            results: self.results.counts(),
            kinds: self.kinds.into_iter().map(|(kind, count)| Count { name: kind.word().to_owned(), count }).collect(),
            rules: self.rules.table(true),
            users: self.users.table(false),
            programs: self.programs.table(false),
            approvers: self.approvers.table(false),
            refusals: self.refusals.counts(),
            activity,
            approved,
            approved_earlier,
            refused,
            refused_earlier,
            break_glass,
            break_glass_earlier,
            unreviewed,
            unreviewed_earlier,
            policy_moved: self.policy_moved,
            signed_approvals: self.signed_approvals,
            open: self.waiting.len() as u64,
            failed_starts: self.failed_starts,
            policies,
            policies_more,
            policy_files,
            policy_changes,
            events,
            events_earlier,
        }
    }

    /// Steps of one length from the first decision to the last, as many as a chart has room for.
    fn activity(&self) -> Vec<Step> {
        let (Some((first, _)), Some((last, _))) = (self.steps.first_key_value(), self.steps.last_key_value()) else { return Vec::new() };
        let width = (last - first) / MOST_COLUMNS + 1;
        let mut at = *first;
        let mut all = Vec::new();
        while at <= *last {
            let mut sums = [0; 3];
            for counts in self.steps.range(at..at + width).map(|(_, counts)| counts) {
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
            let from = moment(at.saturating_mul(self.unit));
            let from = if self.unit == DAY { from.get(..10) } else { from.get(..16) }.unwrap_or("?").to_owned();
            all.push(Step { from, allowed: sums[0], approved: sums[1], refused: sums[2] });
            at += width;
        }
        all
    }
}

fn times(took: &Spread) -> Took {
    let starts = std::iter::once(0).chain(RANGES.iter().map(|(_, end)| *end));
    let ranges = starts.zip(RANGES).map(|(from, (name, to))| Count { name: name.to_owned(), count: took.between(from, to) });
    Took {
        count: took.count(),
        median_ms: took.percentile(50),
        p95_ms: took.percentile(95),
        longest_ms: took.longest(),
        ranges: ranges.collect(),
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(shown).unwrap_or_default()
}

fn case(entry: &Entry<'_>, decision: &Value, took_ms: Option<u64>) -> Case {
    let body = entry.body();
    let actor = entry.get("actor").unwrap_or_default();
    let uid = || actor.get("uid").map_or_else(|| "unknown".to_owned(), |uid| shown(&format!("uid {uid}")));
    let user = Some(text(&actor, "user")).filter(|user| !user.is_empty()).unwrap_or_else(uid);
    let list = |name: &str| decision.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let approvers = list("approvers").iter().map(|review| format!("{} at {}", text(review, "subject"), text(review, "issuer")));
    let mut by: Vec<String> = approvers.chain(decision.get("by").and_then(Value::as_str).map(shown)).take(8).collect();
    by.dedup();
    let said = |value: &Value| ["justification", "comment"].map(|name| text(value, name)).into_iter().filter(|text| !text.is_empty());
    let why = [text(decision, "why"), text(decision, "comment")].into_iter().filter(|text| !text.is_empty());
    let why: Vec<String> = why.chain(list("approvers").iter().flat_map(said)).take(8).collect();
    let command = entry.get("cmd").map(|cmd| command_line(&cmd)).unwrap_or_default();
    Case {
        seq: body.header.seq,
        time: moment(body.header.wall),
        user,
        asker: text(&actor, "asker"),
        command: cut(&command, command.chars().count()),
        risk: body.text("risk").map(shown).unwrap_or_default(),
        rules: list("rules").iter().filter_map(|rule| rule.get("id")?.as_str()).take(64).map(shown).collect(),
        result: text(decision, "result"),
        by,
        assurance: text(decision, "assurance"),
        why: why.join(" – "),
        took_ms,
    }
}

/// What records about the log itself say; each kind has some of these.
fn event(body: &Body<'_>) -> Event {
    let names = ["what", "error", "reason", "rule", "from", "to", "size", "digests", "entries", "epoch", "policy", "keys"];
    let said = names.iter().filter_map(|name| Some(format!("{name} {}", body.raw(name)?)));
    let what = shown(&said.collect::<Vec<_>>().join(", "));
    Event { seq: body.header.seq, time: moment(body.header.wall), kind: body.kind.word(), what }
}
