use super::error::{Error, Kind};
use super::keys::LogKey;
use super::place::{Place, Room};
use super::reader::Reader;
use crate::key::Vkey;

/// The log key, by which a server knows this host. It signs what is said to the server, each text with a prefix of its own kind,
/// so that none of them is a checkpoint.
#[derive(Debug)]
pub struct HostKey {
    key: LogKey,
    name: Vkey,
}

impl HostKey {
    /// Reads the key of a log that is there.
    pub fn open(place: &Place) -> Result<Self, Error> {
        let room = Room::prepare(place)?;
        let (key, name) = (LogKey::read(&room)?, Reader::live(place)?.log_key()?);
        if key.public() == name.public() {
            Ok(Self { key, name })
        } else {
            Err(Error::at(Kind::Key, &room.log_key(), "is another key than the one this log was signed with"))
        }
    }

    /// The public half, with the log's name.
    pub fn name(&self) -> &Vkey {
        &self.name
    }

    /// Signs a request to a server: a text that begins with `gate-host-request-v1`, a line that no checkpoint has.
    pub fn sign_request(&self, text: &[u8]) -> Result<[u8; 64], Error> {
        if !text.starts_with(b"gate-host-request-v1\n") {
            return Err(Error::new(Kind::Key, "the log key signs nothing else for a server than requests"));
        }
        self.key.sign(text)
    }
    /// Signs that a login at a server is of this host: a text that begins with `gate-login-v1`, and names the server and the login.
    pub fn sign_login(&self, url: &str, challenge: &str) -> Result<[u8; 64], Error> {
        self.key.sign(format!("gate-login-v1\n{url}\n{challenge}\n").as_bytes())
    }
}
