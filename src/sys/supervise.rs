//! Running a granted command as a child and passing everything through.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::check;
use super::clock;
use super::exec::{Failed, Failure, Orders};
use super::harden::Hardened;
use super::held::Held;
use super::signals::{self, Inherited};
use crate::approval::{Grant, Stamp};

/// How long a command may take to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// By itself, with this code.
    Exit(u8),
    /// By this signal.
    Signal(i32),
}

/// What became of a supervised command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// When it was started.
    pub started: Stamp,
    /// When it ended.
    pub ended: Stamp,
    /// Whether the rule's timeout ended it.
    pub timed_out: bool,
}

/// Runs the command as a child in the same session and process group, and stays until it ended.
/// Signals stay blocked afterwards: what comes too late for the command shall not keep its end from being recorded.
pub fn supervised(grant: Grant, held: Held, hardened: Option<Hardened>) -> Result<Outcome, Failed> {
    single_threaded()?;
    let timeout = grant.how().timeout;
    let orders = Orders::new(grant, &held)?;
    let inherited = Inherited::take()?;
    hardened.map_or(Ok(()), Hardened::undo)?;
    held.still_the_same().map_err(Failed::Changed)?;
    let mut watch = Watch::new(timeout)?;
    let started = clock::now()?;
    watch.start(&orders, &inherited)?;
    let (status, timed_out) = watch.until_the_end(&orders, held)?;
    Ok(Outcome { status, started, ended: clock::now()?, timed_out })
}

/// A second thread would take signals that are meant for the command.
pub(super) fn single_threaded() -> Result<(), Failed> {
    use std::os::unix::fs::MetadataExt;
    let threads = std::fs::metadata("/proc/self/task")?.nlink().saturating_sub(2);
    if threads == 1 { Ok(()) } else { Err(io::Error::other("other threads of gate still run").into()) }
}

/// What gate waits for while the command runs.
struct Watch {
    child: libc::pid_t,
    signals: OwnedFd,
    report: Option<OwnedFd>,
    timer: Option<OwnedFd>,
    timed_out: bool,
}

impl Watch {
    fn new(timeout: Option<Duration>) -> io::Result<Self> {
        let all = signals::full_set();
        // SAFETY: `all` is an initialised set that outlives the call.
        let signals = owned(unsafe { libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        let timer = timeout.map(timer).transpose()?;
        // Blocked signals wait in the descriptor, even those that the caller ignores: the command decides about them.
        signals::set_mask(&all)?;
        // Where the caller ignores SIGCHLD, the kernel would throw the command's status away.
        signals::set_disposition(libc::SIGCHLD, libc::SIG_DFL)?;
        Ok(Self { child: 0, signals, report: None, timer, timed_out: false })
    }

    fn start(&mut self, orders: &Orders, inherited: &Inherited) -> io::Result<()> {
        let mut ends: [RawFd; 2] = [0; 2];
        // SAFETY: `ends` has room for two descriptors.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
        // SAFETY: pipe2 just opened both, and nothing else owns them.
        let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        // SAFETY: this process has one thread, and the child makes nothing but async-signal-safe calls.
        self.child = check(unsafe { libc::fork() })?;
        if self.child == 0 {
            inherited.restore();
            let number = orders.execute().number();
            // SAFETY: `number` is four readable bytes, the descriptor is open; _exit runs no code of the parent's.
            unsafe {
                libc::write(write.as_raw_fd(), (&raw const number).cast(), size_of_val(&number));
                libc::_exit(127)
            }
        }
        self.report = Some(read);
        Ok(())
    }

    fn until_the_end(&mut self, orders: &Orders, held: Held) -> Result<(Status, bool), Failed> {
        let mut held = Some(held);
        loop {
            self.wait();
            if self.report.is_some()
                && let Some(failure) = self.take_report()
            {
                // The child is on its way out; its exit code is not the command's.
                self.reap(0)?;
                return Err(orders.failed(failure));
            }
            if self.report.is_none() {
                // The command runs: nobody else is kept from writing its file any longer.
                held.take();
            }
            self.pass_signals_on();
            if let Some(status) = self.mirror()? {
                return Ok((status, self.timed_out));
            }
            self.watch_the_time();
        }
    }

    /// Sleeps until a signal, the child's report or the timer wakes gate.
    fn wait(&self) {
        let entry = |fd: Option<&OwnedFd>| libc::pollfd { fd: fd.map_or(-1, AsRawFd::as_raw_fd), events: libc::POLLIN, revents: 0 };
        let mut entries = [entry(Some(&self.signals)), entry(self.report.as_ref()), entry(self.timer.as_ref())];
        // SAFETY: `entries` is a valid array of its own length; entries with descriptor -1 are skipped by the kernel.
        unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, -1) };
    }

    /// Reads the child's report where there is one: a failure, or the end of the pipe, which exec closed.
    fn take_report(&mut self) -> Option<Failure> {
        let report = self.report.as_ref()?;
        let mut entry = libc::pollfd { fd: report.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `entry` is one valid pollfd.
        if unsafe { libc::poll(&raw mut entry, 1, 0) } != 1 {
            return None;
        }
        let mut number: libc::c_int = 0;
        // SAFETY: `number` is four writable bytes.
        let length = unsafe { libc::read(report.as_raw_fd(), (&raw mut number).cast(), size_of_val(&number)) };
        self.report = None;
        (usize::try_from(length) == Ok(size_of_val(&number))).then(|| Failure::from_number(number))
    }

    /// Hands the command what others sent to gate.
    fn pass_signals_on(&self) {
        while let Some(info) = next_signal(&self.signals) {
            if let Ok(signal) = libc::c_int::try_from(info.ssi_signo)
                && self.is_for_the_command(signal, &info)
            {
                self.send(signal);
            }
        }
    }

    fn is_for_the_command(&self, signal: libc::c_int, info: &libc::signalfd_siginfo) -> bool {
        if signal == libc::SIGCHLD {
            return false;
        }
        if info.ssi_code <= 0 {
            let sender = libc::pid_t::try_from(info.ssi_pid);
            return sender != Ok(self.child) && sender != Ok(nix::unistd::getpid().as_raw());
        }
        // From the kernel: the terminal's keys reach the whole group, but a hangup reaches only the session's leader,
        // and an alarm that the caller set before exec only gate.
        match signal {
            libc::SIGALRM => true,
            libc::SIGHUP | libc::SIGCONT => nix::unistd::getsid(None).is_ok_and(|leader| leader == nix::unistd::getpid()),
            _ => false,
        }
    }

    fn send(&self, signal: libc::c_int) {
        // SAFETY: kill takes two integers; the child is not reaped yet, so its id is still its own.
        unsafe { libc::kill(self.child, signal) };
    }

    /// Stops when the command stopped; gives its status when it ended.
    fn mirror(&self) -> io::Result<Option<Status>> {
        while let Some(status) = self.reap(libc::WNOHANG | libc::WUNTRACED)? {
            if libc::WIFSTOPPED(status) {
                signals::stop_by(libc::WSTOPSIG(status));
            } else if libc::WIFSIGNALED(status) {
                return Ok(Some(Status::Signal(libc::WTERMSIG(status))));
            } else {
                return Ok(Some(Status::Exit(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))));
            }
        }
        Ok(None)
    }

    fn reap(&self, flags: libc::c_int) -> io::Result<Option<libc::c_int>> {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let pid = check(unsafe { libc::waitpid(self.child, &raw mut status, flags) })?;
        Ok((pid == self.child).then_some(status))
    }

    /// Ends a command whose time is over: SIGTERM first, SIGKILL after a while.
    fn watch_the_time(&mut self) {
        let Some(timer) = &self.timer else { return };
        let mut fired = [0; 8];
        // SAFETY: `fired` is eight writable bytes, which is what a timer gives.
        if unsafe { libc::read(timer.as_raw_fd(), fired.as_mut_ptr().cast(), fired.len()) } <= 0 {
            return;
        }
        if self.timed_out {
            self.send(libc::SIGKILL);
            return;
        }
        self.timed_out = true;
        self.send(libc::SIGTERM);
        // A stopped command cannot act on SIGTERM.
        self.send(libc::SIGCONT);
        if set_timer(timer, GRACE).is_err() {
            self.send(libc::SIGKILL);
        }
    }
}

fn next_signal(signals: &OwnedFd) -> Option<libc::signalfd_siginfo> {
    // SAFETY: signalfd_siginfo is plain old data, for which all zeros is a valid value.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    // SAFETY: `info` has room for `size` bytes.
    let length = unsafe { libc::read(signals.as_raw_fd(), (&raw mut info).cast(), size) };
    (usize::try_from(length) == Ok(size)).then_some(info)
}

fn timer(after: Duration) -> io::Result<OwnedFd> {
    // SAFETY: timerfd_create takes two integers.
    let timer = owned(unsafe { libc::timerfd_create(libc::CLOCK_BOOTTIME, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) })?;
    set_timer(&timer, after)?;
    Ok(timer)
}

fn set_timer(timer: &OwnedFd, after: Duration) -> io::Result<()> {
    let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // All zeros would disarm it.
    let after = after.max(Duration::from_nanos(1));
    let value = libc::timespec {
        tv_sec: libc::time_t::try_from(after.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(after.subsec_nanos()),
    };
    let setting = libc::itimerspec { it_interval: never, it_value: value };
    // SAFETY: `setting` outlives the call; the old setting is not asked for.
    check(unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const setting, std::ptr::null_mut()) }).map(drop)
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: the system call that gave `fd` just opened it, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
