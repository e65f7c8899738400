//! What a record is found by: the words in it, and who, which program, which rules, which decision.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Of a longer word, or name, only so many bytes count.
const LONGEST: usize = 64;

/// The log's own members, which say nothing of what happened, and what approvers signed.
const NOT_TEXT: [&str; 7] = ["boot", "evidence", "kind", "log", "prev", "req", "ts"];

/// More terms than this are not looked for at once.
const MOST: usize = 32;

/// The fields that are names.
const NAMES: [Field; 4] = [Field::User, Field::Rule, Field::Program, Field::Decision];

/// What kind of term it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Field {
    /// A word anywhere in the text: a run of letters and digits, in lower case.
    Word,
    /// A user's name or uid.
    User,
    /// A rule's id.
    Rule,
    /// A program, by the name it was called.
    Program,
    /// What was decided (`allowed`, `denied`, …), or the effect (`allow`, `ask`, `deny`).
    Decision,
}

impl Field {
    /// One letter for each.
    pub fn letter(self) -> u8 {
        match self {
            Self::Word => b'w',
            Self::User => b'u',
            Self::Rule => b'r',
            Self::Program => b'p',
            Self::Decision => b'd',
        }
    }
}

/// A value of a record that terms are taken from. The same value has the same terms wherever it stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Text<'a> {
    what: What,
    /// As it stands in the record.
    pub raw: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum What {
    /// Words.
    Words,
    /// Words in base64.
    Bytes,
    /// A name of this kind, and words.
    Named(Field),
    /// A uid, which is no word.
    Uid,
}

impl Text<'_> {
    /// One letter for what is made of it: two values are the same when this and `raw` are.
    pub fn letter(&self) -> u8 {
        match self.what {
            What::Words => b'w',
            What::Bytes => b'b',
            What::Named(field) => field.letter(),
            What::Uid => b'i',
        }
    }

    /// The value with this letter; none where no value has it.
    pub fn of(letter: u8, raw: &str) -> Option<Text<'_>> {
        let what = [What::Words, What::Bytes, What::Uid].into_iter().chain(NAMES.map(What::Named));
        what.map(|what| Text { what, raw }).find(|text| text.letter() == letter)
    }

    /// Gives out its terms; some more than once.
    pub fn terms(&self, mut each: impl FnMut(Field, &str)) {
        if self.what == What::Uid {
            return each(Field::User, cut(self.raw));
        }
        let unescaped = self.raw.contains('\\').then(|| serde_json::from_str::<String>(&format!("\"{}\"", self.raw)).ok()).flatten();
        let text = unescaped.map_or(Cow::Borrowed(self.raw), Cow::Owned);
        if let What::Named(field) = self.what {
            each(field, cut(&text));
        }
        match (self.what == What::Bytes).then(|| STANDARD.decode(self.raw).ok()).flatten() {
            Some(bytes) => words(&String::from_utf8_lossy(&bytes), |word| each(Field::Word, word)),
            None => words(&text, |word| each(Field::Word, word)),
        }
    }
}

/// Gives out the values of a record, which is checked canonical JSON, that it is found by.
pub fn texts<'a>(record: &'a str, mut each: impl FnMut(Text<'a>)) {
    let mut reader = Reader { text: record, at: 0, path: Vec::with_capacity(8) };
    reader.value(&mut each);
}

/// A walk over JSON that is known to be whole; of anything else it makes something, and never fails.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The names of the members that the walk is in.
    path: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn value(&mut self, each: &mut impl FnMut(Text<'a>)) {
        // Depth is bounded where a record is parsed; here no more than the place is kept.
        let mut open: Vec<bool> = Vec::with_capacity(8);
        while let Some(byte) = self.next() {
            match byte {
                b'"' => {
                    let text = self.string();
                    if self.next() == Some(b':') && open.last() == Some(&true) {
                        self.path.push(text);
                    } else {
                        self.text(text, each);
                        self.end_of_value(&open);
                    }
                }
                b'{' | b'[' => {
                    self.at += 1;
                    open.push(byte == b'{');
                }
                b'}' | b']' => {
                    self.at += 1;
                    open.pop();
                    self.end_of_value(&open);
                }
                b',' | b':' => self.at += 1,
                _ => {
                    let from = self.at;
                    while self.next().is_some_and(|byte| !matches!(byte, b',' | b'}' | b']')) {
                        self.at += 1;
                    }
                    if self.path == ["actor", "uid"] {
                        each(Text { what: What::Uid, raw: &self.text[from..self.at] });
                    }
                    self.end_of_value(&open);
                }
            }
        }
    }

    /// A member's name is left behind with its value.
    fn end_of_value(&mut self, open: &[bool]) {
        if open.last() == Some(&true) {
            self.path.pop();
        }
    }

    /// The inside of a string, escapes as they stand.
    fn string(&mut self) -> &'a str {
        self.at += 1;
        let from = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
            match self.next() {
                Some(b'\\') => self.at += 2,
                _ => break,
            }
        }
        let text = self.text.get(from..self.at).unwrap_or_default();
        self.at += 1;
        text
    }

    fn text(&self, raw: &'a str, each: &mut impl FnMut(Text<'a>)) {
        if self.path.first().is_some_and(|name| NOT_TEXT.contains(name)) || self.path.contains(&"evidence") {
            return;
        }
        let what = match self.path[..] {
            ["actor", "user"] => What::Named(Field::User),
            ["cmd", "program"] => What::Named(Field::Program),
            ["decision", "result" | "effect"] => What::Named(Field::Decision),
            ["decision" | "policy", "rules"] | ["decision", "rules", "id"] => What::Named(Field::Rule),
            [.., "b64"] => What::Bytes,
            _ => What::Words,
        };
        each(Text { what, raw });
    }
}

/// The runs of letters and digits, in lower case.
fn words(text: &str, mut each: impl FnMut(&str)) {
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9')) {
            each(cut(word));
        } else {
            each(cut(&word.to_lowercase()));
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// One thing that a record has to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Term {
    /// What kind.
    pub field: Field,
    /// The term, or how it begins.
    pub text: String,
    /// Whether everything that begins so will do.
    pub begins: bool,
}

impl Term {
    fn is(&self, field: Field, text: &str) -> bool {
        self.field == field && if self.begins { text.starts_with(&self.text) } else { text == self.text }
    }
}

/// What is looked for: records that have all of it.
#[derive(Clone, Debug, Default)]
pub struct Query {
    terms: Vec<Term>,
}

impl Query {
    /// All words of a text; false where it has none. `WORD*` stands for all words that begin so.
    pub fn text(&mut self, text: &str) -> bool {
        let mut found = false;
        for part in text.split_whitespace() {
            let mut last = None;
            words(part, |word| {
                self.terms.push(Term { field: Field::Word, text: word.to_owned(), begins: false });
                last = Some(self.terms.len() - 1);
            });
            if let Some(last) = last {
                found = true;
                self.terms[last].begins = part.ends_with('*');
            }
        }
        found
    }

    /// A name as it is; `NAME*` stands for all that begin so.
    pub fn name(&mut self, field: Field, name: &str) {
        let (text, begins) = name.strip_suffix('*').map_or((name, false), |start| (start, true));
        self.terms.push(Term { field, text: cut(text).to_owned(), begins });
    }

    /// What a record has to have.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether it asks for more than is looked for at once.
    pub fn is_too_long(&self) -> bool {
        self.terms.len() > MOST
    }

    /// Whether a record, which is checked canonical JSON, has all of it.
    pub fn matches(&self, record: &str) -> bool {
        let mut missing: u64 = (1 << self.terms.len().min(63)) - 1;
        texts(record, |text| {
            text.terms(|field, text| {
                for (at, term) in self.terms.iter().enumerate() {
                    if term.is(field, text) {
                        missing &= !(1 << at.min(63));
                    }
                }
            });
        });
        missing == 0
    }
}
