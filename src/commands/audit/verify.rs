use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::verdict::{in_json, in_words};
use super::{CANNOT_CHECK, NOT_ANCHORED, SOUND, TAMPERED, cannot, finish, print};
use crate::audit::{self, Check, Reader};
use crate::error::Error;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Which record signatures to check
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Which::All)]
    signatures: Which,
    /// A checkpoint of this log that was kept elsewhere (see `gate audit checkpoint`)
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
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

pub(super) fn verify(reader: &Reader, args: &VerifyArgs) -> Result<u8, Error> {
    let against = args.against.as_ref().map(|path| {
        std::fs::read_to_string(path).map_err(|error| Error::new(CANNOT_CHECK, format!("`{}` cannot be read: {error}", path.display())))
    });
    let signatures = match args.signatures {
        Which::All => audit::Signatures::All,
        Which::Sample => audit::Signatures::Sample,
        Which::None => audit::Signatures::None,
    };
    let report = match reader.verify(&Check { signatures, against: against.transpose()? }) {
        Err(error) if error.kind() == audit::Kind::Damaged => return finish(print(&format!("tampered: {error}\n")), TAMPERED),
        other => other.map_err(cannot)?,
    };
    let ending = match (report.wrong, report.anchored, args.local) {
        (1.., ..) => TAMPERED,
        (0, Some(_), _) | (0, None, true) => SOUND,
        (0, None, false) => NOT_ANCHORED,
    };
    finish(print(&if args.json { in_json(&report, ending) } else { in_words(&report) }), ending)
}
