use std::borrow::Cow;

/// How sure it is what an argument will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Certainty {
    /// These very bytes.
    Known,
    /// One argument that is no option, its text only known when it runs (`{}`).
    Value,
    /// Any number of arguments, none of which is an option (a glob).
    Several,
    /// Anything: an option, several arguments, none.
    Anything,
}

/// A piece of an argument that is not known whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// These bytes.
    Text(Vec<u8>),
    /// Any run of bytes but slashes: what a shell's `*` finds.
    Name,
    /// One letter, which is no slash: what `?` and `[…]` find.
    Letter,
    /// Any run of bytes.
    Any,
}

/// One argument, and where in the argv it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg<'a> {
    /// Its text, as far as it is known.
    pub text: Cow<'a, [u8]>,
    /// How sure that is.
    pub certainty: Certainty,
    /// What is known of its text where that is not known whole; empty where nothing is.
    pub shape: Vec<Part>,
    /// Where a path that is only known when it runs begins: find's start points. Empty where nothing is known.
    pub roots: Vec<Vec<u8>>,
    /// The argv's word, and the byte in it where this begins; none for what a script holds.
    pub place: Option<(usize, usize)>,
}

impl<'a> Arg<'a> {
    /// An argument of the argv itself.
    pub fn known(index: usize, text: &'a [u8]) -> Self {
        Self { text: Cow::Borrowed(text), certainty: Certainty::Known, shape: Vec::new(), roots: Vec::new(), place: Some((index, 0)) }
    }

    /// A word that a script holds.
    pub fn inside(text: Vec<u8>) -> Self {
        Self { text: Cow::Owned(text), certainty: Certainty::Known, shape: Vec::new(), roots: Vec::new(), place: None }
    }

    /// The rest of this argument from byte `start` on.
    pub(crate) fn from(&self, start: usize) -> Self {
        let text = match &self.text {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[start..]),
            Cow::Owned(bytes) => Cow::Owned(bytes[start..].to_vec()),
        };
        Self {
            text,
            certainty: self.certainty,
            shape: self.shape.clone(),
            roots: self.roots.clone(),
            place: self.place.map(|(word, at)| (word, at + start)),
        }
    }

    /// Whether it may become more than one argument, or none.
    pub fn is_many(&self) -> bool {
        matches!(self.certainty, Certainty::Several | Certainty::Anything)
    }

    /// Whether the bytes are surely these.
    pub fn is_known(&self) -> bool {
        self.certainty == Certainty::Known
    }
}
