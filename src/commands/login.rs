//! `gate login` and `gate logout`: acting as a person at a server, from this command line.

mod browser;
pub mod kept;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::Args;
use reqwest::Url;
use serde_json::{Value, json};

use self::kept::KeptLogin;
use super::surroundings::{Surroundings, now, random};
use crate::approval::{Approver, sha256};
use crate::audit::{HostKey, ascii_json};
use crate::channel::approver::{Failed, Server};
use crate::error::{Error, note};
use crate::exit_codes;
use crate::text;

/// How long somebody may take to say yes on the page.
const PATIENCE: Duration = Duration::from_mins(10);

/// The longest time between two questions whether they did, in seconds.
const SLOWEST: u64 = 60;

/// The server, where a command line names it.
#[derive(Debug, Args)]
pub struct At {
    /// The server, such as `https://gate.example`; else the one of the policy, or of the last login
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// A PEM file with the certificates that the server is trusted by, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Lets this command line act as you at a server
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, Args)]
pub struct LoginArgs {
    #[command(flatten)]
    at: At,
    /// Show a code to type into a browser elsewhere; what is decided by such a login counts as `second-person` at most
    #[arg(long)]
    device: bool,
    /// Decide on what others ask, too; lasts twelve hours at most
    #[arg(long)]
    decide: bool,
    /// Say who is logged in, and whether the server still takes it
    #[arg(long, conflicts_with_all = ["device", "decide"])]
    status: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Ends the login of this command line
#[derive(Debug, Args)]
pub struct LogoutArgs {}

/// Logs in, or says who is.
pub fn run(args: &LoginArgs) -> Result<u8, Error> {
    let around = Surroundings::capture()?;
    let state = around.place()?.directory;
    if args.status {
        return status(&state, args.json);
    }
    let before = KeptLogin::read(&state)?;
    let (url, ca) = place(&args.at, &around, before.as_ref())?;
    let server = Server::new(&url, ca.as_deref(), None).map_err(Error::config)?;
    let wish = Wish::new(&around, &url, args.decide)?;
    let granted = if args.device { device(&server, &wish)? } else { by_browser(&server, &url, &wish)? };
    let login = read(&granted, url, ca).ok_or_else(|| strange(&args.at))?;
    login.keep(&state)?;
    // The one before is of no use to anybody who is honest.
    if let Some(before) = before
        && let Ok(server) = Server::new(&before.url, before.ca.as_deref(), Some(before.token))
    {
        let _ = server.revoke();
    }
    tell(&login, args.json)
}

/// Ends it, here in any case.
pub fn out(_: &LogoutArgs) -> Result<u8, Error> {
    let state = Surroundings::capture()?.place()?.directory;
    let Some(login) = KeptLogin::read(&state)? else {
        note("nobody is logged in");
        return Ok(0);
    };
    KeptLogin::forget(&state)?;
    let server = Server::new(&login.url, login.ca.as_deref(), Some(login.token)).map_err(Error::config)?;
    match server.revoke() {
        Ok(()) | Err(Failed::Unknown(_)) => Ok(0),
        Err(why) => {
            let said = failed(&login.url, why);
            Err(Error::new(said.code(), format!("the token is gone from this host, and the server was not told: {said}"))
                .hint("end it on the server's page, under the logins of command lines"))
        }
    }
}

/// The server and its certificates: as typed, as the policy has it, or as at the last login.
pub fn place(at: &At, around: &Surroundings, before: Option<&KeptLogin>) -> Result<(String, Option<PathBuf>), Error> {
    let named = around.policy.server().map(|(_, named)| (named.url.clone(), named.ca.as_ref().map(PathBuf::from)));
    let before = before.map(|login| (login.url.clone(), login.ca.clone()));
    let (url, ca) = match &at.server {
        Some(typed) => {
            let url = origin(typed)?;
            let known = named.into_iter().chain(before).find(|(known, _)| *known == url);
            let ca = known.and_then(|(_, ca)| ca);
            (url, ca)
        }
        None => named
            .or(before)
            .ok_or_else(|| Error::config("no server is known").hint("name it: `gate login --server https://gate.example`"))?,
    };
    let ca = at.ca.clone().or(ca).map(std::path::absolute).transpose();
    Ok((url, ca.map_err(|error| Error::config(format!("the path of the certificates cannot be used: {error}")))?))
}

/// Scheme, host and port, encrypted wherever others could listen.
fn origin(typed: &str) -> Result<String, Error> {
    let wrong = || {
        Error::new(exit_codes::USAGE, format!("`{}` is not where a server can be", text::escape(typed.as_bytes())))
            .hint("write it as `https://gate.example`; plain `http` is for 127.0.0.1, [::1] and localhost")
    };
    let url = Url::parse(typed).map_err(|_| wrong())?;
    let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let bare =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let safe = url.scheme() == "https" || url.scheme() == "http" && here;
    if bare && safe { Ok(url.origin().ascii_serialization()) } else { Err(wrong()) }
}

/// What this command line asks to be.
struct Wish {
    host: String,
    scope: &'static str,
    verifier: String,
    challenge: String,
    /// The log's key, by which the host is known as this person's, and its signature of this login.
    key: Option<(String, String)>,
}

impl Wish {
    fn new(around: &Surroundings, url: &str, decide: bool) -> Result<Self, Error> {
        let verifier = URL_SAFE_NO_PAD.encode(random::<32>()?);
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        let host = if around.context.host.is_empty() { "a host without a name".to_owned() } else { around.context.host.clone() };
        // Without a log yet there is nothing that the host could be known by.
        let key = HostKey::open(&around.place()?).ok().and_then(|key| {
            let signature = key.sign_login(url, &challenge).ok()?;
            Some((key.name().to_string(), STANDARD.encode(signature)))
        });
        let scope = if decide { "request+decide" } else { "request" };
        Ok(Self { host, scope, verifier, challenge, key })
    }

    fn parts(&self) -> Vec<(&'static str, &str)> {
        let mut parts = vec![("host", self.host.as_str()), ("scope", self.scope), ("code_challenge", self.challenge.as_str())];
        if let Some((key, proof)) = &self.key {
            parts.extend([("key", key.as_str()), ("key_proof", proof.as_str())]);
        }
        parts
    }
}

/// The person says yes in a browser on this host, which then brings a code here.
fn by_browser(server: &Server, url: &str, wish: &Wish) -> Result<Value, Error> {
    let state = URL_SAFE_NO_PAD.encode(random::<16>()?);
    let waiting = browser::Waiting::listen(&state)?;
    let link = Url::parse_with_params(
        &format!("{url}/login/cli"),
        wish.parts().into_iter().chain([("redirect_uri", waiting.address()), ("state", state.as_str())]),
    );
    let link = link.map_err(|_| Error::internal("the link to the login cannot be written"))?;
    note(&format!("log in here, in a browser on this host:\n  {link}"));
    browser::open(link.as_str());
    let code = waiting.code(PATIENCE)?;
    let body = json!({ "code": code, "code_verifier": wish.verifier });
    server.say("/v1/login/token", &body, &[]).map(|(_, granted)| granted).map_err(|why| failed(url, why))
}

/// The person types a code into a browser anywhere.
fn device(server: &Server, wish: &Wish) -> Result<Value, Error> {
    let url = "the server";
    let body = Value::Object(wish.parts().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect());
    let (_, begun) = server.say("/v1/login/device", &body, &[]).map_err(|why| failed(url, why))?;
    let text = |name: &str| begun.get(name).and_then(Value::as_str).unwrap_or_default();
    let seconds = |name: &str, otherwise: u64| begun.get(name).and_then(Value::as_u64).unwrap_or(otherwise);
    let shown = |name: &str| text::escape(text(name).as_bytes());
    note(&format!(
        "open {} in a browser, and type {}\n  whoever sent you this code could act as you: type only what your own terminal shows",
        shown("verification_uri"),
        shown("user_code")
    ));
    let mut pause = seconds("interval", 5).clamp(1, SLOWEST);
    let mut left = seconds("expires_in", PATIENCE.as_secs()).min(PATIENCE.as_secs());
    let body = json!({ "device_code": text("device_code"), "code_verifier": wish.verifier });
    loop {
        if left < pause {
            return Err(Error::new(exit_codes::UNDECIDED, "nobody typed the code in time"));
        }
        std::thread::sleep(Duration::from_secs(pause));
        left -= pause;
        let (status, said) = match server.say("/v1/login/token", &body, &[400, 429]) {
            Ok(said) => said,
            // A server that is gone for a moment is asked again.
            Err(Failed::Unreachable(_)) => continue,
            Err(why) => return Err(failed(url, why)),
        };
        match (status, said.get("error").and_then(Value::as_str)) {
            (200..=299, _) => return Ok(said),
            (_, Some("authorization_pending")) => {}
            (_, Some("slow_down")) => pause = (pause + 5).min(SLOWEST),
            (_, Some("access_denied")) => return Err(refused()),
            (_, Some("expired_token")) => return Err(Error::new(exit_codes::UNDECIDED, "nobody typed the code in time")),
            (_, word) => {
                let word = text::escape(word.unwrap_or("nothing").as_bytes());
                return Err(Error::new(exit_codes::REFUSED, format!("the server refuses the login: {word}")));
            }
        }
    }
}

fn refused() -> Error {
    Error::new(exit_codes::REFUSED, "the login was refused on the page")
}

fn strange(at: &At) -> Error {
    let named = at.server.as_deref().map(|server| format!(" at {}", text::escape(server.as_bytes()))).unwrap_or_default();
    Error::new(exit_codes::UNREACHABLE, format!("what answers{named} is not a gate server"))
}

fn read(granted: &Value, url: String, ca: Option<PathBuf>) -> Option<KeptLogin> {
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    let person = granted.get("person")?;
    let lasts = i64::try_from(granted.get("expires_in")?.as_u64()?).ok()?;
    Some(KeptLogin {
        url,
        ca,
        token: text(granted, "token")
            .filter(|token| (1..=1024).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic()))?,
        scope: text(granted, "scope")?,
        name: text(granted, "name")?,
        person: Approver { issuer: text(person, "issuer")?, subject: text(person, "subject")? },
        expires: (now().ok()?.wall / 1_000_000_000).saturating_add(lasts),
    })
}

fn status(state: &Path, json: bool) -> Result<u8, Error> {
    let login = KeptLogin::read(state)?.ok_or_else(nobody)?;
    let server = Server::new(&login.url, login.ca.as_deref(), Some(login.token.clone())).map_err(Error::config)?;
    server.accepted().map_err(|why| failed(&login.url, why))?;
    tell(&login, json)
}

/// Nobody is logged in.
pub fn nobody() -> Error {
    Error::config("nobody is logged in").hint("`gate login --decide` lets this command line decide as you")
}

fn tell(login: &KeptLogin, json: bool) -> Result<u8, Error> {
    let until = jiff::Timestamp::from_second(login.expires).map_or_else(|_| "?".to_owned(), |until| until.to_string());
    let line = if json {
        ascii_json(&json!({ "server": login.url, "person": { "issuer": login.person.issuer, "subject": login.person.subject },
            "name": login.name, "scope": login.scope, "expires": until }))
    } else {
        let may = if login.decides() { "may ask and decide" } else { "may ask" };
        format!("{} at {}: this command line {may} until {until}", text::escape(login.name.as_bytes()), login.url)
    };
    super::review::print(&format!("{line}\n"))
}

/// What a server's answer means for whoever called gate.
pub fn failed(url: &str, why: Failed) -> Error {
    match why {
        Failed::Unreachable(why) => Error::new(exit_codes::UNREACHABLE, format!("{url} cannot be asked: {why}")),
        Failed::Unknown(why) => {
            Error::config(format!("{url} does not take this login: {why}")).hint("log in again: `gate login`, or `gate login --decide`")
        }
        Failed::No { kind, words, needed } => {
            let code = match kind.as_str() {
                "expired" => exit_codes::UNDECIDED,
                "not-found" | "validation" => exit_codes::USAGE,
                _ => exit_codes::REFUSED,
            };
            let error = Error::new(code, words);
            match needed.as_deref() {
                Some("fresh-mfa") => error.hint(
                    "sign on anew with your second factor, log in again without `--device`, and type the number that the requester sees",
                ),
                Some(_) => error.hint("decide on the server's page with your passkey, or here with `--ssh-key` and a key of hardware"),
                None => error,
            }
        }
        Failed::Strange(why) => Error::new(exit_codes::UNREACHABLE, format!("{url}: {why}")),
    }
}
