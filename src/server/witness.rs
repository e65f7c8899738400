//! The server as a witness (C2SP tlog-witness): it remembers how long each host's log was, and countersigns only what begins with that.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::api::Problem;
use super::app::App;
use super::hosts;
use super::logs::{self, Severity};
use super::store::{Item, Unavailable};
use crate::key::{CosignerKey, SigningKey, Vkey};
use crate::record::{Asked, Checkpoint, Line, Note, cosign, empty_root, hex, unhex, verify_consistency};

/// What the store keeps of a log: under its key, how long it was when it was countersigned last.
pub(super) const SEEN: &str = "witness";

/// Keys of hosts that a login made known.
pub(super) const HOST_KEYS: &str = "host_key";

/// Somebody else may countersign the same log at the same time; so often it is looked at again.
const TRIES: u32 = 8;

/// The key that countersigns, and what it is called.
#[derive(Debug)]
pub struct Cosigner {
    name: CosignerKey,
    secret: SigningKey,
}

/// Why a checkpoint is not countersigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is none, or the proof starts after it.
    Malformed,
    /// No host has this log.
    Unknown,
    /// Its key did not sign it.
    Forbidden,
    /// The log was seen with so many entries, not those that the proof starts from.
    Size(u64),
    /// The proof does not hold, or the log was forked before.
    Inconsistent,
    /// Whoever asks knows that the log was seen with so many entries, and comes with fewer.
    Back(u64),
}

/// What a log looked like when it was countersigned last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    size: u64,
    root: [u8; 32],
}

impl Cosigner {
    /// The key with the name that it signs under: `NAME/witness`.
    pub fn new(name: &str, secret: SigningKey) -> Option<Self> {
        let name = CosignerKey::new(&format!("{name}/witness"), secret.public()).ok()?;
        Some(Self { name, secret })
    }

    /// The public half, as policies of witnesses name it.
    pub fn vkey(&self) -> &CosignerKey {
        &self.name
    }
}

/// The witness's routes: `/add-checkpoint`, and `/witness`, the line that names it in a policy.
pub fn routes(app: Arc<App>) -> Router {
    Router::new().route("/add-checkpoint", post(add_checkpoint)).route("/witness", get(line)).with_state(app)
}

async fn line(State(app): State<Arc<App>>) -> String {
    format!("witness gate-serve {} {}\n", app.cosigner.vkey(), app.settings.url)
}

async fn add_checkpoint(State(app): State<Arc<App>>, body: Bytes) -> Response {
    let Some(asked) = Asked::parse(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    match countersign(&app, &asked, None).await {
        Ok(Ok(line)) => format!("{line}\n").into_response(),
        Ok(Err(refused)) => refused.into_response(),
        Err(unavailable) => {
            logs::failed("a checkpoint could not be countersigned", &unavailable.to_string());
            Problem::from(unavailable).into_response()
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Malformed | Self::Back(_) => StatusCode::BAD_REQUEST.into_response(),
            Self::Unknown => StatusCode::NOT_FOUND.into_response(),
            Self::Forbidden => StatusCode::FORBIDDEN.into_response(),
            Self::Size(size) => (StatusCode::CONFLICT, [(header::CONTENT_TYPE, "text/x.tlog.size")], format!("{size}\n")).into_response(),
            Self::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        }
    }
}

/// Countersigns a host's checkpoint if it begins with what was countersigned before. What is signed is remembered, durably, before the
/// signature leaves: whatever is killed when, there is never a second root of one size. `of` is the one log, as its key is called
/// for short, that whoever asks may speak for; none where that is all the same.
pub async fn countersign(app: &App, asked: &Asked, of: Option<&str>) -> Result<Result<Line, Refused>, Unavailable> {
    let Ok(checkpoint) = Checkpoint::parse(asked.note.text()) else { return Ok(Err(Refused::Malformed)) };
    let known = keys(app, &checkpoint.origin).await?;
    if known.is_empty() {
        return Ok(Err(if of.is_some() { Refused::Forbidden } else { Refused::Unknown }));
    }
    let mut own = known.iter().filter(|key| of.is_none_or(|of| key.short() == of));
    let Some(key) = own.find(|key| asked.note.is_signed_by(key)) else { return Ok(Err(Refused::Forbidden)) };
    if asked.old > checkpoint.size {
        let kept = app.store.item(SEEN, &key.to_string(), app.now()?).await?.map(|item| item.data);
        let seen = read(kept.as_deref())?.0.size;
        if seen != asked.old {
            return Ok(Err(Refused::Malformed));
        }
        hosts::went_back(app, key, checkpoint.size, seen).await?;
        return Ok(Err(Refused::Back(seen)));
    }
    for _ in 0..TRIES {
        let now = app.now()?;
        let kept = app.store.item(SEEN, &key.to_string(), now).await?.map(|item| item.data);
        let (seen, forked) = read(kept.as_deref())?;
        if forked {
            return Ok(Err(Refused::Inconsistent));
        }
        if let Err(refused) = follows(seen, &checkpoint, asked) {
            if checkpoint.size < seen.size {
                let sizes = [("log", key.to_string().into()), ("size", checkpoint.size.into()), ("was", seen.size.into())];
                logs::tell(Severity::Warning, "a host's log is shorter than it was, or somebody sent an old checkpoint", &sizes);
                hosts::went_back(app, key, checkpoint.size, seen.size).await?;
            }
            if refused == Refused::Size(checkpoint.size) && seen.root != checkpoint.root {
                mark_forked(app, key, kept.as_deref(), seen, &asked.note).await?;
            }
            return Ok(Err(refused));
        }
        let next = json!({ "size": checkpoint.size, "root": hex(&checkpoint.root) });
        if seen.size == checkpoint.size && kept.is_some() || app.store.swap(kept.as_deref(), item(key, &next)).await? {
            let seconds = u64::try_from(now / 1_000_000_000).unwrap_or_default();
            return Ok(Ok(cosign(&asked.note, &app.cosigner.name, &app.cosigner.secret, seconds)));
        }
    }
    Err(Unavailable("the log is countersigned by too many at once".to_owned()))
}

/// Whether the checkpoint begins with what was seen.
fn follows(seen: Seen, checkpoint: &Checkpoint, asked: &Asked) -> Result<(), Refused> {
    if asked.old != seen.size {
        return Err(Refused::Size(seen.size));
    }
    if seen.size == checkpoint.size {
        if seen.root != checkpoint.root {
            return Err(Refused::Size(seen.size));
        }
        return if asked.proof.is_empty() { Ok(()) } else { Err(Refused::Inconsistent) };
    }
    // Every log begins with nothing, so that needs no proof, and has none.
    if seen.size == 0 {
        return if asked.proof.is_empty() { Ok(()) } else { Err(Refused::Inconsistent) };
    }
    verify_consistency(seen.size, checkpoint.size, &seen.root, &checkpoint.root, &asked.proof).map_err(|_| Refused::Inconsistent)
}

/// Two roots of one size, both signed by the log's key, are proof that it has two histories: it is countersigned no more.
/// Anything less could be sent by whoever once saw a checkpoint.
async fn mark_forked(app: &App, key: &Vkey, kept: Option<&str>, seen: Seen, other: &Note) -> Result<(), Unavailable> {
    let now = app.now()?;
    let said = json!({ "size": seen.size, "root": hex(&seen.root), "forked": now, "other": other.to_string() });
    if app.store.swap(kept, item(key, &said)).await? {
        logs::tell(Severity::Error, "a host's log has two histories", &[("log", key.to_string().into()), ("size", seen.size.into())]);
        let data = json!({ "log": key.to_string(), "size": seen.size, "root": hex(&seen.root), "other": other.to_string() });
        app.store.event("host.conflict", now, data).await?;
    }
    Ok(())
}

fn read(kept: Option<&str>) -> Result<(Seen, bool), Unavailable> {
    let Some(kept) = kept else { return Ok((Seen { size: 0, root: empty_root() }, false)) };
    let seen = || {
        let value: Value = serde_json::from_str(kept).ok()?;
        let seen = Seen { size: value.get("size")?.as_u64()?, root: unhex(value.get("root")?.as_str()?)? };
        Some((seen, value.get("forked").is_some()))
    };
    seen().ok_or_else(|| Unavailable("what is known of a log cannot be read".to_owned()))
}

fn item(key: &Vkey, data: &Value) -> Item {
    Item {
        kind: SEEN,
        key: key.to_string(),
        owner: key.name().to_owned(),
        handle: String::new(),
        data: data.to_string(),
        expires: i64::MAX,
    }
}

/// The keys of the logs of this origin that the configuration or a login made known.
async fn keys(app: &App, origin: &str) -> Result<Vec<Vkey>, Unavailable> {
    let listed = app.settings.hosts.iter().map(|host| host.key.clone());
    let enrolled = app.store.items(HOST_KEYS, None, app.now()?).await?;
    let all = listed.chain(enrolled.into_iter().map(|item| item.key));
    Ok(all.filter_map(|key| Vkey::parse(&key).ok()).filter(|key| key.name() == origin).collect())
}
