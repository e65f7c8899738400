//! What is kept of a request that waits elsewhere, so that the same command run again finds it: one private file for each.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::approval::{LONGEST_SUBMITTED, Stamp, Submitted};
use crate::channel::server::is_id;
use crate::error::Error;
use crate::sys::durable::{self, Expected, Refused};
use crate::text::{self, unhex};

/// A kept file is not longer: a text may stand in it with an escape for each byte.
const LONGEST: u64 = 8 * LONGEST_SUBMITTED as u64;

/// What is kept.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The server's origin.
    pub(super) url: String,
    /// The server's id of the request, once it said it.
    pub(super) id: Option<String>,
    /// What lets this host use the approval, in hex.
    pub(super) client_nonce: String,
    /// The number to match.
    pub(super) number: String,
    /// The boot in which the request was made, and when, in nanoseconds since then.
    pub(super) boot: String,
    pub(super) since_boot: u64,
    /// The canonical text.
    pub(super) text: String,
}

/// The place of one request's file, held by this process alone.
pub(super) struct Slot {
    path: PathBuf,
    lock: PathBuf,
    _held: File,
}

/// What came of looking for a request that waits.
pub(super) enum Found {
    /// Another process waits for the very same.
    Busy,
    /// The place, and what is kept there.
    Slot(Slot, Option<Box<(Kept, Submitted)>>),
}

impl Kept {
    /// The nonce as bytes.
    pub(super) fn nonce(&self) -> Option<[u8; 32]> {
        unhex(&self.client_nonce)?.try_into().ok()
    }

    /// When the request was made, on the boot clock of now; what was made before this boot counts from its beginning at the earliest.
    pub(super) fn created(&self, kept: &Submitted, now: Stamp, boot: &str) -> Duration {
        if self.boot == boot {
            return Duration::from_nanos(self.since_boot).min(now.boot);
        }
        let ago = u64::try_from(now.wall.saturating_sub(kept.said().created)).unwrap_or_default();
        now.boot.saturating_sub(Duration::from_nanos(ago))
    }

    fn read(bytes: &[u8], key: &str) -> Option<(Self, Submitted)> {
        let kept: Self = serde_json::from_slice(bytes).ok()?;
        let text = Submitted::parse(&kept.text).ok().filter(|text| text.key() == key)?;
        let plain = kept.number.len() == 2 && kept.number.bytes().all(|byte| byte.is_ascii_digit());
        let whole = plain && kept.nonce().is_some() && kept.id.as_deref().is_none_or(is_id);
        whole.then_some((kept, text))
    }
}

impl Slot {
    /// Takes the place of a request below the state directory.
    pub(super) fn take(state: &Path, key: &str) -> Result<Found, Error> {
        let directory = state.join("waiting");
        if std::fs::symlink_metadata(&directory).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            durable::make_directory(&directory).map_err(|error| failed(&directory, &format!("cannot be made: {error}")))?;
        }
        durable::inspect(&directory, Expected::Directory).map_err(|refused| unsafe_file(&directory, &refused))?;
        let (path, lock) = (directory.join(format!("{key}.json")), directory.join(format!("{key}.lock")));
        let Some(held) = hold(&lock)? else { return Ok(Found::Busy) };
        let kept = match durable::read_private(&path, LONGEST) {
            Ok(bytes) => {
                let read = Kept::read(&bytes, key);
                Some(read.map(Box::new).ok_or_else(|| failed(&path, "is not what gate keeps of a request that waits").hint(REMOVE))?)
            }
            Err(Refused::Absent) => None,
            Err(refused) => return Err(unsafe_file(&path, &refused)),
        };
        Ok(Found::Slot(Self { path, lock, _held: held }, kept))
    }

    /// Keeps it, durably.
    pub(super) fn keep(&self, kept: &Kept) -> Result<(), Error> {
        write(&self.path, kept).map_err(|error| failed(&self.path, &format!("cannot be written: {error}")))
    }

    /// Keeps the server's id with it once that is known. Without it the request is found by its key all the same.
    pub(super) fn keeper(&self, kept: Kept) -> impl FnOnce(&str) + Send + use<> {
        let path = self.path.clone();
        move |id| drop(write(&path, &Kept { id: Some(id.to_owned()), ..kept }))
    }

    /// Forgets what is kept: it is over.
    pub(super) fn forget(&self) {
        // What cannot be removed is looked at once more by the next run, and is over there too.
        let _ = durable::remove(&self.path);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = durable::remove(&self.lock);
    }
}

/// What to do about a file that is not believed.
const REMOVE: &str = "remove it; the request is then asked anew";

fn write(path: &Path, kept: &Kept) -> std::io::Result<()> {
    durable::write_private(path, serde_json::to_string(kept)?.as_bytes())
}

/// Locks the file; none where another process has it. One that was removed meanwhile is made again.
fn hold(lock: &Path) -> Result<Option<File>, Error> {
    loop {
        let file = durable::open_private(lock).map_err(|refused| unsafe_file(lock, &refused))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed(lock, &format!("cannot be locked: {error}"))),
            Ok(()) => {}
        }
        let mine = file.metadata().map_err(|error| failed(lock, &format!("cannot be examined: {error}")))?;
        if std::fs::symlink_metadata(lock).is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino())) {
            return Ok(Some(file));
        }
    }
}

fn failed(path: &Path, what: &str) -> Error {
    Error::internal(format!("`{}` {}", text::escape(path.as_os_str().as_encoded_bytes()), text::visible(what)))
}

fn unsafe_file(path: &Path, refused: &Refused) -> Error {
    match refused {
        Refused::Absent => failed(path, "is missing"),
        Refused::Unsafe(why) => failed(path, &format!("is not safe to use: {why}")).hint(REMOVE),
        Refused::Io(error) => failed(path, &format!("cannot be used: {error}")),
    }
}
