use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;

use super::error::{Error, Kind};
use super::head::Head;
use super::place::{Place, Room, unsafe_path};
use crate::key::agent::{self, No};
use crate::key::{PublicKey, SigningKey, ssh};
use crate::policy::KeyProvider;
use crate::sys::{
    self,
    durable::{self, Refused},
};

const MAX_KEY_FILE: u64 = 4096;

/// The keys that sign: the log key checkpoints, the record key (one for each epoch) records.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) log: LogKey,
    pub(super) record: SigningKey,
    epoch: u64,
}

/// The log key, and who holds it.
#[derive(Debug)]
pub(super) enum LogKey {
    /// A file beside the log.
    File(SigningKey),
    /// ssh-agent; in place of the key's file there is one with the public half.
    Agent(PublicKey),
}

impl Keys {
    /// Reads the keys that the log's head names; other keys than those are refused.
    pub(super) fn load(room: &Room, head: &Head) -> Result<Self, Error> {
        let log = LogKey::read(room)?;
        expect(&room.log_key(), log.public(), head.log_key.public())?;
        let record = read(&room.record_key(head.epoch))?;
        expect(&room.record_key(head.epoch), record.public(), head.record_key.public())?;
        Ok(Self { log, record, epoch: head.epoch })
    }

    /// Takes the keys of a directory without a log, or makes them in memory; false where the log key was there before.
    pub(super) fn first(room: &Room) -> Result<(Self, Unwritten), Error> {
        let mut unwritten = Unwritten::default();
        let log = match absent(&room.log_key()) {
            false => LogKey::read(room)?,
            true if room.provider() == KeyProvider::Agent => {
                return Err(Error::at(Kind::Key, &room.log_key(), "does not say which key of ssh-agent signs the log")
                    .hint("make the log with `gate audit init --agent-key FINGERPRINT`"));
            }
            true => LogKey::File(make(&mut unwritten.log)?),
        };
        let record = if absent(&room.record_key(0)) { make(&mut unwritten.record)? } else { read(&room.record_key(0))? };
        Ok((Self { log, record, epoch: 0 }, unwritten))
    }

    /// Whether these are the keys that a head names.
    pub(super) fn are_of(&self, head: &Head) -> bool {
        self.epoch == head.epoch && self.log.public() == head.log_key.public() && self.record.public() == head.record_key.public()
    }
}

impl LogKey {
    /// Reads the file; a key in a file is refused where the policy wants it in ssh-agent.
    pub(super) fn read(room: &Room) -> Result<Self, Error> {
        let path = room.log_key();
        let bytes = contents(&path)?;
        if let Some(line) = std::str::from_utf8(&bytes).ok().filter(|text| text.starts_with("ssh-")) {
            let key = PublicKey::from_ssh_line(line.trim_end());
            return key.map(Self::Agent).ok_or_else(|| Error::at(Kind::Key, &path, "names a key of ssh-agent that is not Ed25519"));
        }
        if room.provider() == KeyProvider::Agent {
            return Err(Error::at(Kind::Key, &path, "holds the log key, and the policy wants it in ssh-agent")
                .hint("start a new log with `gate audit init --agent-key FINGERPRINT`; a log keeps the key that it was made with"));
        }
        parse(&path, &bytes).map(Self::File)
    }

    /// The half that may be shown.
    pub(super) fn public(&self) -> PublicKey {
        match self {
            Self::File(key) => key.public(),
            Self::Agent(key) => *key,
        }
    }

    /// Signs a checkpoint's text.
    pub(super) fn sign(&self, text: &[u8]) -> Result<[u8; 64], Error> {
        match self {
            Self::File(key) => Ok(key.sign(text)),
            Self::Agent(key) => {
                // The socket is the caller's: whoever answers there can only give signatures that the log's own key verifies.
                let answer = ask_agent(sys::agent::socket(), agent::sign(key, text))?;
                agent::signed(&answer, key, text).map_err(|no| match no {
                    No::Refused => {
                        Error::new(Kind::Key, format!("ssh-agent did not sign with the log key {}", ssh::fingerprint(&key.ssh_blob())))
                            .hint("`ssh-add -l` lists the keys that it has")
                    }
                    No::Unreadable => unreadable(),
                })
            }
        }
    }
}

/// Says that a log which is yet to be made has the key with this fingerprint (`SHA256:…`) as its log key, which the ssh-agent
/// at this socket holds ([`crate::sys::agent::socket`]).
pub fn use_agent_key(place: &Place, socket: Option<PathBuf>, fingerprint: &str) -> Result<PublicKey, Error> {
    let room = Room::prepare(place)?;
    if !absent(&room.database()) || !absent(&room.log_key()) {
        return Err(Error::at(
            Kind::Key,
            &place.directory,
            "has a log or a log key already, and a log keeps the key that it was made with",
        ));
    }
    let keys = agent::listed(&ask_agent(socket, agent::list())?).map_err(|_| unreadable())?;
    let found = keys.into_iter().find(|key| ssh::fingerprint(&key.ssh_blob()) == fingerprint);
    let key = found.ok_or_else(|| {
        Error::new(Kind::Key, "ssh-agent has no Ed25519 key with that fingerprint").hint("`ssh-add -l` lists the keys that it has")
    })?;
    let path = room.log_key();
    durable::write_private(&path, format!("{}\n", key.ssh_line()).as_bytes())
        .map_err(|error| Error::at(Kind::Unusable, &path, format!("cannot be written: {error}")))?;
    Ok(key)
}

/// Who holds the log key of a log that is there; none where its file cannot be used.
pub fn log_key_holder(place: &Place) -> Option<KeyProvider> {
    match LogKey::read(&Room::prepare(place).ok()?).ok()? {
        LogKey::File(_) => Some(KeyProvider::File),
        LogKey::Agent(_) => Some(KeyProvider::Agent),
    }
}

fn ask_agent(socket: Option<PathBuf>, message: Vec<u8>) -> Result<Vec<u8>, Error> {
    let hint = "ssh-agent holds the log key: let SSH_AUTH_SOCK name the one that has it";
    let socket = socket.ok_or_else(|| Error::new(Kind::Key, "there is no ssh-agent: SSH_AUTH_SOCK is not set").hint(hint))?;
    sys::agent::ask(&socket, message, agent::LONGEST)
        .map_err(|error| Error::at(Kind::Key, &socket, format!("does not answer as ssh-agent: {error}")).hint(hint))
}

fn unreadable() -> Error {
    Error::new(Kind::Key, "what answers as ssh-agent gave no signature that holds")
}

/// New keys that no file holds yet.
#[derive(Default)]
pub(super) struct Unwritten {
    log: Option<Vec<u8>>,
    record: Option<Vec<u8>>,
}

impl Unwritten {
    /// Writes the files, durably.
    pub(super) fn write(&self, room: &Room) -> Result<(), Error> {
        for (path, key) in [(room.log_key(), &self.log), (room.record_key(0), &self.record)] {
            if let Some(key) = key {
                durable::write_private(&path, key)
                    .map_err(|error| Error::at(Kind::Unusable, &path, format!("cannot be written: {error}")))?;
            }
        }
        Ok(())
    }

    /// Whether the log key is older than the log that is being made.
    pub(super) fn log_key_was_there(&self) -> bool {
        self.log.is_none()
    }
}

fn absent(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn make(unwritten: &mut Option<Vec<u8>>) -> Result<SigningKey, Error> {
    let (key, bytes) = new_key()?;
    *unwritten = Some(bytes);
    Ok(key)
}

/// A new key, and the bytes to keep.
pub(super) fn new_key() -> Result<(SigningKey, Vec<u8>), Error> {
    let failed = |_| Error::new(Kind::Key, "no key can be made: the system gave no random bytes");
    let bytes = SigningKey::generate(&SystemRandom::new()).map_err(failed)?;
    Ok((SigningKey::from_pkcs8(&bytes).map_err(failed)?, bytes))
}

fn read(path: &Path) -> Result<SigningKey, Error> {
    parse(path, &contents(path)?)
}

fn contents(path: &Path) -> Result<Vec<u8>, Error> {
    durable::read_private(path, MAX_KEY_FILE).map_err(|refused| match refused {
        Refused::Absent => Error::at(Kind::Key, path, "is missing, and the log can only be continued with it").hint(
            "put the key back from where it was copied to, or move the whole directory away to start a new log; \
             a log that was put back from before a change of its record key cannot go on",
        ),
        Refused::Unsafe(_) => {
            unsafe_path(path, refused).hint("a key that others could read or write proves nothing; move it away, and start a new log")
        }
        Refused::Io(_) => unsafe_path(path, refused),
    })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<SigningKey, Error> {
    SigningKey::from_pkcs8(bytes).map_err(|_| Error::at(Kind::Key, path, "is not a whole key: damaged or cut short"))
}

fn expect(path: &Path, key: PublicKey, expected: PublicKey) -> Result<(), Error> {
    if key == expected { Ok(()) } else { Err(Error::at(Kind::Key, path, "is another key than the one this log was signed with")) }
}
