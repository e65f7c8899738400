//! The server that people decide at: whether it may meet the terms, what is asked there, and what its answer is worth.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::vouching::Vouching;
use super::waiting::{Found, Kept, Slot};
use crate::approval::{ApprovalRequest, Digest, Expected, Receipt, Root, Stamp, Submitted, sha256};
use crate::audit::{HostKey, Place};
use crate::channel::server::{Asker, Consumed, Server, State, Submission, View, Waiting};
use crate::commands::surroundings::{Surroundings, log_failed, now, random};
use crate::error::Error;
use crate::key::Vkey;
use crate::policy::{self, Asked, Channel, Identity};
use crate::record::Decider;
use crate::sys::clock;
use crate::sys::durable::{self, Refused};
use crate::text::{self, hex};

/// Where `gate login` keeps what it got, below the state directory.
const LOGIN: &str = "login.json";

/// That file is small.
const LONGEST_LOGIN: u64 = 64 * 1024;

/// The server of the layers, ready to be asked.
pub(super) struct Elsewhere {
    place: Place,
    root: Root,
    keys: Vec<Vkey>,
    server: Server,
}

/// Whether people can be asked at a server.
pub(super) enum Reach {
    /// No layer names one, or the terms do not allow it.
    Nowhere,
    /// There is one, and it cannot meet these terms: why.
    Distrusted(&'static str),
    /// There.
    There(Box<Elsewhere>),
}

/// What waits there, and what is kept of it here.
pub(super) struct Asking {
    elsewhere: Elsewhere,
    slot: Slot,
    kept: Kept,
    submission: Submission,
    /// Whether it waited already.
    pub(super) resumed: bool,
    /// How it was decided while nobody waited.
    pub(super) decided: Option<View>,
}

/// A request as it is to be asked: a new one, or one that waits already.
pub(super) enum Prepared {
    /// This, there.
    Ready(ApprovalRequest, Box<Asking>),
    /// Another process of this host waits for the very same.
    Busy(ApprovalRequest),
    /// It cannot be put to a server: why.
    Not(ApprovalRequest, String),
}

/// Finds out whether the server of the layers may be asked on these terms.
pub(super) fn reach(around: &Surroundings, place: &Place, asked: &Asked) -> Result<Reach, Error> {
    let through = [Channel::Server, Channel::Slack, Channel::Teams];
    if !through.iter().any(|channel| asked.terms.channels.contains(channel)) {
        return Ok(Reach::Nowhere);
    }
    let Some((layer, named)) = around.policy.server() else { return Ok(Reach::Nowhere) };
    let root = Root { layer, dev: named.dev };
    if let Some(why) = root.distrusted(asked, false) {
        return Ok(Reach::Distrusted(why));
    }
    let keys: Result<Vec<Vkey>, _> = named.keys.iter().map(|key| Vkey::parse(key)).collect();
    let keys = keys.map_err(|_| {
        Error::config(format!("the `key` below `[server]` of the {layer} layer is not a key")).hint("`gate serve` prints it when it starts")
    })?;
    let server = connection(around, place, named)?;
    Ok(Reach::There(Box::new(Elsewhere { place: place.clone(), root, keys, server })))
}

/// The same server once more, after the command ended.
pub(super) fn again(around: &Surroundings, place: &Place) -> Result<Option<Server>, Error> {
    around.policy.server().map(|(_, named)| connection(around, place, named)).transpose()
}

fn connection(around: &Surroundings, place: &Place, named: &policy::Server) -> Result<Server, Error> {
    let asker = asker(around, place, named)?;
    Ok(Server::new(named.url.clone(), named.ca.as_ref().map(PathBuf::from), asker))
}

/// As whom this host asks.
fn asker(around: &Surroundings, place: &Place, named: &policy::Server) -> Result<Asker, Error> {
    let variable = |name: &str| {
        let value = around.context.environment.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty());
        value.map(str::to_owned).ok_or_else(|| {
            Error::config(format!("`identity = \"github\"` stands below `[server]`, and `{name}` is not set"))
                .hint("the job needs `permissions: id-token: write`")
        })
    };
    let login = || login(&place.directory.join(LOGIN), &named.url);
    match named.identity {
        None => login()?.map_or_else(|| host(place), |token| Ok(Asker::Login(token))),
        Some(Identity::Host) => host(place),
        Some(Identity::Login) => match login()? {
            Some(token) => Ok(Asker::Login(token)),
            None => Err(Error::config(format!("nobody is logged in at {}", named.url)).hint("`gate login` does that")),
        },
        Some(Identity::Github) => {
            Ok(Asker::Github { url: variable("ACTIONS_ID_TOKEN_REQUEST_URL")?, token: variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")? })
        }
        Some(Identity::Kubernetes) => Ok(Asker::Kubernetes(named.token_file.as_ref().map(PathBuf::from).unwrap_or_default())),
    }
}

fn host(place: &Place) -> Result<Asker, Error> {
    let key = HostKey::open(place).map_err(|error| log_failed(&error))?;
    let name = key.name().clone();
    Ok(Asker::Host { key: name, sign: Arc::new(move |text| key.sign_request(text).map_err(|error| text::visible(&error.to_string()))) })
}

/// The token of whoever logged in at this very server.
fn login(path: &Path, url: &str) -> Result<Option<String>, Error> {
    let shown = text::escape(path.as_os_str().as_encoded_bytes());
    let bytes = match durable::read_private(path, LONGEST_LOGIN) {
        Ok(bytes) => bytes,
        Err(Refused::Absent) => return Ok(None),
        Err(Refused::Unsafe(why)) => return Err(Error::config(format!("`{shown}` is not safe to use: {why}"))),
        Err(Refused::Io(error)) => return Err(Error::config(format!("`{shown}` cannot be read: {error}"))),
    };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|_| Error::config(format!("`{shown}` is not what `gate login` writes")).hint("remove it, and log in again"))?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    Ok(text("token").filter(|_| text("url") == Some(url)).map(str::to_owned))
}

impl Elsewhere {
    /// Takes up the request that waits already where this one is the same, else makes a new one ready, with what its previews showed.
    /// `used` says whether an approval was used by this log.
    pub(super) fn prepare(
        self,
        fresh: ApprovalRequest,
        state: &Path,
        used: impl FnOnce(Digest) -> Result<bool, Error>,
        previewed: impl FnOnce(ApprovalRequest) -> Result<ApprovalRequest, Error>,
    ) -> Result<Prepared, Error> {
        let key = match Submitted::parse(fresh.text()) {
            Ok(submitted) => submitted.key(),
            Err(why) => return Ok(Prepared::Not(fresh, format!("it cannot be put to a server: {}", why.0))),
        };
        let (slot, found) = match Slot::take(state, &key)? {
            Found::Busy => return Ok(Prepared::Busy(fresh)),
            Found::Slot(slot, found) => (slot, found),
        };
        if let Some((kept, text)) = found.map(|found| *found) {
            if let Some((asked, decided)) = self.waits(&fresh, &kept, &text, used)? {
                let submission = self.submission(&asked, &kept, key);
                return Ok(Prepared::Ready(asked, Box::new(Asking { elsewhere: self, slot, kept, submission, resumed: true, decided })));
            }
            slot.forget();
        }
        // What previews wrote is left out where the whole would be too long to be told.
        let shown = previewed(fresh.clone())?;
        let fresh = if Submitted::parse(shown.text()).is_ok() { shown } else { fresh };
        let kept = Kept {
            url: self.server.url().to_owned(),
            id: None,
            client_nonce: hex(&random::<32>()?),
            number: number()?,
            boot: clock::boot_id(),
            since_boot: u64::try_from(fresh.created().boot.as_nanos()).unwrap_or_default(),
            text: fresh.text().to_owned(),
        };
        let submission = self.submission(&fresh, &kept, key);
        Ok(Prepared::Ready(fresh, Box::new(Asking { elsewhere: self, slot, kept, submission, resumed: false, decided: None })))
    }

    fn submission(&self, asked: &ApprovalRequest, kept: &Kept, key: String) -> Submission {
        Submission {
            key,
            text: asked.text().to_owned(),
            digest: asked.digest().to_string(),
            client_nonce: kept.nonce().unwrap_or_default(),
            number: kept.number.clone(),
            id: kept.id.clone(),
            log: Arc::new(Vouching::new(self.place.clone(), self.server.url())),
        }
    }

    /// The request that waits, and how it was decided meanwhile; none where it is another one, or over.
    fn waits(
        &self,
        fresh: &ApprovalRequest,
        kept: &Kept,
        text: &Submitted,
        used: impl FnOnce(Digest) -> Result<bool, Error>,
    ) -> Result<Option<(ApprovalRequest, Option<View>)>, Error> {
        if kept.url != self.server.url() {
            return Ok(None);
        }
        let now = now()?;
        let boot = kept.created(text, now, &clock::boot_id());
        let Some(asked) = ApprovalRequest::again(fresh.request(), fresh.asked(), boot, text) else { return Ok(None) };
        let view = kept.id.as_deref().and_then(|id| self.server.look(id)).filter(|view| view.digest == asked.digest().to_string());
        match view.as_ref().map(|view| view.state) {
            Some(State::Expired | State::Cancelled) => Ok(None),
            Some(State::Consumed) if used(asked.digest())? => Ok(None),
            Some(State::Approved | State::Rejected | State::Consumed) => Ok(Some((asked, view))),
            Some(State::Pending) | None => Ok(is_open(&asked, now).then_some((asked, None))),
        }
    }
}

/// Whether people may still decide.
fn is_open(asked: &ApprovalRequest, now: Stamp) -> bool {
    let within = asked.asked().terms.within;
    let asked_for = u64::try_from(now.wall.saturating_sub(asked.created().wall)).unwrap_or_default();
    now.boot < asked.created().boot.saturating_add(within) && u128::from(asked_for) < within.as_nanos()
}

/// Two digits, each as likely as any.
fn number() -> Result<String, Error> {
    loop {
        // What does not divide evenly is drawn again.
        if let [byte @ 0..200] = random::<1>()? {
            return Ok(format!("{:02}", byte % 100));
        }
    }
}

impl Asking {
    /// Keeps what is needed to go on after this process, and then asks.
    pub(super) fn start(&self) -> Result<Waiting, Error> {
        if !self.resumed {
            self.slot.keep(&self.kept)?;
        }
        let waiting = Waiting::start(&self.elsewhere.server, self.submission.clone(), self.slot.keeper(self.kept.clone()));
        waiting.map_err(Error::internal)
    }

    /// It is over, here at least.
    pub(super) fn forget(&self) {
        self.slot.forget();
    }

    /// Uses the approval up.
    pub(super) fn consume(&self, view: &View) -> Consumed {
        self.elsewhere.server.consume(&view.id, &self.submission)
    }

    /// Believes a receipt of the server's key about this very request, and says what the record is to tell of it.
    pub(super) fn believe(&self, jws: &str, view: &View, asked: &ApprovalRequest, now: Stamp) -> Result<(Receipt, Decider), String> {
        let expected = Expected {
            issuer: self.elsewhere.server.url(),
            audience: &asked.request().context().host,
            request: &view.id,
            digest: asked.digest(),
            client_nonce_sha256: sha256(&self.submission.client_nonce),
            now: u64::try_from(now.wall / 1_000_000_000).unwrap_or_default(),
        };
        let mut why = "no key of it is known";
        for key in &self.elsewhere.keys {
            match Receipt::verify(jws, &[key.public()], expected) {
                Ok(receipt) => {
                    let decider = Decider {
                        url: self.elsewhere.server.url().to_owned(),
                        key: key.short(),
                        layer: self.elsewhere.root.layer,
                        dev: self.elsewhere.root.dev || receipt.claims().dev,
                        request: view.id.clone(),
                    };
                    return Ok((receipt, decider));
                }
                Err(not) => why = not.0,
            }
        }
        Err(format!("the decision of the server {} cannot be believed: {why}", self.elsewhere.server.url()))
    }

    /// How far the server is trusted.
    pub(super) fn root(&self) -> Root {
        self.elsewhere.root
    }
}
