//! What a review does to its request: pure, and asked inside the store's transaction.

use std::time::Duration;

use serde_json::{Value, json};

use super::model::{Kept, KeptReview, State, Wall};
use super::store::{Change, Effect};
use crate::approval::{Answer, Approver, Filler, Standing, behind, breaks_glass, filled, may_decide};
use crate::policy::{Assurance, Terms};

/// The approver asked for it.
pub const SELF: &str = "self-approval";
/// The terms want other people.
pub const FORBIDDEN: &str = "forbidden";
/// The terms want a surer way, or a fresher proof.
pub const INSUFFICIENT: &str = "insufficient-authentication";

/// Judges a review of a pending request.
pub fn judge(request: &Kept, review: &KeptReview) -> Effect {
    let terms = &request.submitted.said().terms;
    let Some(people) = behind(&review.approver, &review.slots) else { return Effect::Refused(FORBIDDEN) };
    if request.requester.person.as_ref().is_some_and(|requester| people.contains(requester)) {
        return Effect::Refused(SELF);
    }
    // Nobody has a say twice, neither by another's hand.
    let spoke = |said: &KeptReview| behind(&said.approver, &said.slots).is_none_or(|before| before.iter().any(|who| people.contains(who)));
    if request.reviews.iter().any(spoke) {
        return Effect::Refused(FORBIDDEN);
    }
    let breaks = breaks_glass(terms, filler(request, review));
    if !breaks && !may_decide(terms, filler(request, review)) {
        return Effect::Refused(FORBIDDEN);
    }
    if !terms.channels.contains(&review.channel) {
        return Effect::Refused(FORBIDDEN);
    }
    // Neither an emergency nor somebody else's say is for longer than one run.
    let fits = |standing: &Standing| standing.permitted(terms, review.at).is_ok() && standing.fits(&request.submitted).is_ok();
    let once = breaks || people.len() > 1 || review.answer == Answer::Reject;
    if review.standing.as_ref().is_some_and(|standing| once || !fits(standing)) {
        return Effect::Refused(FORBIDDEN);
    }
    if review.answer == Answer::Reject {
        return Effect::Rejected;
    }
    let alone = breaks && review.assurance >= Assurance::FreshMfa && !review.comment.trim().is_empty();
    if !sure_enough(terms, review) || breaks && !alone {
        return Effect::Refused(INSUFFICIENT);
    }
    let approved: Vec<&KeptReview> = request.reviews.iter().chain([review]).filter(|said| said.answer == Answer::Approve).collect();
    let fillers: Vec<Filler<'_>> = approved.iter().map(|said| filler(request, said)).collect();
    if !alone && !filled(terms, &fillers) {
        return Effect::Waits;
    }
    // Each approval stays usable for a while after it was given; the first to end ends all.
    let until = approved.iter().map(|said| later(said.at, terms.valid)).min().unwrap_or(review.at);
    if until <= review.at { Effect::Refused(INSUFFICIENT) } else { Effect::Approved { until } }
}

/// The requester uses the approval: only who knows the nonce, and only once.
pub fn consuming(client_nonce_sha256: [u8; 32], now: Wall) -> Change {
    Box::new(move |request| {
        (request.client_nonce_sha256 == client_nonce_sha256 && request.at(now) == State::Approved).then_some(())?;
        request.state = State::Consumed;
        request.consumed = Some(now);
        Some(("request.consumed", json!({})))
    })
}

/// The requester gives up.
pub fn cancelling(now: Wall) -> Change {
    Box::new(move |request| {
        (!request.at(now).is_over()).then(|| request.state = State::Cancelled)?;
        Some(("request.cancelled", json!({})))
    })
}

/// The host tells how the command ended, once.
pub fn ending(told: Value) -> Change {
    Box::new(move |request| {
        (request.state == State::Consumed && request.outcome.is_none()).then(|| request.outcome = Some(told.clone()))?;
        Some(("request.outcome", told.clone()))
    })
}

/// Whether somebody with these slots could decide the request now, however they would prove it.
pub fn could_decide(request: &Kept, approver: &Approver, slots: &[String], now: Wall) -> bool {
    let who = Filler { approver, slots, after: span(request.created, now) };
    request.requester.person.as_ref() != Some(approver) && may_decide(&request.submitted.said().terms, who)
}

/// Whether somebody may break the glass for a request, if the server lets them.
pub fn may_break_glass(request: &Kept, approver: &Approver) -> bool {
    let slots = [crate::approval::BREAK_GLASS.to_owned()];
    let who = Filler { approver, slots: &slots, after: Duration::ZERO };
    request.requester.person.as_ref() != Some(approver) && breaks_glass(&request.submitted.said().terms, who)
}

/// Whether a person may see the request: they asked for it, may decide it, or did.
pub fn may_see(request: &Kept, person: &Approver, slots: &[String], now: Wall) -> bool {
    request.requester.person.as_ref() == Some(person)
        || could_decide(request, person, slots, now)
        || may_break_glass(request, person)
        || request.reviews.iter().any(|said| said.approver == *person)
}

/// Whether a review is as sure and as fresh as the terms want it.
pub fn sure_enough(terms: &Terms, review: &KeptReview) -> bool {
    let fresh = terms.fresh.is_none_or(|fresh| review.proved <= review.at && span(review.proved, review.at) <= fresh);
    review.assurance >= terms.assurance.max(Assurance::SecondPerson) && fresh
}

fn filler<'a>(request: &Kept, review: &'a KeptReview) -> Filler<'a> {
    Filler { approver: &review.approver, slots: &review.slots, after: span(request.created, review.at) }
}

/// The time between; none where it would be negative.
fn span(from: Wall, to: Wall) -> Duration {
    Duration::from_nanos(u64::try_from(to.saturating_sub(from)).unwrap_or_default())
}

/// That much later.
pub fn later(at: Wall, by: Duration) -> Wall {
    at.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX))
}
