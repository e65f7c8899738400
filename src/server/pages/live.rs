//! Says that something changed; what changed, the browser asks for as a page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use super::answers::Failure;
use super::here::Here;
use crate::server::app::App;

/// After this a browser has to show its session anew.
const LONGEST: Duration = Duration::from_mins(5);

/// Changes that follow each other so closely are told as one.
const TOGETHER: Duration = Duration::from_millis(100);

/// Tells of changes of any request. What is told holds nothing of them.
pub(super) async fn inbox(State(app): State<Arc<App>>, _here: Here) -> Response {
    let changes = stream::unfold((app.live.listen(), app, Box::pin(sleep(LONGEST))), |(mut all, app, mut end)| async move {
        let changed = async {
            let heard = all.recv().await;
            sleep(TOGETHER).await;
            while all.try_recv().is_ok() {}
            !matches!(heard, Err(RecvError::Closed))
        };
        tokio::select! {
            true = changed => Some((Ok(change()), (all, app, end))),
            () = app.live.closing() => None,
            () = &mut end => None,
            else => None,
        }
    });
    told(changes)
}

/// Tells of changes of one request.
pub(super) async fn request(State(app): State<Arc<App>>, here: Here, Path(id): Path<String>) -> Result<Response, Failure> {
    here.request(&app, &id).await?;
    let changes = stream::unfold((app.live.wait_for(&id), app, Box::pin(sleep(LONGEST))), |(mut waiter, app, mut end)| async move {
        tokio::select! {
            () = waiter.changed() => Some((Ok(change()), (waiter, app, end))),
            () = app.live.closing() => None,
            () = &mut end => None,
        }
    });
    Ok(told(changes))
}

/// Browsers drop an event without data.
fn change() -> Event {
    Event::default().event("change").data("-")
}

fn told(changes: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(changes).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)).text("ping")).into_response();
    // A proxy that collects what comes would hold it back.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
