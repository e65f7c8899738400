use std::time::Duration;

use clap::Args;

use super::{SOUND, cannot, finish, print};
use crate::audit::{Reader, Wanted};
use crate::error::Error;

/// How long `tail --follow` waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Goes on with new entries until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many entries to begin with
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: u32,
}

pub(super) fn tail(reader: &Reader, args: &TailArgs) -> Result<u8, Error> {
    let mut found = reader.find(&Wanted::Last(args.lines)).map_err(cannot)?;
    let mut next = match found.last() {
        Some(last) => last.seq + 1,
        None => reader.find(&Wanted::Last(1)).map_err(cannot)?.last().map_or(0, |last| last.seq + 1),
    };
    let mut version = 0;
    loop {
        for entry in &found {
            next = entry.seq + 1;
            let printed = print(&format!("{}\n", entry.line()));
            if printed.is_err() {
                return finish(printed, SOUND);
            }
        }
        if !args.follow {
            return Ok(SOUND);
        }
        while found.len() < 1000 && version == reader.version().map_err(cannot)? {
            std::thread::sleep(LOOK_AGAIN);
        }
        version = reader.version().map_err(cannot)?;
        found = reader.find(&Wanted::From(next)).map_err(cannot)?;
    }
}
