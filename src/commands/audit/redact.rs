use clap::Args;
use serde_json::json;

use super::{SOUND, Surroundings, cannot, finish, own, print, show};
use crate::audit::{Redaction, ascii_json};
use crate::error::{Error, note};
use crate::text;

#[derive(Debug, Args)]
pub(super) struct RedactArgs {
    /// An entry's number, or a request's id for all entries of it
    #[arg(value_name = "SEQ|REQUEST-ID")]
    which: String,
    /// Only this part: cmd.argv.3, cmd.argv, cmd.cwd, cmd, decision.comment, …
    #[arg(long, value_name = "PATH")]
    field: Vec<String>,
    /// Why; it stands in the log, so it must not say what is erased
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Prints one JSON object for each entry
    #[arg(long)]
    json: bool,
}

/// Reasons are for people, and have to fit into a record.
const LONGEST_REASON: usize = 4096;

pub(super) fn redact(args: &RedactArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    if args.reason.trim().is_empty() || args.reason.len() > LONGEST_REASON {
        return Err(Error::new(crate::exit_codes::USAGE, format!("a reason has 1 to {LONGEST_REASON} bytes")));
    }
    let redaction =
        Redaction { of: show::wanted(&args.which)?, fields: args.field.clone(), reason: args.reason.clone(), actor: around.actor.clone() };
    let (done, gone) = own(around)?.redact(&redaction, around.now).map_err(cannot)?;
    let mut said = String::new();
    for one in &done {
        said.push_str(&if args.json {
            format!("{}\n", ascii_json(&json!({ "seq": one.seq, "fields": one.fields, "recorded": one.recorded, "gone": gone })))
        } else {
            let fields = text::escape(one.fields.join(", ").as_bytes());
            format!("entry {}: erased {fields}, as entry {} says\n", one.seq, one.recorded)
        });
    }
    if !gone {
        note(
            "somebody reads the log and keeps its write-ahead file, where the erased bytes still stand; they go when that ends and gate writes again",
        );
    }
    note("copies of the log, archives, exports and what was sent elsewhere still hold what was erased here");
    finish(print(&said), SOUND)
}
