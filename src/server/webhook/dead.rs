//! What never arrived: to be looked at, and sent once more.

use serde_json::{Value, json};

use super::{DEAD, WAITING};
use crate::server::app::App;
use crate::server::model::Wall;
use crate::server::store::{Item, Unavailable};

/// An event that a webhook's receiver never took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dead {
    /// The webhook's name.
    pub webhook: String,
    /// The event's number.
    pub event: u64,
    /// Its kind.
    pub kind: String,
    /// How often it was sent.
    pub tries: u64,
    /// Why the last try failed.
    pub why: String,
    /// Until when it is kept.
    pub until: Wall,
}

impl Dead {
    fn of(item: &Item) -> Option<Self> {
        let data: Value = serde_json::from_str(&item.data).ok()?;
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            webhook: item.owner.clone(),
            event: data.get("event")?.as_u64()?,
            kind: text("kind")?,
            tries: data.get("tries")?.as_u64()?,
            why: text("why")?,
            until: item.expires,
        })
    }
}

/// All of them, at most so many.
pub async fn all(app: &App, now: Wall, limit: usize) -> Result<Vec<Dead>, Unavailable> {
    Ok(app.store.items(DEAD, None, now).await?.iter().filter_map(Dead::of).take(limit).collect())
}

/// Has one sent again at once, with all its tries before it; whether there is one, of a webhook that is still configured.
pub async fn again(app: &App, webhook: &str, event: u64, now: Wall) -> Result<bool, Unavailable> {
    let key = super::key(webhook, event);
    let known = app.settings.webhooks.iter().any(|settings| settings.name == webhook);
    if !known || app.store.item(DEAD, &key, now).await?.is_none() {
        return Ok(false);
    }
    // It waits before it is dead no more: killed between the two, it is sent all the same.
    let data = json!({ "event": event, "tries": 0, "due": now }).to_string();
    let waits = Item { kind: WAITING, key: key.clone(), owner: webhook.to_owned(), handle: String::new(), data, expires: Wall::MAX };
    app.store.put(waits).await?;
    app.store.take(DEAD, &key, now).await?;
    Ok(true)
}
