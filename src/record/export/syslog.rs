use super::Entry;
use super::told::Told;
use crate::record::Kind;
use crate::text;

/// The name of gate's structured data; 32473 is the number that RFC 5612 keeps for those who have none of their own.
pub const SD_ID: &str = "gate@32473";

/// What every receiver takes (RFC 5424 6.1), in bytes.
const LONGEST: usize = 2048;

/// What one value takes at most, escaped, in bytes.
const LONGEST_VALUE: usize = 160;

/// Security and authorization messages that are not for everybody (RFC 5424 6.2.1).
const AUTHPRIV: u8 = 10;

/// An RFC 5424 message of at most 2048 bytes that holds what matters of a record: a long command is cut, and shows it.
pub(super) fn line(entry: &Entry<'_>, told: &Told) -> String {
    let kind = entry.body.kind;
    let rules = told.rules.join(",");
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let values = [
        ("leaf", Some(told.leaf.as_str())),
        ("prev", Some(told.prev.as_str())),
        ("kind", Some(kind.word())),
        ("req", entry.body.request),
        ("user", told.user.as_deref()),
        ("uid", told.uid.as_deref()),
        ("decision", told.result.as_deref()),
        ("risk", told.risk.as_deref()),
        ("rules", Some(rules.as_str())),
        ("policy", told.policy.as_deref()),
        ("detail", told.detail(kind).as_deref()),
        ("pid", number(told.pid).as_deref()),
    ]
    .map(|(name, value)| value.filter(|value| !value.is_empty()).map(|value| parameter(name, value, LONGEST_VALUE)));
    let mut line = format!("{} [{SD_ID}{}", header(entry, told), origin(entry));
    line.extend(values.into_iter().flatten());
    let message = format!("] {} {}", kind.word(), told.result.as_deref().filter(|_| kind == Kind::Decision).unwrap_or_default());
    let message: String = message.trim_end().chars().filter(|c| matches!(c, ' '..='~')).take(64).collect();
    if let Some(command) = &told.command {
        line.push_str(&parameter("cmd", command, LONGEST.saturating_sub(line.len() + message.len() + " cmd=\"\"".len())));
    }
    line + &message
}

/// An entry in another form as the message of an RFC 5424 one, whose structured data says where it stands in which log.
pub fn wrapped(entry: &Entry<'_>, message: &[u8]) -> Vec<u8> {
    let told = Told::of(entry);
    let mut line =
        format!("{} [{SD_ID}{}{}] ", header(entry, &told), origin(entry), parameter("leaf", &told.leaf, LONGEST_VALUE)).into_bytes();
    line.extend_from_slice(message);
    line
}

/// Log and place, which let a receiver know an entry that it has already.
fn origin(entry: &Entry<'_>) -> String {
    let header = &entry.body.header;
    format!("{}{}", parameter("origin", header.log, 1024), parameter("seq", &header.seq.to_string(), LONGEST_VALUE))
}

fn header(entry: &Entry<'_>, told: &Told) -> String {
    let kind = entry.body.kind;
    let severity = match kind {
        Kind::AuditFailure => 2,
        Kind::Decision if told.refused() => 4,
        Kind::ExecFail => 4,
        _ => 5,
    };
    let host: String = told.host.chars().filter(char::is_ascii_graphic).take(255).collect();
    // Six digits of a second are the most that the format has.
    let time = jiff::Timestamp::from_nanosecond(entry.body.header.wall.into()).map_or_else(|_| "-".to_owned(), |time| format!("{time:.6}"));
    let pid = told.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let host = if host.is_empty() { "-" } else { &host };
    format!("<{}>1 {time} {host} gate {pid} {}", AUTHPRIV * 8 + severity, kind.word())
}

/// ` name="value"`, the value made visible, escaped, and cut to so many bytes.
fn parameter(name: &str, value: &str, most: usize) -> String {
    const CUT: &str = "...";
    let mut out = String::new();
    let mut fits = 0;
    for c in text::visible(value).chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
        if out.len() + CUT.len() <= most {
            fits = out.len();
        }
        if out.len() > most {
            out.truncate(fits);
            out.push_str(CUT);
            break;
        }
    }
    format!(" {name}=\"{out}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a value back as RFC 5424 6.3.3 says; none where a sign stands bare that only stands escaped.
    fn read(parameter: &str) -> Option<String> {
        let mut rest = parameter.strip_prefix(" x=\"")?.strip_suffix('"')?.chars();
        let mut out = String::new();
        while let Some(c) = rest.next() {
            match c {
                '\\' => out.push(rest.next().filter(|c| matches!(c, '"' | '\\' | ']'))?),
                '"' | ']' => return None,
                c if c.is_control() => return None,
                c => out.push(c),
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn a_value_reads_back_and_ends_nothing(value in any::<String>()) {
            prop_assert_eq!(read(&parameter("x", &value, usize::MAX)), Some(text::visible(&value)));
        }

        #[test]
        fn a_value_of_the_nasty_signs_reads_back(value in "[\\\\\"\\]\\[=\n\r \u{1b}\u{202e}]{0,40}") {
            prop_assert_eq!(read(&parameter("x", &value, usize::MAX)), Some(text::visible(&value)));
        }

        #[test]
        fn a_value_that_is_cut_still_reads_and_fits(value in "[\\\\\"\\]é\n]{0,60}", most in 8..40_usize) {
            let written = parameter("x", &value, most);
            let cut = read(&written);
            prop_assert!(cut.is_some(), "{}", written);
            prop_assert!(written.len() <= most + " x=\"\"".len());
            let whole = text::visible(&value);
            prop_assert!(cut.as_deref().is_some_and(|cut| whole.starts_with(cut.trim_end_matches("..."))));
        }
    }
}
