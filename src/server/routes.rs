//! Everything that the server answers.

use std::sync::Arc;

use axum::{Router, middleware};

use super::app::App;
use super::{api, identity, pages};

/// The API, signing on and off, and the pages.
pub fn router(app: &Arc<App>) -> Router {
    let programs = api::router(app).merge(identity::routes(Arc::clone(app))).layer(middleware::from_fn(api::told_as_problem));
    programs.merge(pages::router(app))
}
