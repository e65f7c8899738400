use std::collections::HashMap;
use std::rc::Rc;

use super::bundle::introduced;
use super::disclosed;
use super::error::{Error, Kind};
use super::head::Head;
use super::reader::Reader;
use super::show::Wanted;
use crate::key::Vkey;
use crate::record::disclosure::Disclosures;
use crate::record::export::Entry;
use crate::record::{Body, Hash, Kind as RecordKind, inclusion, leaf_hash, node_hash, signed_bytes, verify_inclusion};

/// How many entries are read and proved at once: what an archive's bundle holds, so that none is torn.
const BUNDLE: u64 = 256;

/// Decisions kept for the executions that follow them, in bytes.
const MOST_KEPT: usize = 4 * 1024 * 1024;

/// Record keys kept for the entries that they signed.
const MOST_KEYS: usize = 1000;

/// An entry whose bytes stand in the signed tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proved {
    /// Its place.
    pub seq: u64,
    /// Its bytes.
    pub body: Vec<u8>,
    /// The record key's signature. It is not checked yet: the signed tree vouches for the bytes.
    pub signature: Vec<u8>,
    /// The record key.
    pub key: Rc<Vkey>,
    /// Its leaf hash.
    pub leaf: Hash,
    /// What its digests are of, as far as it was not erased.
    pub disclosures: Disclosures,
    /// For an execution, the decision of the same request, proved as well, and what its digests are of.
    pub decision: Option<(Vec<u8>, Disclosures)>,
}

impl Proved {
    /// The entry, to be exported. Where its signature goes along, it has to hold.
    pub fn entry(&self, signed: bool) -> Result<Entry<'_>, Error> {
        if signed && !self.key.public().verifies(&signed_bytes(&self.body), &self.signature) {
            return Err(Error::new(Kind::Damaged, format!("entry {} is not signed by the record key", self.seq)));
        }
        let entry = Entry::new(&self.body, &self.signature, &self.key, self.leaf);
        entry
            .map(|entry| entry.disclosed(&self.disclosures))
            .map(|entry| entry.decided(self.decision.as_ref().map(|(bytes, disclosures)| (bytes.as_slice(), disclosures))))
            .map_err(|wrong| Error::new(Kind::Damaged, format!("entry {} is not a record of gate's: {wrong}", self.seq)))
    }
}

/// Entries in their order, each proved against the log's signed end before it is given out.
#[derive(Debug)]
pub struct Entries<'a> {
    reader: &'a Reader,
    head: Head,
    first: u64,
    next: u64,
    decisions: HashMap<String, Vec<u8>>,
    kept: usize,
    keys: HashMap<u64, Rc<Vkey>>,
}

impl Reader {
    /// All entries from this one on, each proved, as far as they are not in archives.
    pub fn proved(&self, from: u64) -> Result<Entries<'_>, Error> {
        let (head, first) = (self.signed_head()?, self.first_kept()?);
        Ok(Entries { reader: self, head, first, next: from.max(first), decisions: HashMap::new(), kept: 0, keys: HashMap::new() })
    }

    fn signed_head(&self) -> Result<Head, Error> {
        let head = self.head()?;
        if head.holds() { Ok(head) } else { Err(Error::new(Kind::Damaged, "the log's end is not signed by its key")) }
    }
}

impl Entries<'_> {
    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.head.origin
    }

    /// How many entries the signed end has that was read last.
    pub fn size(&self) -> u64 {
        self.head.frontier.size()
    }

    /// The next entry to be given out.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Goes on with this entry.
    pub fn go_to(&mut self, next: u64) {
        self.next = next.max(self.first);
    }

    /// Reads the log's end anew, to go on with what was added.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let head = self.reader.signed_head()?;
        if head.origin != self.head.origin || head.frontier.size() < self.size() {
            return Err(Error::new(Kind::Damaged, "the log was replaced by another one or an older copy while it was read"));
        }
        self.head = head;
        Ok(())
    }

    /// The next entries, at most a bundle of 256; none at the end. An error where one of them is not what the signed tree holds.
    pub fn bundle(&mut self) -> Result<Vec<Proved>, Error> {
        let size = self.size();
        if self.next >= size {
            return Ok(Vec::new());
        }
        let first = self.next - self.next % BUNDLE;
        let mut found = self.read(first, size.min(first + BUNDLE))?;
        self.prove(first, &found)?;
        found.retain(|entry| entry.seq >= self.next);
        for entry in &mut found {
            entry.disclosures = self.beside(&entry.body)?;
            let decision = self.decision_for(&entry.body)?;
            entry.decision = decision.map(|bytes| self.beside(&bytes).map(|disclosures| (bytes, disclosures))).transpose()?;
        }
        self.next = size.min(first + BUNDLE);
        Ok(found)
    }

    fn beside(&self, bytes: &[u8]) -> Result<Disclosures, Error> {
        disclosed::of(self.reader.connection(), bytes).map_err(|error| self.reader.failed(&error))
    }

    /// A body that is larger than any record is cut here, and does not hold then.
    fn read(&mut self, from: u64, to: u64) -> Result<Vec<Proved>, Error> {
        let reader = self.reader;
        let failed = |error| reader.failed(&error);
        let mut statement = reader
            .connection()
            .prepare("SELECT seq,substr(body,1,65536),substr(sig,1,256),keyid FROM entry WHERE seq>=?1 AND seq<?2 ORDER BY seq")
            .map_err(failed)?;
        let mut rows = statement.query([sql(from), sql(to)]).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let number = |column| row.get(column).map(|number: i64| u64::try_from(number).unwrap_or(u64::MAX)).map_err(failed);
            let (seq, epoch) = (number(0)?, number(3)?);
            let (body, signature): (Vec<u8>, Vec<u8>) = (row.get(1).map_err(failed)?, row.get(2).map_err(failed)?);
            let leaf = leaf_hash(&body);
            found.push(Proved { seq, body, signature, key: self.key(epoch, seq)?, leaf, disclosures: Disclosures::new(), decision: None });
        }
        match (from..to)
            .zip(found.iter().map(|entry| Some(entry.seq)).chain(std::iter::repeat(None)))
            .find(|(seq, found)| Some(*seq) != *found)
        {
            None => Ok(found),
            Some((seq, _)) => Err(Error::new(Kind::Damaged, format!("entry {seq} is missing"))),
        }
    }

    /// The record key that the entry `epoch` introduced, for the entry `seq`.
    fn key(&mut self, epoch: u64, seq: u64) -> Result<Rc<Vkey>, Error> {
        let wrong = || Error::new(Kind::Damaged, format!("entry {seq} names a record key that no entry before it introduced"));
        if let Some(key) = self.keys.get(&epoch).filter(|_| epoch <= seq) {
            return Ok(Rc::clone(key));
        }
        if let Some((key, record)) = self.reader.archived_key(epoch)? {
            self.included(record.seq, &leaf_hash(&record.body))?;
            let key = Rc::new(key);
            self.keys.insert(epoch, Rc::clone(&key));
            return Ok(key);
        }
        let found = self.reader.find(&Wanted::Entry(epoch))?;
        let body = found.first().filter(|_| epoch <= seq).map(|found| found.body.as_slice()).ok_or_else(wrong)?;
        self.included(epoch, &leaf_hash(body))?;
        let key = Body::parse(body).ok().and_then(|body| introduced(&body)).ok_or_else(wrong)?;
        // A log has few keys; one that claims many has them read again.
        if self.keys.len() > MOST_KEYS {
            self.keys.clear();
        }
        let key = Rc::new(key);
        self.keys.insert(epoch, Rc::clone(&key));
        Ok(key)
    }

    /// Proves all entries of a bundle at once: the hashes beside the first one's path inside the bundle are made from the
    /// others' bytes, and those outside come from the log, so that the signed root is reached only if all are as they were.
    fn prove(&self, first: u64, entries: &[Proved]) -> Result<(), Error> {
        let (size, root) = (self.size(), self.head.frontier.root());
        let last = first + entries.len() as u64;
        let leaves: Vec<Hash> = entries.iter().map(|entry| entry.leaf).collect();
        let proof = inclusion(first, size, &mut |level, index| {
            let (from, to) = (index << level, (index + 1) << level);
            if from >= first && to <= last {
                Ok(subtree(&leaves[slot(from - first)..slot(to - first)]))
            } else {
                self.reader.node(level, index)
            }
        })?;
        let holds = entries.first().is_some_and(|entry| verify_inclusion(&entry.leaf, first, size, &proof, &root).is_ok());
        if holds { Ok(()) } else { Err(self.changed(entries)) }
    }

    /// Names the entry that does not hold, where the hashes of the log still say which.
    fn changed(&self, entries: &[Proved]) -> Error {
        let differs = entries.iter().find(|entry| self.reader.node(0, entry.seq).ok() != Some(entry.leaf));
        // Where none of them holds, what is wrong stands elsewhere in the tree.
        let alone = || {
            let failing: Vec<&Proved> = entries.iter().filter(|entry| self.included(entry.seq, &entry.leaf).is_err()).collect();
            failing.first().copied().filter(|_| failing.len() < entries.len())
        };
        match differs.or_else(alone) {
            Some(entry) => {
                Error::new(Kind::Damaged, format!("entry {} was changed: the signed tree holds other bytes in its place", entry.seq))
            }
            None => Error::new(Kind::Damaged, "the tree is not what the log's end signs"),
        }
    }

    pub(super) fn included(&self, seq: u64, leaf: &Hash) -> Result<(), Error> {
        let (size, root) = (self.size(), self.head.frontier.root());
        let proof = inclusion(seq, size, &mut |level, index| self.reader.node(level, index))?;
        verify_inclusion(leaf, seq, size, &proof, &root)
            .map_err(|_| Error::new(Kind::Damaged, format!("entry {seq} was changed: the signed tree holds other bytes in its place")))
    }

    /// The decision that an execution rests on: kept from the entries before, else looked up by the request.
    fn decision_for(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Ok(body) = Body::parse(bytes) else { return Ok(None) };
        let Some(request) = body.request else { return Ok(None) };
        match body.kind {
            RecordKind::Decision => {
                if self.kept + bytes.len() > MOST_KEPT {
                    self.decisions.clear();
                    self.kept = 0;
                }
                self.kept += bytes.len();
                self.decisions.insert(request.to_owned(), bytes.to_vec());
                Ok(None)
            }
            RecordKind::ExecStart => Ok(match self.decisions.get(request) {
                Some(decision) => Some(decision.clone()),
                None => self.look_up(request)?,
            }),
            RecordKind::ExecReplace | RecordKind::ExecEnd | RecordKind::ExecFail => Ok(match self.decisions.remove(request) {
                Some(decision) => {
                    self.kept = self.kept.saturating_sub(decision.len());
                    Some(decision)
                }
                None => self.look_up(request)?,
            }),
            _ => Ok(None),
        }
    }

    fn look_up(&self, request: &str) -> Result<Option<Vec<u8>>, Error> {
        let failed = |error| self.reader.failed(&error);
        let mut statement = self
            .reader
            .connection()
            .prepare("SELECT seq,substr(body,1,65536) FROM entry WHERE req=?1 ORDER BY seq LIMIT 8")
            .map_err(failed)?;
        let rows = statement.query_map([request], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
        let rows: Vec<(i64, Vec<u8>)> = rows.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
        let decision = rows.into_iter().find(|(_, bytes): &(i64, Vec<u8>)| {
            Body::parse(bytes).is_ok_and(|body| body.kind == RecordKind::Decision && body.request == Some(request))
        });
        let Some((seq, bytes)) = decision else { return Ok(None) };
        self.included(u64::try_from(seq).unwrap_or(u64::MAX), &leaf_hash(&bytes))?;
        Ok(Some(bytes))
    }
}

/// The hash over a complete subtree.
fn subtree(leaves: &[Hash]) -> Hash {
    if leaves.len() < 2 {
        return leaves.first().copied().unwrap_or_default();
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    node_hash(&subtree(left), &subtree(right))
}

fn slot(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
