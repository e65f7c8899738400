use serde_json::Value;

/// Integers beyond this lose digits in other readers; they are written as decimal strings.
pub(super) const MAX_INTEGER: u64 = (1 << 53) - 1;
const MAX_DEPTH: u8 = 64;

/// Bytes or a value outside gate's profile of RFC 8785.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotCanonical {
    /// Where it starts to differ; 0 for a value that cannot be written.
    pub at: usize,
    /// What is wrong, in words.
    pub what: &'static str,
}

/// Writes a value as RFC 8785 bytes: ASCII names, whole numbers within ±(2^53-1), no nulls.
pub fn canonical(value: &Value) -> Result<Vec<u8>, NotCanonical> {
    let bytes = serde_json::to_vec(value).map_err(|_| NotCanonical { at: 0, what: "a value that JSON cannot hold" })?;
    members_or_value(&bytes)?;
    Ok(bytes)
}

/// The members of a canonical object: name and value as they stand there.
pub type Members<'a> = Vec<(&'a str, &'a str)>;

/// Reads a canonical object; bytes that another encoder would write otherwise are refused, and so is a name that occurs twice.
pub fn members(bytes: &[u8]) -> Result<Members<'_>, NotCanonical> {
    let (members, is_object) = members_or_value(bytes)?;
    if is_object { Ok(members) } else { Err(NotCanonical { at: 0, what: "not an object" }) }
}

fn members_or_value(bytes: &[u8]) -> Result<(Members<'_>, bool), NotCanonical> {
    let text = std::str::from_utf8(bytes).map_err(|error| NotCanonical { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut reader = Reader { text, at: 0, members: Vec::with_capacity(16) };
    reader.value(0)?;
    if reader.at != bytes.len() {
        return Err(reader.wrong("bytes after the end"));
    }
    Ok((reader.members, bytes.first() == Some(&b'{')))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    members: Members<'a>,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &'static str) -> NotCanonical {
        NotCanonical { at: self.at, what }
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8, what: &'static str) -> Result<(), NotCanonical> {
        if self.next() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.wrong(what))
        }
    }

    fn value(&mut self, depth: u8) -> Result<(), NotCanonical> {
        match self.next() {
            Some(b'{') if depth < MAX_DEPTH => self.object(depth),
            Some(b'[') if depth < MAX_DEPTH => self.array(depth),
            Some(b'{' | b'[') => Err(self.wrong("nested too deep")),
            Some(b'"') => self.string(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b'n') => Err(self.wrong("a null")),
            _ => Err(self.wrong("not a value")),
        }
    }

    fn object(&mut self, depth: u8) -> Result<(), NotCanonical> {
        self.at += 1;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut before: Option<&'a str> = None;
        loop {
            let name = self.name()?;
            if before.is_some_and(|before| before >= name) {
                return Err(self.wrong("a name twice or out of order"));
            }
            before = Some(name);
            self.eat(b':', "no colon after a name")?;
            let from = self.at;
            self.value(depth + 1)?;
            if depth == 0 {
                self.members.push((name, &self.text[from..self.at]));
            }
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wrong("neither comma nor end after a member")),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self, depth: u8) -> Result<(), NotCanonical> {
        self.at += 1;
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.wrong("neither comma nor end after an item")),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// A member's name: printable ASCII that needs no escape.
    fn name(&mut self) -> Result<&'a str, NotCanonical> {
        self.eat(b'"', "no name")?;
        let from = self.at;
        self.skip(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
        match self.next() {
            Some(b'"') => {
                self.at += 1;
                Ok(&self.text[from..self.at - 1])
            }
            Some(_) => Err(self.wrong("a name that is not plain ASCII")),
            None => Err(self.wrong("a name without end")),
        }
    }

    fn string(&mut self) -> Result<(), NotCanonical> {
        self.at += 1;
        loop {
            self.skip(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let Some(byte) = self.next() else { return Err(self.wrong("a string without end")) };
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                _ => return Err(self.wrong("a raw control character")),
            }
        }
    }

    /// Goes on to the first byte that is not one of these.
    fn skip(&mut self, one_of: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !one_of(*byte)).unwrap_or(rest.len());
    }

    /// The one escape that RFC 8785 has for a character; every other spelling is refused.
    fn escape(&mut self) -> Result<(), NotCanonical> {
        let rest = &self.text.as_bytes()[self.at..];
        match rest.first() {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = rest.get(1..5).ok_or_else(|| self.wrong("an escape without end"))?;
                let control = match digits {
                    [b'0', b'0', high @ (b'0' | b'1'), low @ b'0'..=b'9'] => (high - b'0') * 16 + (low - b'0'),
                    [b'0', b'0', high @ (b'0' | b'1'), low @ b'a'..=b'f'] => (high - b'0') * 16 + (low - b'a' + 10),
                    _ => return Err(self.wrong("an escape that is not needed")),
                };
                if matches!(control, 8..=10 | 12 | 13) {
                    return Err(self.wrong("a long escape where a short one exists"));
                }
                self.at += 5;
            }
            _ => return Err(self.wrong("an escape that is not needed")),
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), NotCanonical> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.wrong("not a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn integer(&mut self) -> Result<(), NotCanonical> {
        let from = self.at;
        let negative = self.next() == Some(b'-');
        self.at += usize::from(negative);
        let digits = self.at;
        let mut number: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.next() {
            number = number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let leading_zero = self.text.as_bytes().get(digits) == Some(&b'0') && (negative || self.at - digits > 1);
        if self.at == digits || leading_zero || number > MAX_INTEGER || matches!(self.next(), Some(b'.' | b'e' | b'E')) {
            return Err(NotCanonical { at: from, what: "a number that is not a whole one within 53 bits" });
        }
        Ok(())
    }
}
