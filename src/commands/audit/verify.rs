use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::verdict::{in_json, in_words};
use super::{CANNOT_CHECK, NOT_ANCHORED, SOUND, TAMPERED, cannot, finish, print};
use crate::audit::{self, Check, Reader, Report};
use crate::error::Error;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Which record signatures to check
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Which::All)]
    signatures: Which,
    /// A checkpoint of this log that was kept elsewhere (see `gate audit checkpoint`)
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Checks this bundle (see `gate audit bundle`) instead of a log
    #[arg(long, value_name = "FILE", conflicts_with = "db")]
    bundle: Option<PathBuf>,
    /// Is content with a log that only its own key vouches for
    #[arg(long)]
    local: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Each
    All,
    /// About a thousand
    Sample,
    /// None: the signed checkpoint vouches for all entries already
    None,
}

/// Checks a bundle, if that is what is asked for.
pub(super) fn bundle(args: &VerifyArgs) -> Option<Result<u8, Error>> {
    let path = args.bundle.as_ref()?;
    Some(check(args).and_then(|check| super::bundle::verify(path, &check, args.local, args.json)))
}

pub(super) fn verify(reader: &Reader, args: &VerifyArgs) -> Result<u8, Error> {
    let report = match reader.verify(&check(args)?) {
        Err(error) if error.kind() == audit::Kind::Damaged => return finish(print(&format!("tampered: {error}\n")), TAMPERED),
        other => other.map_err(cannot)?,
    };
    let ending = ending(&report, args.local);
    finish(print(&if args.json { in_json(&report, ending) } else { in_words(&report) }), ending)
}

fn check(args: &VerifyArgs) -> Result<Check, Error> {
    let against = args.against.as_ref().map(|path| {
        std::fs::read_to_string(path).map_err(|error| Error::new(CANNOT_CHECK, format!("`{}` cannot be read: {error}", path.display())))
    });
    let signatures = match args.signatures {
        Which::All => audit::Signatures::All,
        Which::Sample => audit::Signatures::Sample,
        Which::None => audit::Signatures::None,
    };
    Ok(Check { signatures, against: against.transpose()? })
}

/// What a report comes to.
pub(super) fn ending(report: &Report, local: bool) -> u8 {
    match (report.wrong, report.anchored, local) {
        (1.., ..) => TAMPERED,
        (0, Some(_), _) | (0, None, true) => SOUND,
        (0, None, false) => NOT_ANCHORED,
    }
}
