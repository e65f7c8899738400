//! A command on a terminal that is made for it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

/// A command on a terminal of its own, and this end of that terminal.
#[derive(Debug)]
pub struct Pty {
    near: File,
    child: Child,
}

/// What reading from a terminal gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing within the time.
    Silence,
    /// Nobody has the other end open any more.
    End,
}

impl Pty {
    /// Starts a command in a new session whose controlling terminal has this many rows and columns.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> io::Result<Self> {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None)?;
        set_close_on_exec(&ends.master)?;
        command.stdin(ends.slave.try_clone()?).stdout(ends.slave.try_clone()?).stderr(ends.slave);
        // SAFETY: setsid and ioctl are async-signal-safe; descriptor 0 is the terminal's far end by then.
        unsafe { command.pre_exec(own_terminal) };
        let child = command.spawn()?;
        // The command still holds the far end; dropping it here is what makes the end of the last holder visible.
        drop(command);
        Ok(Self { near: ends.master.into(), child })
    }

    /// Waits this long for what the command writes.
    pub fn read(&mut self, patience: Duration) -> io::Result<Heard> {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut waiting = [PollFd::new(self.near.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, timeout) {
            Ok(0) | Err(nix::Error::EINTR) => return Ok(Heard::Silence),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [0; 4096];
        match self.near.read(&mut buffer) {
            Ok(0) => Ok(Heard::End),
            Ok(length) => Ok(Heard::Bytes(buffer[..length].to_vec())),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(Heard::End),
            Err(error) => Err(error),
        }
    }

    /// Types on the terminal.
    pub fn write(&mut self, keys: &[u8]) -> io::Result<()> {
        self.near.write_all(keys)
    }

    /// Waits for the command's end.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Ends the command, which did not do so by itself.
    pub fn kill(mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }
}

fn set_close_on_exec(descriptor: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

fn own_terminal() -> io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: TIOCSCTTY takes an integer and touches no memory.
    if unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
