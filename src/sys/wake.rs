//! Waking a thread that waits in `poll`, and waiting for a signal where no terminal is open.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::signals::is_ignored;

/// The signals that end a wait.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP];

/// What one thread rings to wake another one's `poll`.
#[derive(Debug)]
pub struct Bell(EventFd);

impl Bell {
    /// A bell that is quiet.
    pub fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    /// Rings until it is heard.
    pub fn ring(&self) {
        // It can fail only where it rings already.
        let _ = self.0.write(1);
    }

    /// Whether it rang; quiet afterwards.
    pub fn heard(&self) -> bool {
        self.0.read().is_ok()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// The bell.
    Bell,
    /// A signal that says to end.
    Ended(i32),
    /// Nothing, for so long.
    Time,
}

/// Whether a signal says that the requester gave up, and not only that this process has to end.
pub fn gives_up(signal: i32) -> bool {
    [Signal::SIGINT, Signal::SIGQUIT].into_iter().any(|key| key as i32 == signal)
}

/// The signals that say to end, taken by this thread until dropped. What the caller ignores stays ignored.
#[derive(Debug)]
pub struct Ending {
    signals: SignalFd,
    mask: SigSet,
}

impl Ending {
    /// Takes them.
    pub fn take() -> io::Result<Self> {
        let taken: SigSet = ENDING.into_iter().filter(|signal| !is_ignored(*signal as i32)).collect();
        let signals = SignalFd::with_flags(&taken, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mask = taken.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Self { signals, mask })
    }

    /// Waits for the bell or such a signal; at most so long.
    pub fn wait(&self, bell: &Bell, most: Duration) -> io::Result<Woken> {
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN), PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(info) = self.signals.read_signal()? {
            return Ok(Woken::Ended(i32::try_from(info.ssi_signo).unwrap_or_default()));
        }
        Ok(if bell.heard() { Woken::Bell } else { Woken::Time })
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.mask.thread_set_mask();
    }
}

/// Does something whose threads take no signal: those of this process stay with the thread that waits for them.
pub fn deaf<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let done = work();
    mask.thread_set_mask()?;
    Ok(done)
}

/// Starts a thread that no signal is delivered to: those of this process stay with the thread that waits for them.
pub fn deaf_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = std::thread::Builder::new().spawn(work);
    mask.thread_set_mask()?;
    started
}
