//! The API under `/v1`; its description is made from the same types and handlers.

use std::sync::Arc;

use axum::Json;
use axum::middleware;
use axum::routing::{any, get};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

mod break_glass;
mod caller;
mod checkpoints;
mod configuration;
mod delegations;
mod description;
mod grants;
mod operators;
mod person;
mod problem;
mod receipt;
mod requests;
mod reviews;
mod statements;
mod stop;
mod using;
mod view;

pub use caller::{Caller, Person, host_signs};
pub use operators::MOST_DEAD;
pub use person::{LONGEST_COMMENT, WRONG_NUMBERS, glass_is_broken, keep};
pub use problem::{Problem, told_as_problem};

use super::app::App;
use super::identity::login_described;

#[derive(OpenApi)]
#[openapi(info(
    title = "gate",
    description = "Requests for approval, decisions about them, and proof of both.",
    license(name = "Apache-2.0 OR MIT")
))]
struct Described;

/// A key that others pin.
#[derive(Debug, Serialize, ToSchema)]
struct Key {
    /// `name+id+base64`.
    vkey: String,
    /// What it signs: `decision`.
    #[serde(rename = "use")]
    purpose: String,
    /// Whether it is one of a trial.
    dev: bool,
}

/// The server's keys.
#[derive(Debug, Serialize, ToSchema)]
struct Keys {
    keys: Vec<Key>,
}

/// Tells the server's public keys.
#[utoipa::path(get, path = "/v1/keys", operation_id = "read_keys", responses((status = 200, body = Keys)))]
async fn keys(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Json<Keys> {
    Json(Keys { keys: vec![Key { vkey: app.key.vkey.to_string(), purpose: "decision".to_owned(), dev: app.key.dev }] })
}

/// What there is where nothing is.
async fn nothing() -> Problem {
    Problem::not_found()
}

/// The routes of the API, and what describes them.
fn described(app: &Arc<App>) -> (axum::Router<Arc<App>>, utoipa::openapi::OpenApi) {
    let proved = OpenApiRouter::new()
        .routes(routes!(requests::create, requests::list))
        .routes(routes!(requests::read, using::cancel))
        .routes(routes!(requests::events))
        .routes(routes!(reviews::review))
        .routes(routes!(statements::statement))
        .routes(routes!(using::consume))
        .routes(routes!(using::outcome))
        .routes(routes!(stop::read, stop::stop))
        .routes(routes!(stop::lift))
        .routes(routes!(delegations::list, delegations::make))
        .routes(routes!(delegations::revoke))
        .routes(routes!(break_glass::use_it))
        .routes(routes!(break_glass::owed))
        .routes(routes!(break_glass::review))
        .routes(routes!(grants::list))
        .routes(routes!(grants::end))
        .routes(routes!(configuration::read))
        .routes(routes!(configuration::confirm))
        .routes(routes!(operators::hosts))
        .routes(routes!(operators::dead))
        .routes(routes!(operators::retry))
        .layer(middleware::from_fn_with_state(Arc::clone(app), caller::authenticate));
    let (proved, mut described) = proved.split_for_parts();
    description::of_callers(&mut described);
    let open = OpenApiRouter::new().routes(routes!(keys)).route("/v1/{*rest}", any(nothing));
    let (open, others) = OpenApiRouter::with_openapi(Described::openapi()).merge(open).split_for_parts();
    described.merge(others);
    described.merge(login_described());
    description::of_all(&mut described);
    (proved.merge(open), described)
}

/// The API, and `/openapi.json`.
pub fn router(app: &Arc<App>) -> axum::Router {
    let (router, description) = described(app);
    router.route("/openapi.json", get(move || std::future::ready(Json(description)))).with_state(Arc::clone(app))
}
