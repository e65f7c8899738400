use std::time::Duration;

use crate::text;

/// Characters of one text that a report shows; the entry has the rest.
const LONGEST: usize = 400;

/// Text made visible: nothing in it moves a cursor, hides, or turns the direction. What is too long is cut, and says so.
pub(super) fn shown(text: &str) -> String {
    // What is cut anyway is not worth being escaped: a record holds 64 KiB.
    let start: String = text.chars().take(LONGEST + 1).collect();
    cut(&text::escape(start.as_bytes()), text.chars().count())
}

/// The same for what is visible already.
pub(super) fn cut(visible: &str, length: usize) -> String {
    if visible.chars().count() <= LONGEST {
        return visible.to_owned();
    }
    let start: String = visible.chars().take(LONGEST).collect();
    format!("{start}… ({length} characters)")
}

/// A moment in UTC, to the second: `2026-11-21 03:24:36Z`.
pub fn moment(wall: i64) -> String {
    match jiff::Timestamp::from_nanosecond(wall.into()) {
        Ok(time) => format!("{time:.0}").replacen('T', " ", 1),
        Err(_) => "?".to_owned(),
    }
}

/// How long something took, from milliseconds: `3 s`, `2 min`; a dash for none.
pub(super) fn took(milliseconds: Option<u64>) -> String {
    match milliseconds {
        None => "–".to_owned(),
        Some(short) if short < 1000 => format!("{short} ms"),
        Some(short) if short < 10_000 => format!("{}.{} s", short / 1000, short % 1000 / 100),
        Some(long) => text::duration(Duration::from_secs(long.saturating_add(500) / 1000)),
    }
}

/// Thousandths as a share: `12.5 %`.
pub(super) fn share(per_mille: u64) -> String {
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// How many thousandths of the whole a part is, to the nearest.
pub(super) fn per_mille(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1000).saturating_add(whole / 2).checked_div(whole).unwrap_or_default()
}
