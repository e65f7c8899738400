use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use super::error::Error;
use super::reader::Reader;
use super::verify::Report;
use crate::record::{Body, Kind, members};

/// What the indices have to hold, as far as the entries say. Each is a sum over keyed hashes:
/// the key is drawn anew for each check, so nobody can have prepared other rows with the same sum.
#[derive(Default)]
pub(super) struct Indices {
    keys: RandomState,
    requests: Sum,
    programs: Sum,
    uses: Sum,
}

/// A set of rows: how many, and the sum of their hashes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Sum {
    count: u64,
    sum: u64,
}

impl Sum {
    fn add(&mut self, hash: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

impl Indices {
    pub(super) fn expect(&mut self, seq: u64, body: &Body<'_>) {
        if let Some(request) = body.request {
            self.requests.add(self.keys.hash_one((request, seq)));
        }
        if let Some(jti) = body.raw("jti") {
            self.uses.add(self.keys.hash_one((&*unquote(jti), seq)));
        }
        let Some(cmd) = body.raw("cmd").and_then(|cmd| members(cmd.as_bytes()).ok()) else { return };
        if let Some((_, program)) = cmd.into_iter().find(|(name, _)| *name == "program" && body.kind == Kind::Decision) {
            self.programs.add(self.keys.hash_one((&*unquote(program), seq)));
        }
    }

    /// A grant's use outlives the entry that recorded it, so that no grant is used again: those from `first` on are compared.
    pub(super) fn finish(&self, reader: &Reader, first: u64, report: &mut Report) -> Result<(), Error> {
        let lists = [
            ("index of requests", self.requests, "SELECT req,seq FROM entry INDEXED BY entry_req WHERE req IS NOT NULL ORDER BY req,seq"),
            (
                "index of programs",
                self.programs,
                "SELECT program,seq FROM entry INDEXED BY entry_program WHERE program IS NOT NULL ORDER BY program,seq",
            ),
            ("list of used grants", self.uses, "SELECT jti,seq FROM token WHERE seq>=?1 ORDER BY jti"),
        ];
        for (name, expected, query) in lists {
            if self.scan(reader, query, first).map_err(|error| reader.failed(&error))? != Some(expected) {
                report.wrong(None, format!("the {name} does not say what the entries say"));
            }
        }
        Ok(())
    }

    /// Sums an index up; none where it is out of order, since a look-up would miss what a scan sees.
    fn scan(&self, reader: &Reader, query: &str, first: u64) -> rusqlite::Result<Option<Sum>> {
        let mut statement = reader.connection().prepare(query)?;
        let mut rows = match statement.parameter_count() {
            0 => statement.query([])?,
            _ => statement.query([i64::try_from(first).unwrap_or(i64::MAX)])?,
        };
        let mut sum = Sum::default();
        let mut before: (Vec<u8>, i64) = (Vec::new(), -1);
        while let Some(row) = rows.next()? {
            let (Ok(text), seq) = (row.get_ref(0)?.as_str(), row.get::<_, i64>(1)?) else { return Ok(None) };
            if (before.0.as_slice(), before.1) >= (text.as_bytes(), seq) {
                return Ok(None);
            }
            before.0.clear();
            before.0.extend_from_slice(text.as_bytes());
            before.1 = seq;
            let Ok(seq) = u64::try_from(seq) else { return Ok(None) };
            sum.add(self.keys.hash_one((text, seq)));
        }
        Ok(Some(sum))
    }
}

/// A JSON string's text; anything else as it stands.
fn unquote(raw: &str) -> Cow<'_, str> {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(raw), Cow::Owned),
    }
}
