//! Everything that the server answers.

use std::sync::Arc;

use axum::Router;

use super::app::App;
use super::{api, identity, pages};

/// The API, signing on and off, and the pages.
pub fn router(app: &Arc<App>) -> Router {
    api::router(app).merge(identity::routes(Arc::clone(app))).merge(pages::router(app))
}
