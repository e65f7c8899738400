//! The style sheet and the script: in the program, under names that change with their bytes.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::approval::sha256;
use crate::text::hex;

/// The style sheet.
pub static CSS: LazyLock<String> = LazyLock::new(|| tight(&lean(include_str!("../../../templates/serve/gate.css"))));
/// The script.
pub static JS: LazyLock<String> = LazyLock::new(|| lean(include_str!("../../../templates/serve/gate.js")));

static CSS_PATH: LazyLock<String> = LazyLock::new(|| path(&CSS, "css"));
static JS_PATH: LazyLock<String> = LazyLock::new(|| path(&JS, "js"));

/// Without what only helps whoever reads the source: indentation, and lines that are comments. No text in them goes over several lines.
fn lean(source: &str) -> String {
    let lines = source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// A style sheet without the spaces that separate nothing either; none of its texts has a sign with a space as these are.
fn tight(style: &str) -> String {
    let signs = [("; }", "}"), (" }", "}"), (" {", "{"), ("{ ", "{"), ("; ", ";"), (": ", ":"), (", ", ",")];
    signs.into_iter().fold(style.to_owned(), |style, (loose, tight)| style.replace(loose, tight))
}

fn path(text: &str, ending: &str) -> String {
    format!("/assets/gate.{}.{ending}", &hex(&sha256(text.as_bytes()))[..16])
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
    let (kind, text) = if is(css()) {
        ("text/css; charset=utf-8", CSS.as_str())
    } else if is(js()) {
        ("text/javascript; charset=utf-8", JS.as_str())
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], text).into_response()
}
