//! What a believed ID token says of a person. Pure.

use serde_json::Value;

use super::error::Error;
use super::jwt::{Claims, SKEW};
use super::settings::{Demand, Kind, Shown};
use crate::approval::Approver;
use crate::server::model::Wall;

/// How many groups of one person are looked at.
const MOST_GROUPS: usize = 5000;

/// What a name, a subject or a group may be long at most.
const LONGEST: usize = 255;

const SECOND: Wall = 1_000_000_000;

/// Where a person's groups stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Here they are.
    Here(Vec<String>),
    /// There are too many for the token.
    Elsewhere,
    /// Nothing is said of groups.
    Nothing,
}

/// Who it is: issuer and subject, and of Entra tenant and object, since its `sub` differs from application to application.
pub(super) fn person(kind: Kind, issuer: &str, claims: &Claims) -> Result<Approver, Error> {
    let text = |name: &str| claims.text(name).filter(|text| is_id(text)).map(str::to_owned);
    let subject = match kind {
        Kind::Generic | Kind::Okta => text("sub"),
        Kind::Entra => {
            let tenant = text("tid").filter(|tid| issuer.split('/').any(|part| part == tid));
            tenant.zip(text("oid")).map(|(tenant, object)| format!("{tenant}/{object}"))
        }
    };
    let subject = subject.ok_or_else(|| Error::Refused("the token does not say who it is".to_owned()))?;
    Ok(Approver { issuer: issuer.to_owned(), subject })
}

fn is_id(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// What to call them.
pub(super) fn name(claims: &Claims) -> String {
    let named =
        ["name", "preferred_username", "email", "sub"].into_iter().find_map(|name| claims.text(name).filter(|text| !text.is_empty()));
    named.unwrap_or_default().chars().take(LONGEST).collect()
}

/// Their address, where the provider says that it is theirs.
pub(super) fn email(claims: &Claims) -> String {
    let proved = claims.get("email_verified") == Some(&Value::Bool(true));
    claims.text("email").filter(|_| proved).unwrap_or_default().chars().take(LONGEST).collect()
}

/// Their groups, as the token or the answer of the userinfo endpoint says them.
pub(super) fn groups(claim: &str, said: Option<&Value>, overage: bool) -> Found {
    match said {
        Some(Value::Array(all)) if all.len() <= MOST_GROUPS => {
            Found::Here(all.iter().filter_map(Value::as_str).filter(|group| is_id(group)).map(str::to_owned).collect())
        }
        Some(Value::String(one)) if is_id(one) => Found::Here(vec![one.clone()]),
        None if overage && claim == "groups" => Found::Elsewhere,
        _ => Found::Nothing,
    }
}

/// Whether Entra says that there are more groups than fit.
pub(super) fn overage(claims: &Claims) -> bool {
    let named = claims.get("_claim_names").and_then(|names| names.get("groups")).is_some();
    named || claims.get("hasgroups").is_some_and(|has| has == true || has == "true")
}

/// When the person showed who they are, by the provider's word.
pub(super) fn proved(claims: &Claims, now: Wall) -> Result<Option<Wall>, Error> {
    let Some(at) = claims.seconds("auth_time") else { return Ok(None) };
    if at > now / SECOND + SKEW {
        return Err(Error::Refused("the token says that the person signs on in the future".to_owned()));
    }
    Ok(at.checked_mul(SECOND))
}

/// Until when the second factor that the token shows counts; none where it shows none, or not when.
pub(super) fn factor_until(demands: &[Demand], claims: &Claims, proved: Option<Wall>) -> Option<Wall> {
    let met = |demand: &&Demand| match &demand.by {
        Shown::Acr(acr) => claims.text("acr").is_some_and(|said| acr.iter().any(|one| one == said)),
        Shown::Amr(amr) => {
            let said = claims.texts("amr");
            amr.iter().all(|one| said.contains(&one.as_str()))
        }
        Shown::Acrs(acrs) => claims.texts("acrs").contains(&acrs.as_str()),
    };
    let longest = demands.iter().filter(met).map(|demand| demand.max_age).max()?;
    proved?.checked_add(longest.checked_mul(SECOND)?)
}
