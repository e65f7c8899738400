use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::sshsig::Sshsig;
use crate::key::ssh::{PRESENT, Unusable, VERIFIED, Wire, fingerprint};

/// A file with more lines than this is not read.
const MOST_LINES: usize = 100_000;

/// Who may sign for what and when: OpenSSH's `allowed_signers` (ssh-keygen(1), ALLOWED SIGNERS).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AllowedSigners {
    lines: Vec<Line>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    principals: String,
    namespaces: Option<String>,
    /// Seconds since 1970, both included.
    after: Option<i64>,
    before: Option<i64>,
    blob: Vec<u8>,
}

/// A line that gate does not take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadLine {
    /// Which one, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// What a signature has to meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted<'a> {
    /// Whose it has to be; a principal of the file.
    pub identity: &'a str,
    /// What it has to be made for.
    pub namespace: &'a str,
    /// When the key has to be valid, in nanoseconds since 1970.
    pub at: i64,
    /// Whether a security key has to know who touches it. That somebody touches it is always wanted.
    pub user_verified: bool,
}

/// Who signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signer {
    /// The principals of the line that names the key.
    pub principals: String,
    /// `SHA256:…` of the key.
    pub fingerprint: String,
    /// What a security key says of the touch: [`PRESENT`], [`VERIFIED`].
    pub flags: Option<u8>,
}

/// Why a signature is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotVouched {
    /// It is malformed, of a kind that gate does not verify, or does not hold.
    Signature(Unusable),
    /// It was made for something else: for what.
    Namespace(String),
    /// No line lets this key sign here for this principal: its fingerprint.
    Key(String),
    /// The key may sign, but not at that time: its fingerprint.
    Time(String),
    /// Nobody touched the security key.
    NotTouched,
    /// The security key did not know who touched it.
    NotVerified,
}

impl fmt::Display for NotVouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(why) => write!(f, "{why}"),
            Self::Namespace(other) => write!(f, "it was made for `{other}`"),
            Self::Key(fingerprint) => write!(f, "the key {fingerprint} is not among the allowed signers for it"),
            Self::Time(fingerprint) => write!(f, "the key {fingerprint} was not valid at that time"),
            Self::NotTouched => f.write_str("nobody touched the security key"),
            Self::NotVerified => f.write_str("the security key did not check who touched it"),
        }
    }
}

impl From<Unusable> for NotVouched {
    fn from(why: Unusable) -> Self {
        Self::Signature(why)
    }
}

impl AllowedSigners {
    /// Reads the whole file; a line that cannot be read refuses all of it.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let wrong = |what: String| BadLine { line: number + 1, what };
            if number == MOST_LINES {
                return Err(wrong("the file is too long".to_owned()));
            }
            let line = line.trim_matches([' ', '\t']);
            if !line.is_empty() && !line.starts_with('#') {
                lines.push(Line::parse(line).map_err(wrong)?);
            }
        }
        Ok(Self { lines })
    }

    /// Whether one of them made this armored signature over the message, as wanted.
    pub fn vouch(&self, wanted: &Wanted<'_>, message: &[u8], armored: &str) -> Result<Signer, NotVouched> {
        let signature = Sshsig::parse(armored)?;
        if signature.namespace() != wanted.namespace {
            return Err(NotVouched::Namespace(signature.namespace().to_owned()));
        }
        let line = self.line(signature.key().blob(), wanted)?;
        let flags = signature.verify(message)?;
        if flags.is_some_and(|flags| flags & PRESENT == 0) {
            return Err(NotVouched::NotTouched);
        }
        if wanted.user_verified && flags.is_none_or(|flags| flags & VERIFIED == 0) {
            return Err(NotVouched::NotVerified);
        }
        Ok(Signer { principals: line.principals.clone(), fingerprint: signature.key().fingerprint(), flags })
    }

    fn line(&self, blob: &[u8], wanted: &Wanted<'_>) -> Result<&Line, NotVouched> {
        let mut fitting = self.lines.iter().filter(|line| {
            line.blob == blob
                && listed(&line.principals, wanted.identity)
                && line.namespaces.as_ref().is_none_or(|namespaces| listed(namespaces, wanted.namespace))
        });
        let Some(first) = fitting.next() else { return Err(NotVouched::Key(fingerprint(blob))) };
        let second = wanted.at.div_euclid(1_000_000_000);
        let valid = |line: &&Line| line.after.is_none_or(|after| second >= after) && line.before.is_none_or(|before| second <= before);
        std::iter::once(first).chain(fitting).find(valid).ok_or_else(|| NotVouched::Time(fingerprint(blob)))
    }
}

impl Line {
    fn parse(line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = split(line, &[' ', '\t'])?.into_iter().filter(|field| !field.is_empty()).collect();
        let [principals, rest @ ..] = fields.as_slice() else { return Err("it names nobody".to_owned()) };
        let mut read = Self { principals: unquoted(principals)?, namespaces: None, after: None, before: None, blob: Vec::new() };
        let key = match rest {
            [kind, key, ..] if key_of(kind, key).is_some() => key_of(kind, key),
            [options, kind, key, ..] => {
                read.options(options)?;
                key_of(kind, key)
            }
            _ => None,
        };
        read.blob = key.ok_or("it has no public key")?;
        Ok(read)
    }

    fn options(&mut self, options: &str) -> Result<(), String> {
        for option in split(options, &[','])? {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let twice = match name.to_ascii_lowercase().as_str() {
                "namespaces" => self.namespaces.replace(unquoted(value)?).is_some(),
                "valid-after" => self.after.replace(moment(value)?).is_some(),
                "valid-before" => self.before.replace(moment(value)?).is_some(),
                "cert-authority" => return Err("certificates are not supported; list the keys themselves".to_owned()),
                other => return Err(format!("`{other}` is no option that is supported")),
            };
            if twice {
                return Err(format!("`{name}` is given twice"));
            }
        }
        match (self.after, self.before) {
            (Some(after), Some(before)) if after >= before => Err("the key is never valid".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The key's bytes, where the line's word for its kind is the one in them.
fn key_of(kind: &str, key: &str) -> Option<Vec<u8>> {
    let blob = STANDARD.decode(key).ok()?;
    let named = Wire(&blob).text() == Some(kind);
    named.then_some(blob)
}

/// Splits where one of these stands outside of quotes.
fn split<'a>(text: &'a str, at: &[char]) -> Result<Vec<&'a str>, String> {
    if text.contains('\\') {
        return Err("backslashes are not supported".to_owned());
    }
    let mut quoted = false;
    let parts = text.split(|c| {
        quoted ^= c == '"';
        !quoted && at.contains(&c)
    });
    let parts = parts.collect();
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok(parts) }
}

/// A value without the quotes around it.
fn unquoted(value: &str) -> Result<String, String> {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    if inner.is_empty() || inner.contains('"') { Err(format!("`{value}` is not a value")) } else { Ok(inner.to_owned()) }
}

/// Reads `YYYYMMDD[HHMM[SS]]Z`. OpenSSH reads a time without `Z` in the zone of whoever reads the file, which vouches for nothing.
fn moment(value: &str) -> Result<i64, String> {
    let text = unquoted(value)?;
    let wrong = || format!("`{text}` is not a time; write it as `20260131Z` or `20260131120000Z`");
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(wrong)?;
    let number = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<i16>().ok());
    let (time, second) = match digits.len() {
        8 => (Some((0, 0)), Some(0)),
        12 => (number(8, 10).zip(number(10, 12)), Some(0)),
        14 => (number(8, 10).zip(number(10, 12)), number(12, 14)),
        _ => return Err(wrong()),
    };
    let small = |number: Option<i16>| number.and_then(|number| i8::try_from(number).ok());
    let read = || {
        let (hour, minute) = time?;
        let (month, day) = (small(number(4, 6))?, small(number(6, 8))?);
        let time =
            jiff::civil::DateTime::new(number(0, 4)?, month, day, small(Some(hour))?, small(Some(minute))?, small(second)?, 0).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    };
    read().ok_or_else(wrong)
}

/// Whether a list of patterns has a word: one fits, and none with `!` before it does (`ssh_config(5)`, PATTERNS).
fn listed(patterns: &str, word: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(never) if fits(never, word) => return false,
            Some(_) => {}
            None => found |= fits(pattern, word),
        }
    }
    found
}

/// `*` stands for any text, `?` for one character. Goes back to the last `*` only, so it ends soon on any pattern.
fn fits(pattern: &str, word: &str) -> bool {
    let (pattern, word): (Vec<char>, Vec<char>) = (pattern.chars().collect(), word.chars().collect());
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < word.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(c) if *c == '?' || *c == word[read] => (at, read) = (at + 1, read + 1),
            _ => {
                let Some((from, taken)) = star else { return false };
                (at, read) = (from + 1, taken + 1);
                star = Some((from, read));
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}
