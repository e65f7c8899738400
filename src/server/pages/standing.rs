//! What approvals let run beyond the one request, as pages tell it. Pure.

use std::time::Duration;

use super::fill::{left, row};
use super::html::GrantRow;
use super::viewer::Offer;
use super::words;
use crate::approval::{Answer, Standing, Word};
use crate::policy::StandingLimits;
use crate::server::model::{Kept, KeptReview, Wall};
use crate::server::store::Granted;
use crate::text;

/// Spans to choose from, in hours, beside the longest that the terms allow.
const SPANS: [u64; 7] = [1, 4, 8, 24, 72, 168, 720];

/// Columns of a word where it is named.
const COLUMNS: usize = 40;

fn approvals(kept: &Kept) -> impl Iterator<Item = &KeptReview> {
    kept.reviews.iter().filter(|review| review.answer == Answer::Approve)
}

/// What somebody may choose who approves a request for themself; none where its terms want every run approved, or a later run could do what nobody saw.
pub fn offer(kept: &Kept) -> Option<Offer> {
    let terms = &kept.submitted.said().terms;
    let limits = terms.standing?;
    let (uses, longest) = (limits.uses.min(StandingLimits::MOST_USES), limits.longest.as_secs());
    let fits = Standing::new(2, i64::MAX, Vec::new())?.fits(&kept.submitted).is_ok();
    // One approval for a single run makes all of them that.
    if !fits || uses < 2 || longest == 0 || approvals(kept).any(|review| review.standing.is_none()) {
        return None;
    }
    let spans = SPANS.into_iter().map(|hours| hours * 3600).filter(|span| *span < longest).chain([longest]);
    let open = if limits.patterns { Standing::openable(&kept.submitted) } else { Vec::new() };
    Some(Offer {
        uses,
        spans: spans.map(|span| (span, text::duration(Duration::from_secs(span)))).collect(),
        open: open.into_iter().map(|at| (at, named(at, &kept.submitted.said().argv))).collect(),
        joint: terms.threshold > 1 || terms.approvers.len() > 1,
    })
}

fn named(at: usize, argv: &[Word]) -> String {
    argv.get(at).map(|word| text::ellipsis(&text::escape(&word.shown), COLUMNS)).unwrap_or_default()
}

/// What an approval lets run: `5 uses until 2026-11-21 23:05 UTC, any word of its kind in the place of api-1`.
pub(super) fn said(standing: &Standing, argv: &[Word]) -> String {
    let until = jiff::Timestamp::from_nanosecond(standing.until().into());
    let until = until.map_or_else(|_| "?".to_owned(), |time| time.strftime("%F %H:%M UTC").to_string());
    let open: Vec<String> = standing.open().iter().map(|at| named(*at, argv)).collect();
    let any = if open.is_empty() { String::new() } else { format!(", any word of its kind in the place of {}", open.join(", ")) };
    format!("{} uses until {until}{any}", standing.uses())
}

/// What all approvals of an approved request allow together; none where it is for one run.
pub(super) fn allowed(kept: &Kept) -> Option<Standing> {
    kept.valid_until?;
    Standing::of_all(approvals(kept).map(|review| review.standing.as_ref()))
}

/// How far a request's approvals go, and how many uses are left; none where the standing grant has ended. Empty where they made none.
pub fn reach(kept: &Kept, left: Option<u32>) -> String {
    let Some(standing) = allowed(kept).filter(|_| kept.drawn.is_none()) else { return String::new() };
    let left = match left {
        None => "It has ended.".to_owned(),
        Some(0) => "None is left.".to_owned(),
        Some(1) => "1 is left.".to_owned(),
        Some(many) => format!("{many} are left."),
    };
    format!("Standing grant: {}. {left}", said(&standing, &kept.submitted.said().argv))
}

/// The same in few words, for a list.
pub fn note(kept: &Kept) -> String {
    match (&kept.drawn, allowed(kept)) {
        (Some(drawing), _) => format!("use {} of {}", drawing.drawn.nth, drawing.uses),
        (None, Some(standing)) => format!("standing grant, {} uses", standing.uses()),
        (None, None) => String::new(),
    }
}

/// A line of the list of standing grants.
pub fn listed(kept: &Kept, granted: &Granted, now: Wall) -> GrantRow {
    let standing = &granted.standing;
    GrantRow {
        row: row(kept, now, String::new()),
        words: words::pattern(&kept.submitted.said().argv, standing.open()),
        left: granted.left,
        uses: standing.uses(),
        until: (standing.until() / 1_000_000, left(standing.until(), now)),
    }
}
