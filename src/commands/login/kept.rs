//! What `gate login` keeps: a token and the one server that it is shown to.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::approval::Approver;
use crate::error::Error;
use crate::sys::durable::{self, Refused};
use crate::text;

/// Below the state directory.
const NAME: &str = "login.json";

/// The file is small.
const LONGEST: u64 = 64 * 1024;

/// A login at a server. Its token is in no message.
#[derive(Clone)]
pub struct KeptLogin {
    /// The server's origin.
    pub url: String,
    /// The certificates that it is trusted by; else the system's.
    pub ca: Option<PathBuf>,
    /// What is shown to it.
    pub token: String,
    /// `request` or `request+decide`.
    pub scope: String,
    /// What to call the person.
    pub name: String,
    /// Who it is.
    pub person: Approver,
    /// Until when, in seconds since 1970.
    pub expires: i64,
}

impl KeptLogin {
    /// Whether it may decide.
    pub fn decides(&self) -> bool {
        self.scope == "request+decide"
    }

    /// Reads it; none where nobody is logged in.
    pub fn read(state: &Path) -> Result<Option<Self>, Error> {
        let path = state.join(NAME);
        let shown = text::escape(path.as_os_str().as_encoded_bytes());
        let bytes = match durable::read_private(&path, LONGEST) {
            Ok(bytes) => bytes,
            Err(Refused::Absent) => return Ok(None),
            Err(Refused::Unsafe(why)) => return Err(Error::config(format!("`{shown}` is not safe to use: {why}"))),
            Err(Refused::Io(error)) => return Err(Error::config(format!("`{shown}` cannot be read: {error}"))),
        };
        let read = serde_json::from_slice(&bytes).ok().and_then(|value| Self::of(&value));
        let wrong = || Error::config(format!("`{shown}` is not what `gate login` writes")).hint("remove it, and log in again");
        read.map(Some).ok_or_else(wrong)
    }

    fn of(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            url: text("url")?,
            ca: text("ca").map(PathBuf::from),
            token: text("token").filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()))?,
            scope: text("scope")?,
            name: text("name")?,
            person: Approver { issuer: text("issuer")?, subject: text("subject")? },
            expires: value.get("expires")?.as_i64()?,
        })
    }

    /// Keeps it in the place of any other.
    pub fn keep(&self, state: &Path) -> Result<(), Error> {
        let mut value = json!({ "url": self.url, "token": self.token, "scope": self.scope, "name": self.name,
            "issuer": self.person.issuer, "subject": self.person.subject, "expires": self.expires });
        if let Some(ca) = &self.ca {
            value["ca"] = ca.to_str().ok_or_else(|| Error::config("the path of the certificates is not text"))?.into();
        }
        let unwritable = |error: std::io::Error| {
            Error::internal(format!("`{}` cannot be written: {error}", text::escape(state.join(NAME).as_os_str().as_encoded_bytes())))
        };
        durable::make_directory(state).map_err(unwritable)?;
        durable::write_private(&state.join(NAME), format!("{value}\n").as_bytes()).map_err(unwritable)
    }

    /// Forgets it.
    pub fn forget(state: &Path) -> Result<(), Error> {
        let path = state.join(NAME);
        let shown = text::escape(path.as_os_str().as_encoded_bytes());
        durable::remove(&path).map_err(|error| Error::internal(format!("`{shown}` cannot be removed: {error}")))
    }
}
