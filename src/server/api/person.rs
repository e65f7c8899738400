//! What somebody who signed on may see and decide, and their word about it.

use super::caller::Person;
use super::problem::Problem;
use super::view::RequestView;
use crate::approval::{Answer, Approver, BREAK_GLASS};
use crate::policy::{Assurance, Channel};
use crate::server::app::App;
use crate::server::duties::ActsFor;
use crate::server::model::{Kept, KeptReview, State, Wall};
use crate::server::rules::{self, could_decide, judge};
use crate::server::store::Reviewed;

/// What a comment may be long at most, in bytes.
pub const LONGEST_COMMENT: usize = 4096;

/// So many wrong numbers reject a request: somebody approves what they do not see.
pub const WRONG_NUMBERS: u32 = 3;

impl Person {
    /// The slots that they decide by: their own, or else those of a person in whose place they may.
    pub fn slots_for(&self, request: &Kept, now: Wall) -> Option<Vec<String>> {
        if could_decide(request, &self.approver, &self.slots, now) {
            return Some(self.slots.clone());
        }
        let asked = |who: &Approver| request.requester.person.as_ref() == Some(who);
        let mut theirs = self.acts_for.iter().filter(|theirs| !asked(&theirs.person)).map(ActsFor::slots);
        theirs.find(|slots| could_decide(request, &self.approver, slots, now))
    }

    /// Whether a request may be shown to them: they asked for it, may decide it, did, or have to look at glass that was broken for it.
    pub fn may_see(&self, app: &App, request: &Kept, now: Wall) -> bool {
        rules::may_see(request, &self.approver, &self.slots, now)
            || self.slots_for(request, now).is_some()
            || self.is_of(&app.settings.break_glass.reviewers) && glass_is_broken(request)
    }

    /// Whether they are of one of these slots, by a sign-on that may decide.
    pub fn is_of(&self, slots: &[String]) -> bool {
        self.decides && self.slots.iter().any(|slot| slots.contains(slot))
    }

    /// Their word, as their sign-on proves it.
    pub fn says(self, answer: Answer, comment: String, at: Wall) -> KeptReview {
        KeptReview {
            approver: self.approver,
            name: self.name,
            answer,
            assurance: self.assurance,
            proved: self.proved,
            channel: Channel::Server,
            comment,
            slots: self.slots,
            at,
            standing: None,
            evidence: None,
        }
    }
}

/// Whether somebody approved it alone, in an emergency.
pub fn glass_is_broken(request: &Kept) -> bool {
    request.reviews.iter().any(|review| review.slots.iter().any(|slot| slot == BREAK_GLASS))
}

/// Keeps a review and tells those who wait; the problem where it does not count.
pub async fn keep(app: &App, id: &str, review: KeptReview) -> Result<Kept, Problem> {
    let now = review.at;
    let alone = review.slots.iter().any(|slot| slot == BREAK_GLASS);
    Err(match app.store.review(id, review, Box::new(judge)).await? {
        Reviewed::Kept(request) => {
            app.live.tell(id);
            return Ok(request);
        }
        Reviewed::Missing => Problem::not_found(),
        Reviewed::Late(request) => already(app, &request, now),
        Reviewed::Refused(rules::SELF) => Problem::self_approval(),
        Reviewed::Refused(rules::INSUFFICIENT) => {
            let wanted = app.store.request(id).await?.ok_or_else(Problem::not_found)?.submitted.said().terms.assurance;
            Problem::insufficient(if alone { wanted.max(Assurance::FreshMfa) } else { wanted }.word())
        }
        Reviewed::Refused(_) => Problem::forbidden("the terms want other people, or another way"),
    })
}

/// How it stands, as the answer to what came too late.
pub(super) fn already(app: &App, request: &Kept, now: Wall) -> Problem {
    match request.at(now) {
        State::Expired => Problem::expired(),
        _ => Problem::already_decided(serde_json::to_value(RequestView::of(app, request, now)).unwrap_or_default()),
    }
}
