use super::reader::Result;
use super::{Piece, Word};

/// `set` with options that only make the shell stop, tell or expand less; after `--` come the script's own arguments.
pub(super) fn set(texts: &dyn Fn() -> Result<Vec<Vec<u8>>>, words: &[Word]) -> Result<()> {
    if words.get(1).is_some_and(|word| word.literal() == Some(b"--")) {
        return Ok(());
    }
    let texts = texts()?;
    let mut rest = texts.iter();
    let mut any = false;
    while let Some(text) = rest.next() {
        any = true;
        let letters = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or_default();
        if letters.is_empty() || !letters.iter().all(|letter| b"euxvfCao".contains(letter)) {
            return Err("an option of the shell that changes what later words mean");
        }
        match letters.iter().position(|letter| *letter == b'o') {
            None => {}
            Some(at) if at + 1 == letters.len() => {
                let plain = ["pipefail", "errexit", "nounset", "xtrace", "verbose", "noglob", "noclobber", "allexport"];
                if !rest.next().is_some_and(|name| plain.iter().any(|plain| plain.as_bytes() == name.as_slice())) {
                    return Err("an option of the shell that changes what later words mean");
                }
            }
            _ => return Err("an option of the shell that changes what later words mean"),
        }
    }
    if any { Ok(()) } else { Err("a list of the shell's variables") }
}

/// What `trap` is given to run, if anything.
pub(super) fn trap(texts: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
    match texts {
        [action, signals @ ..] if !signals.is_empty() && !action.starts_with(b"--") => {
            let plain = |signal: &Vec<u8>| !signal.is_empty() && signal.iter().all(u8::is_ascii_alphanumeric);
            if !signals.iter().all(plain)
                || action.len() > 1 && action.starts_with(b"-")
                || action.iter().all(u8::is_ascii_digit) && !action.is_empty()
            {
                return Err("a trap");
            }
            Ok((!action.is_empty() && action != b"-").then(|| action.clone()))
        }
        _ => Err("a trap"),
    }
}

/// `printf -v NAME` sets a variable, and so does `%n`; a subscript in its name may run what it holds.
pub(super) fn printf(words: &[Word]) -> Result<()> {
    const WHY: &str = "a `printf` that may set a variable";
    let mut words = words;
    if words.first().is_some_and(|word| word.literal() == Some(b"--")) {
        words = &words[1..];
    }
    let Some(format) = words.first() else { return Ok(()) };
    let Some(text) = format.literal() else {
        // Without arguments it has nothing to set.
        let begins = matches!(format.pieces.first(), Some(Piece::Text(text)) if text.first().is_some_and(|first| *first != b'-'));
        let globs = format.splits || format.pieces.iter().any(|piece| matches!(piece, Piece::Glob(_)));
        return if begins && !globs && words.len() == 1 { Ok(()) } else { Err(WHY) };
    };
    if text.starts_with(b"-") && words.len() > 1 {
        return Err(WHY);
    }
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        rest = &rest[at + 1..];
        let flags = rest.iter().position(|byte| !b"#0-+ '*.123456789hlLjzt".contains(byte)).unwrap_or(rest.len());
        rest = &rest[flags..];
        match rest.first() {
            Some(b'n') => return Err(WHY),
            Some(_) => rest = &rest[1..],
            None => {}
        }
    }
    Ok(())
}

/// `test -v NAME` runs what a subscript in the name holds: no word may be `-v` and the next such a name.
pub(super) fn test(words: &[Word]) -> Result<()> {
    const WHY: &str = "a test that may run what a variable holds";
    let globs = |word: &Word| word.pieces.iter().any(|piece| matches!(piece, Piece::Glob(_)));
    if words.iter().any(|word| word.splits || globs(word)) {
        return Err(WHY);
    }
    let asks = |word: &Word| match word.literal() {
        Some(text) => matches!(text, b"-v" | b"-R"),
        None => !matches!(word.pieces.first(), Some(Piece::Text(text)) if text.first().is_some_and(|first| *first != b'-')),
    };
    let subscript = |word: &Word| word.literal().is_none_or(|text| text.contains(&b'['));
    if words.windows(2).any(|pair| asks(&pair[0]) && subscript(&pair[1])) { Err(WHY) } else { Ok(()) }
}
