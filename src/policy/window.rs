//! Windows of time: `Mon-Fri 09:00-17:00 Europe/Berlin`.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// Days, minutes of a day, and the zone whose clock they are read on.
#[derive(Debug)]
pub(super) struct Window {
    /// Bit k: the day k days after Monday.
    days: u8,
    from: u16,
    /// At or before `from`: it ends on the next day.
    to: u16,
    zone: TimeZone,
}

const DAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WHOLE_DAY: u16 = 24 * 60;

impl Window {
    /// Reads `[DAYS] [HH:MM-HH:MM] ZONE`; says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let Some((zone, mut rest)) = words.split_last() else {
            return Err("a window of time needs a zone".to_owned());
        };
        let zone = TimeZone::get(zone).map_err(|_| format!("there is no time zone `{zone}`"))?;
        let mut window = Self { days: 0x7f, from: 0, to: WHOLE_DAY, zone };
        if let Some((times, days)) = rest.split_last().filter(|(times, _)| times.contains(':')) {
            let (from, to) = times.split_once('-').ok_or_else(|| format!("`{times}` is no span of time"))?;
            (window.from, window.to) = (minutes(from)?, minutes(to)?);
            if window.from == WHOLE_DAY || window.from == window.to {
                return Err(format!("`{times}` is no span of time"));
            }
            rest = days;
        }
        match rest {
            [] => {}
            [days] => window.days = self::days(days)?,
            _ => return Err(format!("`{text}` is more than days, a span of time and a zone")),
        }
        Ok(window)
    }

    /// Whether the wall clock of its zone stands inside at this time. A span that ends on the next day belongs to the day that it begins on.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        let there = now.to_zoned(self.zone.clone());
        let minute = u16::from(there.hour().unsigned_abs()) * 60 + u16::from(there.minute().unsigned_abs());
        let on = |day: Weekday| self.days >> day.to_monday_zero_offset() & 1 == 1;
        let today = there.weekday();
        if self.from < self.to {
            return on(today) && (self.from..self.to).contains(&minute);
        }
        on(today) && minute >= self.from || on(today.previous()) && minute < self.to
    }
}

/// `Mon-Fri`, `Sat,Sun`, `Fri-Mon`.
fn days(text: &str) -> Result<u8, String> {
    let one = |name: &str| {
        let at = DAYS.iter().position(|day| name.eq_ignore_ascii_case(day));
        at.ok_or_else(|| format!("`{name}` is no day; write `Mon` to `Sun`"))
    };
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (one(first)?, one(last)?);
        for step in 0..=(last + 7 - first) % 7 {
            days |= 1 << ((first + step) % 7);
        }
    }
    Ok(days)
}

/// `09:30` in minutes; `24:00` is the day's end.
fn minutes(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{text}` is no time of day; write `09:30`");
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = text.split_once(':').filter(|(hours, minutes)| digits(hours) && digits(minutes)).ok_or_else(wrong)?;
    let (hours, minutes): (u16, u16) = (hours.parse().map_err(|_| wrong())?, minutes.parse().map_err(|_| wrong())?);
    let all = hours * 60 + minutes;
    if minutes < 60 && all <= WHOLE_DAY { Ok(all) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(window: &str, now: &str) -> bool {
        Window::parse(window).unwrap().holds(now.parse().unwrap())
    }

    #[test]
    fn a_window_is_read_on_the_clock_of_its_zone() {
        // 2026-11-20 is a Friday; Berlin is an hour ahead of UTC in winter, two in summer.
        assert!(holds("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-20T08:00:00Z"));
        assert!(!holds("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-20T07:59:59Z"));
        assert!(!holds("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-20T16:00:00Z"));
        assert!(!holds("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-21T10:00:00Z"));
        assert!(holds("09:00-17:00 Europe/Berlin", "2026-07-17T07:00:00Z"));
        assert!(holds("Sat,Sun UTC", "2026-11-21T00:00:00Z"));
    }

    #[test]
    fn a_night_belongs_to_the_day_that_it_begins_on() {
        assert!(holds("Fri 22:00-06:00 UTC", "2026-11-20T22:00:00Z"));
        assert!(holds("Fri 22:00-06:00 UTC", "2026-11-21T05:59:00Z"));
        assert!(!holds("Fri 22:00-06:00 UTC", "2026-11-20T05:00:00Z"));
        assert!(!holds("Fri 22:00-06:00 UTC", "2026-11-21T22:00:00Z"));
        assert!(holds("Sun 22:00-06:00 UTC", "2026-11-23T01:00:00Z"));
    }

    #[test]
    fn the_hour_that_a_clock_skips_or_repeats_is_read_as_it_shows() {
        // 2026-03-29 01:00Z: Berlin goes from 02:00 to 03:00. 2026-10-25 01:00Z: from 03:00 back to 02:00.
        assert!(!holds("02:00-03:00 Europe/Berlin", "2026-03-29T01:30:00Z"));
        assert!(holds("03:00-04:00 Europe/Berlin", "2026-03-29T01:30:00Z"));
        assert!(holds("02:00-03:00 Europe/Berlin", "2026-10-25T00:30:00Z"));
        assert!(holds("02:00-03:00 Europe/Berlin", "2026-10-25T01:30:00Z"));
    }

    #[test]
    fn what_is_no_window_is_said() {
        for wrong in [
            "",
            "09:00-17:00",
            "Mon-Fri 9-17 UTC",
            "Mo 09:00-17:00 UTC",
            "09:00-09:00 UTC",
            "25:00-26:00 UTC",
            "Mon Tue UTC",
            "24:00-06:00 UTC",
            "Mars/Phobos",
        ] {
            assert!(Window::parse(wrong).is_err(), "{wrong}");
        }
    }
}
