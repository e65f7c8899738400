use std::collections::HashMap;

use crate::record::Draft;
use crate::record::served::{self, Answered, Asked, Happened};
use crate::server::metrics::Metrics;
use crate::server::model::{Event, Kept, KeptReview};
use crate::server::store::{Store, Unavailable};

/// What the log says of each event: its entries, and the one that stands in for them where they cannot be written.
pub(super) async fn all(
    store: &dyn Store,
    events: &[Event],
    salt: &[u8; 16],
    metrics: &Metrics,
) -> Result<Vec<(Vec<Draft>, Draft)>, Unavailable> {
    let mut requests: HashMap<&str, Option<Kept>> = HashMap::new();
    let mut drafts = Vec::with_capacity(events.len());
    for event in events {
        let happened = Happened { number: event.seq, at: event.at, what: &event.kind, data: &event.data, salt };
        let request = match event.request.as_deref() {
            None => None,
            Some(id) => {
                if !requests.contains_key(id) {
                    requests.insert(id, store.request(id).await?);
                }
                requests.get(id).and_then(Option::as_ref)
            }
        };
        metrics.saw(event, request);
        let whole = request.map_or_else(|| vec![served::other(happened)], |request| of_request(event, happened, request));
        drafts.push((whole, served::untellable(happened)));
    }
    Ok(drafts)
}

/// The request may have gone on since: only what it was when this happened is told.
fn of_request(event: &Event, happened: Happened<'_>, request: &Kept) -> Vec<Draft> {
    let requester = (request.requester.way.as_str(), request.requester.name.as_str(), request.requester.person.as_ref());
    let grant = request.drawn.as_ref().map(|drawing| (drawing.request.as_str(), drawing.drawn.nth));
    let asked = Asked { id: &request.id, submitted: &request.submitted, requester, grant };
    let before: Vec<&KeptReview> = request.reviews.iter().filter(|review| review.at <= event.at).collect();
    let answers: Vec<Answered<'_>> = before.iter().copied().map(answered).collect();
    let review = || {
        let own = before.iter().find(|review| review.at == event.at && is_of(review, event)).copied();
        own.or_else(|| before.last().copied()).map(|review| served::reviewed(happened, asked, answered(review)))
    };
    let decided = |result| served::decided(happened, asked, result, &answers);
    let was_approved = request.decided.is_some_and(|decided| decided < event.at);
    match event.kind.as_str() {
        "request.created" => vec![served::created(happened, asked)],
        "request.reviewed" => review().into_iter().collect(),
        // Nobody answered now: the answers are of the request whose approvals stand for this one.
        "request.approved" if event.data.get("grant").is_some() => vec![decided("approved")],
        "request.approved" => review().into_iter().chain([decided("approved")]).collect(),
        "request.rejected" => review().into_iter().chain([decided("rejected")]).collect(),
        "request.expired" if !was_approved => vec![decided("expired")],
        "request.cancelled" if !was_approved => vec![decided("cancelled")],
        _ => vec![served::changed(happened, asked)],
    }
}

/// Whether the event is of this review: two people may answer in one moment.
fn is_of(review: &KeptReview, event: &Event) -> bool {
    let text = |name: &str| event.data.get(name).or_else(|| event.data.get("approver")?.get(name)).and_then(serde_json::Value::as_str);
    text("issuer").is_none_or(|issuer| issuer == review.approver.issuer)
        && text("subject").is_none_or(|subject| subject == review.approver.subject)
}

fn answered(review: &KeptReview) -> Answered<'_> {
    Answered {
        approver: &review.approver,
        answer: review.answer,
        assurance: review.assurance,
        channel: review.channel,
        at: review.at,
        slots: &review.slots,
        comment: &review.comment,
        standing: review.standing.as_ref(),
        evidence: review.evidence.as_ref(),
    }
}
