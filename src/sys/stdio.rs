//! The standard descriptors, and the one for the status line.

use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

use super::check;

/// Opens closed descriptors 0–2 on `/dev/null`, so that no file of gate's ever becomes the command's stdin or stdout.
pub fn ready() -> io::Result<()> {
    for fd in 0..=2 {
        // SAFETY: F_GETFD takes no further argument; a closed descriptor is what is asked about.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0 {
            continue;
        }
        // SAFETY: the path is a NUL-terminated literal; no other thread runs yet, so the lowest free descriptor is `fd`.
        let opened = check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
        if opened != fd {
            return Err(io::Error::other("a closed standard descriptor could not be opened on /dev/null"));
        }
    }
    Ok(())
}

/// Where `--status-fd` wants its line.
#[derive(Debug)]
pub struct StatusFd(std::fs::File);

impl StatusFd {
    /// Takes the caller's descriptor over and closes it for the command. To be called before gate opens anything.
    pub fn take(number: RawFd) -> io::Result<Self> {
        if number <= 2 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor `{number}` belongs to the command")));
        }
        // SAFETY: F_GETFD only asks; a number that is not open is answered by an error.
        check(unsafe { libc::fcntl(number, libc::F_GETFD) })
            .map_err(|error| io::Error::new(error.kind(), format!("descriptor `{number}` is not open")))?;
        // SAFETY: the descriptor is open, and the caller gave it to gate by naming it.
        let owned = unsafe { OwnedFd::from_raw_fd(number) };
        let mode = OFlag::from_bits_retain(fcntl(&owned, FcntlArg::F_GETFL)?) & OFlag::O_ACCMODE;
        if mode == OFlag::O_RDONLY {
            let _ = std::os::fd::IntoRawFd::into_raw_fd(owned);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor `{number}` cannot be written")));
        }
        fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok(Self(owned.into()))
    }

    /// Writes one line.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(format!("{text}\n").as_bytes())
    }
}
