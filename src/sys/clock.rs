//! The clocks.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::approval::Stamp;

/// The moment it is, on both clocks.
pub fn now() -> io::Result<Stamp> {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME)?;
    let boot = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok(Stamp { wall: wall.tv_sec().saturating_mul(1_000_000_000).saturating_add(wall.tv_nsec()), boot: Duration::from(boot) })
}
