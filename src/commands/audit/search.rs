use clap::Args;

use super::{SOUND, Surroundings, TAMPERED, finish, print, since, wrong};
use crate::audit::{Hit, Looked, Reader, Search, ascii_json};
use crate::error::Error;
use crate::exit_codes;
use crate::record::terms::{Field, Query};

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Words that all stand in the entry, in any order; WORD* stands for all that begin so
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Only this user's, by name or uid
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only where this rule took part; ID* stands for all that begin so
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Only of this program, by the name it was called; NAME* stands for all that begin so
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// Only with this decision: allowed, approved, denied, rejected, …, or allow, ask, deny
    #[arg(long, visible_alias = "result", value_name = "WORD")]
    decision: Option<String>,
    /// Only what was recorded since then: 90s, 30m, 2h, 7d, 2026-01-31, 2026-01-31T12:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// At most so many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Prints one JSON object in each line
    #[arg(long)]
    json: bool,
}

pub(super) fn search(reader: Reader, args: &SearchArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    let since = args.since.as_deref().map(|when| since(when, around.now)).transpose()?;
    let search = Search { query: query(args)?, since, limit: args.limit };
    let (reader, progress) = super::watched(reader);
    let clear = || progress.iter().for_each(|progress| progress.clear());
    let (mut ending, mut found, mut printed) = (SOUND, 0_u64, Ok(()));
    let warn = |error: &crate::audit::Error| {
        clear();
        eprintln!("gate: {}; the entries are read one by one", crate::text::escape(error.to_string().as_bytes()));
    };
    let each = |hit: Hit| {
        clear();
        found += 1;
        if hit.unproved.is_some() {
            ending = TAMPERED;
        }
        printed = print(&if args.json { json(&hit) } else { line(&hit) });
        printed.is_ok()
    };
    let looked = reader.search(&search, warn, each).map_err(wrong)?;
    clear();
    if looked == Looked::Unverified {
        eprintln!(
            "gate: {found} found; that there is nothing else is unverified: `gate audit verify` compares the search index with the entries"
        );
    }
    finish(printed, ending)
}

fn query(args: &SearchArgs) -> Result<Query, Error> {
    let usage = |what: &str| Error::new(exit_codes::USAGE, what);
    let mut query = Query::default();
    let text = args.text.join(" ");
    if !args.text.is_empty() && !query.text(&text) {
        return Err(usage("there is no word in what is looked for")
            .hint("words are letters and digits; `--user`, `--rule` and `--program` take names"));
    }
    let names = [(Field::User, &args.user), (Field::Rule, &args.rule), (Field::Program, &args.program), (Field::Decision, &args.decision)];
    for (field, name) in names {
        if let Some(name) = name {
            query.name(field, name);
        }
    }
    if query.is_too_long() {
        return Err(usage("too many words are looked for at once"));
    }
    Ok(query)
}

fn line(hit: &Hit) -> String {
    let mark = if hit.unproved.is_some() { "  NOT PROVED" } else { "" };
    format!("{}{mark}\n", hit.found.line())
}

fn json(hit: &Hit) -> String {
    let value = serde_json::json!({ "seq": hit.found.seq, "proved": hit.unproved.is_none(), "record": hit.found.value() });
    format!("{}\n", ascii_json(&value))
}
