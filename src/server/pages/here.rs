//! Who looks at a page: the session that their browser brings, or the way to sign on.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::answers::Failure;
use super::view::Moment;
use super::viewer::{Stopped, Viewer};
use crate::approval::Approver;
use crate::server::api::Person;
use crate::server::app::App;
use crate::server::duties::{self, Stop};
use crate::server::identity::{self, Host, SignedOn, groups_now};
use crate::server::model::{Kept, Wall};
use crate::server::store::STOP;

/// Somebody who signed on, at a moment.
pub(super) struct Here {
    /// What the page says of them.
    pub viewer: Viewer,
    /// Who they are, and what they may.
    pub who: Person,
    /// Now.
    pub now: Wall,
}

impl Here {
    /// Their issuer and subject.
    pub(super) fn person(&self) -> &Approver {
        &self.who.approver
    }

    /// A request that they may see; to anybody else there is none.
    pub(super) async fn request(&self, app: &App, id: &str) -> Result<Kept, Failure> {
        let request = app.store.request(id).await?.ok_or(Failure::Missing)?;
        if self.may_see(app, &request) { Ok(request) } else { Err(Failure::Missing) }
    }

    /// Whether a request may be shown to them.
    pub(super) fn may_see(&self, app: &App, request: &Kept) -> bool {
        self.who.may_see(app, request, self.now)
    }
}

async fn read(app: &App, headers: &HeaderMap) -> Result<Option<(identity::Session, Wall)>, Failure> {
    let now = app.now()?;
    let session = identity::session::read(app.identity(), &*app.store, headers, now).await.map_err(|_| Failure::Unavailable)?;
    Ok(session.map(|session| (session, now)))
}

async fn here(app: &App, on: SignedOn, csrf: String, now: Wall) -> Result<Here, Failure> {
    let mut who = Person::signed_on(on, now);
    who.acts_for = duties::acts_for(app, &who.approver).await?;
    let settings = &app.settings;
    let duties = [&settings.stop.people, &settings.break_glass.reviewers, &settings.configuration.administrators];
    let stopped = app.store.item(STOP, "", now).await?.map(|item| stopped(&Stop::of(&item), now));
    let name = crate::text::escape(who.name.as_bytes());
    let serves = duties.into_iter().any(|slots| who.is_of(slots));
    Ok(Here { viewer: Viewer { person: who.approver.clone(), name, csrf, stopped, serves }, who, now })
}

fn stopped(stop: &Stop, now: Wall) -> Stopped {
    let plain = |text: &str| crate::text::escape(text.as_bytes());
    Stopped {
        by: if stop.name.is_empty() { plain(&stop.by) } else { plain(&stop.name) },
        reason: plain(&stop.reason),
        since: Moment::new(stop.since, now),
        lifted_by: stop.lifted_by.clone(),
    }
}

impl FromRequestParts<Arc<App>> for Here {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        match read(app, &parts.headers).await {
            Ok(Some((session, now))) => {
                let csrf = session.csrf().to_owned();
                here(app, session.into_signed_on(), csrf, now).await.map_err(IntoResponse::into_response)
            }
            Ok(None) if is_navigation(parts) => Err(to_sign_on(parts).into_response()),
            Ok(None) => Err(StatusCode::UNAUTHORIZED.into_response()),
            Err(failure) => Err(failure.into_response()),
        }
    }
}

/// Whether a person opens this, and not a page's own script.
fn is_navigation(parts: &Parts) -> bool {
    parts.method == Method::GET && parts.headers.get("sec-fetch-dest").is_none_or(|dest| dest == "document")
}

fn to_sign_on(parts: &Parts) -> Redirect {
    let back = parts.uri.path_and_query().map_or("/inbox", |target| target.as_str());
    let kept = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'.');
    let back: String = back.bytes().map(|byte| if kept(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    Redirect::to(&format!("/login?return={back}"))
}

/// Somebody whose browser sent this from the server's own page, with the session's token in the header.
pub(super) struct Vouched(pub Here);

impl FromRequestParts<Arc<App>> for Vouched {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        vouched(app, &parts.headers, None).await.map(Self)
    }
}

/// The same for a form, which carries the token in a field. Groups are those of this moment.
pub(super) async fn vouched(app: &App, headers: &HeaderMap, field: Option<&str>) -> Result<Here, Failure> {
    let (session, now) = read(app, headers).await?.ok_or(Failure::SignedOff)?;
    if !session.vouches(app.identity(), headers, field) {
        return Err(Failure::Elsewhere);
    }
    let csrf = session.csrf().to_owned();
    let on = groups_now(app.identity(), &*app.store, session.into_signed_on(), now).await.map_err(|_| Failure::SignedOff)?;
    here(app, on, csrf, now).await
}
