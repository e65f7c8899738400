//! Who asks, where, and with what environment: the part of a context that every request needs, in few system calls.

use std::ffi::{CStr, OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::unistd;

use super::{asker, host, names, process_tree};
use crate::request::{Ancestor, Context, Cwd, Environment, RequestId, Who};

/// The variable by which a gate tells the gates below it which request they belong to.
pub const PARENT: &str = "GATE_REQUEST";

/// The audit uid of a process that no login started.
const NO_LOGIN: u32 = u32::MAX;

/// The environment of this process, entry by entry.
pub fn environment() -> Environment {
    let mut entries = Vec::new();
    // SAFETY: `environ` points to a list of C strings that ends with a null pointer; nothing in gate changes the
    // environment, so neither the list nor its strings move while they are copied.
    unsafe {
        let mut entry = list();
        while !entry.is_null() && !(*entry).is_null() {
            entries.push(OsString::from_vec(CStr::from_ptr(*entry).to_bytes().to_vec()));
            entry = entry.add(1);
        }
    }
    Environment::from_entries(entries)
}

#[cfg(not(target_vendor = "apple"))]
fn list() -> *const *const libc::c_char {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: the C library sets `environ` before `main` starts.
    unsafe { environ }
}

#[cfg(target_vendor = "apple")]
fn list() -> *const *const libc::c_char {
    // SAFETY: the call has no conditions and its result is never null.
    unsafe { *libc::_NSGetEnviron() as *const *const libc::c_char }
}

/// Captures who asks and where; ancestry, stdin and facts stay empty until something needs them.
pub fn who_and_where(environment: &Environment) -> Result<Context, io::Error> {
    Ok(Context {
        who: who(environment)?,
        host: host::name()?,
        cwd: cwd()?,
        asker: asker::of(environment, &[]),
        environment: environment.clone(),
        parent: parent(environment),
        ..Context::default()
    })
}

/// The processes above this one, nearest first.
pub fn ancestry() -> Vec<Ancestor> {
    process_tree::ancestry()
}

fn who(environment: &Environment) -> Result<Who, io::Error> {
    let uid = unistd::getuid().as_raw();
    Ok(Who {
        uid,
        euid: unistd::geteuid().as_raw(),
        gid: unistd::getgid().as_raw(),
        user: names::user(uid),
        login_uid: login_uid(),
        tty: process_tree::this().and_then(|stat| terminal(stat.terminal)),
        ssh_client: ssh_client(environment),
        session: unistd::getsid(None).map_err(io::Error::from)?.as_raw(),
    })
}

fn login_uid() -> Option<u32> {
    let bytes = process_tree::proc("self/loginuid")?;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok().filter(|uid| *uid != NO_LOGIN)
}

/// The usual path of a terminal's device number (drivers/tty, Documentation/admin-guide/devices.txt).
#[expect(clippy::cast_sign_loss, reason = "proc_pid_stat(5) prints the bits of an unsigned number as a signed one")]
fn terminal(number: i32) -> Option<PathBuf> {
    let bits = number as u32;
    let (major, minor) = ((bits >> 8) & 0xfff, (bits & 0xff) | ((bits >> 12) & 0xf_ff00));
    match (major, minor) {
        (0, 0) => None,
        (136..=143, _) => Some(format!("/dev/pts/{}", ((major - 136) << 20) | minor).into()),
        (4, 0..=63) => Some(format!("/dev/tty{minor}").into()),
        (4, _) => Some(format!("/dev/ttyS{}", minor - 64).into()),
        (5, 1) => Some("/dev/console".into()),
        (204, 64..=79) => Some(format!("/dev/ttyAMA{}", minor - 64).into()),
        (229, _) => Some(format!("/dev/hvc{minor}").into()),
        _ => Some(format!("/dev/char/{major}:{minor}").into()),
    }
}

fn ssh_client(environment: &Environment) -> Option<String> {
    let value = environment.get("SSH_CLIENT").or_else(|| environment.get("SSH_CONNECTION"))?;
    let address = value.as_bytes().split(|byte| *byte == b' ').next()?;
    String::from_utf8(address.to_vec()).ok().filter(|address| !address.is_empty())
}

fn cwd() -> Result<Option<Cwd>, io::Error> {
    let path = match std::env::current_dir() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let here = fs::metadata(OsStr::new("."))?;
    Ok(Some(Cwd { path, dev: here.dev(), ino: here.ino() }))
}

fn parent(environment: &Environment) -> Option<String> {
    let id = RequestId::parse(environment.get(PARENT)?.to_str()?)?;
    Some(id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_their_usual_names() {
        let named = |number| terminal(number).map(|path| path.display().to_string());
        assert_eq!(named(0), None);
        assert_eq!(named(136 << 8), Some("/dev/pts/0".to_owned()));
        assert_eq!(named((136 << 8) | 255), Some("/dev/pts/255".to_owned()));
        assert_eq!(named((1 << 20) | (136 << 8)), Some("/dev/pts/256".to_owned()));
        assert_eq!(named((4 << 8) | 1), Some("/dev/tty1".to_owned()));
        assert_eq!(named((4 << 8) | 64), Some("/dev/ttyS0".to_owned()));
    }
}
