//! Values of records as one line of text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::text;

/// A command (`cmd` of a record) as a shell would take it, made visible.
pub fn command_line(cmd: &Value) -> String {
    match cmd.get("argv") {
        Some(Value::Array(words)) => words.iter().map(word).collect::<Vec<_>>().join(" "),
        Some(Value::Object(blob)) => {
            let number = |name| blob.get(name).and_then(Value::as_u64).unwrap_or_default();
            let program = cmd.get("program").and_then(Value::as_str).unwrap_or("?");
            format!("{} … ({} words, {} bytes)", text::escape(program.as_bytes()), number("count"), number("len"))
        }
        _ => match (cmd.get("_sd").or(cmd.get("erased")), cmd.get("program")) {
            (Some(_), Some(program)) => format!("{} … (erased)", word(program)),
            _ => String::new(),
        },
    }
}

/// One word, as a shell would take it.
fn word(value: &Value) -> String {
    match value {
        Value::String(word) => text::quote(word.as_bytes()),
        Value::Object(bytes) => match bytes.get("b64").and_then(Value::as_str).and_then(|b64| STANDARD.decode(b64).ok()) {
            Some(bytes) => text::quote(&bytes),
            None if bytes.contains_key("...") => "(erased)".to_owned(),
            None => hidden(bytes.get("hidden")),
        },
        _ => "?".to_owned(),
    }
}

fn hidden(size: Option<&Value>) -> String {
    size.and_then(Value::as_u64).map_or_else(|| "?".to_owned(), |size| format!("hidden, {size} bytes"))
}

/// Bytes of a record as text; those that are not UTF-8 read `\xff`.
pub(super) fn bytes_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(bytes) => {
            let bytes = bytes.get("b64").and_then(Value::as_str).and_then(|b64| STANDARD.decode(b64).ok())?;
            Some(text::escape(&bytes))
        }
        _ => None,
    }
}

/// JSON in ASCII: what a terminal could act on stands there as an escape that any reader undoes.
pub fn ascii_json(value: &Value) -> String {
    let mut ascii = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            ascii.push(c);
        } else {
            let mut units = [0; 2];
            ascii.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    ascii
}
