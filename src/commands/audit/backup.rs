use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::prove::shown;
use super::{SOUND, TAMPERED, cannot, finish, print};
use crate::audit::{Reader, ascii_json};
use crate::error::{Error, note};

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The new file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn backup(reader: &Reader, args: &BackupArgs) -> Result<u8, Error> {
    let report = reader.backup(&args.file).map_err(cannot)?;
    if report.wrong > 0 {
        note("the log is not as gate wrote it, and the copy is as the log is; `gate audit verify` says what is wrong");
    }
    let said = if args.json {
        let value = json!({ "file": args.file.to_string_lossy(), "origin": report.origin, "entries": report.size, "checkpoint": report.checkpoint, "wrong": report.wrong });
        format!("{}\n", ascii_json(&value))
    } else {
        format!("{}: {} entries, without the keys\n", shown(&args.file), report.size - report.first())
    };
    finish(print(&said), if report.wrong > 0 { TAMPERED } else { SOUND })
}
