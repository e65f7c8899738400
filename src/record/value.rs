use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::canonical::MAX_INTEGER;
use super::tree::sha256;
use crate::text::hex;

/// An argv that needs more bytes than this in a record stands beside it.
pub const MAX_INLINE_ARGV: usize = 32 * 1024;

/// Bytes in a record: text where they are UTF-8, else `{"b64": …}`.
pub fn bytes_value(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => json!({ "b64": STANDARD.encode(bytes) }),
    }
}

/// A whole number in a record: a decimal string where other readers would lose digits.
pub fn integer(number: impl Into<i128>) -> Value {
    let number = number.into();
    match i64::try_from(number) {
        Ok(small) if small.unsigned_abs() <= MAX_INTEGER => small.into(),
        _ => Value::String(number.to_string()),
    }
}

/// An argv in a record. One that is too large for it becomes `{"blob": SHA-256, "count": …, "len": …}`,
/// and the blob, each word followed by a zero byte, goes into the draft's `blobs`.
pub fn argv_value<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> (Value, Option<Vec<u8>>) {
    let words: Vec<&[u8]> = words.into_iter().collect();
    let inline = Value::Array(words.iter().map(|word| bytes_value(word)).collect());
    if serde_json::to_vec(&inline).is_ok_and(|bytes| bytes.len() <= MAX_INLINE_ARGV) {
        return (inline, None);
    }
    let blob: Vec<u8> = words.iter().flat_map(|word| word.iter().copied().chain([0])).collect();
    let value = json!({ "blob": hex(&sha256(&[&blob])), "count": words.len(), "len": blob.len() });
    (value, Some(blob))
}
