//! The page of standing grants.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::answers::{Failure, shown};
use super::here::Here;
use super::html::{Grants, Page};
use super::standing::{listed, reach};
use crate::server::app::App;
use crate::server::model::{Kept, Wall};
use crate::server::store::{GRANT, Granted};

/// Shows the standing grants whose requests the viewer may see.
pub(super) async fn page(State(app): State<Arc<App>>, here: Here) -> Result<Response, Failure> {
    let mut rows = Vec::new();
    for item in app.store.items(GRANT, None, here.now).await? {
        let (Some(granted), Some(request)) = (Granted::of(&item), app.store.request(&item.key).await?) else { continue };
        if here.may_see(&app, &request) {
            rows.push(listed(&request, &granted, here.now));
        }
    }
    Ok(shown(&Grants { page: Page::new("/grants", Some(&here.viewer), here.now), rows }))
}

/// How far a request's approvals go beyond it, in words; empty where they do not.
pub(super) async fn told(app: &App, request: &Kept, now: Wall) -> Result<String, Failure> {
    let granted = app.store.item(GRANT, &request.id, now).await?.as_ref().and_then(Granted::of);
    Ok(reach(request, granted.map(|granted| granted.left)))
}
