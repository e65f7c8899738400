//! A conversation with the caller's ssh-agent.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long an agent may take. One that asks somebody at a screen before it signs takes longer than a file does.
const PATIENCE: Duration = Duration::from_secs(8);

/// Where the caller's agent listens, if there is one.
pub fn socket() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Sends one message and reads the answer, of at most `limit` bytes, both without the length that goes before them.
///
/// Connecting cannot be given a time limit, so a thread does all of it and is left behind when it takes too long.
pub fn ask(socket: &Path, message: Vec<u8>, limit: usize) -> io::Result<Vec<u8>> {
    ask_within(PATIENCE, socket, message, limit)
}

/// The same with a patience of its own: somebody has to find and touch a security key.
pub fn ask_within(patience: Duration, socket: &Path, message: Vec<u8>, limit: usize) -> io::Result<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let socket = socket.to_owned();
    std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        let _ = sender.send(converse(patience, &socket, &message, limit));
    })?;
    receiver.recv_timeout(patience).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn converse(patience: Duration, socket: &Path, message: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let length = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok().filter(|length| *length <= limit);
    let mut answer = vec![0; length.ok_or(io::ErrorKind::FileTooLarge)?];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
