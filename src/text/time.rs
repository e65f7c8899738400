use std::time::Duration;

/// A duration as people say it, at most two units: `45 s`, `15 min`, `2 h 5 min`, `3 days`.
pub fn duration(of: Duration) -> String {
    let seconds = of.as_secs();
    let (big, small) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3600..86_400 => ((seconds / 3600, "h"), (seconds % 3600 / 60, "min")),
        _ => ((seconds / 86_400, "days"), (seconds % 86_400 / 3600, "h")),
    };
    let unit = if big == (1, "days") { "day" } else { big.1 };
    if small.0 == 0 { format!("{} {unit}", big.0) } else { format!("{} {unit} {} {}", big.0, small.0, small.1) }
}

/// How long ago a moment was, both in nanoseconds since 1970: `just now`, `3 min ago`, `2 days ago`.
pub fn ago(then: i64, now: i64) -> String {
    let seconds = now.saturating_sub(then) / 1_000_000_000;
    match seconds {
        ..-60 => "later than now".to_owned(),
        -60..10 => "just now".to_owned(),
        10..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => counted(seconds / 3600, "hour"),
        86_400..5_184_000 => counted(seconds / 86_400, "day"),
        5_184_000..63_072_000 => counted(seconds / 2_592_000, "month"),
        _ => counted(seconds / 31_536_000, "year"),
    }
}

fn counted(count: i64, unit: &str) -> String {
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// A length of time as policies and configurations write it, `90s`, `5m`, `2h` or `1d`, in seconds: nothing else is one.
pub fn span(written: &str) -> Option<u64> {
    let (number, unit) = written.split_at_checked(written.len().checked_sub(1)?)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse::<u64>().ok()?.checked_mul(factor))?
}
