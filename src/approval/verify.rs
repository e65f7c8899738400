use std::collections::BTreeSet;
use std::time::Duration;

use super::asked::ApprovalRequest;
use super::digest::Stamp;
use super::grant::Grant;
use super::review::{Answer, Approver, Refusal, Review};
use crate::policy::{Assurance, Channel, Terms};
use crate::request::Request;

/// Turns reviews into a grant, or says why they do not suffice. Pure: the clock is a parameter.
pub fn verify(asked: ApprovalRequest, reviews: &[Review], requester: &Approver, now: Stamp) -> Result<Grant, Box<(Request, Refusal)>> {
    match sufficient(&asked, reviews, requester, now) {
        Ok(counted) => {
            let digest = asked.digest();
            let until = valid_until(&asked, &counted);
            let (request, terms) = asked.into_parts();
            Ok(Grant::by_reviews(request, terms, digest, counted, until))
        }
        Err(refusal) => Err(Box::new((asked.into_parts().0, refusal))),
    }
}

fn sufficient(asked: &ApprovalRequest, reviews: &[Review], requester: &Approver, now: Stamp) -> Result<Vec<Review>, Refusal> {
    let terms = &asked.asked().terms;
    let mut people = BTreeSet::new();
    let mut counted = Vec::new();
    for review in reviews {
        if review.digest != asked.digest() {
            return Err(Refusal::Changed("an answer to another request was given for this one".to_owned()));
        }
        if review.answer == Answer::Reject {
            return Err(Refusal::Rejected { by: review.approver.to_string(), comment: review.comment.clone() });
        }
        if counts(asked, review, requester) && people.insert(review.approver.clone()) {
            counted.push(review.clone());
        }
    }
    if terms.threshold == 0 || counted.is_empty() {
        return Err(Refusal::Unreachable("no answer that these terms accept was given".to_owned()));
    }
    // Slots are filled by people whom an identity provider puts there; a terminal can fill none.
    if !terms.approvers.is_empty() || counted.len() < terms.threshold as usize {
        return Err(Refusal::Unreachable("these terms want approvers that a terminal cannot prove".to_owned()));
    }
    if now.boot > valid_until(asked, &counted).boot {
        return Err(Refusal::Expired);
    }
    Ok(counted)
}

/// Whether one review counts: in time, strong enough, by an allowed channel, and not the requester's own,
/// except where nothing but a confirmation at the terminal is wanted.
fn counts(asked: &ApprovalRequest, review: &Review, requester: &Approver) -> bool {
    let terms = &asked.asked().terms;
    let deadline = asked.created().boot.saturating_add(terms.within);
    let in_time = review.at.boot >= asked.created().boot && review.at.boot <= deadline;
    let own = review.approver == *requester || review.channel == Channel::Tty;
    in_time
        && review.assurance >= terms.assurance
        && terms.channels.contains(&review.channel)
        && (review.channel != Channel::Tty || review.assurance == Assurance::Confirm)
        && (!own || own_review_suffices(terms))
        && terms.justification.iter().all(|wanted| wanted.satisfied_by(&review.justification))
}

fn own_review_suffices(terms: &Terms) -> bool {
    terms.assurance == Assurance::Confirm && terms.approvers.is_empty() && terms.threshold == 1
}

/// The earliest end among the approvals: each stays usable for `valid` after it was given.
fn valid_until(asked: &ApprovalRequest, counted: &[Review]) -> Stamp {
    let valid = asked.asked().terms.valid;
    counted
        .iter()
        .map(|review| Stamp {
            wall: review.at.wall.saturating_add(i64::try_from(valid.as_nanos()).unwrap_or(i64::MAX)),
            boot: review.at.boot.saturating_add(valid),
        })
        .min_by_key(|until| until.boot)
        .unwrap_or(Stamp { wall: 0, boot: Duration::ZERO })
}
