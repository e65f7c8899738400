//! `gate approvers`: who may approve, by which keys, and who says so.

mod change;
mod show;
mod sign;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::surroundings::Surroundings;
use crate::approval::{Approvers, ApproversFile, BadApprovers, LONGEST_APPROVERS};
use crate::config::{self, Config};
use crate::error::Error;
use crate::policy::Layer;
use crate::sys::durable;
use crate::sys::files::{self, Owner};
use crate::text;

/// What an approvers file is called, beside the policy of its layer.
pub const NAME: &str = "approvers.json";

/// Shows who may approve by which keys, and changes it; changes are signed by two approvers
#[derive(Debug, Args)]
pub struct ApproversArgs {
    /// The approvers file; without it the one of your own layer
    #[arg(long, value_name = "FILE", global = true)]
    file: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Tells people and keys, who signed for them, and what waits for signatures
    Show {
        /// Prints one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Prepares a change that gives a person a key
    Add(change::AddArgs),
    /// Prepares a change that takes a key from a person
    Remove(change::RemoveArgs),
    /// Prepares a change of the page that passkeys are made and used on, or of who vouches for authenticators
    Party(change::PartyChangeArgs),
    /// Signs the change that waits
    Sign(sign::SignArgs),
}

/// Runs `gate approvers`.
pub fn run(args: &ApproversArgs) -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    let path = place(args.file.as_deref(), &around.config)?;
    let owner = Owner::User(around.context.who.uid);
    let file = read(&path, owner)?;
    match &args.what {
        What::Show { json } => print(&show::shown(&there(file, &path)?, *json)),
        What::Add(add) => change::add(file.unwrap_or_default(), add, &path),
        What::Remove(remove) => change::remove(there(file, &path)?, remove, &path),
        What::Party(party) => change::party(there(file, &path)?, party, &path),
        What::Sign(sign) => sign::sign(there(file, &path)?, sign, &path),
    }
}

fn place(given: Option<&Path>, config: &Config) -> Result<PathBuf, Error> {
    if let Some(given) = given {
        return std::path::absolute(given).map_err(|error| Error::config(format!("`{}` leads nowhere: {error}", shown(given))));
    }
    let own = config.user_directory.as_ref().map(|directory| directory.join(NAME));
    own.ok_or_else(|| Error::config("there is no layer of yours; name a file with `--file`"))
}

fn there(file: Option<ApproversFile>, path: &Path) -> Result<ApproversFile, Error> {
    file.ok_or_else(|| Error::config(format!("there is no `{}`", shown(path))).hint("begin one with `gate approvers add`"))
}

/// Reads an approvers file and verifies every change in it; none where there is no such file.
pub fn read(path: &Path, owner: Owner) -> Result<Option<ApproversFile>, Error> {
    let Some(file) = files::read_safely(path, owner, LONGEST_APPROVERS).map_err(|refused| {
        Error::config(refused.to_string())
            .hint("a file that others can write could name approvers of theirs; `gate doctor` checks them all")
    })?
    else {
        return Ok(None);
    };
    ApproversFile::parse(&file.bytes).map(Some).map_err(|why| bad(path, &why))
}

/// Whose keys count for terms of a layer: those of the system layer do for all, those of the user's for terms that are no more trusted.
pub fn enrolled(config: &Config, terms: Option<Layer>, uid: u32) -> Result<Vec<Approvers>, Error> {
    let system = (Path::new(config::SYSTEM).join(NAME), Owner::Root);
    let own = config.user_directory.as_ref().map(|directory| (directory.join(NAME), Owner::User(uid)));
    let own = own.filter(|_| terms != Some(Layer::System));
    let files = [Some(system), own].into_iter().flatten().map(|(path, owner)| read(&path, owner)).collect::<Result<Vec<_>, _>>()?;
    Ok(files.into_iter().flatten().map(ApproversFile::into_approvers).collect())
}

fn write(path: &Path, file: &ApproversFile) -> Result<(), Error> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        durable::make_directory(directory).map_err(|error| unwritten(path, &error))?;
    }
    durable::write_public(path, file.text().as_bytes()).map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &io::Error) -> Error {
    Error::internal(format!("`{}` cannot be written: {error}", shown(path)))
}

fn bad(path: &Path, why: &BadApprovers) -> Error {
    Error::config(format!("`{}`: {}", shown(path), text::escape(why.to_string().as_bytes())))
}

fn shown(path: &Path) -> String {
    text::escape(path.as_os_str().as_encoded_bytes())
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
