//! No core dump and no tracer while gate holds a key.

use std::io;

use super::check;

/// gate as it is while it holds a key: no core dump, no tracer. [`Hardened::undo`] before anything is forked or executed.
#[derive(Debug)]
#[must_use = "a hardened gate must be undone before it runs a command"]
pub struct Hardened {
    dumpable: libc::c_int,
    core: libc::rlimit,
}

impl Hardened {
    /// Forbids core dumps and tracing of this process.
    pub fn new() -> io::Result<Self> {
        let dumpable = dumpable()?;
        let core = core_limit()?;
        set_dumpable(0)?;
        set_core_limit(&libc::rlimit { rlim_cur: 0, rlim_max: core.rlim_max })?;
        Ok(Self { dumpable, core })
    }

    /// Gives the caller's limits back: a nested gate must be able to name its parent, and the command dumps as its caller wants.
    pub fn undo(self) -> io::Result<()> {
        set_core_limit(&self.core)?;
        // 2 ("readable by root only") is the kernel's to set; 0 is its nearest.
        set_dumpable(libc::c_int::from(self.dumpable == 1))
    }
}

/// Forbids this process a core dump for good: it is about to die by a signal that was another's.
pub(super) fn no_core_dump() {
    let _ = set_dumpable(0);
    let _ = core_limit().and_then(|limit| set_core_limit(&libc::rlimit { rlim_cur: 0, ..limit }));
}

fn dumpable() -> io::Result<libc::c_int> {
    // SAFETY: PR_GET_DUMPABLE takes no further argument and touches no memory.
    check(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) })
}

fn set_dumpable(value: libc::c_int) -> io::Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes one integer and touches no memory.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_long::from(value), 0, 0, 0) }).map(drop)
}

fn core_limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) })?;
    Ok(limit)
}

fn set_core_limit(limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, std::ptr::from_ref(limit)) }).map(drop)
}
