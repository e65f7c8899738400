//! What is added where the log failed, never instead of failing: an alert, and a mark that keeps everything refused.

use std::time::Duration;

use serde_json::json;

use super::surroundings::log_failed;
use crate::audit::{self, Kind, Place, ascii_json, halt};
use crate::error::{Error, note};
use crate::policy::Policy;
use crate::sys::alert;
use crate::text;

/// How long the alert's program may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What an alert says of the failure, at most: it has to fit into a pipe at once.
const LONGEST: usize = 1024;

/// The log failed: does what the layers want done, and says so.
pub(super) fn of_log(error: &audit::Error, policy: &Policy, place: &Place) -> Error {
    // A grant that was used is no failure, and what is halted was told already.
    if !matches!(error.kind(), Kind::Used | Kind::Halted) {
        let settings = policy.log_settings();
        let what: String = text::escape(error.to_string().as_bytes()).chars().take(LONGEST).collect();
        if settings.halt
            && let Err(failed) = halt(place, &what)
        {
            note(&format!("gate cannot be halted: {}", text::visible(&failed.to_string())));
        }
        if !settings.alert.is_empty() {
            let told = json!({ "event": "audit.failure", "error": what, "halted": settings.halt, "log": place.directory.to_string_lossy(), "name": place.name });
            if let Err(failed) = alert::tell(&settings.alert, format!("{}\n", ascii_json(&told)).as_bytes(), LIMIT) {
                note(&format!("the alert `{}` cannot be run: {failed}", text::escape(settings.alert[0].as_bytes())));
            }
        }
    }
    log_failed(error)
}
