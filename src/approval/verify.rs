use std::collections::BTreeSet;
use std::time::Duration;

use super::approvers::Approvers;
use super::asked::ApprovalRequest;
use super::digest::{Digest, Stamp};
use super::evidence::Evidence;
use super::grant::Grant;
use super::proved::Awaited;
use super::receipt::{CLOCKS_NS, Claims, Receipt, Reviewed};
use super::review::{Answer, Approver, Refusal, Review};
use super::slots::{self, Filler};
use super::standing::{Standing, Use};
use super::submitted::Submitted;
use crate::policy::{Asked, Assurance, Channel, Layer, Terms};
use crate::request::Request;

/// What was answered, by the ways that can be told apart by their proof.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers<'a> {
    /// What was typed at this terminal. Whatever such a review says of itself, it is no more than a confirmation there.
    pub terminal: &'a [Review],
    /// What a server says that people said.
    pub receipt: Option<&'a Receipt>,
}

/// Whom answers are judged against.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The requester as this host knows them.
    pub requester: &'a Approver,
    /// The server whose receipts count; none where there is none.
    pub server: Option<Root>,
    /// Whose keys count for these terms: without them a server's reviews are no more than a second factor.
    pub approvers: &'a [Approvers],
}

/// How far a server is trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    /// The layer that names it.
    pub layer: Layer,
    /// Whether that layer says that it is one for trying things out.
    pub dev: bool,
}

impl Root {
    /// Why a server of this root cannot meet the terms; none where it can.
    pub fn distrusted(self, asked: &Asked, dev: bool) -> Option<&'static str> {
        if asked.terms_layer.is_some_and(|layer| layer < self.layer) {
            return Some("these terms are those of a layer that is more trusted than the one that names the server");
        }
        let trial = (self.dev || dev) && !asked.terms.dev;
        trial.then_some("the server is one for trying things out, and these terms do not say `dev = true`")
    }
}

/// Turns answers into a grant, or says why they do not suffice. Pure: the clock is a parameter.
pub fn verify(asked: ApprovalRequest, answers: Answers<'_>, trust: Trust<'_>, now: Stamp) -> Result<Grant, Box<(Request, Refusal)>> {
    match sufficient(&asked, answers, trust, now) {
        Ok(sufficient) => {
            let digest = asked.digest();
            let (request, terms) = asked.into_parts();
            Ok(Grant::by_reviews(request, terms, digest, sufficient))
        }
        Err(refusal) => Err(Box::new((asked.into_parts().0, refusal))),
    }
}

/// Answers that suffice.
pub(super) struct Sufficient {
    pub(super) reviews: Vec<Review>,
    pub(super) until: Stamp,
    pub(super) standing: Option<Use>,
}

/// What a server's reviews are of: the request itself, or the one whose approval stands for it.
struct Subject {
    request: String,
    digest: Digest,
    /// When it was made, by the server's clock.
    created: i64,
    seen: Option<(Submitted, u32)>,
}

impl Subject {
    fn of(asked: &ApprovalRequest, claims: &Claims) -> Result<Self, Refusal> {
        let Some(drawn) = &claims.drawn else {
            return Ok(Self { request: asked.request().id().to_string(), digest: asked.digest(), created: claims.created, seen: None });
        };
        let seen =
            Submitted::parse(&drawn.text).map_err(|why| unmet(&format!("what is approved once and for more cannot be read: {}", why.0)))?;
        let (request, digest) = (seen.said().request.clone(), seen.digest());
        Ok(Self { request, digest, created: drawn.created, seen: Some((seen, drawn.nth)) })
    }
}

/// A review with what only judging needs.
struct Judged {
    review: Review,
    /// Whether it is of this request.
    same: bool,
    /// What it lets run beyond one request.
    standing: Option<Standing>,
    /// How long after the request was made, by one clock; none where the clock says before.
    after: Option<Duration>,
    /// How old the proof of the assurance was.
    age: Option<Duration>,
}

fn unmet(why: &str) -> Refusal {
    Refusal::Unreachable(why.to_owned())
}

fn sufficient(asked: &ApprovalRequest, answers: Answers<'_>, trust: Trust<'_>, now: Stamp) -> Result<Sufficient, Refusal> {
    let terms = &asked.asked().terms;
    if let Some(receipt) = answers.receipt {
        let why = match trust.server {
            None => Some("no layer names a server"),
            Some(root) => root.distrusted(asked.asked(), receipt.claims().dev),
        };
        if let Some(why) = why {
            return Err(unmet(why));
        }
    }
    let claims = answers.receipt.map(Receipt::claims);
    let subject = claims.map(|claims| Subject::of(asked, claims)).transpose()?;
    let requesters: Vec<&Approver> =
        [Some(trust.requester), answers.receipt.and_then(|receipt| receipt.claims().requester.as_ref())].into_iter().flatten().collect();
    let judged = answers.terminal.iter().map(|review| at_terminal(asked, review)).chain(
        claims.zip(subject.as_ref()).into_iter().flat_map(|(claims, subject)| of_server(claims, subject, asked, trust.approvers, now)),
    );
    let judged: Vec<Judged> = judged.collect();
    let mut people = BTreeSet::new();
    let mut counted = Vec::new();
    for one in &judged {
        if !one.same {
            return Err(Refusal::Changed("an answer to another request was given for this one".to_owned()));
        }
        if one.review.answer == Answer::Reject {
            return Err(Refusal::Rejected { by: one.review.approver.to_string(), comment: one.review.comment.clone() });
        }
        let behind = slots::behind(&one.review.approver, &one.review.slots).unwrap_or_default();
        if counts(terms, one, &requesters) && !behind.iter().any(|person| people.contains(person)) {
            people.extend(behind);
            counted.push(one);
        }
    }
    // Too many wrong numbers reject a request too, and nobody said so.
    if let Some(claims) = claims.filter(|claims| claims.answer == Answer::Reject) {
        return Err(Refusal::Rejected { by: claims.issuer.clone(), comment: String::new() });
    }
    if counted.is_empty() {
        return Err(unmet("no answer that these terms accept was given"));
    }
    let fillers: Vec<Filler<'_>> = counted.iter().map(|one| one.filler()).collect();
    if !slots::filled(terms, &fillers) && !counted.iter().any(|one| breaks_glass(terms, one)) {
        return Err(unmet("these terms want other people, or more of them, than those who approved"));
    }
    if let Some(claims) = claims.filter(|_| counted.iter().any(|one| one.review.channel != Channel::Tty)) {
        // What a server took part in is used up there, and there is no second use of it.
        if claims.answer != Answer::Approve || !claims.consumed || claims.now > claims.valid_until {
            return Err(Refusal::Expired);
        }
    }
    let (until, standing) = match subject.as_ref().and_then(|subject| Some((subject, subject.seen.as_ref()?))).zip(claims) {
        None => (valid_until(terms, &counted), None),
        Some(((subject, seen), claims)) => {
            let (standing, left) = drawn(asked, claims, seen, &counted, now)?;
            let until = Stamp { wall: later(now.wall, left), boot: now.boot.saturating_add(left) };
            (until, Some(Use { request: subject.request.clone(), digest: subject.digest, nth: seen.1, standing }))
        }
    };
    if now.boot > until.boot {
        return Err(Refusal::Expired);
    }
    Ok(Sufficient { reviews: counted.into_iter().map(|one| one.review.clone()).collect(), until, standing })
}

/// What the approvals of another request let run beyond it, and for how long yet, where this request is a use of that.
fn drawn(
    asked: &ApprovalRequest,
    claims: &Claims,
    (seen, nth): &(Submitted, u32),
    counted: &[&Judged],
    now: Stamp,
) -> Result<(Standing, Duration), Refusal> {
    let terms = &asked.asked().terms;
    let standing = Standing::of_all(counted.iter().map(|one| one.standing.as_ref()));
    let standing = standing.ok_or_else(|| unmet("what was approved was approved for one run"))?;
    for one in counted {
        if let Some(each) = &one.standing {
            each.permitted(terms, one.review.at.wall).map_err(|why| unmet(why.0))?;
        }
    }
    if counted.iter().any(|one| slots::behind(&one.review.approver, &one.review.slots).is_none_or(|people| people.len() > 1)) {
        return Err(unmet("nobody approves more runs than one in another's place"));
    }
    // The server's clock put the times there: the host's own time, which people saw, bounds them.
    let latest = later(later(seen.said().created, terms.within), terms.standing.map_or(Duration::ZERO, |limits| limits.longest));
    if standing.until() > latest.saturating_add(CLOCKS_NS) || counted.iter().any(|one| one.review.at.wall > claims.now) {
        return Err(unmet("the standing grant lasts longer than these terms allow"));
    }
    if !standing.covers_here(seen, asked) {
        return Err(Refusal::Changed("a standing grant for another command was given for this one".to_owned()));
    }
    if !(2..=standing.uses()).contains(nth) {
        return Err(unmet("the standing grant has no such use"));
    }
    let left = standing.until().saturating_sub(claims.now);
    let here = standing.until().saturating_add(CLOCKS_NS).saturating_sub(now.wall);
    match u64::try_from(left) {
        Ok(left) if here > 0 => Ok((standing, Duration::from_nanos(left).min(terms.valid))),
        _ => Err(Refusal::Expired),
    }
}

fn later(wall: i64, by: Duration) -> i64 {
    wall.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX))
}

impl Judged {
    fn filler(&self) -> Filler<'_> {
        Filler { approver: &self.review.approver, slots: &self.review.slots, after: self.after.unwrap_or_default() }
    }
}

/// Nothing that comes from a terminal is more than a confirmation, and fills no slot.
fn at_terminal(asked: &ApprovalRequest, review: &Review) -> Judged {
    let after = review.at.boot.checked_sub(asked.created().boot);
    let review = Review { channel: Channel::Tty, assurance: Assurance::Confirm, slots: Vec::new(), ..review.clone() };
    Judged { same: review.digest == asked.digest(), standing: None, review, after, age: Some(Duration::ZERO) }
}

/// The reviews of a receipt; their times are put on this host's clocks by how long ago they were on the server's.
fn of_server(claims: &Claims, subject: &Subject, asked: &ApprovalRequest, approvers: &[Approvers], now: Stamp) -> Vec<Judged> {
    let span = |from: i64, to: i64| to.checked_sub(from).and_then(|span| u64::try_from(span).ok()).map(Duration::from_nanos);
    let judged = claims.reviews.iter().map(|said| {
        let ago = span(said.at, claims.now).unwrap_or(Duration::MAX);
        let evidence = said.evidence.as_ref().and_then(Evidence::from_json);
        let shown = evidence.as_ref().and_then(|evidence| shown(evidence, said, subject, approvers, claims.now));
        let review = Review {
            approver: said.approver.clone(),
            // A server alone proves no more than a second factor: keys of people come from the layer's own file.
            assurance: said.assurance.min(shown.unwrap_or(Assurance::FreshMfa).max(Assurance::FreshMfa)),
            // Nobody at this terminal speaks through a server.
            channel: if said.channel == Channel::Tty { Channel::Server } else { said.channel },
            answer: said.answer,
            comment: said.comment.clone(),
            justification: asked.justification().to_owned(),
            at: Stamp { wall: said.at, boot: now.boot.saturating_sub(ago) },
            digest: subject.digest,
            slots: said.slots.clone(),
            evidence,
        };
        Judged {
            review,
            same: claims.digest == *asked.digest().bytes(),
            standing: said.standing.clone(),
            after: span(subject.created, said.at),
            age: span(said.proved, said.at),
        }
    });
    judged.collect()
}

/// How surely it was them by the keys that the layers know; none where nothing shows it. Where an approval stands for later
/// requests, the key has to be one of theirs still.
fn shown(evidence: &Evidence, said: &Reviewed, subject: &Subject, approvers: &[Approvers], now: i64) -> Option<Assurance> {
    let awaited = Awaited {
        request: &subject.request,
        digest: subject.digest.bytes(),
        answer: said.answer,
        standing: said.standing.as_ref(),
        approver: &said.approver,
        given: said.at,
        nonce: None,
        counter: None,
        user_verified: false,
    };
    let proved = |known: &Approvers| {
        let then = known.prove(evidence, &awaited, said.at).ok()?.assurance();
        let still = if subject.seen.is_some() { known.prove(evidence, &awaited, now).ok()?.assurance() } else { then };
        Some(then.min(still))
    };
    approvers.iter().filter_map(proved).max()
}

/// Whether one review counts: in time, strong enough, fresh enough, by an allowed channel, by somebody who may decide, and
/// not the requester's own, except at the terminal where nothing but a confirmation there is wanted.
fn counts(terms: &Terms, one: &Judged, requesters: &[&Approver]) -> bool {
    let review = &one.review;
    let at_terminal = review.channel == Channel::Tty;
    let Some(behind) = slots::behind(&review.approver, &review.slots) else { return false };
    let own = at_terminal || behind.iter().any(|person| requesters.contains(&person));
    one.after.is_some_and(|after| after <= terms.within)
        && terms.fresh.is_none_or(|fresh| one.age.is_some_and(|age| age <= fresh))
        && review.assurance >= terms.assurance
        && terms.channels.contains(&review.channel)
        && (!own || at_terminal && own_review_suffices(terms))
        && (at_terminal || review.assurance > Assurance::Confirm)
        && (slots::may_decide(terms, one.filler()) || breaks_glass(terms, one))
        && terms.justification.iter().all(|wanted| wanted.satisfied_by(&review.justification))
}

/// Whether one review is enough by itself: of somebody whom the terms name for it, with a second factor, who says why.
fn breaks_glass(terms: &Terms, one: &Judged) -> bool {
    // An emergency is one run.
    let said_why = !one.review.comment.trim().is_empty() && one.standing.is_none();
    slots::breaks_glass(terms, one.filler()) && one.review.assurance >= Assurance::FreshMfa && said_why
}

fn own_review_suffices(terms: &Terms) -> bool {
    terms.assurance == Assurance::Confirm && terms.approvers.is_empty() && terms.threshold == 1
}

/// The earliest end among the approvals: each stays usable for `valid` after it was given.
fn valid_until(terms: &Terms, counted: &[&Judged]) -> Stamp {
    let valid = terms.valid;
    counted
        .iter()
        .map(|one| Stamp { wall: later(one.review.at.wall, valid), boot: one.review.at.boot.saturating_add(valid) })
        .min_by_key(|until| until.boot)
        .unwrap_or(Stamp { wall: 0, boot: Duration::ZERO })
}
