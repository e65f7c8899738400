//! Freeze calendars: whether an iCalendar file (RFC 5545) has something at a time.
//!
//! What is read is what calendars of freezes hold: events with a start and an end or a duration, whole days, zones by their names, and plain
//! repetitions. A file that holds anything else is not understood, and the stricter answer holds.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// The most occurrences of one event that are counted through.
const MOST: usize = 5_000;

/// The summary of what is in force at this time; none where nothing is. An error says what was not understood.
pub fn in_force(text: &[u8], now: Timestamp) -> Result<Option<String>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "the calendar is not UTF-8".to_owned())?;
    // A line that begins with a blank goes on with the one before (section 3.1).
    let unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut lines = unfolded.lines();
    if lines.next() != Some("BEGIN:VCALENDAR") {
        return Err("it does not begin as a calendar does".to_owned());
    }
    let (mut event, mut inside, mut other) = (None::<Event>, true, Vec::new());
    for line in lines.filter(|line| !line.is_empty()) {
        let property = Property::read(line)?;
        match (property.name.as_str(), property.value) {
            _ if !inside => return Err("there is something after its end".to_owned()),
            ("BEGIN", "VEVENT") if other.is_empty() && event.is_none() => event = Some(Event::default()),
            ("BEGIN", name) => other.push(name.to_owned()),
            ("END", "VEVENT") if other.is_empty() && event.is_some() => {
                if let Some(found) = event.take().map(|event| event.at(now)).transpose()?.flatten() {
                    return Ok(Some(found));
                }
            }
            ("END", "VCALENDAR") if other.is_empty() && event.is_none() => inside = false,
            ("END", name) => {
                if other.pop().as_deref() != Some(name) {
                    return Err(format!("`END:{name}` ends nothing"));
                }
            }
            // What belongs to time zones and alarms says nothing about events.
            _ if !other.is_empty() => {}
            _ => {
                if let Some(event) = &mut event {
                    event.take(&property)?;
                }
            }
        }
    }
    if inside { Err("it ends in its middle".to_owned()) } else { Ok(None) }
}

/// One line: `NAME;PARAMETER=…:VALUE`.
struct Property<'a> {
    name: String,
    parameters: Vec<(String, &'a str)>,
    value: &'a str,
}

impl<'a> Property<'a> {
    fn read(line: &'a str) -> Result<Self, String> {
        let mut quoted = false;
        let colon = line.find(|letter| {
            quoted ^= letter == '"';
            letter == ':' && !quoted
        });
        let (head, value) = line.split_at(colon.ok_or("a line has no `:`")?);
        let mut parts = head.split(';');
        let name = parts.next().unwrap_or_default().to_ascii_uppercase();
        let parameters =
            parts.filter_map(|part| part.split_once('=')).map(|(name, value)| (name.to_ascii_uppercase(), value.trim_matches('"')));
        Ok(Self { name, parameters: parameters.collect(), value: &value[1..] })
    }

    /// Its value as a time (section 3.3.5) or a whole day (3.3.4), on the clock of its zone; none where it says no zone.
    fn time(&self) -> Result<(DateTime, Option<TimeZone>), String> {
        let wrong = || format!("`{}` is no time", self.value);
        let (day, clock) = self.value.split_once('T').unwrap_or((self.value, "000000"));
        let (clock, utc) = clock.strip_suffix('Z').map_or((clock, false), |clock| (clock, true));
        if day.len() != 8 || clock.len() != 6 || !day.bytes().chain(clock.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number = |text: &str| text.parse::<i16>().map_err(|_| wrong());
        let small = |text: &str| text.parse::<i8>().map_err(|_| wrong());
        let at = DateTime::new(
            number(&day[..4])?,
            small(&day[4..6])?,
            small(&day[6..])?,
            small(&clock[..2])?,
            small(&clock[2..4])?,
            small(&clock[4..])?,
            0,
        );
        let named = self.parameters.iter().find(|(name, _)| name == "TZID").map(|(_, zone)| *zone);
        let zone = match (utc, named) {
            (true, _) => Some(TimeZone::UTC),
            (false, Some(name)) => Some(TimeZone::get(name).map_err(|_| format!("there is no time zone `{name}`"))?),
            (false, None) => None,
        };
        Ok((at.map_err(|_| wrong())?, zone))
    }
}

#[derive(Default)]
struct Event {
    summary: String,
    cancelled: bool,
    start: Option<(DateTime, Option<TimeZone>, bool)>,
    end: Option<(DateTime, Option<TimeZone>)>,
    duration: Option<Span>,
    repeats: Option<Repeats>,
}

struct Repeats {
    step: Span,
    /// Monday is 0; only for those that repeat by weeks.
    days: Vec<i8>,
    count: usize,
    until: Option<(DateTime, Option<TimeZone>)>,
}

impl Event {
    fn take(&mut self, property: &Property<'_>) -> Result<(), String> {
        match property.name.as_str() {
            "SUMMARY" => property.value.clone_into(&mut self.summary),
            "STATUS" => self.cancelled = property.value.eq_ignore_ascii_case("CANCELLED"),
            "DTSTART" => {
                let (at, zone) = property.time()?;
                self.start = Some((at, zone, !property.value.contains('T')));
            }
            "DTEND" => self.end = Some(property.time()?),
            "DURATION" => {
                let duration = property.value.parse::<Span>().map_err(|_| format!("`{}` is no duration", property.value))?;
                self.duration = Some(duration);
            }
            "RRULE" => self.repeats = Some(Repeats::read(property.value)?),
            "RDATE" | "EXRULE" => return Err(format!("`{}` is not understood", property.name)),
            // An exception would only make it milder.
            _ => {}
        }
        Ok(())
    }

    /// Its summary, where one of its occurrences is in force.
    fn at(self, now: Timestamp) -> Result<Option<String>, String> {
        let (start, zone, whole_day) = self.start.ok_or("an event without a start")?;
        if self.cancelled {
            return Ok(None);
        }
        let length = match (self.end, self.duration) {
            (Some((end, _)), None) => end.since(start).map_err(|_| "an event that ends before it starts")?,
            (None, Some(duration)) => duration,
            (None, None) if whole_day => 1.day(),
            (None, None) => Span::new(),
            (Some(_), Some(_)) => return Err("an event with an end and a duration".to_owned()),
        };
        let far = || "an event beyond all calendars".to_owned();
        // Without a zone it is in force from where the day begins first to where it ends last.
        let instants = |from: DateTime| -> Result<(Timestamp, Timestamp), String> {
            let to = from.checked_add(length).map_err(|_| far())?;
            let fixed = |at: DateTime, hours: i8| {
                at.to_zoned(TimeZone::fixed(jiff::tz::offset(hours))).map(|zoned| zoned.timestamp()).map_err(|_| far())
            };
            match &zone {
                Some(zone) => {
                    let there = |at: DateTime| at.to_zoned(zone.clone()).map(|zoned| zoned.timestamp()).map_err(|_| far());
                    Ok((there(from)?, there(to)?))
                }
                None => Ok((fixed(from, 14)?, fixed(to, -12)?)),
            }
        };
        let in_it = |from: DateTime| instants(from).map(|(from, to)| from <= now && now < to);
        let Some(repeats) = self.repeats else {
            return Ok(in_it(start)?.then_some(self.summary));
        };
        let last = repeats.until.map(|(until, _)| until.checked_add(1.day())).transpose().map_err(|_| far())?;
        let mut first = start;
        let mut counted = 0;
        loop {
            let monday = first.checked_sub(i32::from(first.weekday().to_monday_zero_offset()).days()).map_err(|_| far())?;
            let days: Vec<DateTime> = match repeats.days.as_slice() {
                [] => vec![first],
                days => days.iter().map(|day| monday.checked_add(i32::from(*day).days())).collect::<Result<_, _>>().map_err(|_| far())?,
            };
            for day in days.into_iter().filter(|day| *day >= start) {
                if counted >= repeats.count || last.is_some_and(|last| day > last) || instants(day)?.0 > now {
                    return Ok(None);
                }
                if in_it(day)? {
                    return Ok(Some(self.summary));
                }
                counted += 1;
            }
            if counted > MOST {
                return Err("an event that repeats too often".to_owned());
            }
            first = first.checked_add(repeats.step).map_err(|_| far())?;
        }
    }
}

impl Repeats {
    /// Reads a recurrence rule (section 3.3.10), as far as freezes need one.
    fn read(text: &str) -> Result<Self, String> {
        let mut repeats = Self { step: Span::new(), days: Vec::new(), count: usize::MAX, until: None };
        let (mut interval, mut frequency) = (1_i32, "");
        for part in text.split(';') {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is no part of a repetition"))?;
            let wrong = || format!("`{part}` is not understood");
            match name {
                "FREQ" => frequency = value,
                "INTERVAL" => interval = value.parse().ok().filter(|number| (1..1000).contains(number)).ok_or_else(wrong)?,
                "COUNT" => repeats.count = value.parse().map_err(|_| wrong())?,
                "UNTIL" => repeats.until = Some(Property { name: String::new(), parameters: Vec::new(), value }.time()?),
                "WKST" if value == "MO" => {}
                "BYDAY" => {
                    let days = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
                    for day in value.split(',') {
                        repeats
                            .days
                            .push(days.iter().position(|known| *known == day).and_then(|at| i8::try_from(at).ok()).ok_or_else(wrong)?);
                    }
                    repeats.days.sort_unstable();
                }
                _ => return Err(wrong()),
            }
        }
        repeats.step = match frequency {
            "DAILY" => interval.days(),
            "WEEKLY" => interval.weeks(),
            "MONTHLY" => interval.months(),
            "YEARLY" => interval.years(),
            other => return Err(format!("`FREQ={other}` is not understood")),
        };
        if !repeats.days.is_empty() && frequency != "WEEKLY" {
            return Err("`BYDAY` is only understood by the week".to_owned());
        }
        Ok(repeats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(events: &str, now: &str) -> Result<Option<String>, String> {
        let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n");
        in_force(text.as_bytes(), now.parse().unwrap())
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VEVENT\r\nSUMMARY:Year end\r\n{lines}END:VEVENT\r\n")
    }

    #[test]
    fn an_event_is_in_force_from_its_start_to_its_end() {
        let freeze = event("DTSTART;TZID=Europe/Berlin:20261218T180000\r\nDTEND;TZID=Europe/Berlin:20270107T080000\r\n");
        assert_eq!(at(&freeze, "2026-12-18T17:00:00Z"), Ok(Some("Year end".to_owned())));
        assert_eq!(at(&freeze, "2026-12-18T16:59:59Z"), Ok(None));
        assert_eq!(at(&freeze, "2027-01-07T07:00:00Z"), Ok(None));
    }

    #[test]
    fn a_whole_day_lasts_as_long_as_it_is_that_day_anywhere() {
        let freeze = event("DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261225\r\n");
        assert_eq!(at(&freeze, "2026-12-23T10:00:00Z"), Ok(Some("Year end".to_owned())));
        assert_eq!(at(&freeze, "2026-12-25T11:59:00Z"), Ok(Some("Year end".to_owned())));
        assert_eq!(at(&freeze, "2026-12-25T12:00:00Z"), Ok(None));
    }

    #[test]
    fn a_weekly_freeze_repeats_on_its_days_and_ends() {
        let freeze = event("DTSTART:20261120T170000Z\r\nDURATION:PT12H\r\nRRULE:FREQ=WEEKLY;BYDAY=FR,SA;UNTIL=20261231T000000Z\r\n");
        assert_eq!(at(&freeze, "2026-12-05T18:00:00Z"), Ok(Some("Year end".to_owned())));
        assert_eq!(at(&freeze, "2026-12-06T18:00:00Z"), Ok(None));
        assert_eq!(at(&freeze, "2027-01-08T18:00:00Z"), Ok(None));
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_never_nothing() {
        for lines in [
            "",
            "DTSTART:2026\r\n",
            "DTSTART:20261120T170000\r\nRDATE:20261121T170000Z\r\n",
            "DTSTART:20261120T170000Z\r\nRRULE:FREQ=MONTHLY;BYDAY=1FR\r\n",
        ] {
            assert!(at(&event(lines), "2026-11-20T00:00:00Z").is_err(), "{lines}");
        }
        assert!(in_force(b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", Timestamp::UNIX_EPOCH).is_err());
        assert!(in_force(b"<html>", Timestamp::UNIX_EPOCH).is_err());
    }
}
