//! What a few people may do for the whole server: stop it, break the glass, act for each other, confirm its configuration.

use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::asking::Span;
use super::model::Wall;
use super::rules::later;
use super::settings::Settings;
use super::store::{Amended, BREAK_GLASS, Item, STOP, Unavailable};
use crate::approval::{Approver, acting_for};

/// Items of one person who lets another decide in their place: `owner` lets, `handle` is let.
pub const DELEGATION: &str = "delegation";

/// The section `[stop]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopping {
    /// Slots whose people may stop everything, and lift that.
    #[serde(default)]
    pub people: Vec<String>,
}

/// The section `[break_glass]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakGlass {
    /// People, `person:ISSUER#SUBJECT`, who may approve alone where the terms name them, too.
    pub people: Vec<String>,
    /// Slots whose people review that afterwards.
    pub reviewers: Vec<String>,
    /// How often a review that is owed is asked for again.
    pub remind: Span,
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self { people: Vec::new(), reviewers: Vec::new(), remind: Span(std::time::Duration::from_hours(4)) }
    }
}

/// The section `[delegation]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delegating {
    /// How long others may decide in somebody's place at most; `0s`: not at all.
    pub longest: Span,
}

impl Default for Delegating {
    fn default() -> Self {
        Self { longest: Span(std::time::Duration::from_hours(14 * 24)) }
    }
}

/// The section `[configuration]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirming {
    /// People, `person:ISSUER#SUBJECT`, two of whom confirm a changed file before it is in force; one while there is only one.
    #[serde(default)]
    pub administrators: Vec<String>,
}

/// Says what is wrong with these sections.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    let is_person = |slot: &&String| Approver::of_slot(slot).is_some();
    let people = settings.break_glass.people.iter().chain(&settings.configuration.administrators);
    if let Some(wrong) = people.clone().find(|slot| !is_person(slot)) {
        return Err(format!("`{wrong}` is not a person; here they are named one by one, as `person:ISSUER#SUBJECT`"));
    }
    let team = |slot: &String| slot.strip_prefix("team:").is_some_and(|team| settings.teams.contains_key(team));
    let slots = settings.stop.people.iter().chain(&settings.break_glass.reviewers);
    if let Some(wrong) = slots.clone().find(|slot| !team(slot) && !is_person(slot)) {
        return Err(format!("`{wrong}` is neither `team:NAME` of `[teams]` nor `person:ISSUER#SUBJECT`"));
    }
    if !settings.break_glass.people.is_empty() && settings.break_glass.reviewers.is_empty() {
        return Err("`[break_glass]` names people and no `reviewers` to look at what they did".to_owned());
    }
    if settings.break_glass.remind.0.is_zero() {
        return Err("`remind` of `[break_glass]` cannot be `0s`".to_owned());
    }
    Ok(())
}

/// The emergency stop that stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stop {
    /// Who stopped everything: `ISSUER#SUBJECT`.
    pub by: String,
    /// What to call them.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Wall,
    /// Who wants to lift it already.
    pub lifted_by: Vec<String>,
}

impl Stop {
    /// Reads the item; whatever it says, it stands.
    pub fn of(item: &Item) -> Self {
        let data: Value = serde_json::from_str(&item.data).unwrap_or_default();
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        let lifted_by = data["lifted_by"].as_array().into_iter().flatten().filter_map(|who| who.as_str().map(str::to_owned));
        Self {
            by: item.owner.clone(),
            name: text("name"),
            reason: text("reason"),
            since: data["since"].as_i64().unwrap_or_default(),
            lifted_by: lifted_by.collect(),
        }
    }

    /// The item that keeps it.
    pub fn item(&self) -> Item {
        let data = json!({ "name": self.name, "reason": self.reason, "since": self.since, "lifted_by": self.lifted_by }).to_string();
        Item { kind: STOP, key: String::new(), owner: self.by.clone(), handle: String::new(), data, expires: Wall::MAX }
    }
}

/// That somebody may decide in another person's place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delegation {
    /// Its id.
    pub id: String,
    /// Who lets: `ISSUER#SUBJECT`.
    pub from: String,
    /// Who may.
    pub to: String,
    /// By which slots.
    pub slots: Vec<String>,
    /// Until when.
    pub until: Wall,
    /// Why.
    pub reason: String,
}

impl Delegation {
    /// Reads the item.
    pub fn of(item: &Item) -> Option<Self> {
        let data: Value = serde_json::from_str(&item.data).ok()?;
        let (from, to, until) = (item.owner.clone(), item.handle.clone(), item.expires);
        Some(Self { id: item.key.clone(), from, to, slots: slots_of(item)?, until, reason: data.get("reason")?.as_str()?.to_owned() })
    }
}

/// What somebody has given and was given.
pub async fn delegations(app: &App, person: &Approver, now: Wall) -> Result<Vec<Delegation>, Unavailable> {
    let me = person.named();
    let all = app.store.items(DELEGATION, None, now).await?;
    Ok(all.iter().filter(|item| item.owner == me || item.handle == me).filter_map(Delegation::of).collect())
}

/// An approval by break-glass that nobody has looked at yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwedReview {
    /// The request.
    pub id: String,
    /// Who broke it: `ISSUER#SUBJECT`.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Wall,
}

impl OwedReview {
    /// Reads the item.
    pub fn of(item: &Item) -> Option<Self> {
        let data: Value = serde_json::from_str(&item.data).ok()?;
        let reason = data.get("reason")?.as_str()?.to_owned();
        Some(Self { id: item.key.clone(), by: item.owner.clone(), reason, at: data.get("at")?.as_i64()? })
    }
}

/// A person as events name them.
pub fn told(person: &Approver) -> Value {
    json!({ "issuer": person.issuer, "subject": person.subject })
}

/// A person in whose place somebody may decide, with the slots that they gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActsFor {
    /// Who lets them.
    pub person: Approver,
    /// The slots that they were given.
    given: Vec<String>,
}

impl ActsFor {
    /// The slots of a review in that person's place.
    pub fn slots(&self) -> Vec<String> {
        self.given.iter().cloned().chain([acting_for(&self.person)]).collect()
    }
}

/// In whose place somebody may decide now.
pub async fn acts_for(app: &App, person: &Approver) -> Result<Vec<ActsFor>, Unavailable> {
    let me = person.named();
    let all = app.store.items(DELEGATION, None, app.now()?).await?;
    let mine = all.iter().filter(|item| item.handle == me && item.owner != me);
    Ok(mine.filter_map(|item| Some(ActsFor { person: Approver::parse(&item.owner)?, given: slots_of(item)? })).collect())
}

/// The slots that an item of this kind gives.
pub fn slots_of(item: &Item) -> Option<Vec<String>> {
    let data: Value = serde_json::from_str(&item.data).ok()?;
    data.get("slots")?.as_array()?.iter().map(|slot| slot.as_str().map(str::to_owned)).collect()
}

/// Asks again for reviews that are owed.
pub async fn chase(app: &App, now: Wall) -> Result<(), Unavailable> {
    let every = app.settings.break_glass.remind.0;
    for owed in app.store.items(BREAK_GLASS, None, now).await? {
        let remind = move |item: Option<&Item>| {
            let item = item?;
            let mut data: Value = serde_json::from_str(&item.data).ok()?;
            (later(data.get("told")?.as_i64()?, every) <= now).then_some(())?;
            data["told"] = json!(now);
            let told = json!({ "request": item.key, "by": data["by"], "at": data["at"] });
            Some(Amended { item: Some(Item { data: data.to_string(), ..item.clone() }), kind: "break_glass.reminder", data: told })
        };
        app.store.amend(BREAK_GLASS, &owed.key, now, Box::new(remind)).await?;
    }
    Ok(())
}
