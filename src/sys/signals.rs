//! Inherited signal state, and endings by signal.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::check;
use super::harden;

/// The signals whose inherited disposition gate may change while it works; bit `n` of [`IGNORED`] is the nth of them.
const KEPT: [libc::c_int; 14] = [
    libc::SIGPIPE,
    libc::SIGCHLD,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCONT,
    libc::SIGALRM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
];

/// Which of [`KEPT`] the caller ignored.
static IGNORED: AtomicU32 = AtomicU32::new(0);
/// Which signals the caller had blocked; bit `n - 1` is signal `n`.
static BLOCKED: AtomicU64 = AtomicU64::new(0);
/// Whether the loader called [`read_inherited`].
static READ: AtomicBool = AtomicBool::new(false);

/// std ignores SIGPIPE before `main`, so what the caller wanted is read before std runs.
#[used]
#[unsafe(link_section = ".init_array")]
static READ_INHERITED: extern "C" fn() = read_inherited;

extern "C" fn read_inherited() {
    let mut ignored = 0;
    for (bit, signal) in KEPT.into_iter().enumerate() {
        if disposition(signal).is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN) {
            ignored |= 1 << bit;
        }
    }
    IGNORED.store(ignored, Ordering::Relaxed);
    if let Ok(blocked) = mask() {
        // SAFETY: `blocked` is an initialised set; a number it does not know is answered by an error.
        let bits = (1..=64).filter(|signal| unsafe { libc::sigismember(&raw const blocked, *signal) } == 1);
        BLOCKED.store(bits.fold(0, |set, signal| set | 1 << (signal - 1)), Ordering::Relaxed);
        READ.store(true, Ordering::Relaxed);
    }
}

/// What the caller of gate had set, to be handed to the command.
#[derive(Clone, Copy)]
pub(super) struct Inherited {
    mask: libc::sigset_t,
    ignored: u32,
}

impl Inherited {
    /// Gives what was read before std ran; fails where it was not.
    pub(super) fn take() -> io::Result<Self> {
        if !READ.load(Ordering::Relaxed) {
            return Err(io::Error::other("the inherited signal dispositions were not read at start"));
        }
        let blocked = BLOCKED.load(Ordering::Relaxed);
        let mut mask = empty_set();
        for signal in (1..=64).filter(|signal| blocked & (1 << (signal - 1)) != 0) {
            // SAFETY: `mask` is an initialised set; a number it does not know is answered by an error.
            unsafe { libc::sigaddset(&raw mut mask, signal) };
        }
        Ok(Self { mask, ignored: IGNORED.load(Ordering::Relaxed) })
    }

    /// Sets mask and dispositions as the caller had them. Only async-signal-safe calls: a forked child runs it.
    pub(super) fn restore(&self) {
        for (bit, signal) in KEPT.into_iter().enumerate() {
            let ignored = self.ignored & (1 << bit) != 0;
            let _ = set_disposition(signal, if ignored { libc::SIG_IGN } else { libc::SIG_DFL });
        }
        let _ = set_mask(&self.mask);
    }
}

/// Ignores SIGPIPE again, as std had it, after an exec that failed.
pub(super) fn ignore_sigpipe() {
    let _ = set_disposition(libc::SIGPIPE, libc::SIG_IGN);
}

/// Ends this process by the signal that ended the command, so that whoever waits sees the same.
pub fn die_by(signal: i32) -> ! {
    harden::no_core_dump();
    let _ = set_disposition(signal, libc::SIG_DFL);
    // Only this one: another that is pending must not be faster.
    let mut open = full_set();
    // SAFETY: `open` is an initialised set; a number it does not know is answered by an error.
    unsafe { libc::sigdelset(&raw mut open, signal) };
    let _ = set_mask(&open);
    // SAFETY: kill takes two integers; the target is this process.
    unsafe { libc::kill(libc::getpid(), signal) };
    // Only the first process of a namespace survives its own default action.
    std::process::exit(128_i32.saturating_add(signal))
}

/// Stops this process by a signal that stopped the command, and returns when it is continued.
pub(super) fn stop_by(signal: i32) {
    let Ok(before) = disposition(signal) else { return };
    let Ok(blocked) = mask() else { return };
    let mut open = blocked;
    if signal != libc::SIGSTOP {
        let _ = set_disposition(signal, libc::SIG_DFL);
        // SAFETY: `open` is an initialised set, `signal` came from the kernel.
        unsafe { libc::sigdelset(&raw mut open, signal) };
    }
    // SAFETY: kill takes two integers; the target is this process.
    unsafe { libc::kill(libc::getpid(), signal) };
    let _ = set_mask(&open);
    let _ = set_mask(&blocked);
    if signal != libc::SIGSTOP {
        // SAFETY: `before` was filled by the kernel for this very signal.
        unsafe { libc::sigaction(signal, &raw const before, std::ptr::null_mut()) };
    }
}

/// Whether the caller of gate had it ignored, or gate has it so.
pub(super) fn is_ignored(signal: libc::c_int) -> bool {
    disposition(signal).is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN)
}

pub(super) fn disposition(signal: libc::c_int) -> io::Result<libc::sigaction> {
    // SAFETY: sigaction is plain old data, for which all zeros is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only reads; `action` outlives the call.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) })?;
    Ok(action)
}

pub(super) fn set_disposition(signal: libc::c_int, to: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: sigaction is plain old data, for which all zeros is a valid value (no flags, empty mask).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = to;
    // SAFETY: `action` is SIG_IGN or SIG_DFL, so no code of ours runs by it.
    check(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }).map(drop)
}

pub(super) fn empty_set() -> libc::sigset_t {
    // SAFETY: sigset_t is plain old data; sigemptyset fills it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid sigset_t.
    unsafe { libc::sigemptyset(&raw mut set) };
    set
}

pub(super) fn full_set() -> libc::sigset_t {
    let mut set = empty_set();
    // SAFETY: `set` is a valid sigset_t.
    unsafe { libc::sigfillset(&raw mut set) };
    set
}

fn mask() -> io::Result<libc::sigset_t> {
    let mut set = empty_set();
    // SAFETY: a null new set only reads; `set` outlives the call.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut set) })?;
    Ok(set)
}

pub(super) fn set_mask(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is an initialised sigset_t that outlives the call.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, std::ptr::from_ref(set), std::ptr::null_mut()) }).map(drop)
}
