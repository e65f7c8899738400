//! Signing what one says by a key of one's own ssh-agent.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::approval::{Answer, CLOCKS_NS, Evidence, NAMESPACE, Signed, Sshsig, Statement, WantedStanding};
use crate::channel::approver::{Server, Told};
use crate::commands::login::failed;
use crate::commands::login::kept::KeptLogin;
use crate::commands::ssh_agent;
use crate::commands::surroundings::now;
use crate::error::{Error, note};
use crate::exit_codes;
use crate::key::ssh::{PRESENT, SshKey};
use crate::text;

/// A public key file is short.
const LONGEST: u64 = 64 * 1024;

/// A key that the agent holds.
pub(super) struct Key(SshKey);

impl Key {
    /// The key of this file or with this fingerprint, which the agent has to hold.
    pub(super) fn find(named: &str) -> Result<Self, Error> {
        let shown = text::escape(named.as_bytes());
        let fingerprint = if named.starts_with("SHA256:") { named.to_owned() } else { of_file(named)? };
        let held = ssh_agent::keys()?.into_iter().map(|(key, _)| key).find(|key| key.fingerprint() == fingerprint);
        held.map(Self).ok_or_else(|| {
            Error::new(exit_codes::USAGE, format!("ssh-agent does not hold the key `{shown}`")).hint("`ssh-add` gives it the key")
        })
    }

    /// Whether somebody has to touch it.
    pub(super) fn is_hardware(&self) -> bool {
        self.0.is_security_key()
    }

    /// A statement of the server, once it is seen to say what was decided here and nothing else, with this key's signature.
    pub(super) fn evidence(
        &self,
        server: &Server,
        told: &Told,
        login: &KeptLogin,
        standing: Option<&WantedStanding>,
    ) -> Result<Value, Error> {
        let bytes = server.statement(told.id(), Answer::Approve, standing).map_err(|why| failed(&login.url, why))?;
        let submitted = told.submitted();
        let latest = now()?.wall.saturating_add(CLOCKS_NS);
        let lets = |statement: &Statement| match (standing, statement.standing()) {
            (None, None) => true,
            (Some(wanted), Some(made)) => wanted.is(made, statement.at()) && statement.at() <= latest,
            _ => false,
        };
        let says = Statement::parse(&bytes).is_some_and(|statement| {
            statement.request() == submitted.said().request
                && statement.digest() == submitted.digest().bytes()
                && statement.answer() == Answer::Approve
                && *statement.approver() == login.person
                && statement.bound().is_some()
                && lets(&statement)
        });
        if !says {
            return Err(Error::new(
                exit_codes::UNREACHABLE,
                format!("what {} gives to sign is not what you decided; nothing was signed", login.url),
            ));
        }
        if self.is_hardware() {
            note(&format!("touch the key {}", self.0.fingerprint()));
        }
        let armored = ssh_agent::sign(&self.0, NAMESPACE, &bytes)?;
        let flags = Sshsig::parse(&armored)
            .and_then(|made| made.verify(&bytes))
            .map_err(|why| Error::internal(format!("the signature does not hold: {why}")))?;
        if flags.is_some_and(|flags| flags & PRESENT == 0) {
            return Err(Error::new(exit_codes::REFUSED, "the key signed without a touch, which proves nothing; nothing was sent")
                .hint("make one that wants a touch: without `-O no-touch-required`"));
        }
        Ok(Evidence { statement: bytes, signed: Signed::Sshsig(armored) }.to_json())
    }
}

/// The fingerprint of a public key file, which may be named by its private one.
fn of_file(named: &str) -> Result<String, Error> {
    let path = if Path::new(named).extension().is_some_and(|end| end == "pub") { named.to_owned() } else { format!("{named}.pub") };
    let shown = text::escape(path.as_bytes());
    let unreadable = |why: &dyn std::fmt::Display| Error::new(exit_codes::USAGE, format!("`{shown}`: {why}"));
    let mut line = String::new();
    let file = std::fs::File::open(&path).map_err(|error| unreadable(&error))?;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, LONGEST), &mut line).map_err(|error| unreadable(&error))?;
    let blob = line.split_ascii_whitespace().nth(1).and_then(|blob| STANDARD.decode(blob).ok());
    let blob = blob.ok_or_else(|| unreadable(&"it is no public key"))?;
    SshKey::parse(&blob).map(|key| key.fingerprint()).map_err(|why| unreadable(&why))
}
