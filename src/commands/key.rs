//! `gate key`: the keys that sign the log.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::surroundings::{self, Surroundings, log_failed};
use crate::audit::{Due, Epoch, Log, Place, Reader, Rotated, ascii_json, log_key_holder};
use crate::error::Error;
use crate::exit_codes;
use crate::key::{Vkey, ssh};
use crate::policy::{KeyProvider, LogSettings};
use crate::sys::clock;
use crate::sys::harden::Hardened;
use crate::text;

/// Shows the keys that sign the log, and changes the record key
#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the log key and all record keys, the newest first
    List {
        /// Prints one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Gives the log a new record key, and erases the old one
    Rotate {
        /// Only if it is older, or has signed more, than `[log]` lets it
        #[arg(long)]
        due: bool,
    },
    /// Prints a public key
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// `log`, `record` for the record key in use, or the entry that introduced a record key
    #[arg(value_name = "log|record|EPOCH", default_value = "log")]
    which: String,
    /// As a key for signed notes: `name+id+base64` (what is printed unless told)
    #[arg(long)]
    vkey: bool,
    /// As OpenSSH's public key line
    #[arg(long, conflicts_with = "vkey")]
    openssh: bool,
    /// As a line of an `allowed_signers` file, good for nothing but the log's own namespaces
    #[arg(long, conflicts_with_all = ["vkey", "openssh"])]
    allowed_signers: bool,
}

/// Runs `gate key` on this user's log.
pub fn run(args: &KeyArgs) -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    let place = around.place()?;
    let reader = Reader::live(&place).map_err(|error| log_failed(&error))?;
    match &args.what {
        What::List { json } => list(&reader, &place, *json),
        What::Rotate { due } => rotate(&place, due.then(|| due_by(&around.policy.log_settings()))),
        What::Export(export) => self::export(&reader, export),
    }
}

/// When the policy wants another record key.
pub(super) fn due_by(settings: &LogSettings) -> Due {
    Due { age: settings.epoch_age, records: settings.epoch_records }
}

/// The keys that the log names: its own, and those of the epochs, the newest first.
fn keys(reader: &Reader) -> Result<(Vkey, Vec<Epoch>), Error> {
    let log = reader.log_key().map_err(|error| log_failed(&error))?;
    Ok((log, reader.epochs().map_err(|error| log_failed(&error))?))
}

fn list(reader: &Reader, place: &Place, json: bool) -> Result<u8, Error> {
    let (log, epochs) = keys(reader)?;
    let provider = match log_key_holder(place) {
        Some(KeyProvider::File) => "in a file",
        Some(KeyProvider::Agent) => "in ssh-agent",
        None => "not usable",
    };
    let state = |at: usize| if at == 0 { "in use" } else { "erased" };
    let last = |at: usize| at.checked_sub(1).and_then(|newer| epochs.get(newer)).map(|newer| newer.seq);
    let printed = if json {
        let record: Vec<Value> = epochs
            .iter()
            .enumerate()
            .map(|(at, epoch)| {
                json!({ "epoch": epoch.seq, "since": time(epoch), "last": last(at), "state": state(at), "key": public(&epoch.key) })
            })
            .collect();
        format!("{}\n", ascii_json(&json!({ "log": { "held": provider, "key": public(&log) }, "record": record })))
    } else {
        let mut lines = format!("log key, {provider}\n  {}\n  {}\n", shown(&log), fingerprint(&log));
        for (at, epoch) in epochs.iter().enumerate() {
            let until = last(at).map_or_else(|| "on".to_owned(), |last| format!("to {last}"));
            let from = if epoch.seq == 0 { 0 } else { epoch.seq + 1 };
            lines.push_str(&format!(
                "record key of epoch {}, {}: entries from {from} {until}, since {}\n",
                epoch.seq,
                state(at),
                time(epoch)
            ));
            lines.push_str(&format!("  {}\n  {}\n", shown(&epoch.key), fingerprint(&epoch.key)));
        }
        lines
    };
    print(&printed)
}

fn public(key: &Vkey) -> Value {
    json!({ "vkey": key.to_string(), "openssh": openssh(key), "fingerprint": fingerprint(key) })
}

fn rotate(place: &Place, due: Option<Due>) -> Result<u8, Error> {
    // No core dump and no tracer from the moment the keys are read.
    let hardened = Hardened::new().map_err(|error| Error::internal(format!("gate cannot be hardened: {error}")))?;
    let now = surroundings::now()?;
    let mut log = Log::open(place, now, &clock::boot_id()).map_err(|error| log_failed(&error))?;
    let rotated = match due {
        Some(due) => log.rotate_if(due, now),
        None => log.rotate(now).map(Some),
    };
    drop(log);
    drop(hardened);
    match rotated.map_err(|error| log_failed(&error))? {
        Some(Rotated { old, new, .. }) => print(&format!("entry {new} brought a new record key; the one of epoch {old} is erased\n")),
        None => print("the record key is not due to change\n"),
    }
}

fn export(reader: &Reader, args: &ExportArgs) -> Result<u8, Error> {
    let (log, epochs) = keys(reader)?;
    let (key, namespace) = match args.which.as_str() {
        "log" => (Some(&log), "checkpoint@gate"),
        "record" => (epochs.first().map(|epoch| &epoch.key), "record@gate"),
        epoch => {
            let seq = epoch.parse().ok();
            (epochs.iter().find(|epoch| Some(epoch.seq) == seq).map(|epoch| &epoch.key), "record@gate")
        }
    };
    let which = text::escape(args.which.as_bytes());
    let key = key.ok_or_else(|| Error::new(exit_codes::USAGE, format!("no key is called `{which}`")).hint("`gate key list` names them"))?;
    // A line for a file has to be exact, and what a terminal could act on is in no name that gate gives.
    if !key.to_string().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::internal("the key's name is not plain text"));
    }
    print(&if args.openssh {
        format!("{}\n", openssh(key))
    } else if args.allowed_signers {
        // Without the namespace an approver's file that takes this line in would let the log approve.
        format!("{} namespaces=\"{namespace}\" {}\n", key.name(), key.public().ssh_line())
    } else {
        format!("{key}\n")
    })
}

fn openssh(key: &Vkey) -> String {
    format!("{} {}", key.public().ssh_line(), key.name())
}

fn fingerprint(key: &Vkey) -> String {
    ssh::fingerprint(&key.public().ssh_blob())
}

fn shown(key: &Vkey) -> String {
    text::escape(key.to_string().as_bytes())
}

fn time(epoch: &Epoch) -> String {
    let time = epoch.wall.and_then(|wall| jiff::Timestamp::from_nanosecond(wall.into()).ok());
    time.map_or_else(|| "?".to_owned(), |time| format!("{time:.0}"))
}

/// A reader of our output that went away is no failure.
fn print(text: &str) -> Result<u8, Error> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::internal(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(0),
    }
}
