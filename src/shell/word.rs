use super::reader::{Reader, Result, ends_a_word};
use super::{Piece, Shell, Word};

/// How a shell treats a word, by where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Context {
    /// It becomes arguments.
    Argument,
    /// It stays one, and names no files: a variable's value, a here-string.
    Value,
    /// It stays one: what `case` and `[[` compare.
    Pattern,
}

/// The most words that braces may become.
const VARIANTS: usize = 64;

/// A word as it is being read.
#[derive(Default)]
pub(super) struct Lexed {
    /// What it becomes: one word, and more by braces.
    pub(super) words: Vec<Word>,
    /// It holds no quotes and no expansion.
    pub(super) bare: bool,
    /// It is only digits, whatever they are.
    pub(super) number: bool,
    braces: Braces,
    expands: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Braces {
    #[default]
    None,
    /// `{}`, `@{u}`: as they are, as long as nothing after them makes them more.
    Literal,
    /// As `Literal`, with a comma or `..` after them: another `}` would make them more.
    Doubtful,
    /// `{a,b}`.
    Expanded,
}

impl Lexed {
    pub(super) fn new() -> Self {
        Self { words: vec![Word::default()], bare: true, ..Self::default() }
    }

    /// The one word that it is.
    pub(super) fn one(mut self) -> Result<Word> {
        match (self.words.pop(), self.words.is_empty()) {
            (Some(word), true) => Ok(word),
            _ => Err("braces that become several words"),
        }
    }

    /// Whether nothing of it is there yet.
    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| word.pieces.iter().all(|piece| matches!(piece, Piece::Text(text) if text.is_empty())))
    }

    pub(super) fn push_text(&mut self, text: &[u8]) {
        self.number &= text.is_empty();
        for word in &mut self.words {
            match word.pieces.last_mut() {
                Some(Piece::Text(last)) => last.extend_from_slice(text),
                _ => word.pieces.push(Piece::Text(text.to_vec())),
            }
        }
    }

    pub(super) fn push(&mut self, piece: &Piece, splits: bool) {
        for word in &mut self.words {
            word.splits |= splits;
            word.pieces.push(piece.clone());
        }
        self.bare = false;
        self.expands = true;
        self.number = false;
    }

    fn push_glob(&mut self, glob: &[u8], context: Context) {
        if context == Context::Value {
            self.push_text(glob);
            return;
        }
        for word in &mut self.words {
            match word.pieces.last_mut() {
                Some(Piece::Glob(last)) => last.extend_from_slice(glob),
                _ => word.pieces.push(Piece::Glob(glob.to_vec())),
            }
        }
        self.bare = false;
    }
}

impl<'a> Reader<'a> {
    /// Reads a word; it must begin here.
    pub(super) fn word(&mut self, context: Context) -> Result<Lexed> {
        let start = self.at;
        let mut word = Lexed::new();
        while let Some(byte) = self.peek() {
            match byte {
                _ if is_plain(byte) => {
                    let length = self.rest().iter().position(|byte| !is_plain(*byte)).unwrap_or(self.rest().len());
                    let run = &self.rest()[..length];
                    if word.braces == Braces::Literal && (run.contains(&b',') || run.windows(2).any(|pair| pair == b"..")) {
                        word.braces = Braces::Doubtful;
                    }
                    word.push_text(run);
                    self.at += length;
                }
                b'<' | b'>' if self.text.get(self.at + 1) == Some(&b'(') => self.process(&mut word, start, context)?,
                b'(' => return Err("an open parenthesis after a word"),
                _ if ends_a_word(byte) => break,
                b'\'' => {
                    let inside = self.single_quoted()?;
                    word.push_text(inside);
                    word.bare = false;
                }
                b'"' => {
                    self.at += 1;
                    // What is quoted is an argument even where it is empty.
                    word.push_text(b"");
                    self.double_quoted(&mut word)?;
                    word.bare = false;
                }
                b'\\' => {
                    let escaped = self.escaped()?;
                    word.push_text(&[escaped]);
                    word.bare = false;
                }
                b'$' | b'`' => self.expansion(&mut word, context)?,
                b'*' | b'?' => {
                    word.push_glob(&[byte], context);
                    self.at += 1;
                }
                b'[' => self.bracket(&mut word, start, context)?,
                b'{' => self.braces(&mut word, context)?,
                b'}' if matches!(word.braces, Braces::None | Braces::Literal) => self.literal(&mut word),
                b'~' => self.tilde(&mut word, start)?,
                b'!' | b']' => self.literal(&mut word),
                b'#' if self.at > start => self.literal(&mut word),
                _ if !byte.is_ascii() => {
                    self.letter()?;
                    word.push_text(&[byte]);
                    word.bare = false;
                }
                _ => return Err("a character that is not plain"),
            }
        }
        if self.at == start {
            return Err("an operator where a word should be");
        }
        if word.braces != Braces::None && word.expands {
            return Err("braces and an expansion in one word");
        }
        if self.heredocs.is_some_and(|after| self.at > after.line_end) {
            return Err("a newline between a command and its text");
        }
        if matches!(self.peek(), Some(b'<' | b'>')) {
            if word.braces != Braces::None {
                return Err("a redirection that sets a variable");
            }
            if self.text[start..self.at].iter().all(u8::is_ascii_digit) {
                return Err("a number that some shells take for a redirection's");
            }
        }
        // What braces leave empty is no word.
        if word.words.len() > 1 {
            word.words.retain(|word| !word.pieces.is_empty());
        }
        for word in word.words.iter_mut().filter(|word| word.pieces.len() > 1) {
            word.pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        }
        Ok(word)
    }

    fn literal(&mut self, word: &mut Lexed) {
        word.push_text(&self.text[self.at..=self.at]);
        self.at += 1;
    }

    /// Goes over `'…'` and gives what is in it.
    pub(super) fn single_quoted(&mut self) -> Result<&'a [u8]> {
        let start = self.at + 1;
        let length = self.text[start..].iter().position(|byte| *byte == b'\'').ok_or("an open quote")?;
        self.at = start + length + 1;
        Ok(&self.text[start..start + length])
    }

    fn escaped(&mut self) -> Result<u8> {
        let escaped = match self.text.get(self.at + 1) {
            None => return Err("a backslash at the end"),
            Some(b'\n') => return Err("a line that goes on within a word"),
            Some(&escaped) if escaped.is_ascii_graphic() || escaped == b' ' => escaped,
            Some(_) => return Err("an escape that the strict reader does not know"),
        };
        self.at += 2;
        Ok(escaped)
    }

    /// Goes over a byte that is no ASCII.
    pub(super) fn letter(&mut self) -> Result<()> {
        self.at += 1;
        match self.peek() {
            // In some encodings such a byte and one of these are one letter.
            Some(b'\\' | b'`' | b'|' | b'{' | b'}' | b'~' | b'[' | b']') => Err("a letter that might be longer than it looks"),
            _ => Ok(()),
        }
    }

    fn tilde(&mut self, word: &mut Lexed, start: usize) -> Result<()> {
        if self.at == start {
            let after = self.text.get(self.at + 1);
            let process = matches!(self.rest(), [_, b'<' | b'>', b'(', ..]);
            if process || after.is_some_and(|after| *after != b'/' && !ends_a_word(*after)) {
                return Err("a home directory that is another's");
            }
            word.push(&Piece::Home, false);
            word.expands = false;
            self.at += 1;
            return Ok(());
        }
        match self.text[self.at - 1] {
            before if before.is_ascii_alphanumeric() || matches!(before, b'_' | b'.' | b'-' | b'/' | b'^') => {
                self.literal(word);
                Ok(())
            }
            _ => Err("a tilde that a shell might expand"),
        }
    }

    /// Reads `[…]` of plain characters.
    fn bracket(&mut self, word: &mut Lexed, start: usize, context: Context) -> Result<()> {
        let alone = self.at == start && self.text.get(self.at + 1).is_none_or(|after| ends_a_word(*after));
        if alone {
            self.literal(word);
            return Ok(());
        }
        let rest = self.rest();
        let mut length = 1 + usize::from(matches!(rest.get(1), Some(b'!' | b'^')));
        let first = length;
        loop {
            match rest.get(length) {
                Some(b']') if length > first => break,
                Some(b'[') => {
                    let class = &rest[length..];
                    let name = class.strip_prefix(b"[:").ok_or("a bracket in a bracket")?;
                    let letters = name.iter().position(|byte| !byte.is_ascii_lowercase()).ok_or("a bracket that stays open")?;
                    if letters == 0 || !name[letters..].starts_with(b":]") {
                        return Err("a bracket in a bracket");
                    }
                    length += letters + 4;
                }
                Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') => length += 1,
                _ => return Err("a bracket that is not plain"),
            }
        }
        word.push_glob(&rest[..=length], context);
        self.at += length + 1;
        Ok(())
    }

    /// Reads `{…}` of plain characters.
    fn braces(&mut self, word: &mut Lexed, context: Context) -> Result<()> {
        let rest = self.rest();
        let alone = word.words[0].pieces.is_empty() && rest.get(1).is_none_or(|after| ends_a_word(*after));
        if alone && context == Context::Argument {
            self.literal(word);
            word.braces = Braces::Doubtful;
            return Ok(());
        }
        let length = rest[1..].iter().position(|byte| !is_plain(*byte)).ok_or("a brace that stays open")?;
        if rest[length + 1] != b'}' {
            return Err("braces that are not plain");
        }
        let inside = &rest[1..=length];
        let several = if inside.contains(&b',') {
            if inside.windows(2).any(|pair| pair == b"..") {
                return Err("braces that hold a comma and dots");
            }
            Some(inside.split(|byte| *byte == b',').map(<[u8]>::to_vec).collect())
        } else if inside.windows(2).any(|pair| pair == b"..") {
            Some(sequence(inside)?)
        } else {
            None
        };
        self.at += length + 2;
        let Some(several) = several else {
            if !matches!(word.braces, Braces::None | Braces::Literal) {
                return Err("braces of two kinds in one word");
            }
            word.braces = Braces::Literal;
            word.push_text(&rest[..length + 2]);
            return Ok(());
        };
        if self.shell == Shell::Posix || context != Context::Argument {
            return Err("braces that only some shells expand");
        }
        if !matches!(word.braces, Braces::None | Braces::Expanded) {
            return Err("braces of two kinds in one word");
        }
        word.braces = Braces::Expanded;
        word.bare = false;
        word.multiply(&several)
    }
}

impl Lexed {
    fn multiply(&mut self, several: &[Vec<u8>]) -> Result<()> {
        if self.words.len() * several.len() > VARIANTS {
            return Err("braces that become too many words");
        }
        let mut words = Vec::with_capacity(self.words.len() * several.len());
        for before in &self.words {
            for text in several {
                let mut word = before.clone();
                match word.pieces.last_mut() {
                    _ if text.is_empty() => {}
                    Some(Piece::Text(last)) => last.extend_from_slice(text),
                    _ => word.pieces.push(Piece::Text(text.clone())),
                }
                words.push(word);
            }
        }
        self.words = words;
        Ok(())
    }
}

/// What `{1..5}` or `{a..e}` becomes.
fn sequence(inside: &[u8]) -> Result<Vec<Vec<u8>>> {
    const WHY: &str = "a sequence that is not plain";
    let dots = inside.windows(2).position(|pair| pair == b"..").ok_or(WHY)?;
    let (from, to) = (&inside[..dots], &inside[dots + 2..]);
    if let ([from @ b'a'..=b'z'], [to @ b'a'..=b'z']) | ([from @ b'A'..=b'Z'], [to @ b'A'..=b'Z']) = (from, to) {
        return if from <= to { Ok((*from..=*to).map(|letter| vec![letter]).collect()) } else { Err(WHY) };
    }
    let number = |text: &[u8]| -> Option<u32> {
        let plain = text == b"0" || text.first().is_some_and(|digit| matches!(digit, b'1'..=b'9'));
        if plain && text.len() < 6 { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
    };
    let (from, to) = (number(from).ok_or(WHY)?, number(to).ok_or(WHY)?);
    if from > to || (to - from) as usize >= VARIANTS {
        return Err(WHY);
    }
    Ok((from..=to).map(|number| number.to_string().into_bytes()).collect())
}

/// Bytes that are themselves wherever they stand in a word.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b',' | b'+' | b'@' | b'%' | b'=' | b'^')
}
