//! Who decides in whose place, on the settings of both.

use super::answers::Failure;
use super::fill::{left, slot_name};
use super::here::Here;
use super::html::{DelegationView, Giving};
use super::server::person;
use crate::server::app::App;
use crate::server::duties::{self, Delegation};
use crate::server::store::Filter;
use crate::text;

/// Among how many requests people are looked for, to choose from.
const SEARCHED: usize = 200;

/// So many are offered.
const OFFERED: usize = 50;

/// What the viewer gave and was given.
pub(super) async fn mine(app: &App, here: &Here) -> Result<Vec<DelegationView>, Failure> {
    let me = here.person().named();
    let view = |one: Delegation| {
        let given = one.from == me;
        DelegationView {
            id: one.id,
            given,
            who: person(if given { &one.to } else { &one.from }),
            slots: one.slots.iter().map(|slot| slot_name(slot)).collect::<Vec<_>>().join(", "),
            until: (one.until / 1_000_000, left(one.until, here.now)),
            reason: text::escape(one.reason.as_bytes()),
        }
    };
    Ok(duties::delegations(app, here.person(), here.now).await?.into_iter().map(view).collect())
}

/// What the viewer may give, and people who decided something lately to choose from.
pub(super) async fn giving(app: &App, here: &Here) -> Result<Option<Giving>, Failure> {
    let longest = app.settings.delegation.longest.0;
    if longest.is_zero() {
        return Ok(None);
    }
    let lately = app.store.list(Filter { limit: SEARCHED, ..Filter::default() }).await?;
    let mut people: Vec<(String, String)> = Vec::new();
    for review in lately.iter().filter(|request| here.may_see(app, request)).flat_map(|request| &request.reviews) {
        let id = review.approver.named();
        if review.approver != *here.person() && people.len() < OFFERED && people.iter().all(|(known, _)| *known != id) {
            people.push((id, text::escape(review.name.as_bytes())));
        }
    }
    let read = |slot: &String| {
        let own = *slot == here.person().slot();
        (slot.clone(), if own { "requests that name you".to_owned() } else { slot_name(slot) })
    };
    Ok(Some(Giving { slots: here.who.slots.iter().map(read).collect(), people, longest: text::duration(longest) }))
}
