//! The page of standing grants.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::answers::{Failure, shown};
use super::here::Here;
use super::html::{GrantRow, Grants, Page};
use super::standing::{listed, reach};
use crate::server::app::App;
use crate::server::model::{Kept, Wall};
use crate::server::store::{GRANT, Granted, Item};

/// Standing grants on one page.
const ROWS: usize = 50;

/// Where a page of the list begins.
#[derive(Deserialize)]
pub(super) struct From {
    after: Option<String>,
}

/// Shows the standing grants whose requests the viewer may see.
pub(super) async fn page(State(app): State<Arc<App>>, here: Here, Query(from): Query<From>) -> Result<Response, Failure> {
    let (mut rows, mut next) = (Vec::<GrantRow>::new(), None);
    let after = |item: &Item| from.after.as_ref().is_none_or(|after| item.key > *after);
    for item in app.store.items(GRANT, None, here.now).await?.into_iter().filter(after) {
        let (Some(granted), Some(request)) = (Granted::of(&item), app.store.request(&item.key).await?) else { continue };
        if !here.may_see(&app, &request) {
            continue;
        }
        if rows.len() == ROWS {
            next = rows.last().map(|last| last.row.id.clone());
            break;
        }
        rows.push(listed(&request, &granted, here.now));
    }
    Ok(shown(&Grants { page: Page::new("/grants", Some(&here.viewer), here.now), rows, next }))
}

/// How far a request's approvals go beyond it, in words; empty where they do not.
pub(super) async fn told(app: &App, request: &Kept, now: Wall) -> Result<String, Failure> {
    let granted = app.store.item(GRANT, &request.id, now).await?.as_ref().and_then(Granted::of);
    Ok(reach(request, granted.map(|granted| granted.left)))
}
