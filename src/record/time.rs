/// Nanoseconds of the first and of the last second that 64 bits hold whole.
const SECONDS: std::ops::RangeInclusive<i64> = -9_223_372_036..=9_223_372_035;

/// Reads the one spelling of a time that records have, `2026-11-21T03:24:36.000000001Z`: nanoseconds since 1970.
///
/// A log is read record by record, so this looks at bytes only, and allocates nothing.
pub(super) fn read(text: &str) -> Option<i64> {
    let text: &[u8; 30] = text.as_bytes().try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (29, b'Z')];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let (year, month, day) = (number(&text[0..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    let nanoseconds = number(&text[20..29])?;
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    SECONDS.contains(&seconds).then(|| seconds * 1_000_000_000 + nanoseconds)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts in years that begin in March, so that the leap day is the last one (years from 0 on).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(nanoseconds: i64) -> String {
        format!("{:.9}", jiff::Timestamp::from_nanosecond(nanoseconds.into()).expect("64 bits are within its range"))
    }

    proptest! {
        #[test]
        fn what_was_written_reads_as_the_same_moment(wall in (i64::MIN + 1_000_000_000)..=i64::MAX - 1_000_000_000) {
            prop_assert_eq!(read(&written(wall)), Some(wall));
        }

        #[test]
        fn what_reads_is_what_would_be_written(
            (year, month, day) in (1670..2270_i64, 0..14_i64, 0..33_i64),
            (hour, minute, second, fraction) in (0..26_i64, 0..62_i64, 0..62_i64, 0..1_000_000_000_i64),
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z");
            let known = text.parse::<jiff::Timestamp>().ok().filter(|time| format!("{time:.9}") == text);
            let known = known.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
            match read(&text) {
                Some(wall) => prop_assert_eq!(Some(wall), known),
                // The two seconds at the ends of 64 bits are not whole, and no clock shows them.
                None => prop_assert!(known.is_none_or(|wall| !SECONDS.contains(&wall.div_euclid(1_000_000_000)))),
            }
        }

        #[test]
        fn another_spelling_does_not_read(wall in any::<u32>(), at in 0..30_usize, other in any::<char>()) {
            let text = written(i64::from(wall) * 1_000_000_000);
            let changed: String = text.chars().enumerate().map(|(here, c)| if here == at { other } else { c }).collect();
            prop_assert!(read(&changed).is_none_or(|wall| written(wall) == changed));
            prop_assert_eq!(read(&text[1..]), None);
            prop_assert_eq!(read(&format!("{text} ")), None);
        }
    }
}
