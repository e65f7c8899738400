use clap::Args;

use super::{SOUND, Surroundings, cannot, finish, own, print};
use crate::error::Error;
use crate::exit_codes;
use crate::text;

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// What was found; it stands in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Reasons are for people, and have to fit into a record.
const LONGEST_REASON: usize = 4096;

pub(super) fn resume(args: &ResumeArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    if args.reason.trim().is_empty() || args.reason.len() > LONGEST_REASON {
        return Err(Error::new(exit_codes::USAGE, format!("a reason has 1 to {LONGEST_REASON} bytes")));
    }
    let said = match own(around)?.resume(&args.reason, around.actor, around.now).map_err(cannot)? {
        Some((why, recorded)) => {
            format!("commands run again, as entry {recorded} says; it had stopped because of: {}\n", text::escape(why.as_bytes()))
        }
        None => "nothing was stopped\n".to_owned(),
    };
    finish(print(&said), SOUND)
}
