use serde_json::Value;

use super::Entry;
use crate::record::shown::bytes_text;
use crate::record::{Kind, command_line, hex};
use crate::text;

/// What a record says, in the words that the forms share. Nothing in it is escaped but the command, which reads as a shell takes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) time: String,
    pub(super) leaf: String,
    pub(super) prev: String,
    pub(super) user: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) euid: Option<String>,
    pub(super) tty: Option<String>,
    pub(super) session: Option<String>,
    pub(super) asker: Option<String>,
    pub(super) host: String,
    pub(super) version: String,
    pub(super) command: Option<String>,
    pub(super) args: Option<Vec<String>>,
    pub(super) program: Option<String>,
    pub(super) path: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) pid: Option<i64>,
    pub(super) exit: Option<i64>,
    pub(super) signal: Option<i64>,
    pub(super) duration: Option<i64>,
    pub(super) result: Option<String>,
    pub(super) effect: Option<String>,
    pub(super) rules: Vec<String>,
    pub(super) risk: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) approvers: Vec<String>,
    pub(super) why: Option<String>,
}

impl Told {
    pub(super) fn of(entry: &Entry<'_>) -> Self {
        let at = |name: &str, members: &[&str]| {
            let value = entry.get(name)?;
            members.iter().try_fold(&value, |value, member| value.get(member)).cloned()
        };
        let words = |name: &str, members: &[&str]| at(name, members).as_ref().and_then(bytes_text);
        let number = |name: &str, members: &[&str]| at(name, members).as_ref().and_then(whole);
        let cmd = entry.get("cmd");
        let decided = entry.get("decision").unwrap_or_default();
        let rules = decided.get("rules").cloned().or_else(|| at("policy", &["rules"]));
        let wall = entry.body.header.wall;
        Self {
            time: jiff::Timestamp::from_nanosecond(wall.into()).map(|time| format!("{time:.9}")).unwrap_or_default(),
            leaf: hex(&entry.leaf),
            prev: hex(&entry.body.header.prev),
            user: words("actor", &["user"]),
            uid: number("actor", &["uid"]).map(|uid| uid.to_string()),
            euid: number("actor", &["euid"]).map(|uid| uid.to_string()),
            tty: words("actor", &["tty"]),
            session: number("actor", &["session"]).map(|id| id.to_string()),
            asker: words("actor", &["asker"]),
            // An origin is `NAME/HOST/RANDOM`.
            host: words("host", &["name"]).unwrap_or_else(|| entry.body.header.log.split('/').nth(1).unwrap_or("unknown").to_owned()),
            version: words("gate", &["version"]).unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            command: cmd.as_ref().map(command_line).filter(|command| !command.is_empty()),
            args: at("cmd", &["argv"]).and_then(|argv| Some(argv.as_array()?.iter().filter_map(bytes_text).collect())),
            program: words("cmd", &["program"]),
            path: words("cmd", &["path"]),
            sha256: words("cmd", &["sha256"]),
            cwd: words("cmd", &["cwd"]),
            pid: number("proc", &["pid"]),
            exit: number("outcome", &["exit"]),
            signal: number("outcome", &["signal"]),
            duration: number("outcome", &["duration_ns"]),
            result: decided.get("result").and_then(bytes_text),
            effect: decided.get("effect").and_then(bytes_text),
            rules: rules.as_ref().and_then(Value::as_array).map(|rules| rules.iter().filter_map(rule_id).collect()).unwrap_or_default(),
            risk: decided.get("risk").and_then(bytes_text).or_else(|| entry.get("risk").as_ref().and_then(bytes_text)),
            policy: words("policy", &["sha256"]),
            approvers: decided
                .get("approvers")
                .and_then(Value::as_array)
                .map(|all| all.iter().filter_map(approver).collect())
                .unwrap_or_default(),
            why: decided.get("why").and_then(bytes_text).or_else(|| words("error", &[])),
        }
    }

    /// Whether nothing runs because of this decision.
    pub(super) fn refused(&self) -> bool {
        self.result.as_deref().is_some_and(|result| !matches!(result, "allowed" | "approved" | "observed"))
    }

    /// How the act that the record is about went: none where that is not known yet, or nothing was tried.
    pub(super) fn succeeded(&self, kind: Kind) -> Option<bool> {
        match kind {
            Kind::Request => None,
            Kind::Decision => Some(!self.refused()),
            Kind::ExecEnd => Some(self.exit == Some(0)),
            Kind::ExecFail | Kind::AuditFailure => Some(false),
            _ => Some(true),
        }
    }

    /// How a supervised command ended, who decided, or why something failed.
    pub(super) fn detail(&self, kind: Kind) -> Option<String> {
        let ended = match (kind, self.exit, self.signal) {
            (Kind::ExecEnd, Some(exit), _) => Some(format!("exit {exit}")),
            (Kind::ExecEnd, None, Some(signal)) => Some(format!("signal {signal}")),
            _ => None,
        };
        let approved = || (kind == Kind::Decision && !self.approvers.is_empty()).then(|| format!("by {}", self.approvers.join(", ")));
        ended.or_else(|| self.why.clone()).or_else(approved)
    }

    /// The record in one line for people.
    pub(super) fn message(&self, kind: Kind) -> String {
        let decided = if kind == Kind::Decision { self.result.clone() } else { None };
        let shown = |text: &String| text::escape(text.as_bytes());
        let parts =
            [decided.as_ref().map(shown), self.user.as_ref().map(shown), self.command.clone(), self.detail(kind).as_ref().map(shown)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        format!("{kind} {}", parts.join(" ")).trim_end().to_owned()
    }
}

/// A whole number, also where it stands as a decimal string.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn rule_id(rule: &Value) -> Option<String> {
    rule.as_str().or_else(|| rule.get("id")?.as_str()).map(str::to_owned)
}

fn approver(review: &Value) -> Option<String> {
    Some(format!("{}/{}", review.get("issuer")?.as_str()?, review.get("subject")?.as_str()?))
}
