//! The server's own configuration: a changed file is in force once two administrators have confirmed it.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::problem::Problem;
use super::requests::body;
use super::stop::of_slots;
use crate::server::app::App;
use crate::server::confirmed;

/// Which file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// SHA-256 of the file: 64 hexadecimal digits.
    digest: String,
}

/// The configuration in force, and the file's.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Configuration {
    /// SHA-256 of the configuration in force.
    in_force: String,
    /// SHA-256 of the file as it was when the server started.
    file: String,
    /// Who has confirmed the file's, of those who may.
    confirmed_by: Vec<String>,
}

async fn told(app: &App) -> Result<Json<Configuration>, Problem> {
    let [in_force, file] = app.configuration.clone();
    let confirmed_by = confirmed::by(&*app.store, &file, app.now()?).await?;
    Ok(Json(Configuration { in_force, file, confirmed_by }))
}

/// Tells which configuration is in force, and which waits.
#[utoipa::path(get, path = "/v1/configuration", operation_id = "read_configuration", responses((status = 200, body = Configuration), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn read(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Result<Json<Configuration>, Problem> {
    of_slots(&caller, &app.settings.configuration.administrators)?;
    told(&app).await
}

/// Confirms a changed file. The server takes it into force with its next start.
#[utoipa::path(post, path = "/v1/configuration/confirm", operation_id = "confirm_configuration", request_body = Confirm,
    responses((status = 200, body = Configuration), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: Result<Json<Confirm>, JsonRejection>,
) -> Result<Json<Configuration>, Problem> {
    let me = of_slots(&caller, &app.settings.configuration.administrators)?.approver.clone();
    if body(given)?.digest != app.configuration[1] {
        return Err(Problem::validation("`digest` is not that of the file that the server was started with"));
    }
    confirmed::confirm(&*app.store, &app.configuration[1], &me, app.now()?).await?;
    told(&app).await
}
