//! Fills a rule's `preview` and `pin` from what was read.

use crate::tool::{Arg, Hidden, Opt, Reading};

/// The command that shows what would happen; empty where a part of it is not known.
pub(super) fn of(template: &[String], reading: &Reading<'_>) -> Vec<String> {
    let mut command = Vec::new();
    for part in template {
        match part.as_str() {
            "@global-options" => {
                for option in reading.options.iter().filter(|option| option.global) {
                    let Some(words) = spelled(option) else { return Vec::new() };
                    command.extend(words);
                }
            }
            "@operands" => command.extend(reading.operands.iter().filter_map(text)),
            other => match other.strip_prefix("@operand:").map(str::parse::<usize>) {
                Some(Ok(number)) => {
                    let Some(found) = number.checked_sub(1).and_then(|at| reading.operands.get(at)).and_then(text) else {
                        return Vec::new();
                    };
                    command.push(found);
                }
                Some(Err(_)) => return Vec::new(),
                None => command.push(other.to_owned()),
            },
        }
    }
    command
}

/// Whether a preview has a word that holds what nobody is shown of the argv.
pub(super) fn tells(preview: &[String], hidden: &[Hidden], words: &[&[u8]]) -> bool {
    let secrets = hidden.iter().filter_map(|span| words.get(span.word)?.get(span.start..span.end).filter(|secret| !secret.is_empty()));
    let holds = |word: &String, secret: &[u8]| word.as_bytes().windows(secret.len()).any(|part| part == secret);
    secrets.into_iter().any(|secret| preview.iter().any(|word| holds(word, secret)))
}

fn text(arg: &Arg<'_>) -> Option<String> {
    arg.is_known().then(|| String::from_utf8(arg.text.to_vec()).ok()).flatten()
}

/// An option as it would be typed again; none for a secret or unknown one.
fn spelled(option: &Opt<'_>) -> Option<Vec<String>> {
    let spec = option.spec.filter(|spec| !spec.secret)?;
    let name = spec.spellings.first()?.clone();
    match &option.value {
        None => Some(vec![name]),
        Some(value) if name.starts_with("--") => Some(vec![format!("{name}={}", text(value)?)]),
        Some(value) => Some(vec![name, text(value)?]),
    }
}

/// Which words of the argv a rule pins: `@operand:1`, `@operand:*`, `@option:-f`.
pub(super) fn pins(wanted: &[String], reading: &Reading<'_>) -> Vec<usize> {
    let place = |arg: &Arg<'_>| arg.place.map(|(word, _)| word);
    let mut found = Vec::new();
    for pin in wanted {
        if let Some(which) = pin.strip_prefix("@operand:") {
            let at = which.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            match at {
                Some(at) => found.extend(reading.operands.get(at).and_then(place)),
                None => found.extend(reading.operands.iter().filter_map(place)),
            }
        } else if let Some(name) = pin.strip_prefix("@option:") {
            let values = reading.options.iter().filter(|option| option.is(name)).filter_map(|option| option.value.as_ref());
            found.extend(values.filter_map(place));
        }
    }
    found
}
