//! A request as the API tells it.

use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::checkpoints::Countersigned;
use crate::approval::{Approver, Standing, Submitted, behind};
use crate::policy::Escalation;
use crate::server::app::App;
use crate::server::asking::asked_at;
use crate::server::model::{Drawing, Kept, Wall};
use crate::server::rules::later;

/// A person as an issuer knows them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PersonView {
    /// Who vouches.
    pub issuer: String,
    /// The issuer's own id of the person.
    pub subject: String,
}

/// Who asks.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RequesterView {
    /// How it was proved.
    pub way: String,
    /// What the way calls it.
    pub name: String,
    /// The person it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonView>,
}

/// A review.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ReviewView {
    /// Who.
    pub approver: PersonView,
    /// What to call them.
    pub name: String,
    /// `approve` or `reject`.
    pub review: String,
    /// How surely it was them.
    pub assurance: String,
    /// By which way.
    pub channel: String,
    /// Why, in their words.
    pub comment: String,
    /// When.
    pub at: String,
    /// The slots that they could fill.
    pub slots: Vec<String>,
    /// What they let run beyond the one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingView>,
    /// In whose place.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub acting_for: Option<PersonView>,
}

/// People who are asked later, too.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct StepView {
    /// From when on.
    pub at: String,
    /// Who may fill every slot then.
    pub approvers: Vec<String>,
}

impl StepView {
    fn of(step: &Escalation, created: Wall) -> Self {
        Self { at: time(later(created, step.after)), approvers: step.approvers.clone() }
    }
}

/// What an approval lets run beyond the one request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct StandingView {
    /// How often in all, the request itself included.
    pub uses: u32,
    /// Until when.
    pub until: String,
    /// Which words may be others, as places in the argv.
    pub open: Vec<usize>,
}

/// A use of a standing grant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct UseView {
    /// The request whose approvals stand for this one.
    pub request: String,
    /// Which use it is.
    #[serde(rename = "use")]
    pub nth: u32,
    /// Of how many.
    pub uses: u32,
}

impl StandingView {
    pub(super) fn of(standing: &Standing) -> Self {
        Self { uses: standing.uses(), until: time(standing.until()), open: standing.open().to_vec() }
    }
}

impl UseView {
    fn of(drawing: &Drawing) -> Self {
        Self { request: drawing.request.clone(), nth: drawing.drawn.nth, uses: drawing.uses }
    }
}

/// A request and where it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RequestView {
    /// Its id.
    pub id: String,
    /// What the same command of the same asker has too.
    pub key: String,
    /// `pending`, `approved`, `rejected`, `expired`, `cancelled` or `consumed`.
    pub state: String,
    /// Goes up with every change.
    pub version: u64,
    /// What approvers sign: 64 hexadecimal digits.
    pub digest: String,
    /// The digest's short form, as screens show it.
    pub short: String,
    /// When it came.
    pub created: String,
    /// Until when people may decide.
    pub expires: String,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
    /// Until when the approval may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// Who asks.
    pub requester: RequesterView,
    /// The slots of the terms.
    pub asked: Vec<String>,
    /// The slots that may decide now: those of the terms, and those that escalation has added.
    pub asked_now: Vec<String>,
    /// Who is added when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<StepView>,
    /// How many people of each slot.
    pub threshold: u32,
    /// How often the same requester asked the very same before.
    pub asked_before: u32,
    /// The last of those requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The standing grant that it is a use of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<UseView>,
    /// The page.
    pub url: String,
    /// What people said so far.
    pub reviews: Vec<ReviewView>,
    /// The signed decision, for the requester.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// The checkpoint that came with the request, countersigned; only in the answer to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countersigned: Option<Countersigned>,
    /// What is asked: the object that the digest is taken over.
    #[schema(value_type = Object)]
    #[serde(serialize_with = "object")]
    pub approval_request: Submitted,
    /// How the command ended, as the host told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub outcome: Option<Value>,
}

impl PersonView {
    fn of(person: &Approver) -> Self {
        Self { issuer: person.issuer.clone(), subject: person.subject.clone() }
    }
}

impl RequestView {
    /// What may be told of it at a moment, without a receipt.
    pub(super) fn of(app: &App, request: &Kept, now: Wall) -> Self {
        let terms = &request.submitted.said().terms;
        let reviews = request.reviews.iter().map(|said| ReviewView {
            approver: PersonView::of(&said.approver),
            name: said.name.clone(),
            review: said.answer.word().to_owned(),
            assurance: said.assurance.word().to_owned(),
            channel: said.channel.word().to_owned(),
            comment: said.comment.clone(),
            at: time(said.at),
            slots: said.slots.clone(),
            standing: said.standing.as_ref().map(StandingView::of),
            acting_for: behind(&said.approver, &said.slots).and_then(|people| people.get(1).map(PersonView::of)),
        });
        Self {
            id: request.id.clone(),
            key: request.key.clone(),
            state: request.at(now).word().to_owned(),
            version: request.version,
            digest: request.digest().to_string(),
            short: request.digest().short(),
            created: time(request.created),
            expires: time(request.expires),
            decided: request.decided.map(time),
            valid_until: request.valid_until.map(time),
            requester: RequesterView {
                way: request.requester.way.clone(),
                name: request.requester.name.clone(),
                person: request.requester.person.as_ref().map(PersonView::of),
            },
            asked: terms.approvers.clone(),
            asked_now: asked_at(terms, request.created, request.decided.unwrap_or(now)),
            escalation: terms.escalate.iter().map(|step| StepView::of(step, request.created)).collect(),
            threshold: terms.threshold,
            asked_before: request.plan.asked_before,
            before: request.plan.before.clone(),
            standing: request.drawn.as_ref().map(UseView::of),
            url: app.page(&request.id),
            reviews: reviews.collect(),
            receipt: None,
            countersigned: None,
            approval_request: request.submitted.clone(),
            outcome: request.outcome.clone(),
        }
    }
}

fn object<S: Serializer>(submitted: &Submitted, serializer: S) -> Result<S::Ok, S::Error> {
    submitted.value().serialize(serializer)
}

/// A moment as RFC 3339 in UTC.
pub(super) fn time(at: Wall) -> String {
    jiff::Timestamp::from_nanosecond(at.into()).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}
