use serde::Serialize;

use super::facts::{Facts, Verification};

/// Which controls a report is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framework {
    /// The Trust Services Criteria of SOC 2.
    Soc2,
    /// NIST SP 800-53, as `FedRAMP` asks for it.
    Fedramp,
    /// ISO/IEC 27001:2022, annex A.
    Iso27001,
}

/// A control, and what the record has for it. Whether it is met is the auditor's judgement.
#[derive(Clone, Debug, Serialize)]
pub struct Control {
    /// Its number.
    pub id: &'static str,
    /// Its name, shortly.
    pub title: &'static str,
    /// What the record shows.
    pub shows: &'static str,
    /// What was found in the span.
    pub found: String,
    /// The commands that show it again.
    pub queries: Vec<String>,
}

/// What of the record a control rests on.
#[derive(Clone, Copy)]
enum Evidence {
    Kinds,
    Content,
    Rules,
    Failure,
    Review,
    Clock,
    Whole,
    Elsewhere,
    People,
    Kept,
    Refused,
    Before,
}

type Row = (&'static str, &'static str, Evidence);

const SOC2: [Row; 5] = [
    ("CC6.1", "Logical access is restricted", Evidence::Refused),
    ("CC6.2", "Access is authorised before it is given", Evidence::Before),
    ("CC6.3", "Access follows roles and rules, and their changes", Evidence::Rules),
    ("CC7.2", "Operations are monitored for anomalies", Evidence::Review),
    ("CC8.1", "Changes are authorised before they are made", Evidence::People),
];

const FEDRAMP: [Row; 14] = [
    ("AU-2", "Event logging", Evidence::Kinds),
    ("AU-3", "Content of audit records", Evidence::Content),
    ("AU-3(1)", "Additional audit information", Evidence::Rules),
    ("AU-4", "Audit log storage capacity", Evidence::Failure),
    ("AU-5", "Response to audit logging process failures", Evidence::Failure),
    ("AU-6", "Audit record review, analysis, and reporting", Evidence::Review),
    ("AU-7", "Audit record reduction and report generation", Evidence::Review),
    ("AU-8", "Time stamps", Evidence::Clock),
    ("AU-9", "Protection of audit information", Evidence::Whole),
    ("AU-9(2)", "Store on separate physical systems or components", Evidence::Elsewhere),
    ("AU-9(3)", "Cryptographic protection", Evidence::Whole),
    ("AU-10", "Non-repudiation", Evidence::People),
    ("AU-11", "Audit record retention", Evidence::Kept),
    ("AU-12", "Audit record generation", Evidence::Before),
];

const ISO27001: [Row; 3] = [
    ("A.5.28", "Collection of evidence", Evidence::Kept),
    ("A.8.15", "Logging, and protection of logs from tampering", Evidence::Whole),
    ("A.8.17", "Clock synchronisation", Evidence::Clock),
];

impl Framework {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Soc2 => "SOC 2 (Trust Services Criteria)",
            Self::Fedramp => "FedRAMP (NIST SP 800-53 Rev. 5)",
            Self::Iso27001 => "ISO/IEC 27001:2022, annex A",
        }
    }

    /// Its controls, with what was found for each.
    pub fn controls(self, facts: &Facts, verification: &Verification) -> Vec<Control> {
        let rows: &[Row] = match self {
            Self::Soc2 => &SOC2,
            Self::Fedramp => &FEDRAMP,
            Self::Iso27001 => &ISO27001,
        };
        rows.iter().map(|(id, title, evidence)| control(id, title, *evidence, facts, verification)).collect()
    }
}

fn control(id: &'static str, title: &'static str, evidence: Evidence, facts: &Facts, verification: &Verification) -> Control {
    let (shows, found, queries): (_, _, &[&str]) = match evidence {
        Evidence::Kinds => (
            "Each request, decision, start and end, and each change of keys and settings is an entry of its own kind.",
            format!("{} entries of {} kinds", facts.entries, facts.kinds.len()),
            &["stats --since SINCE", "export --format jsonl --since SINCE"],
        ),
        Evidence::Content => (
            "An entry says what, when, where, who, on whose behalf, by which rule, and how it ended.",
            format!("{} decisions", facts.totals.commands),
            &["list --since SINCE", "export --format ocsf --since SINCE"],
        ),
        Evidence::Rules => (
            "Each decision names its rules, the SHA-256 of the whole policy and of each of its files.",
            format!(
                "{} policies in force, {} changes of their files",
                facts.policies.len() as u64 + facts.policies_more,
                facts.policy_changes
            ),
            &["list --since SINCE --json", "stats --since SINCE"],
        ),
        Evidence::Failure => (
            "Nothing runs before its entry is durable: a log that cannot be written refuses every command.",
            format!("{} records of a failing log", counted(facts, "audit.failure")),
            &["stats --since SINCE", "verify --local"],
        ),
        Evidence::Review => (
            "Refusals, waived reviews, friction and drift are told apart and counted; entries can go to a SIEM as they come.",
            format!("{} refused, {} without another person's review", facts.totals.refused, unreviewed(facts)),
            &["list --since SINCE --decision denied", "list --since SINCE --decision rejected", "stats --since SINCE --json"],
        ),
        Evidence::Clock => (
            "Times are UTC in nanoseconds beside the time since boot, which nobody sets. A countersigned checkpoint bounds them from outside.",
            format!("this log is {}", verification.assurance),
            &["tail", "verify --local"],
        ),
        Evidence::Whole => (
            "Entries stand in a Merkle tree (RFC 6962) whose root is signed; each is signed itself. A changed or missing one is found.",
            format!("{} entries checked: {}", verification.entries, verification.assurance),
            &["verify", "checkpoint"],
        ),
        Evidence::Elsewhere => (
            "Checkpoints kept elsewhere, and copies of entries sent elsewhere, tell of a log that was cut or written anew.",
            format!("this log is {}", verification.assurance),
            &["checkpoint", "export --format rfc5424 --since SINCE"],
        ),
        Evidence::People => (
            "An approval names the person, the channel, how surely the person is known, and exactly what was shown; it may carry their signature.",
            format!("{} approvals, {} of them signed by the approver", facts.totals.approved, facts.signed_approvals),
            &["list --since SINCE --decision approved", "list --since SINCE --decision rejected"],
        ),
        Evidence::Kept => (
            "Entries are never changed. What is erased or moved to an archive leaves an entry, and the rest still verifies.",
            format!("{} redactions, {} moves to archives", counted(facts, "redact"), counted(facts, "prune")),
            &["checkpoint", "export --format dsse --since SINCE"],
        ),
        Evidence::Refused => (
            "A command that no rule and no person lets run does not run, and leaves an entry that says why.",
            format!("{} refused of {}", facts.totals.refused, facts.totals.commands),
            &["list --since SINCE --decision denied", "list --since SINCE --decision rejected", "list --since SINCE --decision expired"],
        ),
        Evidence::Before => (
            "The decision is durable before the command starts: both stand in the signed order of the tree.",
            format!("{} decisions, {} without another person's review", facts.totals.commands, unreviewed(facts)),
            &["list --since SINCE", "export --format jsonl --since SINCE"],
        ),
    };
    let since = facts.since.replacen(' ', "T", 1);
    let queries = queries.iter().map(|query| format!("gate audit {}", query.replace("SINCE", &since))).collect();
    Control { id, title, shows, found, queries }
}

fn unreviewed(facts: &Facts) -> u64 {
    facts.unreviewed.len() as u64 + facts.unreviewed_earlier
}

fn counted(facts: &Facts, kind: &str) -> u64 {
    facts.kinds.iter().find(|count| count.name == kind).map_or(0, |count| count.count)
}
