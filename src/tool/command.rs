use std::borrow::Cow;
use std::collections::BTreeSet;

use super::arg::{Arg, Certainty, Part};
use crate::shell::{self, Input, Piece, Place, Redirection, Word};

/// A variable's name, and its value where that is known.
pub type Assigned = (Vec<u8>, Option<Vec<u8>>);

/// A command that another one runs, and what is known of how it runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inner<'a> {
    /// The program's name and its arguments.
    pub argv: Vec<Arg<'a>>,
    /// The variables that a script sets for it, with their values as far as these are known.
    pub assigned: Vec<Assigned>,
    /// Where it runs, as a script has it.
    pub place: Place,
    /// Its stdin is not that of the command around it.
    pub fed: bool,
    /// It was only seen by a tolerant reader, so that it may make an answer stricter and never milder.
    pub guessed: bool,
}

impl<'a> Inner<'a> {
    /// A command that runs as its wrapper does.
    pub fn plain(argv: Vec<Arg<'a>>) -> Self {
        Self { argv, ..Self::default() }
    }

    /// A command of a script, and each file that the shell opens for it as a command of its own: `>`, `>>` or `<`, and the file.
    pub(super) fn of(command: &shell::Command, guessed: bool) -> Vec<Self> {
        // A script may set a variable many times over.
        let known = command.assigned.iter().map(|(name, value)| (name.clone(), value.known()));
        let assigned: Vec<Assigned> = known.collect::<BTreeSet<_>>().into_iter().collect();
        let of = |argv: Vec<Arg<'a>>| Self {
            argv,
            assigned: assigned.clone(),
            place: command.place.clone(),
            fed: command.input != Input::Inherited,
            guessed,
        };
        let own = (!command.words.is_empty()).then(|| of(command.words.iter().map(arg).collect()));
        let files = command.files.iter().map(|file| of(vec![Arg::inside(operator(file).to_vec()), arg(&file.to)]));
        own.into_iter().chain(files).collect()
    }
}

/// What a run of `*`, `?` and `[…]` finds.
fn globbed(pattern: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'?' => parts.push(Part::Letter),
            b'[' => {
                // A bracket right behind the first one is one of the letters.
                let from = 1.min(tail.len()) + usize::from(matches!(tail, [b'!' | b'^', ..]));
                let Some(end) = tail.iter().skip(from).position(|byte| *byte == b']') else { return vec![Part::Name] };
                parts.push(Part::Letter);
                rest = &tail[from + end + 1..];
            }
            _ => parts.push(Part::Name),
        }
    }
    parts
}

fn operator(file: &Redirection) -> &'static [u8] {
    match (file.writes, file.appends) {
        (true, true) => b">>",
        (true, false) => b">",
        (false, _) => b"<",
    }
}

/// A script's word as an argument: known, or of a shape.
fn arg(word: &Word) -> Arg<'static> {
    let mut text = Vec::new();
    let mut shape: Vec<Part> = Vec::new();
    let (mut globs, mut unknown) = (false, false);
    for piece in &word.pieces {
        match piece {
            Piece::Text(known) => {
                text.extend_from_slice(known);
                shape.push(Part::Text(known.clone()));
            }
            // gate runs with an absolute HOME only, so that this is a path and no option.
            Piece::Home => {
                text.push(b'~');
                shape.push(Part::Text(b"~".to_vec()));
            }
            Piece::Glob(pattern) => {
                globs = true;
                text.extend_from_slice(pattern);
                shape.extend(globbed(pattern));
            }
            Piece::Unknown => {
                unknown = true;
                text.extend_from_slice(b"$");
                shape.push(Part::Any);
            }
        }
    }
    let begins = |byte: u8| matches!(shape.iter().find(|part| !matches!(part, Part::Text(text) if text.is_empty())), Some(Part::Text(text)) if (text[0] == b'-') == (byte == b'-'));
    let certainty = match (unknown, globs) {
        (false, false) => Certainty::Known,
        (true, _) if word.splits => Certainty::Anything,
        (true, false) if begins(b'x') => Certainty::Value,
        (false, true) if begins(b'x') => Certainty::Several,
        _ => Certainty::Anything,
    };
    // What is split may be anything, beginning with any word.
    let shape = if certainty == Certainty::Known || unknown && (word.splits || globs) { Vec::new() } else { shape };
    Arg { text: Cow::Owned(text), certainty, shape, roots: Vec::new(), place: None }
}
