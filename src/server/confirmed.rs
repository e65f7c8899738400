//! Which configuration is in force: the file's, if enough administrators of the one before have confirmed it.

use serde_json::{Value, json};

use super::duties;
use super::model::Wall;
use super::rules::later;
use super::settings::Settings;
use super::store::{Amended, Item, Store, Unavailable};
use crate::approval::{Approver, sha256};
use crate::text::hex;

/// The configuration in force: one item without a key, its text.
const IN_FORCE: &str = "configuration_in_force";

/// Who has confirmed a file: by its digest.
const CONFIRMED: &str = "configuration_confirmed";

/// So many administrators confirm a change, where there are as many.
const PEOPLE: usize = 2;

/// How long a confirmation stands.
const STANDS: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// The configuration to serve by.
#[derive(Debug)]
pub struct InForce {
    /// Its text.
    pub text: String,
    /// SHA-256 of it and of the file's, in hex.
    pub digests: [String; 2],
}

impl InForce {
    /// A file's, whatever was before.
    pub fn of_file(text: String) -> Self {
        let digest = hex(&sha256(text.as_bytes()));
        Self { text, digests: [digest.clone(), digest] }
    }
}

/// Settles which configuration is in force. On the first start, and where no administrators are named, that is the file's.
pub async fn settle(store: &dyn Store, file: &str, now: Wall) -> Result<InForce, Unavailable> {
    let digest = hex(&sha256(file.as_bytes()));
    let before = store.item(IN_FORCE, "", now).await?;
    let waits = match &before {
        Some(before) if before.data != file => {
            let administrators = Settings::parse(&before.data).map(|settings| settings.configuration.administrators).unwrap_or_default();
            let confirmed = by(store, &digest, now).await?;
            let counted =
                administrators.iter().filter(|who| who.strip_prefix("person:").is_some_and(|who| confirmed.iter().any(|by| by == who)));
            counted.count() < PEOPLE.min(administrators.len())
        }
        _ => false,
    };
    let text = before.filter(|_| waits).map_or_else(|| file.to_owned(), |before| before.data);
    let in_force = hex(&sha256(text.as_bytes()));
    let item =
        Item { kind: IN_FORCE, key: String::new(), owner: String::new(), handle: String::new(), data: text.clone(), expires: Wall::MAX };
    let told = json!({ "digest": in_force, "file": digest });
    let load = move |_: Option<&Item>| Some(Amended { item: Some(item.clone()), kind: "config.loaded", data: told.clone() });
    store.amend(IN_FORCE, "", now, Box::new(load)).await?;
    Ok(InForce { text, digests: [in_force, digest] })
}

/// Who has confirmed a file: `ISSUER#SUBJECT` of each.
pub async fn by(store: &dyn Store, digest: &str, now: Wall) -> Result<Vec<String>, Unavailable> {
    Ok(store.item(CONFIRMED, digest, now).await?.map(|item| people(&item)).unwrap_or_default())
}

/// Somebody confirms a file.
pub async fn confirm(store: &dyn Store, digest: &str, who: &Approver, now: Wall) -> Result<(), Unavailable> {
    let (key, who, told) = (digest.to_owned(), who.named(), duties::told(who));
    let add = move |item: Option<&Item>| {
        let mut people = item.map(people).unwrap_or_default();
        (!people.contains(&who)).then(|| people.push(who.clone()))?;
        let item = Item {
            kind: CONFIRMED,
            key: key.clone(),
            owner: String::new(),
            handle: String::new(),
            data: json!(people).to_string(),
            expires: later(now, STANDS),
        };
        Some(Amended { item: Some(item), kind: "config.confirmed", data: json!({ "digest": key, "by": told }) })
    };
    store.amend(CONFIRMED, digest, now, Box::new(add)).await.map(drop)
}

fn people(item: &Item) -> Vec<String> {
    let data: Value = serde_json::from_str(&item.data).unwrap_or_default();
    data.as_array().into_iter().flatten().filter_map(|who| who.as_str().map(str::to_owned)).collect()
}
