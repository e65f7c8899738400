use std::collections::HashMap;

use serde_json::{Value, json};

use super::disclosed;
use super::error::Error;
use super::reader::Reader;
use super::unfinished::may_run;
use super::words;
use crate::record::{Body, Kind};

/// Ends of more requests than this are not kept while their beginnings are looked for.
const MOST_OPEN: usize = 100_000;

/// Which requests to list. What is none lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not before this, in nanoseconds since 1970.
    pub since: Option<i64>,
    /// A user's name or uid.
    pub user: Option<String>,
    /// A rule's id; `ID*` stands for all that begin so.
    pub rule: Option<String>,
    /// What was decided: `allowed`, `approved`, `denied`, …, or a rule's effect: `allow`, `ask`, `deny`.
    pub decision: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    pub risk: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// One request: what was asked, what was decided, how it ended. Nothing in it is escaped yet.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Line {
    /// The entry of the decision, or of the request while there is none.
    pub seq: u64,
    /// The request's id.
    pub id: String,
    /// When it was asked, in nanoseconds since 1970.
    pub wall: i64,
    /// The user's name, else the uid.
    pub user: String,
    /// The uid.
    pub uid: String,
    /// What was decided, or `pending`.
    pub decision: String,
    /// The effect that the policy had.
    pub effect: String,
    /// How bad.
    pub risk: String,
    /// The ids of the rules that took part.
    pub rules: Vec<String>,
    /// How it ended, in words; empty when nothing ran.
    pub outcome: String,
    /// The command, as the record has it.
    pub cmd: Value,
}

impl Line {
    /// For machines: the same in one object.
    pub fn json(&self) -> Value {
        json!({
            "seq": self.seq,
            "id": self.id,
            "time": words::time(self.wall),
            "user": self.user,
            "uid": self.uid,
            "decision": self.decision,
            "effect": self.effect,
            "risk": self.risk,
            "rules": self.rules,
            "outcome": self.outcome,
            "command": words::command(&self.cmd),
            "cmd": self.cmd,
        })
    }
}

/// What is known of a request whose beginning is not reached yet.
#[derive(Default)]
struct Open {
    outcome: Option<String>,
    line: Option<Line>,
}

impl Reader {
    /// Lists requests, the newest first, to `each`, until that says stop.
    pub fn list(&self, filter: &Filter, boot_id: &str, mut each: impl FnMut(Line) -> bool) -> Result<(), Error> {
        let failed = |error| self.failed(&error);
        let mut statement = self.connection().prepare("SELECT seq,body FROM entry ORDER BY seq DESC").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut open: HashMap<String, Open> = HashMap::new();
        let mut left = filter.limit;
        while left > 0
            && let Some(row) = rows.next().map_err(failed)?
        {
            let (Ok(seq), Ok(bytes)) = (row.get::<_, i64>(0), row.get_ref(1).map_err(failed)?.as_blob()) else { continue };
            let Ok(body) = Body::parse(bytes) else { continue };
            if let Some(mut line) = step(&mut open, u64::try_from(seq).unwrap_or_default(), &body, boot_id)
                && filter.passes(&line)
            {
                left -= 1;
                disclosed::put_back(self.connection(), &mut line.cmd).map_err(failed)?;
                if !each(line) {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Takes one entry, on the way from the newest to the oldest, and gives the request that it begins.
fn step(open: &mut HashMap<String, Open>, seq: u64, body: &Body<'_>, boot_id: &str) -> Option<Line> {
    let request = body.request?;
    match body.kind {
        Kind::Request => {
            let known = open.remove(request).unwrap_or_default();
            let asked = begun(seq, body);
            Some(match known.line {
                Some(decided) => Line { wall: asked.wall, ..decided },
                None => Line { decision: "pending".to_owned(), ..asked },
            })
        }
        Kind::Decision => {
            let known = open.remove(request).unwrap_or_default();
            let mut line = begun(seq, body);
            line.outcome = known.outcome.unwrap_or_default();
            // What is observed was asked of nobody, so no request stands before it.
            if line.effect != "ask" || line.decision == "observed" {
                return Some(line);
            }
            keep(open, request, Open { line: Some(line), outcome: None });
            None
        }
        Kind::ExecStart if !open.contains_key(request) => {
            let outcome = if may_run(body, boot_id) { "running" } else { "unknown" };
            keep(open, request, Open { outcome: Some(outcome.to_owned()), line: None });
            None
        }
        _ => {
            if let Some(outcome) = words::outcome(body) {
                keep(open, request, Open { outcome: Some(outcome), line: None });
            }
            None
        }
    }
}

fn keep(open: &mut HashMap<String, Open>, request: &str, known: Open) {
    if open.len() < MOST_OPEN {
        open.insert(request.to_owned(), known);
    }
}

/// What a `request` or `decision` record says.
fn begun(seq: u64, body: &Body<'_>) -> Line {
    let actor = body.value("actor").unwrap_or_default();
    let decision = body.value("decision").unwrap_or_default();
    let word = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let uid = actor.get("uid").map(ToString::to_string).unwrap_or_default();
    let rules = match (decision.get("rules"), body.value("policy").as_ref().and_then(|policy| policy.get("rules"))) {
        (Some(Value::Array(rules)), _) | (None, Some(Value::Array(rules))) => rules.iter().filter_map(rule_id).collect(),
        _ => Vec::new(),
    };
    let risk = match word(&decision, "risk") {
        risk if risk.is_empty() => body.text("risk").unwrap_or_default().to_owned(),
        risk => risk,
    };
    Line {
        seq,
        id: body.request.unwrap_or_default().to_owned(),
        wall: body.header.wall,
        user: Some(word(&actor, "user")).filter(|user| !user.is_empty()).unwrap_or_else(|| uid.clone()),
        uid,
        decision: word(&decision, "result"),
        effect: word(&decision, "effect"),
        risk,
        rules,
        outcome: String::new(),
        cmd: body.value("cmd").unwrap_or_default(),
    }
}

fn rule_id(rule: &Value) -> Option<String> {
    rule.as_str().or_else(|| rule.get("id")?.as_str()).map(str::to_owned)
}

impl Filter {
    fn passes(&self, line: &Line) -> bool {
        let is = |wanted: &Option<String>, given: &[&str]| wanted.as_deref().is_none_or(|wanted| given.contains(&wanted));
        let rule = |wanted: &str| match wanted.strip_suffix('*') {
            Some(start) => line.rules.iter().any(|rule| rule.starts_with(start)),
            None => line.rules.iter().any(|rule| rule == wanted),
        };
        self.since.is_none_or(|since| line.wall >= since)
            && is(&self.user, &[&line.user, &line.uid])
            && is(&self.decision, &[&line.decision, &line.effect])
            && is(&self.risk, &[&line.risk])
            && self.rule.as_deref().is_none_or(rule)
    }
}
