//! The style sheet and the script: in the program, under names that change with their bytes.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::approval::sha256;
use crate::text::hex;

/// The style sheet.
pub const CSS: &[u8] = include_bytes!("../../../templates/serve/gate.css");
/// The script.
pub const JS: &[u8] = include_bytes!("../../../templates/serve/gate.js");

static CSS_PATH: LazyLock<String> = LazyLock::new(|| path(CSS, "css"));
static JS_PATH: LazyLock<String> = LazyLock::new(|| path(JS, "js"));

fn path(bytes: &[u8], ending: &str) -> String {
    format!("/assets/gate.{}.{ending}", &hex(&sha256(bytes))[..16])
}

/// The path of the style sheet.
pub fn css() -> &'static str {
    &CSS_PATH
}

/// The path of the script, an ES module.
pub fn js() -> &'static str {
    &JS_PATH
}

/// Answers `GET /assets/{name}`. The name changes with the bytes, so what it names never changes.
pub fn get(name: &str) -> Response {
    let is = |path: &str| path.strip_prefix("/assets/").is_some_and(|known| known == name);
    let (kind, bytes) = if is(css()) {
        ("text/css; charset=utf-8", CSS)
    } else if is(js()) {
        ("text/javascript; charset=utf-8", JS)
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], bytes).into_response()
}
