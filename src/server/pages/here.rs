//! Who looks at a page: the session that their browser brings, or the way to sign on.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::answers::Failure;
use super::viewer::Viewer;
use crate::approval::Approver;
use crate::server::app::App;
use crate::server::identity::{self, Host, SignedOn};
use crate::server::model::{Kept, Wall};
use crate::server::rules;

/// Somebody who signed on, at a moment.
pub(super) struct Here {
    /// What the page says of them.
    pub viewer: Viewer,
    /// Who they are.
    pub on: SignedOn,
    /// Now.
    pub now: Wall,
}

impl Here {
    /// Their issuer and subject.
    pub(super) fn person(&self) -> &Approver {
        &self.on.person
    }

    /// A request that they may see; to anybody else there is none.
    pub(super) async fn request(&self, app: &App, id: &str) -> Result<Kept, Failure> {
        let request = app.store.request(id).await?.ok_or(Failure::Missing)?;
        if self.may_see(&request) { Ok(request) } else { Err(Failure::Missing) }
    }

    /// Whether a request may be shown to them.
    pub(super) fn may_see(&self, request: &Kept) -> bool {
        rules::may_see(request, self.person(), &self.on.slots, self.now)
    }
}

async fn read(app: &App, headers: &HeaderMap) -> Result<Option<(identity::Session, Wall)>, Failure> {
    let now = app.now()?;
    let session = identity::session::read(app.identity(), &*app.store, headers, now).await.map_err(|_| Failure::Unavailable)?;
    Ok(session.map(|session| (session, now)))
}

fn here(session: identity::Session, now: Wall) -> Here {
    let csrf = session.csrf().to_owned();
    let on = session.into_signed_on();
    Here { viewer: Viewer { person: on.person.clone(), name: crate::text::escape(on.name.as_bytes()), csrf }, on, now }
}

impl FromRequestParts<Arc<App>> for Here {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        match read(app, &parts.headers).await {
            Ok(Some((session, now))) => Ok(here(session, now)),
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

/// The same for a form, which carries the token in a field.
pub(super) async fn vouched(app: &App, headers: &HeaderMap, field: Option<&str>) -> Result<Here, Failure> {
    let (session, now) = read(app, headers).await?.ok_or(Failure::SignedOff)?;
    if session.vouches(app.identity(), headers, field) { Ok(here(session, now)) } else { Err(Failure::Elsewhere) }
}
