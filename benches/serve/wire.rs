//! One kept connection of HTTP/1.1, by hand: the load has to cost less than what it measures.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Outcome;

/// A connection.
pub(crate) struct Wire(BufReader<TcpStream>);

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) async fn open(at: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(4096, stream)))
    }

    /// Calls, with these lines as further headers.
    pub(crate) async fn call(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Outcome<Reply> {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: gate\r\n{headers}content-length: {}\r\n\r\n", body.len());
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await? == 0 {
                return Err(format!("{method} {path}: the server hung up").into());
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(Reply { status, head, body })
    }
}

/// The first header of this name, in small letters.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name).map(|(_, value)| value))
}

impl Reply {
    /// The body as JSON, where the status is as expected.
    pub(crate) fn json(&self, status: u16) -> Outcome<serde_json::Value> {
        if self.status != status {
            return Err(format!("{status} was expected: {}{}", self.head, String::from_utf8_lossy(&self.body)).into());
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}
