//! The kernel: finding, holding and running programs, terminals, signals, clocks, safe files, live targets.

pub mod agent;
pub mod alert;
pub mod asker;
pub mod clock;
pub mod context;
pub mod durable;
pub mod exec;
pub mod files;
pub mod harden;
pub mod held;
pub mod host;
pub mod http;
pub mod line_file;
pub mod names;
mod path;
pub mod preview;
pub mod process_tree;
pub mod pty;
pub mod random;
pub mod resolve;
pub mod signals;
pub mod stdio;
pub mod supervise;
pub mod syslog;
pub mod target;
pub mod tty;
pub mod wake;
/// The size of the terminal.
pub mod window;

/// The error that the last system call left behind.
fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
