//! Whose keys count at this server: its own signed approvers file, which only ever goes on.

use std::path::Path;

use serde_json::{Value, json};

use super::app::{App, kept_as, random};
use super::model::{Kept, KeptReview, Wall};
use super::store::{Item, Unavailable};
use crate::approval::{
    Answer, Approver, Approvers, ApproversFile, Awaited, Bound, Enrolled, Evidence, LONGEST_APPROVERS, NotProved, PasskeyKey, Proved,
    Signed, Standing, Statement, Submitted,
};
use crate::policy::{Assurance, Channel};
use crate::sys::files::{self, Owner};
use crate::sys::names;
use crate::text;

/// How long somebody may take to sign.
const PATIENCE: Wall = 5 * 60 * 1_000_000_000;

/// A passkey may be used in several places at once; so often its counter is read again.
const TRIES: u32 = 8;

const STATEMENT: &str = "statement";
const COUNTER: &str = "passkey_counter";
const HEAD: &str = "approvers_head";

/// Why what was signed does not count.
#[derive(Debug)]
pub enum Refused {
    /// The server cannot tell now; what is for the operator.
    Unavailable(Unavailable),
    /// It is no evidence.
    Malformed,
    /// This statement was not given to this person for this request and this answer, or it was used, or it is too old.
    NotAsked,
    /// It proves nothing: why.
    NotProved(NotProved),
}

impl From<Unavailable> for Refused {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// What a person is given to sign.
#[derive(Clone, Debug)]
pub struct Given {
    /// The very bytes.
    pub statement: Vec<u8>,
    /// Until when.
    pub expires: Wall,
    /// The domain that the person's passkeys are of, where one is set.
    pub party: Option<String>,
    /// The ids of the person's passkeys.
    pub passkeys: Vec<Vec<u8>>,
}

/// What evidence shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// How surely it was them.
    pub assurance: Assurance,
    /// The way by which they signed.
    pub channel: Channel,
    /// What they let run beyond the one request, and when that was put to them.
    pub standing: Option<(Standing, Wall)>,
    /// It, as it is kept.
    pub evidence: Value,
}

/// The approvers file; an empty one where there is none. One that lost a change that was once in it is refused.
async fn approvers(app: &App, now: Wall) -> Result<Approvers, Unavailable> {
    let path = app.settings.approvers.clone().unwrap_or_else(|| app.settings.state.join("approvers.json"));
    let shown = text::escape(path.as_os_str().as_encoded_bytes());
    // Files and signatures take their time, in which others are served.
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    let approvers = read.unwrap_or_else(|_| Err("a read failed".to_owned())).map_err(Unavailable)?;
    let head = approvers.head().map(|head| text::hex(head)).unwrap_or_default();
    let known = app.store.item(HEAD, HEAD, now).await?.map(|item| item.data).unwrap_or_default();
    if known == head {
        return Ok(approvers);
    }
    let known = text::unhex(&known).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    if known.is_some_and(|known| !approvers.extends(&known)) {
        return Err(Unavailable(format!("`{shown}` went back: a change that was once in it is gone")));
    }
    app.store.put(item(HEAD, HEAD.to_owned(), String::new(), String::new(), head, Wall::MAX)).await?;
    Ok(approvers)
}

fn read(path: &Path) -> Result<Approvers, String> {
    let read = files::read_safely(path, Owner::User(names::own_uid()), LONGEST_APPROVERS).map_err(|error| error.to_string())?;
    let file = read.map(|file| ApproversFile::parse(&file.bytes)).transpose();
    let file = file.map_err(|why| format!("`{}`: {why}", text::escape(path.as_os_str().as_encoded_bytes())))?;
    Ok(file.unwrap_or_default().into_approvers())
}

fn item(kind: &'static str, key: String, owner: String, handle: String, data: String, expires: Wall) -> Item {
    Item { kind, key, owner, handle, data, expires }
}

/// Makes what this person is to sign for this answer. It is good once.
pub async fn give(
    app: &App,
    request: &Kept,
    person: &Approver,
    answer: Answer,
    standing: Option<Standing>,
    now: Wall,
) -> Result<Given, Unavailable> {
    let approvers = approvers(app, now).await?;
    let expires = now.saturating_add(PATIENCE);
    let bound = Bound { nonce: random::<32>()?.to_vec(), expires };
    let statement = Statement::new(&request.submitted.said().request, *request.digest().bytes(), answer, person.clone(), now, bound)
        .ok_or_else(|| Unavailable("no statement could be made".to_owned()))?;
    let statement = match standing {
        None => statement,
        Some(standing) => statement.letting(standing),
    };
    let statement = statement.bytes();
    let kept = item(STATEMENT, kept_as(&statement), person.named(), request.id.clone(), answer.word().to_owned(), expires);
    app.store.put(kept).await?;
    let own = |one: &&Enrolled| one.approver() == person;
    let passkeys = approvers.at(now).filter(own).filter_map(Enrolled::passkey).map(|passkey| passkey.id().to_vec()).collect();
    Ok(Given { statement, expires, party: approvers.party(now).map(|party| party.id().to_owned()), passkeys })
}

/// What evidence shows that this person gave for this answer. Its statement is used up, whatever comes of it.
pub async fn judge(app: &App, request: &Kept, person: &Approver, answer: Answer, value: &Value, now: Wall) -> Result<Shown, Refused> {
    let evidence = Evidence::from_json(value).ok_or(Refused::Malformed)?;
    let key = kept_as(&evidence.statement);
    let given = |item: &Item| item.owner == person.named() && item.handle == request.id && item.data == answer.word();
    // Nobody uses up what was given to somebody else.
    app.store.item(STATEMENT, &key, now).await?.filter(given).ok_or(Refused::NotAsked)?;
    app.store.take(STATEMENT, &key, now).await?.ok_or(Refused::NotAsked)?;
    let approvers = approvers(app, now).await?;
    let channel = if matches!(evidence.signed, Signed::Sshsig(_)) { Channel::Ssh } else { Channel::Server };
    let counted = counted(&approvers, &evidence.signed, now);
    let statement = Statement::parse(&evidence.statement).ok_or(Refused::Malformed)?;
    let digest = request.digest();
    for _ in 0..TRIES {
        let last = match &counted {
            Some(passkey) => app.store.item(COUNTER, &passkey.fingerprint(), now).await?.map(|item| item.data),
            None => None,
        };
        let awaited = Awaited {
            request: &request.submitted.said().request,
            digest: digest.bytes(),
            answer,
            // The statement is the server's own, so what it lets run is what the approver was asked to sign.
            standing: statement.standing(),
            approver: person,
            given: now,
            // The server made it, whole, and has just taken it from where it was kept.
            nonce: None,
            counter: match &last {
                Some(last) => Some(last.parse().map_err(|_| Unavailable("a passkey's counter cannot be read".to_owned()))?),
                None => counted.map(PasskeyKey::counter),
            },
            user_verified: false,
        };
        let proved = approvers.prove(&evidence, &awaited, now).map_err(Refused::NotProved)?;
        let Some(counter) = proved.counter() else { return Ok(Shown::of(&proved, channel, &evidence)) };
        let used = item(COUNTER, proved.fingerprint().to_owned(), person.named(), String::new(), counter.to_string(), Wall::MAX);
        // A copy of the key may be used at the same moment: whoever comes second is held against what the first one left.
        if app.store.swap(last.as_deref(), used).await? {
            return Ok(Shown::of(&proved, channel, &evidence));
        }
    }
    Err(Unavailable("a passkey is used by too many at once".to_owned()).into())
}

/// Whether the keys by which a standing grant was given are their people's still, where a request is a use of one.
pub async fn still(app: &App, request: &Kept, now: Wall) -> Result<bool, Unavailable> {
    let Some(seen) = request.drawn.as_ref().and_then(|drawing| Submitted::parse(&drawing.drawn.text).ok()) else {
        return Ok(request.drawn.is_none());
    };
    let signed = |said: &KeptReview| said.evidence.is_some();
    if !request.reviews.iter().any(signed) {
        return Ok(true);
    }
    let approvers = approvers(app, now).await?;
    let digest = seen.digest();
    let proved = |said: &KeptReview| {
        let awaited = Awaited {
            request: &seen.said().request,
            digest: digest.bytes(),
            answer: said.answer,
            standing: said.standing.as_ref(),
            approver: &said.approver,
            given: said.at,
            nonce: None,
            counter: None,
            user_verified: false,
        };
        let evidence = said.evidence.as_ref().and_then(Evidence::from_json);
        evidence.is_some_and(|evidence| approvers.prove(&evidence, &awaited, now).is_ok())
    };
    Ok(request.reviews.iter().filter(|said| signed(said)).all(proved))
}

impl Shown {
    fn of(proved: &Proved, channel: Channel, evidence: &Evidence) -> Self {
        let said = proved.statement();
        let standing = said.standing().map(|standing| (standing.clone(), said.at()));
        Self { assurance: proved.assurance(), channel, standing, evidence: json!(evidence.to_json()) }
    }
}

/// The passkey that signed, whose counter has to go up.
fn counted<'a>(approvers: &'a Approvers, signed: &Signed, now: Wall) -> Option<&'a PasskeyKey> {
    let Signed::Webauthn(made) = signed else { return None };
    approvers.at(now).filter_map(Enrolled::passkey).find(|passkey| passkey.id() == made.id)
}
