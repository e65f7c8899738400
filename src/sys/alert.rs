//! A program that is told something and not waited for.

use std::io::{self, Write, pipe};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::check;

/// Starts a program in a session of its own, with an empty terminal and environment, and this on its stdin, which has to fit into a
/// pipe. The kernel's alarm clock ends it after `limit`, whether gate is still there or not.
pub fn tell(program: &[String], told: &[u8], limit: Duration) -> io::Result<()> {
    let (name, words) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (reader, mut writer) = pipe()?;
    writer.write_all(told)?;
    drop(writer);
    let seconds = libc::c_uint::try_from(limit.as_secs()).unwrap_or(libc::c_uint::MAX);
    let mut command = Command::new(name);
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    command.stdin(reader).stdout(Stdio::null()).stderr(Stdio::null());
    let detach = move || {
        // SAFETY: neither call touches memory; an alarm outlives the exec.
        check(unsafe { libc::setsid() })?;
        unsafe { libc::signal(libc::SIGALRM, libc::SIG_DFL) };
        unsafe { libc::alarm(seconds) };
        Ok(())
    };
    // SAFETY: setsid, signal and alarm are async-signal-safe.
    unsafe { command.pre_exec(detach) };
    command.spawn().map(drop)
}

/// Opens a link in the caller's browser, in a session of its own; not waited for.
pub fn open_link(link: &str) -> io::Result<()> {
    let mut command = Command::new("xdg-open");
    command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: setsid is async-signal-safe and touches no memory.
    unsafe { command.pre_exec(|| check(libc::setsid()).map(drop)) };
    command.spawn().map(drop)
}
