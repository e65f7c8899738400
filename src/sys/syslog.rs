//! Messages to syslog receivers: datagrams, and streams whose receiver confirms by closing.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

/// A receiver that answers a message stream reads it; so many bytes of what it says are taken.
const MOST_HEARD: usize = 64 * 1024;

/// Sends one datagram to a local socket, for example `/dev/log`.
pub fn local(path: &Path, message: &[u8], patience: Duration) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(patience))?;
    socket.send(message).map(drop)
}

/// Sends messages to a local socket, whichever of the two kinds it is.
pub fn unix(path: &Path, messages: &[Vec<u8>], patience: Duration) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match socket.connect(path) {
        Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            framed(&stream, messages, |stream| stream.shutdown(Shutdown::Write))
        }
        connected => {
            connected?;
            socket.set_write_timeout(Some(patience))?;
            messages.iter().try_for_each(|message| socket.send(message).map(drop))
        }
    }
}

/// Sends each message as one datagram. What the network loses is lost.
pub fn udp(to: SocketAddr, messages: &[Vec<u8>]) -> io::Result<()> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    messages.iter().try_for_each(|message| socket.send(message).map(drop))?;
    // A receiver that is not there answers with an error, which the next call on the socket would get.
    socket.take_error()?.map_or(Ok(()), Err)
}

/// Sends messages in one connection, each with its length before it (RFC 6587 3.4.1).
pub fn tcp(to: SocketAddr, messages: &[Vec<u8>], patience: Duration) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&to, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    framed(&stream, messages, |stream| stream.shutdown(Shutdown::Write))
}

/// Syslog has no answers. But a receiver that has read all closes its side once ours is closed, and one that did not resets.
fn framed<S>(stream: &S, messages: &[Vec<u8>], close: impl FnOnce(&S) -> io::Result<()>) -> io::Result<()>
where
    for<'a> &'a S: Read + Write,
{
    let mut out = io::BufWriter::new(stream);
    for message in messages {
        write!(out, "{} ", message.len())?;
        out.write_all(message)?;
    }
    out.flush()?;
    drop(out);
    close(stream)?;
    let (mut heard, mut buffer) = (0, [0; 4096]);
    let mut from = stream;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => heard += read,
        }
        if heard > MOST_HEARD {
            return Err(io::Error::other("the receiver talks and does not end"));
        }
    }
}

/// An address, or a name of `/etc/hosts`, with a port: a static program cannot ask the C library for others.
pub fn address(host_and_port: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = host_and_port.parse() {
        return Ok(address);
    }
    let (host, port) = host_and_port.rsplit_once(':').ok_or("it has no port")?;
    let port = port.parse().map_err(|_| "its port is not a number")?;
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let known = hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse::<IpAddr>().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
    });
    // Most receivers of syslog listen on version 4 first.
    let address = known.min_by_key(IpAddr::is_ipv6).ok_or("its host is neither an address nor a name of `/etc/hosts`")?;
    Ok(SocketAddr::new(address, port))
}
