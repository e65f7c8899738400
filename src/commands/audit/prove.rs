use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::{CANNOT_CHECK, NOT_ANCHORED, SOUND, TAMPERED, cannot, finish, print, wrong};
use crate::audit::{Reader, Wanted};
use crate::error::Error;
use crate::exit_codes::USAGE;
use crate::key::Vkey;
use crate::record::{Body, Kind, MAX_BODY, TlogProof, leaf_hash};
use crate::request::RequestId;
use crate::text;

/// A proof with a hundred signatures is shorter.
const MAX_PROOF: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct ProveArgs {
    /// An entry's number, or a request's id: then its decision
    #[arg(value_name = "SEQ|ID", required_unless_present_any = ["consistency", "check"], conflicts_with_all = ["consistency", "check"])]
    which: Option<String>,
    /// Writes the proof into this new file
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    out: Option<PathBuf>,
    /// Proves that the tree of B entries begins with the tree of A entries
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "check")]
    consistency: Option<Vec<u64>>,
    /// Checks this proof instead, without any log
    #[arg(long, value_name = "PROOF", requires = "entry")]
    check: Option<PathBuf>,
    /// The entry that the proof is of, as `gate audit show --raw` gives it
    #[arg(long, value_name = "FILE", requires = "check")]
    entry: Option<PathBuf>,
    /// The log's key, from somebody who knows it
    #[arg(long, value_name = "VKEY", requires = "check")]
    key: Option<String>,
}

/// Checks a proof, if that is what is asked for.
pub(super) fn check(args: &ProveArgs) -> Option<Result<u8, Error>> {
    let (proof, entry) = (args.check.as_ref()?, args.entry.as_ref()?);
    Some(check_proof(proof, entry, args.key.as_deref()))
}

pub(super) fn prove(reader: &Reader, args: &ProveArgs) -> Result<u8, Error> {
    let proof = match (&args.consistency, &args.which) {
        (Some(sizes), _) => {
            let [from, to] = sizes[..] else { return Err(Error::new(USAGE, "`--consistency` needs two sizes")) };
            let proof = reader.consistency_proof(from, to).map_err(wrong)?;
            proof.iter().flat_map(|hash| [STANDARD.encode(hash), "\n".to_owned()]).collect()
        }
        (None, which) => entry_proof(reader, which.as_deref().unwrap_or_default())?,
    };
    match &args.out {
        None => finish(print(&proof), SOUND),
        Some(path) => {
            let written = File::create_new(path).and_then(|mut file| std::io::Write::write_all(&mut file, proof.as_bytes()));
            written.map_err(|error| Error::new(CANNOT_CHECK, format!("`{}` cannot be written: {error}", shown(path))))?;
            Ok(SOUND)
        }
    }
}

fn entry_proof(reader: &Reader, which: &str) -> Result<String, Error> {
    let wanted = match (which.parse(), RequestId::parse(which)) {
        (Ok(seq), _) => Wanted::Entry(seq),
        (_, Some(id)) => Wanted::Request(id),
        _ => {
            let which = text::escape(which.as_bytes());
            return Err(Error::new(USAGE, format!("`{which}` is neither an entry's number nor a request's id")));
        }
    };
    let found = reader.find(&wanted).map_err(cannot)?;
    let is_decision = |body: &[u8]| Body::parse(body).is_ok_and(|body| body.kind == Kind::Decision);
    let entry = found.iter().find(|entry| is_decision(&entry.body)).or(found.first());
    let entry = entry.ok_or_else(|| Error::new(CANNOT_CHECK, "there is no such entry"))?;
    let proof = reader.tlog_proof(entry).map_err(wrong)?.to_string();
    // It is printed as it is, so only what a terminal takes as plain text.
    if proof.chars().any(|c| c != '\n' && c != '—' && !(' '..='~').contains(&c)) {
        return Err(Error::new(CANNOT_CHECK, "the log's checkpoint is not plain text"));
    }
    Ok(proof)
}

fn check_proof(proof: &Path, entry: &Path, key: Option<&str>) -> Result<u8, Error> {
    let not_a_proof = || Error::new(CANNOT_CHECK, format!("`{}` is not a proof", shown(proof)));
    let key = key.map(|key| Vkey::parse(key).map_err(|_| Error::new(USAGE, "what `--key` names is not a log's key")));
    let key = key.transpose()?;
    let parsed = String::from_utf8(read(proof, MAX_PROOF)?).ok().and_then(|text| TlogProof::parse(&text).ok());
    let parsed = parsed.ok_or_else(not_a_proof)?;
    let bytes = read(entry, MAX_BODY as u64)?;
    let leaf = leaf_hash(&bytes);
    let result = match &key {
        Some(key) => parsed.verify(&leaf, key),
        None => parsed.leads_from(&leaf),
    };
    let checkpoint = match result {
        Ok(checkpoint) => checkpoint,
        Err(why) => return refused(&format!("the proof {why}")),
    };
    match Body::parse(&bytes) {
        Ok(body) if body.header.log == checkpoint.origin && body.header.seq == parsed.index => {}
        _ => return refused("the entry is proved, and is not a record of this log and place"),
    }
    let what = format!("entry {} of {}, in the checkpoint of {} entries", parsed.index, checkpoint.origin, checkpoint.size);
    let (line, ending) = match key {
        Some(_) => (format!("proved: {what}, which this key signed"), SOUND),
        None => (format!("consistent: {what}; nobody vouches for it until `--key` names the log's key"), NOT_ANCHORED),
    };
    finish(print(&format!("{}\n", text::escape(line.as_bytes()))), ending)
}

fn refused(what: &str) -> Result<u8, Error> {
    finish(print(&format!("tampered: {}\n", text::escape(what.as_bytes()))), TAMPERED)
}

/// Reads a file that may not be longer than this.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::new(CANNOT_CHECK, format!("`{}` cannot be read: {error}", shown(path)));
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(CANNOT_CHECK, format!("`{}` is longer than {limit} bytes", shown(path))));
    }
    Ok(bytes)
}

pub(super) fn shown(path: &Path) -> String {
    text::escape(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}
