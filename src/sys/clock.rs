//! The two clocks, and which boot this is.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::approval::Stamp;

/// Reads the wall clock and the boot clock.
pub fn now() -> io::Result<Stamp> {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME)?;
    let seconds = wall.tv_sec().checked_mul(1_000_000_000).and_then(|nanos| nanos.checked_add(wall.tv_nsec()));
    Ok(Stamp { wall: seconds.ok_or_else(|| io::Error::other("the wall clock is out of range"))?, boot: since_boot()? })
}

/// Time since boot, sleep included; nobody can set this clock.
pub(super) fn since_boot() -> io::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?))
}

/// Which boot this is; empty where the kernel does not say.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}
