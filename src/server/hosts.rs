//! Which hosts this server knows, and how the log of each stands with the witness.

use serde_json::{Value, json};

use super::app::App;
use super::model::Wall;
use super::store::{Item, Unavailable};
use super::witness::{HOST_KEYS, SEEN};
use crate::key::Vkey;

/// That a checkpoint came that is older than what was countersigned: under the log's key.
const WENT_BACK: &str = "witness_back";

/// A host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// The key of its log: `name+id+base64`.
    pub key: Vkey,
    /// What it called itself at its login; nothing where the configuration names it.
    pub name: String,
    /// Whose it is: `ISSUER#SUBJECT`; nothing for a machine that is nobody's.
    pub person: String,
    /// How many entries its log had when it was countersigned last; none where it never was.
    pub entries: Option<u64>,
    /// Since when its log is known to have two histories. It is countersigned no more.
    pub forked: Option<Wall>,
    /// The last time that a checkpoint was refused because the log was longer before.
    pub went_back: Option<WentBack>,
}

/// A checkpoint that was refused because the log was longer before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WentBack {
    /// When it came.
    pub at: Wall,
    /// How many entries it had.
    pub entries: u64,
    /// How many there had been.
    pub were: u64,
}

/// All of them: those that the configuration names, then those that a login made known.
pub async fn all(app: &App, now: Wall) -> Result<Vec<Host>, Unavailable> {
    let seen = app.store.items(SEEN, None, now).await?;
    let back = app.store.items(WENT_BACK, None, now).await?;
    let listed = app.settings.hosts.iter().map(|host| (host.key.clone(), String::new(), host.person.clone().unwrap_or_default()));
    let enrolled = app.store.items(HOST_KEYS, None, now).await?.into_iter().map(|item| (item.key, item.handle, item.owner));
    let mut hosts: Vec<Host> = Vec::new();
    for (key, name, person) in listed.chain(enrolled) {
        let data = |items: &[Item]| items.iter().find(|item| item.key == key).and_then(|item| serde_json::from_str(&item.data).ok());
        let (seen, back): (Value, Value) = (data(&seen).unwrap_or_default(), data(&back).unwrap_or_default());
        let Ok(key) = Vkey::parse(&key) else { continue };
        if hosts.iter().any(|known| known.key.to_string() == key.to_string()) {
            continue;
        }
        hosts.push(Host {
            key,
            name,
            person,
            entries: seen["size"].as_u64(),
            forked: seen["forked"].as_i64(),
            went_back: WentBack::of(&back),
        });
    }
    Ok(hosts)
}

impl WentBack {
    fn of(data: &Value) -> Option<Self> {
        Some(Self { at: data["at"].as_i64()?, entries: data["entries"].as_u64()?, were: data["were"].as_u64()? })
    }
}

/// Notes that a checkpoint was refused because the log was longer before. Whoever once saw that checkpoint can send it, so it only tells.
pub(super) async fn went_back(app: &App, key: &Vkey, entries: u64, were: u64) -> Result<(), Unavailable> {
    let data = json!({ "at": app.now()?, "entries": entries, "were": were }).to_string();
    let (key, owner) = (key.to_string(), key.name().to_owned());
    app.store.put(Item { kind: WENT_BACK, key, owner, handle: String::new(), data, expires: Wall::MAX }).await
}
