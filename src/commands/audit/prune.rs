use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::prove::shown;
use super::{SOUND, Surroundings, bundle, cannot, finish, own, print, since};
use crate::audit::{Pruned, Pruning, ascii_json};
use crate::error::Error;
use crate::exit_codes;

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Entries before then, instead of what `retention` says: 30d, 52w, 2026-01-31
    #[arg(long, value_name = "WHEN")]
    before: Option<String>,
    /// Where the archives go; otherwise `archives` beside the log
    #[arg(long, value_name = "DIR")]
    archives: Option<PathBuf>,
    /// Also entries that no witness vouches for yet
    #[arg(long)]
    unanchored: bool,
    /// Prints one JSON object for each archive
    #[arg(long)]
    json: bool,
}

pub(super) fn prune(args: &PruneArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    let (before, rule) = match (&args.before, around.settings.retention) {
        (Some(when), _) => (since(when, around.now)?, format!("before {when}")),
        (None, Some(retention)) => {
            let kept = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
            (around.now.wall.saturating_sub(kept), format!("retention of {} seconds", retention.as_secs()))
        }
        (None, None) => {
            let error = Error::new(exit_codes::USAGE, "no `retention` says how long entries stay");
            return Err(error.hint("say it in `[log]` of a policy.toml, or name a time with `--before`"));
        }
    };
    let pruning = Pruning {
        before,
        archives: args.archives.clone().unwrap_or_else(|| around.place.directory.join("archives")),
        readme: bundle::README,
        rule,
        unanchored: args.unanchored,
        sinks: around.settings.sinks.iter().map(|sink| sink.name.clone()).collect(),
        actor: around.actor.clone(),
    };
    let mut log = own(around)?;
    let mut any = false;
    while let Some(pruned) = log.prune(&pruning, around.now).map_err(cannot)? {
        any = true;
        let printed = print(&if args.json { in_json(&pruned) } else { in_words(&pruned) });
        if printed.is_err() {
            return finish(printed, SOUND);
        }
    }
    let nothing =
        if any || args.json { "" } else { "nothing to prune: 256 entries together have to be old enough, and the log's end stays\n" };
    finish(print(nothing), SOUND)
}

fn in_words(pruned: &Pruned) -> String {
    let (first, last) = (pruned.entries.start, pruned.entries.end - 1);
    format!("{}: entries {first} to {last}, {} bytes, as entry {} says\n", shown(&pruned.archive), pruned.bytes, pruned.recorded)
}

fn in_json(pruned: &Pruned) -> String {
    let value = json!({
        "from": pruned.entries.start,
        "to": pruned.entries.end,
        "archive": pruned.archive.to_string_lossy(),
        "bytes": pruned.bytes,
        "sha256": pruned.sha256,
        "recorded": pruned.recorded,
    });
    format!("{}\n", ascii_json(&value))
}
