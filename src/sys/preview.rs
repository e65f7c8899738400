//! Running an allowed command to be looked at: no input, no terminal, its output kept, not for long.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::check;
use super::clock;
use super::exec::{Failed, Orders};
use super::held::Held;
use super::signals::Inherited;
use super::supervise::{Status, single_threaded};
use crate::approval::Grant;

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// How it ended; none where it was ended because it took too long.
    pub status: Option<Status>,
    /// The end of what it wrote to stdout and stderr, in the order in which it came.
    pub output: Vec<u8>,
    /// How many bytes were written before that.
    pub left_out: u64,
    /// How long it ran.
    pub took: Duration,
}

/// Runs it in a session of its own, without input and without a terminal, for no longer than `patience`, and keeps the last `most`
/// bytes that it writes. What it started in its process group ends with it.
pub fn look(grant: Grant, held: &Held, patience: Duration, most: usize) -> Result<Seen, Failed> {
    single_threaded()?;
    let orders = Orders::new(grant, held)?;
    let inherited = Inherited::take()?;
    held.still_the_same().map_err(Failed::Changed)?;
    let null = File::open("/dev/null")?;
    let (read, write) = pipe()?;
    let began = clock::now()?.boot;
    let mut child = Child::start(&orders, &inherited, [null.as_raw_fd(), write.as_raw_fd()])?;
    drop(write);
    let mut kept = Kept { bytes: Vec::new(), left_out: 0, most };
    let in_time = child.follow(File::from(read), &mut kept, began.saturating_add(patience))?;
    let status = child.end()?;
    let took = clock::now()?.boot.saturating_sub(began);
    Ok(Seen { status: in_time.then_some(status), output: kept.bytes, left_out: kept.left_out, took })
}

/// The end of what was written.
struct Kept {
    bytes: Vec<u8>,
    left_out: u64,
    most: usize,
}

impl Kept {
    fn add(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
        let over = self.bytes.len().saturating_sub(self.most);
        self.bytes.drain(..over);
        self.left_out = self.left_out.saturating_add(over as u64);
    }
}

/// A process that leads its own session; whatever becomes of this value, its group is ended and it is waited for.
struct Child {
    pid: libc::pid_t,
    ended: OwnedFd,
    reaped: bool,
}

impl Child {
    fn start(orders: &Orders, inherited: &Inherited, [input, output]: [RawFd; 2]) -> io::Result<Self> {
        // SAFETY: getpid has no conditions.
        let parent = unsafe { libc::getpid() };
        // SAFETY: this process has one thread, and the child makes nothing but async-signal-safe calls.
        let pid = check(unsafe { libc::fork() })?;
        if pid == 0 {
            // SAFETY: all of these take integers, the descriptors are open, and _exit runs no code of the parent's.
            unsafe {
                let alone = libc::setsid() >= 0
                    && libc::prctl(libc::PR_SET_PDEATHSIG, libc::c_long::from(libc::SIGKILL), 0, 0, 0) == 0
                    && libc::getppid() == parent;
                let wired = libc::dup2(input, 0) >= 0 && libc::dup2(output, 1) >= 0 && libc::dup2(output, 2) >= 0;
                // What else the caller left open, perhaps the command's own stdout, is not for it.
                let closed = libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0;
                if !(alone && wired && closed) {
                    libc::_exit(127);
                }
            }
            inherited.restore();
            orders.execute();
            // SAFETY: as above.
            unsafe { libc::_exit(127) }
        }
        // SAFETY: pidfd_open takes two integers; the child is not reaped yet, so its id is still its own.
        let ended = check(unsafe { libc::c_int::try_from(libc::syscall(libc::SYS_pidfd_open, pid, 0)).unwrap_or(-1) });
        match ended {
            // SAFETY: the system call just opened it, and nothing else owns it.
            Ok(fd) => Ok(Self { pid, ended: unsafe { OwnedFd::from_raw_fd(fd) }, reaped: false }),
            Err(error) => {
                end_group(pid);
                let _ = reap(pid);
                Err(error)
            }
        }
    }

    /// Reads what it writes until it ended; whether that was in time.
    fn follow(&self, mut output: File, kept: &mut Kept, deadline: Duration) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let mut open = true;
        loop {
            let left = deadline.saturating_sub(clock::now()?.boot);
            let mut entries = [if open { output.as_raw_fd() } else { -1 }, self.ended.as_raw_fd()].map(|fd| libc::pollfd {
                fd,
                events: libc::POLLIN,
                revents: 0,
            });
            let patience = libc::c_int::try_from(left.as_millis()).unwrap_or(libc::c_int::MAX);
            // SAFETY: `entries` is a valid array of its own length; entries with descriptor -1 are skipped by the kernel.
            unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, patience) };
            if entries[0].revents != 0 {
                let read = output.read(&mut buffer)?;
                kept.add(buffer.get(..read).unwrap_or_default());
                open = read > 0;
            } else if entries[1].revents != 0 {
                // What it wrote before it ended has been read; others who still hold the pipe are not waited for.
                return Ok(true);
            }
            if left == Duration::ZERO {
                return Ok(false);
            }
        }
    }

    /// Ends what is left of its group, and waits for it.
    fn end(&mut self) -> io::Result<Status> {
        end_group(self.pid);
        self.reaped = true;
        let status = reap(self.pid)?;
        Ok(if libc::WIFSIGNALED(status) {
            Status::Signal(libc::WTERMSIG(status))
        } else {
            Status::Exit(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            end_group(self.pid);
            let _ = reap(self.pid);
        }
    }
}

/// The group's leader is not reaped yet, so the number is still its own.
fn end_group(pid: libc::pid_t) {
    // SAFETY: kill takes two integers. Right after the fork there may be no group yet, and then the child alone is meant.
    unsafe {
        if libc::kill(-pid, libc::SIGKILL) != 0 {
            libc::kill(pid, libc::SIGKILL);
        }
    }
}

fn reap(pid: libc::pid_t) -> io::Result<libc::c_int> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    Ok(status)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [0; 2];
    // SAFETY: `ends` has room for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: pipe2 just opened both, and nothing else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}
