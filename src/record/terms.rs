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

/// Gives out the terms of a record, which is checked canonical JSON; some more than once.
pub fn terms(record: &str, mut each: impl FnMut(Field, &str)) {
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

    fn value(&mut self, each: &mut impl FnMut(Field, &str)) {
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
                        each(Field::User, &self.text[from..self.at]);
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
        while let Some(byte) = self.next() {
            match byte {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let text = self.text.get(from..self.at).unwrap_or_default();
        self.at += 1;
        text
    }

    fn text(&self, raw: &str, each: &mut impl FnMut(Field, &str)) {
        if self.path.first().is_some_and(|name| NOT_TEXT.contains(name)) || self.path.contains(&"evidence") {
            return;
        }
        let unescaped = raw.contains('\\').then(|| serde_json::from_str::<String>(&format!("\"{raw}\"")).ok()).flatten();
        let text = unescaped.map_or(Cow::Borrowed(raw), Cow::Owned);
        let field = match self.path[..] {
            ["actor", "user"] => Some(Field::User),
            ["cmd", "program"] => Some(Field::Program),
            ["decision", "rules" | "result" | "effect"] | ["decision", "rules", "id"] | ["policy", "rules"] => {
                let rule = self.path.contains(&"rules");
                Some(if rule { Field::Rule } else { Field::Decision })
            }
            _ => None,
        };
        if let Some(field) = field {
            each(field, cut(&text));
        }
        let bytes = self.path.last().filter(|name| **name == "b64").and_then(|_| STANDARD.decode(raw).ok());
        match bytes {
            Some(bytes) => words(&String::from_utf8_lossy(&bytes), |word| each(Field::Word, word)),
            None => words(&text, |word| each(Field::Word, word)),
        }
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
        terms(record, |field, text| {
            for (at, term) in self.terms.iter().enumerate() {
                if term.is(field, text) {
                    missing &= !(1 << at.min(63));
                }
            }
        });
        missing == 0
    }
}
