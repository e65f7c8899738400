use std::io::{self, IsTerminal, Write};

use clap::Args;

use super::{CANNOT_CHECK, SOUND, TAMPERED, cannot, finish, json_of, print};
use crate::audit::{Reader, Wanted};
use crate::error::Error;
use crate::request::RequestId;
use crate::text;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// An entry's number, or a request's id
    #[arg(value_name = "ID|SEQ")]
    which: String,
    /// Prints one JSON object in each line
    #[arg(long)]
    json: bool,
    /// Prints what its digests are of, one disclosure (RFC 9901) in each line
    #[arg(long, conflicts_with_all = ["json", "raw"])]
    disclosures: bool,
    /// Prints the very bytes that are hashed and signed; not to a terminal
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// An entry's number, or a request's id.
pub(super) fn wanted(which: &str) -> Result<Wanted, Error> {
    match (which.parse(), RequestId::parse(which)) {
        (Ok(seq), _) => Ok(Wanted::Entry(seq)),
        (_, Some(id)) => Ok(Wanted::Request(id)),
        _ => {
            let which = text::escape(which.as_bytes());
            Err(Error::new(crate::exit_codes::USAGE, format!("`{which}` is neither an entry's number nor a request's id"))
                .hint("`gate audit list --json` shows both"))
        }
    }
}

pub(super) fn show(reader: &Reader, args: &ShowArgs) -> Result<u8, Error> {
    let wanted = wanted(&args.which)?;
    if args.raw && io::stdout().is_terminal() {
        return Err(Error::new(crate::exit_codes::USAGE, "raw bytes are not shown on a terminal").hint("send them to a file"));
    }
    let found = reader.find(&wanted).map_err(cannot)?;
    if found.is_empty() {
        return Err(Error::new(CANNOT_CHECK, "there is no such entry"));
    }
    let mut ending = SOUND;
    for (number, entry) in found.iter().enumerate() {
        let proof = reader.prove(entry);
        if let Err(error) = &proof {
            ending = TAMPERED;
            eprintln!("gate: {error}");
        }
        let printed = if args.raw {
            let mut out = io::stdout().lock();
            out.write_all(&entry.body).and_then(|()| if found.len() > 1 { out.write_all(b"\n") } else { Ok(()) })
        } else if args.disclosures {
            print(&(entry.disclosures().join("\n") + "\n"))
        } else if args.json {
            print(&json_of(entry))
        } else {
            let gap = if number == 0 { "" } else { "\n" };
            let proved = proof.map_or_else(|_| "NOT PROVED".to_owned(), |size| format!("proved in the checkpoint of {size} entries"));
            print(&format!("{gap}entry {}, {proved}\n{}", entry.seq, entry.members()))
        };
        if printed.is_err() {
            return finish(printed, ending);
        }
    }
    Ok(ending)
}
