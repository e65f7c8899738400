//! The kernel: finding, holding and running programs, signals, clocks, safe files.

pub mod clock;
pub mod exec;
pub mod files;
pub mod harden;
pub mod held;
mod path;
pub mod random;
pub mod resolve;
pub mod signals;
pub mod stdio;
pub mod supervise;

/// The error that the last system call left behind.
fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
