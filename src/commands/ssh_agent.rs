//! Signatures by keys that ssh-agent holds, for what people say rather than for the log.

use std::path::Path;
use std::time::Duration;

use crate::approval::Sshsig;
use crate::error::Error;
use crate::exit_codes;
use crate::key::agent::{self, No};
use crate::key::ssh::SshKey;
use crate::sys;
use crate::text;

/// Who is to touch a security key may have to look for it first.
const PATIENCE: Duration = Duration::from_mins(2);

/// The keys that the caller's agent has, of the kinds that gate verifies, each with what the agent calls it.
pub fn keys() -> Result<Vec<(SshKey, String)>, Error> {
    agent::identities(&ask(agent::list())?).map_err(|_| unreadable())
}

/// An armored signature over the message in this namespace by a key of the agent. Whoever answers as the agent can only give one that holds.
pub fn sign(key: &SshKey, namespace: &str, message: &[u8]) -> Result<String, Error> {
    let wanted = Sshsig::to_sign(namespace, message);
    let signature = agent::signed_by(&ask(agent::sign_by(key, &wanted))?, key, &wanted).map_err(|no| match no {
        No::Refused => failed(format!("ssh-agent did not sign with the key {}", key.fingerprint())),
        No::Unreadable => unreadable(),
    })?;
    Ok(Sshsig::armored(key, namespace, &signature))
}

fn ask(message: Vec<u8>) -> Result<Vec<u8>, Error> {
    let socket = sys::agent::socket().ok_or_else(|| failed("there is no ssh-agent: SSH_AUTH_SOCK is not set".to_owned()))?;
    sys::agent::ask_within(PATIENCE, &socket, message, agent::LONGEST)
        .map_err(|error| failed(format!("`{}` does not answer as ssh-agent: {error}", shown(&socket))))
}

fn shown(path: &Path) -> String {
    text::escape(path.as_os_str().as_encoded_bytes())
}

fn unreadable() -> Error {
    failed("what answers as ssh-agent gave no signature that holds".to_owned())
}

fn failed(what: String) -> Error {
    Error::new(exit_codes::INTERNAL, what).hint("`ssh-add -l` lists the keys that your agent has")
}
