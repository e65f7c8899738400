use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::verdict::{in_json, in_words};
use super::{CANNOT_CHECK, NOT_ANCHORED, SOUND, TAMPERED, cannot, finish, print, tampered};
use crate::approval::AllowedSigners;
use crate::audit::{self, Check, Reader, Report, Signers};
use crate::error::Error;
use crate::text;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Which record signatures to check
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Which::All)]
    signatures: Which,
    /// A checkpoint of this log that was kept elsewhere (see `gate audit checkpoint`)
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Checks this bundle (see `gate audit bundle`) instead of a log
    #[arg(long, value_name = "FILE")]
    pub(super) bundle: Option<PathBuf>,
    /// Checks approvals against the keys of this file (OpenSSH's `allowed_signers`)
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// Wants security keys that know who touches them, by PIN or finger
    #[arg(long, requires = "allowed_signers")]
    user_verified: bool,
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

pub(super) fn verify(reader: Reader, args: &VerifyArgs) -> Result<u8, Error> {
    let (reader, progress) = super::watched(reader);
    let report = reader.verify(&check(args)?);
    drop((reader, progress));
    let report = match report {
        Err(error) if error.kind() == audit::Kind::Damaged => return tampered(&error),
        other => other.map_err(cannot)?,
    };
    let ending = ending(&report, args.local);
    finish(print(&if args.json { in_json(&report, ending) } else { in_words(&report) }), ending)
}

fn check(args: &VerifyArgs) -> Result<Check, Error> {
    let against = args.against.as_ref().map(|path| {
        std::fs::read_to_string(path)
            .map_err(|error| Error::new(CANNOT_CHECK, format!("`{}` cannot be read: {error}", text::escape(path.as_os_str().as_bytes()))))
    });
    let signatures = match args.signatures {
        Which::All => audit::Signatures::All,
        Which::Sample => audit::Signatures::Sample,
        Which::None => audit::Signatures::None,
    };
    let signers = args.allowed_signers.as_ref().map(|path| signers(path, args.user_verified)).transpose()?;
    Ok(Check { signatures, against: against.transpose()?, signers })
}

/// What a report comes to.
pub(super) fn ending(report: &Report, local: bool) -> u8 {
    match (report.wrong, report.anchored, local) {
        (1.., ..) => TAMPERED,
        (0, Some(_), _) | (0, None, true) => SOUND,
        (0, None, false) => NOT_ANCHORED,
    }
}

fn signers(path: &Path, user_verified: bool) -> Result<Signers, Error> {
    let shown = text::escape(path.as_os_str().as_bytes());
    let text = std::fs::read_to_string(path).map_err(|error| Error::new(CANNOT_CHECK, format!("`{shown}` cannot be read: {error}")))?;
    let allowed = AllowedSigners::parse(&text).map_err(|wrong| {
        let what = text::escape(wrong.what.as_bytes());
        Error::new(CANNOT_CHECK, format!("`{shown}`, line {}: {what}", wrong.line))
    })?;
    Ok(Signers { allowed, user_verified })
}
