//! The one answer that a browser on this host brings: a code, at an address that nobody else can reach.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use reqwest::Url;

use crate::error::Error;
use crate::exit_codes;
use crate::sys::alert;
use crate::text;

/// What a browser's request may be long at most, in bytes.
const LONGEST: usize = 8192;

/// How long it may take to send it.
const PATIENCE: Duration = Duration::from_secs(5);

const DONE: &str = "This command line acts as you now. You may close this page.";
const REFUSED: &str = "This command line got nothing. You may close this page.";

/// Somebody waits for the code.
pub(super) struct Waiting {
    address: String,
    answer: Receiver<Option<String>>,
}

impl Waiting {
    /// Listens on the loopback interface for an answer that knows this state.
    pub(super) fn listen(state: &str) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            Error::internal(format!("cannot listen for the browser: {error}")).hint("`gate login --device` needs no browser on this host")
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        let address = format!("http://127.0.0.1:{}/callback", listener.local_addr().map_err(failed)?.port());
        let (tell, answer) = sync_channel(1);
        let state = state.to_owned();
        std::thread::Builder::new()
            .spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    if let Some(told) = heard(&mut stream, &state) {
                        let _ = tell.send(told);
                        return;
                    }
                }
            })
            .map_err(failed)?;
        Ok(Self { address, answer })
    }

    /// Where the browser is sent.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The code.
    pub(super) fn code(&self, patience: Duration) -> Result<String, Error> {
        match self.answer.recv_timeout(patience) {
            Ok(Some(code)) => Ok(code),
            Ok(None) => Err(super::refused()),
            Err(_) => Err(Error::new(exit_codes::UNDECIDED, "nobody logged in in time")),
        }
    }
}

/// What this request brings: a code, or that the person said no; none where it is another one.
#[expect(clippy::option_option, reason = "no answer, and the answer no, are two things")]
fn heard(stream: &mut TcpStream, state: &str) -> Option<Option<String>> {
    let target = target(stream)?;
    let url = Url::parse(&format!("http://127.0.0.1{target}")).ok()?;
    let part = |name: &str| url.query_pairs().find(|(part, _)| part == name).map(|(_, value)| value.into_owned());
    if url.path() != "/callback" || part("state").as_deref() != Some(state) {
        say(stream, "404 Not Found", "There is nothing here.");
        return None;
    }
    let code = part("code").filter(|code| (1..=512).contains(&code.len()));
    say(stream, "200 OK", if code.is_some() { DONE } else { REFUSED });
    Some(code)
}

/// Path and query of a GET.
fn target(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&part[..count]);
        if head.len() > LONGEST {
            return None;
        }
    }
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    (words.next() == Some("GET")).then(|| words.next().map(str::to_owned)).flatten()
}

fn say(stream: &mut TcpStream, status: &str, words: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>gate</title><p>{words}</p>\n");
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         content-security-policy: default-src 'none'\r\nreferrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        page.len()
    );
    // A browser that is gone has brought its answer all the same.
    let _ = stream.write_all((head + &page).as_bytes());
}

/// Opens the link where there is a screen to open it on; it stands on stderr, too.
pub(super) fn open(link: &str) {
    if ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        && let Err(error) = alert::open_link(link)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        crate::error::note(&format!("the browser cannot be opened: {}", text::visible(&error.to_string())));
    }
}
