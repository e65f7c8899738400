//! What came before a request, and what happens while it waits. Pure.

use super::fill::{left, outcome, paragraphs, slot_name, stands};
use super::standing;
use super::view::{Before, Moment, Step};
use crate::approval::{BREAK_GLASS, Word, behind};
use crate::server::model::{Kept, KeptReview, State, Telling, Wall};
use crate::server::rules::later;
use crate::text;

/// The same, asked before: how often, and how the last one ended.
pub(super) fn before(kept: &Kept, last: &Kept, now: Wall) -> Before {
    let times = match kept.plan.asked_before {
        0 | 1 => "once".to_owned(),
        2 => "twice".to_owned(),
        many => format!("{many} times"),
    };
    let state = last.at(now);
    let by: Vec<String> = last.reviews.iter().map(|review| text::escape(review.name.as_bytes())).collect();
    let by = if by.is_empty() || !matches!(state, State::Rejected | State::Approved | State::Consumed) {
        String::new()
    } else {
        format!(" by {}", by.join(", "))
    };
    let comment = last.reviews.last().map(|review| paragraphs(&review.comment)).unwrap_or_default();
    let ended = format!("{}{by}", stands(state, &outcome(last)).to_lowercase());
    Before { id: last.id.clone(), times, at: Moment::new(last.created, now), ended, comment }
}

/// Who is asked later, or is asked already for that reason, and when people are reminded.
pub(super) fn steps(kept: &Kept, now: Wall) -> Vec<Step> {
    if kept.at(now) != State::Pending {
        return Vec::new();
    }
    let step = |at: Wall, what: String| Step { until: at / 1_000_000, left: if at > now { left(at, now) } else { String::new() }, what };
    let terms = &kept.submitted.said().terms;
    let escalated = terms.escalate.iter().map(|one| {
        let slots: Vec<String> = one.approvers.iter().map(|slot| slot_name(slot)).collect();
        step(later(kept.created, one.after), format!("{} may decide, too", slots.join(", ")))
    });
    let reminders = kept.plan.due.iter().filter(|due| due.what == Telling::Reminder && due.at > now);
    let mut steps: Vec<Step> = escalated.chain(reminders.map(|due| step(due.at, "those who are asked are reminded".to_owned()))).collect();
    steps.sort_by_key(|step| step.until);
    steps
}

/// In whose place somebody decided, that they broke the glass, or how far their approval goes beyond one run.
pub(super) fn how(review: &KeptReview, argv: &[Word]) -> String {
    if review.slots.iter().any(|slot| slot == BREAK_GLASS) {
        return "alone, by break-glass".to_owned();
    }
    match behind(&review.approver, &review.slots).as_deref() {
        Some([_, person]) => format!("in the place of {}", text::escape(person.subject.as_bytes())),
        _ => review.standing.as_ref().map(|standing| standing::said(standing, argv)).unwrap_or_default(),
    }
}
