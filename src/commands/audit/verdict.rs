use super::TAMPERED;
use super::assurance::{Demands, anchored};
use crate::audit::{Report, Searchable, ascii_json};
use crate::commands::anchor::moment;
use crate::text;

/// What a check found, for people: an assurance, never a bare yes.
pub(super) fn in_words(report: &Report, demands: &Demands) -> String {
    let mut words = String::new();
    let mut say = |line: String| {
        words.push_str(&text::escape(line.as_bytes()));
        words.push('\n');
    };
    problems(report).into_iter().for_each(&mut say);
    if report.wrong == 0 {
        let signatures = match report.signatures {
            0 => "no record signature checked".to_owned(),
            all if all == report.size - report.first() => "each record signature checked".to_owned(),
            some => format!("{some} record signatures checked"),
        };
        say(format!("sound: {} entries as they were written, {signatures}", report.size - report.first()));
        for archive in &report.archived {
            say(format!("archived: entries {} to {} are in the archive with SHA-256 {}", archive.from, archive.to - 1, archive.sha256));
        }
        if report.erased > 0 {
            say(format!(
                "redacted: {} disclosures were erased, each named by a `redact` entry; {} are kept",
                report.erased, report.disclosures
            ));
        }
        vouched(report, demands).into_iter().for_each(&mut say);
    }
    if let Some(approvals) = report.approvals {
        say(format!("approvals: {} are shown by their approvers' signatures, {} only by this record", approvals.verified, approvals.bare));
    }
    if report.unfinished.0 > 0 {
        let first: Vec<String> = report.unfinished.1.iter().map(u64::to_string).collect();
        say(format!("unfinished: {} commands started and have no recorded end, at entry {}", report.unfinished.0, first.join(", ")));
    }
    match report.searchable {
        Some(Searchable::Compared) => say("search index: it says what the entries say".to_owned()),
        Some(Searchable::Removed) => {
            say("search index: it did not say what the entries say, and was removed; the next search makes it anew".to_owned());
        }
        None => {}
    }
    say(format!("log {}", report.origin));
    say(format!("key {}", report.key));
    words
}

/// What is wrong, in lines.
pub(super) fn problems(report: &Report) -> Vec<String> {
    let told = report.problems.iter().map(|problem| match problem.seq {
        Some(seq) => format!("tampered: entry {seq} {}", problem.what),
        None => format!("tampered: {}", problem.what),
    });
    let more = report.wrong.saturating_sub(report.problems.len() as u64);
    told.chain((more > 0).then(|| format!("tampered: {more} more"))).collect()
}

/// Who vouches for the log, in lines: as much as was asked for, or what is missing and how to get it.
pub(super) fn vouched(report: &Report, demands: &Demands) -> Vec<String> {
    let anchored = anchored(report);
    match (demands.lacking(report), anchored) {
        (None, Some(anchored)) => vec![format!("anchored: {anchored}")],
        (Some(lacking), Some(anchored)) => {
            vec![format!("not anchored since entry {}: {lacking}", report.anchored.unwrap_or_default()), format!("until then: {anchored}")]
        }
        (lacking, None) => vec![
            format!("not anchored: {}", lacking.unwrap_or_default()),
            "to anchor it, keep the output of `gate audit checkpoint` elsewhere, and verify with `--against FILE`;".to_owned(),
            "or let witnesses countersign it: `[log] witnesses` in gate-policy(5), `gate audit anchor`, and verify with `--policy FILE`"
                .to_owned(),
        ],
    }
}

/// The same for machines.
pub(super) fn in_json(report: &Report, demands: &Demands) -> String {
    let ending = demands.ending(report);
    let lacking = demands.lacking(report);
    let witnesses: Vec<serde_json::Value> = report
        .witnessed
        .iter()
        .flat_map(|found| &found.by)
        .map(|(name, time)| serde_json::json!({ "name": name, "time": moment(*time) }))
        .collect();
    let problems: Vec<serde_json::Value> =
        report.problems.iter().map(|problem| serde_json::json!({ "seq": problem.seq, "what": problem.what })).collect();
    let assurance = match ending {
        TAMPERED => "tampered",
        _ if lacking.is_none() => "anchored",
        _ => "not anchored",
    };
    let value = serde_json::json!({
        "assurance": assurance,
        "entries": report.size,
        "origin": report.origin,
        "key": report.key,
        "checkpoint": report.checkpoint,
        "signatures": report.signatures,
        "disclosures": report.disclosures,
        "erased": report.erased,
        "archived": report.archived.iter().map(crate::record::Archived::json).collect::<Vec<_>>(),
        "anchored": report.anchored,
        "anchored_at": report.witnessed.as_ref().map(|found| moment(found.time)),
        "follow": report.anchored.map(|size| report.size.saturating_sub(size)),
        "lacking": lacking,
        "witnesses": witnesses,
        "approvals": report.approvals.map(|found| serde_json::json!({ "verified": found.verified, "bare": found.bare })),
        "problems": problems,
        "wrong": report.wrong,
        "unfinished": report.unfinished.0,
        "search_index": report.searchable.map(|found| if found == Searchable::Compared { "compared" } else { "removed" }),
    });
    format!("{}\n", ascii_json(&value))
}
