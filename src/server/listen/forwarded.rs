//! The certificate that a client showed to a proxy, as Envoy and others forward what it names.

use axum::http::HeaderMap;

use super::client_name::ClientName;

/// Where it stands.
const FORWARDED: &str = "x-forwarded-client-cert";

/// Whom the proxy's client named itself by its certificate. More than one client, which is what proxies behind proxies tell of, is none: only
/// the nearest proxy is known here.
pub(super) fn client(headers: &HeaderMap) -> Option<ClientName> {
    let mut lines = headers.get_all(FORWARDED).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let pairs = pairs(line.to_str().ok()?)?;
    let all = |wanted: &str| -> Vec<&str> {
        pairs
            .iter()
            .filter(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_empty())
            .map(|(_, value)| value.as_str())
            .collect()
    };
    match (all("URI").as_slice(), all("Subject").as_slice()) {
        (uris, [] | [_]) if !uris.is_empty() => ClientName::uri(uris),
        ([], [subject]) => ClientName::common(&common_name(subject)?),
        _ => None,
    }
}

/// `Name=value;Name="value"` of one client.
fn pairs(mut rest: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    loop {
        let (name, value) = rest.split_once('=')?;
        let value = if let Some(quoted) = value.strip_prefix('"') {
            let (value, after) = until_quote(quoted)?;
            rest = after;
            value
        } else {
            let end = value.find([';', ',']).unwrap_or(value.len());
            rest = &value[end..];
            value[..end].to_owned()
        };
        pairs.push((name.trim().to_owned(), value));
        match rest.strip_prefix(';') {
            Some(more) => rest = more,
            None => return rest.is_empty().then_some(pairs),
        }
    }
}

/// What stands before the closing quote, and what follows it.
fn until_quote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            // Only a quote is escaped so; the backslashes of a subject's own escapes stay.
            '\\' if text[at + 1..].starts_with('"') => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

/// The one common name of a subject (RFC 4514); two of them, or one with escapes in it, are none.
fn common_name(subject: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let mut letters = subject.chars();
    while let Some(letter) = letters.next() {
        let part = parts.last_mut()?;
        match letter {
            '\\' => part.extend([letter, letters.next()?]),
            ',' | '+' => parts.push(String::new()),
            _ => part.push(letter),
        }
    }
    let names = parts.iter().filter_map(|part| part.split_once('=')).filter(|(kind, _)| {
        let kind = kind.trim();
        kind.eq_ignore_ascii_case("CN") || kind == "2.5.4.3"
    });
    let names: Vec<&str> = names.map(|(_, name)| name).collect();
    match names.as_slice() {
        [name] if !name.contains(['\\', '"', '#', '<', '>', ';']) => Some((*name).to_owned()),
        _ => None,
    }
}
