//! The server's signed decision.

use crate::approval::{Answer, Claims, Reviewed};
use crate::server::app::App;
use crate::server::model::{Kept, State as Stands, Wall};

/// The signed decision; none while there is none.
pub(super) fn receipt(app: &App, request: &Kept, now: Wall) -> Option<String> {
    let answer = match request.at(now) {
        Stands::Approved | Stands::Consumed => Answer::Approve,
        Stands::Rejected => Answer::Reject,
        Stands::Pending | Stands::Expired | Stands::Cancelled => return None,
    };
    let reviews = request.reviews.iter().map(|said| Reviewed {
        approver: said.approver.clone(),
        name: said.name.clone(),
        answer: said.answer,
        assurance: said.assurance,
        channel: said.channel,
        at: said.at,
        proved: said.proved,
        slots: said.slots.clone(),
        comment: said.comment.clone(),
        standing: said.standing.clone(),
        evidence: said.evidence.clone(),
    });
    let claims = Claims {
        issuer: app.settings.url.clone(),
        audience: request.submitted.said().host.clone(),
        request: request.id.clone(),
        digest: *request.digest().bytes(),
        client_nonce_sha256: request.client_nonce_sha256,
        answer,
        consumed: request.state == Stands::Consumed,
        dev: app.key.dev,
        requester: request.requester.person.clone(),
        now,
        created: request.created,
        valid_until: request.valid_until.unwrap_or(request.expires),
        reviews: reviews.collect(),
        drawn: request.drawn.as_ref().map(|drawing| drawing.drawn.clone()),
    };
    Some(claims.sign(&app.key.vkey, &app.key.secret))
}
