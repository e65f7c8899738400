use std::collections::BTreeSet;
use std::time::Duration;

use super::review::Approver;
use crate::policy::Terms;

/// The slot of a review that breaks the glass; no slot of terms is named so.
pub const BREAK_GLASS: &str = "break-glass";

/// How the slot begins that says for whom somebody decides.
const ACTING_FOR: &str = "for:";

/// The slot that says for whom somebody decides who acts for another person.
pub fn acting_for(person: &Approver) -> String {
    format!("{ACTING_FOR}{}", person.named())
}

/// The people whose say a review is: who gave it, and for whom they did. None where that is malformed, or passed through two hands.
pub fn behind(approver: &Approver, slots: &[String]) -> Option<Vec<Approver>> {
    let mut people = vec![approver.clone()];
    for person in slots.iter().filter_map(|slot| slot.strip_prefix(ACTING_FOR)) {
        people.push(Approver::parse(person)?);
    }
    (people.len() <= 2).then_some(people)
}

/// Whether somebody breaks the glass whom the terms name for that, as the person they are and not by what a server says of their groups.
pub fn breaks_glass(terms: &Terms, who: Filler<'_>) -> bool {
    who.slots.iter().any(|slot| slot == BREAK_GLASS) && terms.break_glass.contains(&who.approver.slot())
}

/// Somebody who approved, for filling slots.
#[derive(Clone, Copy, Debug)]
pub struct Filler<'a> {
    /// Who.
    pub approver: &'a Approver,
    /// What their groups made of them when they decided: `team:NAME`, `person:ISSUER#SUBJECT`.
    pub slots: &'a [String],
    /// How long after the request was made they decided.
    pub after: Duration,
}

/// Whether somebody may fill any slot at all: of the terms, or of an escalation that had come when they decided.
pub fn may_decide(terms: &Terms, who: Filler<'_>) -> bool {
    let named = terms.approvers.is_empty() || terms.approvers.iter().any(|slot| may_fill(terms, slot, who));
    named && behind(who.approver, who.slots).is_some()
}

/// Whether distinct people fill every slot of the terms as often as the threshold wants.
///
/// Terms without slots are filled by any people, as many as the threshold. A threshold of 0 is never met.
pub fn filled(terms: &Terms, people: &[Filler<'_>]) -> bool {
    // Whoever decides for somebody else has used that person's say as well as their own.
    let mut seen = BTreeSet::new();
    let first = |one: &&Filler<'_>| {
        let Some(people) = behind(one.approver, one.slots).filter(|people| people.iter().all(|who| !seen.contains(who))) else {
            return false;
        };
        seen.extend(people);
        true
    };
    let people: Vec<Filler<'_>> = people.iter().filter(first).copied().collect();
    let threshold = terms.threshold as usize;
    if threshold == 0 {
        return false;
    }
    if terms.approvers.is_empty() {
        return people.len() >= threshold;
    }
    // Each slot stands as often as people are wanted for it; each person is matched to one of them (Kuhn's algorithm).
    let places: Vec<&String> = terms.approvers.iter().flat_map(|slot| std::iter::repeat_n(slot, threshold)).collect();
    if people.len() < places.len() {
        return false;
    }
    let mut filled_by: Vec<Option<usize>> = vec![None; people.len()];
    places.iter().enumerate().all(|(place, _)| {
        let mut tried = vec![false; people.len()];
        place_somebody(terms, &places, &people, place, &mut filled_by, &mut tried)
    })
}

/// Finds a person for a place, moving others to other places where that frees one.
fn place_somebody(
    terms: &Terms,
    places: &[&String],
    people: &[Filler<'_>],
    place: usize,
    filled_by: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for (at, person) in people.iter().enumerate() {
        if tried[at] || !may_fill(terms, places[place], *person) {
            continue;
        }
        tried[at] = true;
        let free = match filled_by[at] {
            None => true,
            Some(other) => place_somebody(terms, places, people, other, filled_by, tried),
        };
        if free {
            filled_by[at] = Some(place);
            return true;
        }
    }
    false
}

fn may_fill(terms: &Terms, slot: &String, who: Filler<'_>) -> bool {
    let escalated = terms.escalate.iter().filter(|step| who.after >= step.after).flat_map(|step| &step.approvers);
    who.slots.contains(slot) || escalated.into_iter().any(|added| who.slots.contains(added))
}
