use std::fmt::{self, Write};

use super::facts::{Case, Count, Report, Row, Table};

/// The report as Markdown (GFM tables).
pub fn markdown(report: &Report) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let (facts, check) = (&report.facts, &report.verification);
    writeln!(out, "# Privileged commands: {}\n", plain(report.framework))?;
    writeln!(out, "- Period: {} to {} (UTC)", plain(&facts.since), plain(&facts.until))?;
    writeln!(out, "- Log: {}", plain(&check.origin))?;
    writeln!(out, "- Entries: {}", facts.entries)?;
    writeln!(out, "- Made: {} by gate {}\n", plain(&report.made), plain(report.gate))?;
    writeln!(out, "## Verification: {}\n", plain(check.assurance))?;
    for line in &check.words {
        writeln!(out, "- {}", plain(line))?;
    }
    if let Some(why) = &facts.stopped {
        writeln!(out, "- Not all entries are in this report: {}", plain(why))?;
    }
    writeln!(out, "\n## Summary\n")?;
    table(&mut out, "All requests", &Table { rows: vec![facts.totals.clone()], others: None })?;
    counts(&mut out, "By effect and result", &facts.results)?;
    writeln!(out, "## What was asked, and by whom\n")?;
    table(&mut out, "User", &facts.users)?;
    table(&mut out, "Program", &facts.programs)?;
    writeln!(out, "## Who decided, and how long it took\n")?;
    let times = &facts.time_to_decision;
    writeln!(
        out,
        "{} answers: half within {}, 95 % within {}, the longest {}. {} questions were open at the end.\n",
        times.count,
        times.median(),
        times.p95(),
        times.longest(),
        facts.open
    )?;
    counts(&mut out, "Time to decision", &times.ranges)?;
    table(&mut out, "Person", &facts.approvers)?;
    cases(&mut out, "Approved by people", &facts.approved, facts.approved_earlier)?;
    writeln!(out, "## What was refused, and why\n")?;
    counts(&mut out, "Reason", &facts.refusals)?;
    cases(&mut out, "Refused requests", &facts.refused, facts.refused_earlier)?;
    writeln!(out, "## Break-glass and unreviewed uses\n")?;
    cases(&mut out, "Break-glass uses", &facts.break_glass, facts.break_glass_earlier)?;
    cases(&mut out, "Run without another person's review", &facts.unreviewed, facts.unreviewed_earlier)?;
    writeln!(
        out,
        "{} decisions under a policy that variables had moved; {} granted commands did not start.\n",
        facts.policy_moved, facts.failed_starts
    )?;
    policy(&mut out, report)?;
    writeln!(out, "## Friction\n")?;
    table(&mut out, "Rule", &facts.rules)?;
    writeln!(out, "## The log itself\n")?;
    counts(&mut out, "Kind", &facts.kinds)?;
    if facts.events_earlier > 0 {
        writeln!(out, "The last events; {} more before them.\n", facts.events_earlier)?;
    }
    rows(
        &mut out,
        &["Entry", "When (UTC)", "Kind", "What"],
        facts.events.iter().map(|event| [event.seq.to_string(), event.time.clone(), event.kind.to_owned(), event.what.clone()]),
    )?;
    writeln!(out, "## Controls and their evidence\n")?;
    for control in &report.controls {
        writeln!(out, "### {} {}\n", plain(control.id), plain(control.title))?;
        writeln!(out, "{} Found: {}.\n", plain(control.shows), plain(&control.found))?;
        for query in &control.queries {
            writeln!(out, "    {query}")?;
        }
        writeln!(out)?;
    }
    Ok(out)
}

fn policy(out: &mut String, report: &Report) -> fmt::Result {
    let facts = &report.facts;
    writeln!(out, "## Which policy was in force\n")?;
    writeln!(out, "Changes of the policies' files: {}.\n", facts.policy_changes)?;
    rows(
        out,
        &["Policy (SHA-256)", "First used", "Last used", "From entry", "Decisions"],
        facts.policies.iter().map(|policy| {
            [policy.sha256.clone(), policy.from.clone(), policy.last.clone(), policy.first.to_string(), policy.decisions.to_string()]
        }),
    )?;
    let versions = facts.policy_files.iter().flat_map(|file| file.versions.iter().map(move |version| (file, version)));
    rows(
        out,
        &["File", "SHA-256", "From", "From entry", "Decisions"],
        versions.map(|(file, version)| {
            [file.path.clone(), version.sha256.clone(), version.from.clone(), version.first.to_string(), version.decisions.to_string()]
        }),
    )
}

fn counts(out: &mut String, head: &str, counts: &[Count]) -> fmt::Result {
    rows(out, &[head, "Count"], counts.iter().map(|count| [count.name.clone(), count.count.to_string()]))
}

fn table(out: &mut String, head: &str, table: &Table) -> fmt::Result {
    let row = |row: &Row| {
        let numbers = [row.commands, row.allowed, row.observed, row.approved, row.refused].map(|number| number.to_string());
        let [commands, allowed, observed, approved, refused] = numbers;
        [row.name.clone(), commands, allowed, observed, approved, refused, row.share(), row.median(), row.p95()]
    };
    rows(out, &[head, "Requests", "By rule", "Observed", "Approved", "Refused", "Asked", "Median", "95 %"], table.all().map(row))
}

fn cases(out: &mut String, title: &str, cases: &[Case], earlier: u64) -> fmt::Result {
    if cases.is_empty() {
        return writeln!(out, "{title}: none recorded.\n");
    }
    let before = if earlier > 0 { format!(" ({earlier} more before these)") } else { String::new() };
    writeln!(out, "{title}{before}:\n")?;
    rows(
        out,
        &["Entry", "When (UTC)", "Who", "Command", "Rules", "Decision", "By", "Why", "Took"],
        cases.iter().map(|case| {
            let (rules, by) = (case.rules.join(", "), case.by.join(", "));
            let who = format!("{} ({})", case.user, case.asker);
            [
                case.seq.to_string(),
                case.time.clone(),
                who,
                case.command.clone(),
                rules,
                case.result.clone(),
                by,
                case.why.clone(),
                case.took(),
            ]
        }),
    )
}

fn rows<const N: usize>(out: &mut String, head: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> fmt::Result {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "| {} |\n|{}", head.join(" | "), " --- |".repeat(N))?;
    for row in rows {
        writeln!(out, "| {} |", row.map(|cell| plain(&cell)).join(" | "))?;
    }
    writeln!(out)
}

/// Text that Markdown takes for nothing else: what could mark up, link or end a cell has a backslash before it.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // A reader that does not know backslashes sees no tag either.
        if c == '<' {
            out.push_str("&lt;");
            continue;
        }
        // A dot ends what would be taken for an address; the other ones below do not mark up anything inside a line.
        if c.is_ascii_punctuation() && !matches!(c, '-' | '/' | ',' | ';' | '%' | '\'') && (c != '.' || out.ends_with(['w', 'W'])) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
