use crate::tool::Part;

/// Whether a whole text fits a pattern in which `*` is any run of bytes and everything else is itself.
///
/// Linear in text times pattern at worst, with no recursion.
pub(crate) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    // Most patterns that do not fit end otherwise.
    if let Some(last) = pattern.last()
        && *last != b'*'
        && text.last() != Some(last)
    {
        return false;
    }
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

/// Whether some text that has this shape fits the pattern.
///
/// Both are automata of a line; what they have in common is looked for breadth first, so the work is pattern times shape.
pub(crate) fn meets(pattern: &[u8], shape: &[Part]) -> bool {
    let mut flat: Vec<Step> = Vec::new();
    for part in shape {
        match part {
            Part::Text(text) => flat.extend(text.iter().map(|byte| Step::Byte(*byte))),
            // What a shell's glob finds begins with a dot only where that is written (POSIX.1-2017, XCU 2.13.3).
            Part::Name if matches!(flat.last(), None | Some(Step::Byte(b'/'))) => flat.extend([Step::Head, Step::Name]),
            Part::Name => flat.push(Step::Name),
            // A letter is up to four bytes long; a glob that finds nothing stands for itself, and so may be longer.
            Part::Letter => flat.extend([Step::Letter, Step::Letter, Step::Letter, Step::Letter]),
            Part::Any => flat.push(Step::Any),
        }
    }
    if flat.len() * pattern.len() > MOST_STEPS {
        return true;
    }
    // Row p: which places of the shape are reached after p bytes of the pattern.
    let mut reached = closed(&flat, vec![true]);
    for wanted in pattern {
        let mut next = vec![false; flat.len() + 1];
        for at in (0..=flat.len()).filter(|at| reached[*at]) {
            if *wanted == b'*' {
                // It takes any part of the shape, so that every later place is reached.
                next[at..].fill(true);
                break;
            }
            match flat.get(at) {
                Some(Step::Byte(byte)) if byte == wanted => next[at + 1] = true,
                Some(Step::Head) if !matches!(wanted, b'/' | b'.') => next[at + 1] = true,
                Some(Step::Letter) if *wanted != b'/' => next[at + 1] = true,
                Some(Step::Name) if *wanted != b'/' => next[at] = true,
                Some(Step::Any) => next[at] = true,
                _ => {}
            }
        }
        reached = closed(&flat, next);
    }
    reached[flat.len()]
}

/// More than this is taken as a meeting.
const MOST_STEPS: usize = 1 << 20;

enum Step {
    Byte(u8),
    /// The first letter of a name, where there is one; what follows it always is a `Name`.
    Head,
    Name,
    /// A byte, or none.
    Letter,
    Any,
}

/// The gaps of a shape may be empty.
fn closed(flat: &[Step], mut reached: Vec<bool>) -> Vec<bool> {
    reached.resize(flat.len() + 1, false);
    for at in 0..flat.len() {
        match flat[at] {
            _ if !reached[at] => {}
            Step::Byte(_) => {}
            Step::Head => reached[at + 2] = true,
            Step::Name | Step::Letter | Step::Any => reached[at + 1] = true,
        }
    }
    reached
}

/// Whether every text that has this shape fits the pattern: only a `*` of the pattern takes what is not known.
pub(crate) fn covers(pattern: &[u8], shape: &[Part]) -> bool {
    let mut text = Vec::new();
    for part in shape {
        match part {
            Part::Text(known) => text.extend_from_slice(known),
            // No argument and no pattern holds a NUL.
            Part::Name | Part::Letter | Part::Any => text.push(0),
        }
    }
    !pattern.contains(&0) && fits(pattern, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every text of a shape whose gaps hold up to two letters.
    fn texts(shape: &[Part]) -> Vec<Vec<u8>> {
        let runs = |slash: bool| {
            let letters: &[u8] = if slash { b"ab/." } else { b"ab" };
            let mut runs = vec![Vec::new()];
            runs.extend(letters.iter().map(|one| vec![*one]));
            runs.extend(letters.iter().flat_map(|one| letters.iter().map(move |two| vec![*one, *two])));
            runs
        };
        shape.iter().fold(vec![Vec::new()], |texts, part| {
            let tails = match part {
                Part::Text(text) => vec![text.clone()],
                Part::Name => runs(false),
                Part::Letter => vec![b"a".to_vec(), b"b".to_vec()],
                Part::Any => runs(true),
            };
            texts.iter().flat_map(|text| tails.iter().map(move |tail| [text.as_slice(), tail].concat())).collect()
        })
    }

    fn shapes() -> impl Strategy<Value = Vec<Part>> {
        let part =
            prop_oneof!["[ab/]{1,2}".prop_map(|text| Part::Text(text.into_bytes())), Just(Part::Name), Just(Part::Letter), Just(Part::Any)];
        proptest::collection::vec(part, 0..3)
    }

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
        fn a_shape_meets_a_pattern_that_one_of_its_texts_fits(pattern in "[ab/*]{0,4}", shape in shapes()) {
            let some = texts(&shape).iter().any(|text| fits(pattern.as_bytes(), text));
            let all = texts(&shape).iter().all(|text| fits(pattern.as_bytes(), text));
            prop_assert!(!some || meets(pattern.as_bytes(), &shape));
            prop_assert!(!covers(pattern.as_bytes(), &shape) || all);
        }

        #[test]
        fn a_text_fits_as_the_definition_has_it(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), defined(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
