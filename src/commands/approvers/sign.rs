use std::path::{Path, PathBuf};

use clap::Args;

use super::super::ssh_agent;
use super::change::{contents, unusable};
use super::{bad, print, show, write};
use crate::approval::{APPROVERS_NAMESPACE, Act, ApproversFile, Change, NewKey, Signed, SignedChange};
use crate::error::Error;
use crate::exit_codes;
use crate::key::ssh::SshKey;

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// The fingerprint of the key to sign with, where ssh-agent has several that are enrolled
    #[arg(long, value_name = "SHA256:…")]
    key: Option<String>,
    /// A file with a passkey's use, whose challenge is the SHA-256 that `gate approvers show --json` tells of the change
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    webauthn: Option<PathBuf>,
}

pub(super) fn sign(file: ApproversFile, args: &SignArgs, path: &Path) -> Result<u8, Error> {
    let pending = file.pending().ok_or_else(|| Error::config("no change waits for signatures"))?;
    let signature = if let Some(from) = &args.webauthn {
        let value = serde_json::from_slice(&contents(from)?).ok();
        value.and_then(|value| Signed::webauthn(&value)).ok_or_else(|| unusable(from, "holds no use of a passkey"))?
    } else {
        let key = chosen(&file, pending, args.key.as_deref())?;
        // What is signed is shown first: the agent shows nothing of it.
        print(&show::waiting(&file))?;
        Signed::Sshsig(ssh_agent::sign(&key, APPROVERS_NAMESPACE, &pending.change().bytes())?)
    };
    let file = file.sign(signature).map_err(|why| bad(path, &why))?;
    write(path, &file)?;
    print(&if file.pending().is_some() { show::waiting(&file) } else { "the change counts now\n".to_owned() })
}

/// The one key of the agent that may sign, or the one of them that is named.
fn chosen(file: &ApproversFile, pending: &SignedChange, named: Option<&str>) -> Result<SshKey, Error> {
    let enrolled = enrolled(file, pending.change());
    let mut keys: Vec<SshKey> = ssh_agent::keys()?.into_iter().map(|(key, _)| key).collect();
    keys.retain(|key| named.map_or_else(|| enrolled.contains(&key), |named| key.fingerprint() == named));
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        (Some(_), false) => Err(Error::new(exit_codes::USAGE, "ssh-agent has several keys that may sign; name one with `--key`")),
        (None, _) => Err(Error::new(exit_codes::USAGE, "ssh-agent has no key that may sign the change")
            .hint("`ssh-add -l` lists the keys that it has, `gate approvers show` those that are enrolled")),
    }
}

/// Keys that may sign: those enrolled before, and before the first change those that it enrols.
fn enrolled<'a>(file: &'a ApproversFile, change: &'a Change) -> Vec<&'a SshKey> {
    let approvers = file.approvers();
    if approvers.head().is_some() {
        return approvers.at(change.at()).filter_map(|one| one.ssh()).collect();
    }
    let added = change.acts().iter().filter_map(|act| match act {
        Act::Add { key: NewKey::Ssh(key), .. } => Some(key),
        _ => None,
    });
    added.collect()
}
