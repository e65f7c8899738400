use clap::Args;
use serde_json::json;

use super::report::{facts, span};
use super::{SOUND, Surroundings, finish, print};
use crate::audit::Reader;
use crate::error::Error;
use crate::record::ascii_json;
use crate::report::{Count, Facts, Row, Table};
use crate::text;

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// Only what was decided since then: 90s, 30m, 2h, 7d, 2026-01-31, 2026-01-31T12:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn stats(reader: &Reader, args: &StatsArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    let facts = facts(reader, span(args.since.as_deref(), None, around)?)?;
    finish(print(&if args.json { in_json(&facts) } else { in_words(&facts) }), SOUND)
}

fn in_json(facts: &Facts) -> String {
    let value = json!({
        "since": facts.since,
        "until": facts.until,
        "entries": facts.entries,
        "totals": facts.totals,
        "results": facts.results,
        "kinds": facts.kinds,
        "rules": facts.rules,
        "users": facts.users,
        "programs": facts.programs,
        "time_to_decision": facts.time_to_decision,
        "refusals": facts.refusals,
        "open": facts.open,
    });
    format!("{}\n", ascii_json(&value))
}

fn in_words(facts: &Facts) -> String {
    let mut words = String::new();
    let all = &facts.totals;
    words.push_str(&format!("{} requests decided, {} of them ({}) needed a person\n", all.commands, all.asked, all.share()));
    let times = &facts.time_to_decision;
    if times.count > 0 {
        let (median, p95, longest) = (times.median(), times.p95(), times.longest());
        words.push_str(&format!("time to decision: median {median}, 95 % within {p95}, longest {longest}\n"));
    }
    if facts.open > 0 {
        words.push_str(&format!("{} questions have no answer yet\n", facts.open));
    }
    counts(&mut words, "RESULT", &facts.results);
    counts(&mut words, "REFUSED BECAUSE", &facts.refusals);
    table(&mut words, "RULE", &facts.rules);
    table(&mut words, "USER", &facts.users);
    table(&mut words, "PROGRAM", &facts.programs);
    words
}

fn counts(words: &mut String, head: &str, counts: &[Count]) {
    let rows = counts.iter().map(|count| [count.name.clone(), count.count.to_string()]).collect::<Vec<_>>();
    aligned(words, &[head.to_owned(), "REQUESTS".to_owned()], &rows);
}

fn table(words: &mut String, head: &str, table: &Table) {
    let row = |row: &Row| {
        let [commands, approved, refused] = [row.commands, row.approved, row.refused].map(|number| number.to_string());
        [row.name.clone(), commands, approved, refused, row.share(), row.median()]
    };
    let rows = table.all().map(row).collect::<Vec<_>>();
    aligned(words, &[head, "REQUESTS", "APPROVED", "REFUSED", "ASKED", "MEDIAN"].map(str::to_owned), &rows);
}

/// Names to the left, numbers to the right; nothing where there are no rows.
fn aligned<const N: usize>(words: &mut String, head: &[String; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return;
    }
    let all: Vec<&[String; N]> = std::iter::once(head).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|at| all.iter().map(|row| text::width(&row[at]).min(60)).max().unwrap_or(0));
    words.push('\n');
    for row in all {
        let name = text::ellipsis(&row[0], widths[0]);
        words.push_str(&name);
        words.push_str(&" ".repeat(widths[0].saturating_sub(text::width(&name))));
        for (cell, width) in row.iter().zip(widths).skip(1) {
            words.push_str(&" ".repeat(2 + width.saturating_sub(text::width(cell))));
            words.push_str(cell);
        }
        words.push('\n');
    }
}
