/// Whether a word reads differently from what it is: letters of two scripts in one run, or marks that pass for ASCII. In words.
pub fn suspicious(word: &str) -> Option<String> {
    if word.is_ascii() {
        return None;
    }
    if let Some((c, like)) = word.chars().find_map(|c| mark(c).map(|like| (c, like))) {
        return Some(format!("`{c}` (U+{:04X}) is not the `{like}` it looks like", u32::from(c)));
    }
    word.split(|c: char| !c.is_alphabetic()).find_map(run)
}

/// Whether a word has letters that a terminal may set from right to left, and so out of order.
pub fn right_to_left(word: &str) -> bool {
    word.chars().any(|c| matches!(u32::from(c), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefc | 0x10800..=0x10fff | 0x1e800..=0x1efff))
}

/// What is suspicious about one run of letters.
fn run(letters: &str) -> Option<String> {
    if letters.is_ascii() {
        return None;
    }
    if let Some(c) = letters.chars().find(|c| matches!(u32::from(*c), 0xff01..=0xff5e | 0x1d400..=0x1d7ff | 0x2100..=0x214f)) {
        return Some(format!("`{c}` (U+{:04X}) is a styled letter, not the ASCII one", u32::from(c)));
    }
    let mut latin = false;
    let mut odd = None;
    for c in letters.chars() {
        match script(c) {
            "Latin" => latin = true,
            "other" => {}
            name => odd = odd.or(Some((c, name))),
        }
    }
    if let (true, Some((c, name))) = (latin, odd) {
        return Some(format!("`{c}` is {name} (U+{:04X}) among Latin letters", u32::from(c)));
    }
    // A whole word of another script that an eye reads as Latin: `сор`.
    let whole = letters.chars().all(|c| "аԁеһіјӏорсѕуԛԝхʏѵԍАВЕНІЈКМОРЅТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρυ".contains(c));
    whole.then(|| format!("`{letters}` is {}, though it looks Latin", script(letters.chars().next().unwrap_or('a'))))
}

/// The script of a letter, as far as letters of it pass for Latin ones; all else is one script.
fn script(c: char) -> &'static str {
    match u32::from(c) {
        0x41..=0x24f | 0x1e00..=0x1eff | 0x2c60..=0x2c7f | 0xa720..=0xa7ff => "Latin",
        0x370..=0x3ff | 0x1f00..=0x1fff => "Greek",
        0x400..=0x52f | 0x1c80..=0x1c8f | 0x2de0..=0x2dff | 0xa640..=0xa69f => "Cyrillic",
        0x530..=0x58f => "Armenian",
        0x13a0..=0x13ff | 0xab70..=0xabbf => "Cherokee",
        0xa4d0..=0xa4ff => "Lisu",
        0x250..=0x2af | 0x1d00..=0x1dbf => "phonetic",
        _ => "other",
    }
}

/// Marks that pass for one of ASCII.
fn mark(c: char) -> Option<char> {
    Some(match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' => '/',
        '\u{2024}' | '\u{ff0e}' => '.',
        '\u{2236}' | '\u{a789}' | '\u{ff1a}' => ':',
        '\u{ff1d}' | '\u{a78a}' => '=',
        '\u{201a}' | '\u{ff0c}' => ',',
        '\u{ff1b}' | '\u{37e}' => ';',
        _ => return None,
    })
}
