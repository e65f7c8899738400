use clap::Args;
use serde_json::json;

use super::prove::shown;
use super::{SOUND, Surroundings, cannot, finish, print};
use crate::audit::{Log, Reader, ascii_json};
use crate::error::Error;
use crate::text;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn init(args: &InitArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    drop(Log::init(around.place, around.now, around.boot_id).map_err(cannot)?);
    let reader = Reader::live(around.place).map_err(cannot)?;
    let (key, checkpoint) = (reader.log_key().map_err(cannot)?, reader.checkpoint().map_err(cannot)?);
    let said = if args.json {
        let directory = around.place.directory.to_string_lossy();
        let value = json!({ "origin": key.name(), "key": key.to_string(), "checkpoint": checkpoint, "directory": directory });
        format!("{}\n", ascii_json(&value))
    } else {
        let mut said = format!("made the log in {}\n", shown(&around.place.directory));
        said.push_str("keep this line elsewhere, with those who are to verify the log; whoever has it knows this log from another one:\n");
        said.push_str(&text::escape(key.to_string().as_bytes()));
        said.push('\n');
        said
    };
    finish(print(&said), SOUND)
}
