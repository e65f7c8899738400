/// Whether a whole text fits a pattern in which `*` is any run of bytes and everything else is itself.
///
/// Linear in text times pattern at worst, with no recursion.
pub(crate) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += pattern[p..].iter().take_while(|byte| **byte == b'*').count();
                if p == pattern.len() {
                    return true;
                }
                retry = Some((p, t));
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, from)) = retry else { return false };
                // A star's run can only end before the byte that follows the star.
                let Some(ahead) = text[from + 1..].iter().position(|byte| *byte == pattern[after]) else { return false };
                (p, t) = (after, from + 1 + ahead);
                retry = Some((after, t));
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::fits;
    use proptest::prelude::*;

    /// The same by the definition.
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|run| defined(rest, &text[run..])),
            Some((byte, rest)) => text.first() == Some(byte) && defined(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_text_fits_as_the_definition_has_it(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), defined(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
