use clap::Args;

use super::{SOUND, Surroundings, cannot, finish, json_of, print, since};
use crate::audit::{Filter, Line, Look, Reader, Wanted, ascii_json, table};
use crate::error::Error;
use std::io::{self, IsTerminal};

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only what was asked since then: 90s, 30m, 2h, 7d, 2026-01-31, 2026-01-31T12:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only this user's requests, by name or uid
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only where this rule took part; ID* stands for all that begin so
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Only with this decision: allowed, approved, denied, rejected, …, or allow, ask, deny
    #[arg(long, value_name = "WORD")]
    decision: Option<String>,
    /// Only of this risk
    #[arg(long, value_name = "RISK", value_parser = ["low", "medium", "high", "critical"])]
    risk: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Prints one JSON object in each line
    #[arg(long)]
    json: bool,
    /// Prints every entry as JSON, the oldest first
    #[arg(long, conflicts_with_all = ["since", "user", "rule", "decision", "risk", "limit"])]
    entries: bool,
}

pub(super) fn list(reader: &Reader, args: &ListArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    if args.entries {
        return entries(reader);
    }
    let since = args.since.as_deref().map(|when| since(when, around.now)).transpose()?;
    let filter = Filter {
        since,
        user: args.user.clone(),
        rule: args.rule.clone(),
        decision: args.decision.clone(),
        risk: args.risk.clone(),
        limit: args.limit,
    };
    let mut lines: Vec<Line> = Vec::new();
    let mut printed = Ok(());
    let each = |line: Line| {
        if args.json {
            printed = print(&format!("{}\n", ascii_json(&line.json())));
        } else {
            lines.push(line);
        }
        printed.is_ok()
    };
    reader.list(&filter, around.boot_id, each).map_err(cannot)?;
    if !args.json && printed.is_ok() {
        printed = print(&table(&lines, look(around)));
    }
    finish(printed, SOUND)
}

fn entries(reader: &Reader) -> Result<u8, Error> {
    let mut next = 0;
    loop {
        let found = reader.find(&Wanted::From(next)).map_err(cannot)?;
        let Some(last) = found.last() else { return Ok(SOUND) };
        next = last.seq + 1;
        let printed = print(&found.iter().map(json_of).collect::<String>());
        if printed.is_err() {
            return finish(printed, SOUND);
        }
    }
}

fn look(around: &Surroundings<'_>) -> Look {
    let terminal = io::stdout().is_terminal();
    let columns = || crate::sys::window::columns().map_or(80, usize::from);
    let width = around.columns.or_else(|| terminal.then(columns));
    Look { width, colours: terminal && !around.no_colour }
}
