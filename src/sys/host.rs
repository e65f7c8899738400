//! Which machine this is.

use std::io;

/// The name that the kernel gives this host (`uname -n`).
pub fn name() -> io::Result<String> {
    let uname = nix::sys::utsname::uname().map_err(io::Error::from)?;
    Ok(uname.nodename().to_string_lossy().into_owned())
}
