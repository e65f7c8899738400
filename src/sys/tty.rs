//! The terminal as the prompt needs it: its own descriptor, its modes put back on every way out, one queue of what happens.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{self, FlushArg, InputFlags, LocalFlags, OutputFlags, SetArg, Termios};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};

use super::signals::is_ignored;
use super::wake::Bell;

/// The signals that the prompt takes itself while it waits.
const TAKEN: [Signal; 7] =
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH];

/// What happened at the terminal, or to the process that waits there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A line was typed; without its end.
    Line(Vec<u8>),
    /// The end of input was typed.
    End,
    /// The deadline has passed.
    Deadline,
    /// A signal that ends the wait.
    Ended(i32),
    /// The stop key was pressed.
    Suspend,
    /// Something continued the process.
    Continued,
    /// The window has another size.
    Resized,
    /// The terminal went away.
    Gone,
    /// The bell that the caller listens to rang.
    Rung,
    /// Nothing, for as long as the caller wanted to wait.
    Quiet,
}

/// Whether nobody else asks at this terminal.
#[derive(Debug)]
pub enum Claim {
    /// Nobody, until this is dropped.
    Held(Flock<File>),
    /// Another question is open.
    Busy,
    /// It cannot be told: the terminal's own file cannot be opened.
    Unknown,
}

/// The controlling terminal while a person is asked at it. Dropping it gives everything back as it was.
#[derive(Debug)]
pub struct Terminal {
    file: File,
    signals: SignalFd,
    timer: TimerFd,
    mask: SigSet,
    saved: Option<Termios>,
    queue: VecDeque<Event>,
    typed: Vec<u8>,
    bell: Option<Arc<Bell>>,
}

impl Terminal {
    /// Opens the controlling terminal; the deadline is a time on the boot clock.
    pub fn open(deadline: Duration) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK).open("/dev/tty")?;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        // A time of zero would disarm it.
        let at = TimeSpec::from(deadline.max(Duration::from_nanos(1)));
        timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        // What the caller ignores stays ignored: nohup's SIGHUP would else be taken for one that counts.
        let taken: SigSet = TAKEN.into_iter().filter(|signal| !is_ignored(*signal as i32)).collect();
        let signals = SignalFd::with_flags(&taken, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        // With SIGTTOU blocked the modes can be set without being stopped for it.
        let blocked: SigSet = taken.iter().chain([Signal::SIGTTOU]).collect();
        let mask = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Self { file, signals, timer, mask, saved: None, queue: VecDeque::new(), typed: Vec::new(), bell: None })
    }

    /// Lets somebody else wake whoever waits here.
    pub fn listen(&mut self, bell: Arc<Bell>) {
        self.bell = Some(bell);
    }

    /// Makes sure that no other gate asks at the same terminal, whose path the caller knows.
    pub fn claim(path: &Path) -> Claim {
        let opened =
            OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path);
        match opened.map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock)) {
            Ok(Ok(lock)) => Claim::Held(lock),
            Ok(Err((_, Errno::EWOULDBLOCK))) => Claim::Busy,
            Ok(Err(_)) | Err(_) => Claim::Unknown,
        }
    }

    /// Waits for the foreground, stopping as a read from the background would.
    ///
    /// False when it stays in the background with nobody to bring it forward.
    pub fn come_forward(&mut self) -> io::Result<bool> {
        while !self.ending() && !self.foreground()? {
            // The kernel stops the whole group, too: what is piped to or from gate waits with it.
            if !self.stop(Signal::SIGTTIN, true)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets lines be edited and echoed until the terminal is given back.
    pub fn edit_lines(&mut self) -> io::Result<()> {
        if self.saved.is_none() {
            self.saved = Some(termios::tcgetattr(&self.file)?);
        }
        if let Some(saved) = &self.saved {
            let mut modes = saved.clone();
            modes.input_flags.insert(InputFlags::ICRNL | InputFlags::IXON);
            modes.input_flags.remove(InputFlags::IGNCR | InputFlags::INLCR);
            modes.output_flags.insert(OutputFlags::OPOST | OutputFlags::ONLCR);
            modes.local_flags.insert(
                LocalFlags::ICANON
                    | LocalFlags::ISIG
                    | LocalFlags::IEXTEN
                    | LocalFlags::ECHO
                    | LocalFlags::ECHOE
                    | LocalFlags::ECHOK
                    | LocalFlags::ECHOCTL,
            );
            modes.local_flags.remove(LocalFlags::NOFLSH);
            termios::tcsetattr(&self.file, SetArg::TCSANOW, &modes)?;
        }
        Ok(())
    }

    /// Columns and lines; 80 and 24 where the terminal does not say.
    pub fn size(&self) -> (usize, usize) {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open for as long as `self`, and TIOCGWINSZ writes one winsize to the address it is given.
        let told = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&self.file), libc::TIOCGWINSZ, &raw mut size) } == 0;
        let or = |value: u16, otherwise: usize| if told && value > 0 { usize::from(value) } else { otherwise };
        (or(size.ws_col, 80), or(size.ws_row, 24))
    }

    /// Drops what was typed before now.
    pub fn forget_typed(&mut self) -> io::Result<()> {
        self.typed.clear();
        Ok(termios::tcflush(&self.file, FlushArg::TCIFLUSH)?)
    }

    /// Writes all, or gives up and says no when something ends the wait meanwhile: `next` then says what.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::POLLOUT, None)?;
                    if self.ending() || self.queue.contains(&Event::Suspend) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Waits for what happens next; at most so long.
    pub fn next(&mut self, most: Option<Duration>) -> io::Result<Event> {
        self.event(PollFlags::POLLIN, most)
    }

    /// The same while another question is open: what is typed is left to that one.
    pub fn stand_by(&mut self, most: Duration) -> io::Result<Event> {
        self.event(PollFlags::empty(), Some(most))
    }

    fn event(&mut self, flags: PollFlags, most: Option<Duration>) -> io::Result<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(event);
            }
            let ready = self.wait(flags, most)?;
            if !self.queue.is_empty() {
                continue;
            }
            let Some(ready) = ready else { return Ok(Event::Quiet) };
            // A terminal that was hung up reads as the end of input, which nobody typed.
            if ready.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                return Ok(Event::Gone);
            }
            if ready.intersects(PollFlags::POLLIN) {
                // Somebody else's line is not read: the group may have lost the foreground without being stopped.
                if !self.foreground()? {
                    return Ok(Event::Continued);
                }
                if let Some(event) = self.read() {
                    return Ok(event);
                }
            }
        }
    }

    /// Stops as the stop key asks, with the terminal given back, and returns when continued.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.stop(Signal::SIGTSTP, false).map(drop)
    }

    fn read(&mut self) -> Option<Event> {
        let mut buffer = [0; 4096];
        match self.file.read(&mut buffer) {
            Ok(0) => Some(if self.hung_up() { Event::Gone } else { Event::End }),
            Ok(count) => {
                self.typed.extend_from_slice(&buffer[..count]);
                let end = self.typed.iter().position(|byte| *byte == b'\n');
                end.map(|end| {
                    let mut line: Vec<u8> = self.typed.drain(..=end).collect();
                    line.pop();
                    Event::Line(line)
                })
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => None,
            // A hung-up terminal answers EIO.
            Err(_) => Some(Event::Gone),
        }
    }

    /// Polls the terminal, the signals and the deadline; what signals and deadline say goes to the queue.
    fn wait(&mut self, flags: PollFlags, most: Option<Duration>) -> io::Result<Option<PollFlags>> {
        let timeout = most.map_or(PollTimeout::NONE, |most| PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
        let ready = {
            let mut fds = vec![
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.file.as_fd(), flags),
            ];
            fds.extend(self.bell.as_ref().map(|bell| PollFd::new(bell.as_fd(), PollFlags::POLLIN)));
            match poll(&mut fds, timeout) {
                Ok(0) => return Ok(None),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            fds[2].revents().unwrap_or(PollFlags::empty())
        };
        self.collect()?;
        Ok(Some(ready))
    }

    /// Takes what signals and deadline have to say.
    fn collect(&mut self) -> io::Result<()> {
        while let Some(info) = self.signals.read_signal()? {
            let number = i32::try_from(info.ssi_signo).unwrap_or(0);
            let event = match Signal::try_from(number) {
                Ok(Signal::SIGTSTP) => Event::Suspend,
                Ok(Signal::SIGCONT) => Event::Continued,
                Ok(Signal::SIGWINCH) => Event::Resized,
                _ => Event::Ended(number),
            };
            if !self.queue.contains(&event) {
                self.queue.push_back(event);
            }
        }
        let mut count = [0; 8];
        if nix::unistd::read(&self.timer, &mut count).is_ok() {
            self.queue.push_back(Event::Deadline);
        }
        if self.bell.as_ref().is_some_and(|bell| bell.heard()) && !self.queue.contains(&Event::Rung) {
            self.queue.push_back(Event::Rung);
        }
        Ok(())
    }

    /// What has ended the wait, if something has.
    pub fn ended(&mut self) -> Option<Event> {
        let at = self.queue.iter().position(|event| matches!(event, Event::Ended(_) | Event::Deadline))?;
        self.queue.remove(at)
    }

    fn ending(&self) -> bool {
        self.queue.iter().any(|event| matches!(event, Event::Ended(_) | Event::Deadline))
    }

    fn hung_up(&self) -> bool {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok() && fds[0].revents().is_some_and(|flags| flags.intersects(PollFlags::POLLHUP))
    }

    /// Whether this process may read and write there without being stopped.
    pub fn foreground(&self) -> io::Result<bool> {
        Ok(tcgetpgrp(&self.file)? == getpgrp())
    }

    /// Gives the terminal back, stops by a signal, and says whether that stopped anything.
    fn stop(&mut self, signal: Signal, group: bool) -> io::Result<bool> {
        self.leave();
        let mut one = SigSet::empty();
        one.add(signal);
        if group {
            kill(Pid::from_raw(0), signal)?;
        } else {
            raise(signal)?;
        }
        let before = one.thread_swap_mask(SigmaskHow::SIG_UNBLOCK)?;
        // Stopped here, until continued; an orphaned group is never stopped.
        before.thread_set_mask()?;
        self.collect()?;
        let continued = self.queue.contains(&Event::Continued);
        self.queue.retain(|event| *event != Event::Continued);
        Ok(continued)
    }

    /// Puts the modes back, unless the terminal belongs to others by now, who have set their own.
    fn leave(&mut self) {
        if let Some(saved) = self.saved.take()
            && self.foreground().unwrap_or(false)
        {
            let _ = termios::tcsetattr(&self.file, SetArg::TCSANOW, &saved);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
        let _ = self.mask.thread_set_mask();
    }
}

/// Whether an error says that there is no terminal any more.
pub fn went_away(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::ENXIO | libc::ENOTTY))
}
