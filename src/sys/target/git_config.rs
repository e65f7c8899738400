//! Reads the text of a git configuration file as git-config(1) describes it, and nothing that git would refuse.

/// One line of a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The section, in lower case.
    pub section: Vec<u8>,
    /// The subsection, as written.
    pub subsection: Option<Vec<u8>>,
    /// The key, in lower case.
    pub key: Vec<u8>,
    /// The value; none for a key without `=`, which means true.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    /// Whether this is the `key` of that section and subsection.
    pub fn is(&self, section: &str, subsection: Option<&[u8]>, key: &str) -> bool {
        self.section == section.as_bytes() && self.subsection.as_deref() == subsection && self.key == key.as_bytes()
    }
}

/// Reads a file's bytes. What git would refuse, or would read differently from version to version, is an error in words.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut parser = Parser { bytes, at: 0, line: 1 };
    parser.entries().map_err(|what| format!("line {}: {what}", parser.line))
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Parser<'_> {
    /// The next byte; CRLF is one line end, and so is the end of the file.
    fn next(&mut self) -> u8 {
        let byte = match self.bytes.get(self.at..).unwrap_or_default() {
            [] => b'\n',
            [b'\r', b'\n', ..] => {
                self.at += 1;
                b'\n'
            }
            [byte, ..] => *byte,
        };
        self.at += 1;
        self.line += usize::from(byte == b'\n' && self.at < self.bytes.len());
        byte
    }

    fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn entries(&mut self) -> Result<Vec<Entry>, &'static str> {
        let mut entries = Vec::new();
        let mut section: Vec<u8> = Vec::new();
        while !self.ended() {
            match self.next() {
                byte if space(byte) => {}
                b'#' | b';' => while !self.ended() && self.next() != b'\n' {},
                b'[' => section = self.section()?,
                byte if byte.is_ascii_alphabetic() && !section.is_empty() => entries.push(self.entry(&section, byte)?),
                byte if byte.is_ascii_alphabetic() => return Err("a key before any section"),
                _ => return Err("neither a section nor a key"),
            }
        }
        Ok(entries)
    }

    /// What stands between the brackets, with a dot before the subsection.
    fn section(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut name = Vec::new();
        loop {
            match self.next() {
                b']' if name.is_empty() => return Err("a section without a name"),
                b']' => return Ok(name),
                byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => name.push(byte.to_ascii_lowercase()),
                b'\n' => return Err("an open section"),
                byte if space(byte) => break,
                _ => return Err("an odd section name"),
            }
        }
        loop {
            match self.next() {
                b'"' => break,
                b'\n' => return Err("an open section"),
                byte if space(byte) => {}
                _ => return Err("a subsection without quotes"),
            }
        }
        name.push(b'.');
        loop {
            match self.next() {
                b'\n' => return Err("an open subsection"),
                b'"' => break,
                b'\\' => match self.next() {
                    b'\n' => return Err("an open subsection"),
                    byte => name.push(byte),
                },
                byte => name.push(byte),
            }
        }
        if self.next() == b']' { Ok(name) } else { Err("more after a subsection") }
    }

    fn entry(&mut self, section: &[u8], first: u8) -> Result<Entry, &'static str> {
        let mut full = section.to_vec();
        full.push(b'.');
        full.push(first.to_ascii_lowercase());
        let mut after = loop {
            match self.next() {
                byte if byte.is_ascii_alphanumeric() || byte == b'-' => full.push(byte.to_ascii_lowercase()),
                byte => break byte,
            }
        };
        while matches!(after, b' ' | b'\t') {
            after = self.next();
        }
        let value = match after {
            b'\n' => None,
            b'=' => Some(self.value()?),
            _ => return Err("a key without `=`"),
        };
        if full.contains(&0) || value.as_ref().is_some_and(|value| value.contains(&0)) {
            return Err("a NUL byte");
        }
        Ok(named(&full, value))
    }

    fn value(&mut self) -> Result<Vec<u8>, &'static str> {
        let (mut value, mut quoted) = (Vec::new(), false);
        // Unquoted space counts only when something follows it.
        let mut spaces: Vec<u8> = Vec::new();
        loop {
            let byte = self.next();
            match byte {
                b'\n' if quoted => return Err("an open quote"),
                b'\n' => return Ok(value),
                byte if space(byte) && !quoted => {
                    if !value.is_empty() {
                        spaces.push(byte);
                    }
                    continue;
                }
                b';' | b'#' if !quoted => {
                    while !self.ended() && self.next() != b'\n' {}
                    return Ok(value);
                }
                _ => {}
            }
            value.append(&mut spaces);
            let escaped = (byte == b'\\').then(|| self.next());
            match (byte, escaped) {
                (_, Some(b'\n')) => {}
                (_, Some(b't')) => value.push(b'\t'),
                (_, Some(b'b')) => value.push(0x08),
                (_, Some(b'n')) => value.push(b'\n'),
                (_, Some(escaped @ (b'\\' | b'"'))) => value.push(escaped),
                (_, Some(_)) => return Err("an unknown escape"),
                (b'"', None) => quoted = !quoted,
                (byte, None) => value.push(byte),
            }
        }
    }
}

/// What git counts as space.
fn space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Splits `section.subsection.key` as git does: at the first and at the last dot.
fn named(full: &[u8], value: Option<Vec<u8>>) -> Entry {
    let dot = |byte: &u8| *byte == b'.';
    let first = full.iter().position(dot).unwrap_or(full.len());
    let last = full.iter().rposition(dot).unwrap_or(first);
    let subsection = (first < last).then(|| full[first + 1..last].to_vec());
    let key = full.get(last + 1..).unwrap_or_default().to_vec();
    Entry { section: full[..first].to_vec(), subsection, key, value }
}
