use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::assurance::{self, Demands};
use super::verdict::{in_json, in_words};
use super::{CANNOT_CHECK, Surroundings, cannot, finish, print, tampered};
use crate::approval::{AllowedSigners, Approvers, ApproversFile, LONGEST_APPROVERS};
use crate::audit::{self, Check, Reader, Signers};
use crate::error::Error;
use crate::exit_codes;
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
    /// Checks approvals against this approvers file (see `gate approvers`), which passkeys want
    #[arg(long, value_name = "FILE")]
    approvers: Option<PathBuf>,
    /// Wants security keys that know who touches them, by PIN or finger
    #[arg(long)]
    user_verified: bool,
    /// The witnesses that count, and how many of them it takes (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Asks whether the log is vouched for as it was then: after so many entries, or at a time as for `list --since`
    #[arg(long, value_name = "SIZE|TIME")]
    at: Option<String>,
    /// How much may follow the last anchor, or how old it may be: 100, 30m, 2h, 7d
    #[arg(long, value_name = "N|TIME", conflicts_with = "at")]
    max_unanchored: Option<String>,
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
pub(super) fn bundle(args: &VerifyArgs, around: &Surroundings<'_>) -> Option<Result<u8, Error>> {
    let path = args.bundle.as_ref()?;
    let demands = Demands::new(args.at.as_deref(), args.max_unanchored.as_deref(), args.local, None, around);
    let checked = demands.and_then(|demands| Ok((check(args, false, &demands, around)?, demands)));
    Some(checked.and_then(|(check, demands)| super::bundle::verify(path, &check, &demands, args.json)))
}

/// `own` says that it is the own log, whose witnesses the layers name.
pub(super) fn verify(reader: Reader, args: &VerifyArgs, own: bool, around: &Surroundings<'_>) -> Result<u8, Error> {
    let demands = Demands::new(args.at.as_deref(), args.max_unanchored.as_deref(), args.local, Some(&reader), around)?;
    let check = check(args, own, &demands, around)?;
    let (reader, progress) = super::watched(reader);
    let report = reader.verify(&check);
    drop((reader, progress));
    let mut report = match report {
        Err(error) if error.kind() == audit::Kind::Damaged => return tampered(&error),
        other => other.map_err(cannot)?,
    };
    assurance::together(&mut report);
    let ending = demands.ending(&report);
    finish(print(&if args.json { in_json(&report, &demands) } else { in_words(&report, &demands) }), ending)
}

/// Each signature, and what vouches for the log from elsewhere.
pub(super) fn whole(against: Option<&PathBuf>, policy: Option<&PathBuf>, own: bool, around: &Surroundings<'_>) -> Result<Check, Error> {
    let witnesses = assurance::policy(policy, own, None, around)?;
    Ok(Check { signatures: audit::Signatures::All, against: kept(against)?, signers: None, witnesses })
}

/// A checkpoint that was kept elsewhere.
fn kept(path: Option<&PathBuf>) -> Result<Option<String>, Error> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path)
            .map_err(|error| Error::new(CANNOT_CHECK, format!("`{}` cannot be read: {error}", text::escape(path.as_os_str().as_bytes()))))
    };
    path.map(read).transpose()
}

fn check(args: &VerifyArgs, own: bool, demands: &Demands, around: &Surroundings<'_>) -> Result<Check, Error> {
    let signatures = match args.signatures {
        Which::All => audit::Signatures::All,
        Which::Sample => audit::Signatures::Sample,
        Which::None => audit::Signatures::None,
    };
    let signers = signers(args)?;
    let witnesses = assurance::policy(args.policy.as_ref(), own, demands.at(), around)?;
    Ok(Check { signatures, against: kept(args.against.as_ref())?, signers, witnesses })
}

fn signers(args: &VerifyArgs) -> Result<Option<Signers>, Error> {
    let allowed = args.allowed_signers.as_ref().map(|path| allowed(path)).transpose()?;
    let approvers = args.approvers.as_ref().map(|path| approvers(path)).transpose()?;
    if allowed.is_none() && approvers.is_none() {
        let wanted = "`--user-verified` wants `--allowed-signers` or `--approvers`";
        return if args.user_verified { Err(Error::new(exit_codes::USAGE, wanted)) } else { Ok(None) };
    }
    Ok(Some(Signers { allowed, approvers, user_verified: args.user_verified }))
}

fn allowed(path: &Path) -> Result<AllowedSigners, Error> {
    let shown = text::escape(path.as_os_str().as_bytes());
    let text = std::fs::read_to_string(path).map_err(|error| Error::new(CANNOT_CHECK, format!("`{shown}` cannot be read: {error}")))?;
    AllowedSigners::parse(&text).map_err(|wrong| {
        let what = text::escape(wrong.what.as_bytes());
        Error::new(CANNOT_CHECK, format!("`{shown}`, line {}: {what}", wrong.line))
    })
}

/// Whoever verifies says which file they trust, whoever owns it.
fn approvers(path: &Path) -> Result<Approvers, Error> {
    let shown = text::escape(path.as_os_str().as_bytes());
    let cannot = |what: String| Error::new(CANNOT_CHECK, format!("`{shown}` {what}"));
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST_APPROVERS + 1).read_to_end(&mut bytes));
    read.map_err(|error| cannot(format!("cannot be read: {error}")))?;
    let file = ApproversFile::parse(&bytes).map_err(|why| cannot(format!("is refused: {}", text::escape(why.to_string().as_bytes()))))?;
    Ok(file.into_approvers())
}
