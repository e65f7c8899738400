//! Files of `[section]` and `key = value` lines, as the command lines of AWS and Google Cloud keep them.

/// The values of one section's keys, in order. Anything that readers of such files differ in is an error in words.
pub(super) fn section(text: &str, wanted: impl Fn(&str) -> bool) -> Result<Option<Vec<(&str, &str)>>, String> {
    let mut found: Option<Vec<(&str, &str)>> = None;
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.split_once(']').map(|(name, _)| name.trim()).ok_or("a section's name has no end")?;
            inside = wanted(name);
            if inside && found.replace(Vec::new()).is_some() {
                return Err(format!("the section `{name}` stands twice"));
            }
        } else if inside && !line.starts_with([' ', '\t']) {
            // A line that is indented belongs to the value before it.
            let (key, value) = trimmed.split_once('=').ok_or("a line is neither a section nor a value")?;
            found.get_or_insert_default().push((key.trim(), value.trim()));
        }
    }
    Ok(found)
}

/// The one value of a key.
pub(super) fn value<'a>(section: &[(&'a str, &'a str)], key: &str) -> Result<Option<&'a str>, String> {
    let mut values = section.iter().filter(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(format!("`{key}` stands twice")),
        (value, None) => Ok(value.filter(|value| !value.is_empty())),
    }
}
