use super::arg::Arg;
use super::read::{Opt, Reading};
use super::token;

/// Bytes of one word that nobody is shown: a secret option's value, a URL's password.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hidden {
    /// Which word of the argv.
    pub word: usize,
    /// Where the secret starts in it.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// Parts of long option names whose values are secrets wherever no grammar says otherwise.
const SECRET_NAMES: &[&str] =
    &["password", "passwd", "passphrase", "token", "secret", "api-key", "apikey", "access-key", "private-key", "credential"];

/// What nobody is shown of an argv: values of options that a grammar marks or whose name tells, and passwords in URLs.
pub fn hidden(readings: &[Reading<'_>], argv: &[&[u8]]) -> Vec<Hidden> {
    let mut found = Vec::new();
    for option in readings.iter().flat_map(|reading| &reading.options) {
        let secret = option.spec.map_or_else(|| tells(&option.raw), |spec| spec.secret);
        if secret
            && let Some(Arg { text, place: Some((word, start)), .. }) = &option.value
            && !text.is_empty()
        {
            found.push(Hidden { word: *word, start: *start, end: start + text.len() });
        }
    }
    // With more unknown options than are tried, no reading knows whose value the next word is.
    if readings.iter().any(|reading| reading.loose) {
        for (word, pair) in argv.windows(2).enumerate() {
            if pair[0].starts_with(b"--") && !pair[0].contains(&b'=') && tells(pair[0]) && !pair[1].is_empty() {
                found.push(Hidden { word: word + 1, start: 0, end: pair[1].len() });
            }
        }
    }
    // A value of an option is text that is run only where the grammar says that it is.
    for option in readings.iter().flat_map(|reading| reading.options.iter().filter(|option| !runs_it(reading, option))) {
        if let Some(Arg { text, place: Some((word, start)), .. }) = &option.value {
            found.extend(token::find(text).into_iter().map(|(from, to)| Hidden { word: *word, start: start + from, end: start + to }));
        }
    }
    // A word with blanks is text that something runs or reads as a whole; text that is executed is always shown.
    for (word, text) in argv.iter().enumerate().filter(|(_, text)| !text.iter().any(u8::is_ascii_whitespace)) {
        found.extend(url_passwords(text).map(|(start, end)| Hidden { word, start, end }));
        found.extend(token::find(text).into_iter().map(|(start, end)| Hidden { word, start, end }));
        if let Some((start, end)) = assigned_secret(text) {
            found.push(Hidden { word, start, end });
        }
    }
    merged(found)
}

/// Whether an option's value is a script or a statement, which is always shown.
fn runs_it(reading: &Reading<'_>, option: &Opt<'_>) -> bool {
    // Options that the grammar does not know may run anything.
    option.spec.is_none() || !reading.inner.is_empty() || reading.statements.is_some() || reading.opaque.is_some()
}

fn tells(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-");
    name.starts_with('-') && SECRET_NAMES.iter().any(|part| name.contains(part)) && !name.ends_with("-file") && !name.ends_with("-stdin")
}

/// `PGPASSWORD=…`, `--token=…`: the value after a name that tells, in words that no option took.
fn assigned_secret(text: &[u8]) -> Option<(usize, usize)> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let name = &text[..at];
    let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let dashed = [b"--", name.strip_prefix(b"--").unwrap_or(name)].concat();
    (plain && tells(&dashed) && at + 1 < text.len()).then_some((at + 1, text.len()))
}

/// The `PASSWORD` of every `scheme://user:PASSWORD@host` in a word (RFC 3986, section 3.2.1).
fn url_passwords(text: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + text.get(from..)?.windows(3).position(|three| three == b"://")? + 3;
            from = start;
            let end = start
                + text[start..]
                    .iter()
                    .position(|byte| matches!(byte, b'/' | b'?' | b'#' | b' ' | b'"' | b'\''))
                    .unwrap_or(text.len() - start);
            let Some(at) = text[start..end].iter().rposition(|byte| *byte == b'@') else { continue };
            if let Some(colon) = text[start..start + at].iter().position(|byte| *byte == b':')
                && colon + 1 < at
            {
                return Some((start + colon + 1, start + at));
            }
        }
    })
}

/// A text without the passwords of the URLs in it.
pub fn without_passwords(text: &str) -> String {
    let mut shown = String::new();
    let mut from = 0;
    for (start, end) in url_passwords(text.as_bytes()) {
        // Both ends stand beside ASCII, so they are between characters.
        shown.push_str(text.get(from..start).unwrap_or_default());
        shown.push_str("hidden");
        from = end;
    }
    shown + text.get(from..).unwrap_or_default()
}

/// Spans in order, those that touch made one.
pub(crate) fn merged(mut spans: Vec<Hidden>) -> Vec<Hidden> {
    spans.sort();
    let mut out: Vec<Hidden> = Vec::new();
    for span in spans {
        match out.last_mut() {
            Some(last) if last.word == span.word && span.start <= last.end => last.end = last.end.max(span.end),
            _ => out.push(span),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_named_without_its_password() {
        assert_eq!(without_passwords("https://ann:pw@example.org/a.git"), "https://ann:hidden@example.org/a.git");
        assert_eq!(without_passwords("git@example.org:a.git"), "git@example.org:a.git");
    }

    #[test]
    fn a_url_shows_its_user_and_hides_its_password() {
        let found = hidden(&[], &[b"curl", b"https://ann:s3cr3t@example.org/x:y@z", b"--token=abc", b"https://example.org/a:b"]);
        assert_eq!(found, vec![Hidden { word: 1, start: 12, end: 18 }, Hidden { word: 2, start: 8, end: 11 }]);
    }
}
