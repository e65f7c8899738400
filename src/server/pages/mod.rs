//! The reviewer's page: what waits, what exactly would run, and the decision.

mod answers;
pub mod assets;
pub mod compare;
mod delegations;
pub mod fill;
mod grants;
pub mod headers;
mod here;
pub mod html;
mod lists;
mod live;
pub mod passkeys;
mod request;
mod server;
pub mod standing;
mod story;
pub mod view;
pub mod viewer;
pub mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};

use self::answers::Failure;
use super::app::App;
use super::identity::Host;

/// What a form or a body of the pages may be long at most, in bytes.
const LONGEST: usize = 64 * 1024;

/// The pages. What none of them answers is a page that says so.
pub fn router(app: &Arc<App>) -> Router {
    let issuers: Vec<String> = app.identity().providers().iter().map(|provider| origin(provider.issuer().url())).collect();
    let headers = headers::headers(&issuers);
    let frame = from_fn(move |request: Request, next: Next| {
        let headers = headers.clone();
        async move {
            let mut response = next.run(request).await;
            for (name, value) in headers {
                response.headers_mut().entry(name).or_insert(value);
            }
            response
        }
    });
    Router::new()
        .route("/", get(|| async { Redirect::to("/inbox") }))
        .route("/inbox", get(lists::inbox))
        .route("/inbox/events", get(live::inbox))
        .route("/history", get(lists::history))
        .route("/people", get(lists::people))
        .route("/grants", get(grants::page))
        .route("/r/{id}", get(request::page))
        .route("/r/{id}/events", get(live::request))
        .route("/r/{id}/reject", post(request::reject))
        .route("/server", get(server::page))
        .route("/settings", get(passkeys::page))
        .route("/settings/passkeys", post(passkeys::register))
        .route("/settings/passkeys/options", post(passkeys::options))
        .route("/settings/passkeys/remove", post(passkeys::remove))
        .route("/settings/passkeys/{id}", get(passkeys::file))
        .route("/assets/{name}", get(|Path(name): Path<String>| async move { assets::get(&name) }))
        .fallback(|| async { Failure::Missing.into_response() })
        .layer(DefaultBodyLimit::max(LONGEST))
        .layer(frame)
        .with_state(Arc::clone(app))
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}
