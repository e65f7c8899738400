use rusqlite::Row;

use super::approvals::{Approvals, Signers, Used};
use super::beside::Beside;
use super::epochs::{Epochs, opening_keys};
use super::error::{Error, Kind};
use super::head::Head;
use super::indices::Indices;
use super::nodes::Nodes;
use super::pruned::Start;
use super::reader::Reader;
use super::search_check::{SearchCheck, Searchable};
use super::signatures::{Signatures, Signed};
use super::unfinished::Unfinished;
use super::witnessed::{Expected, Witnessed};
use crate::record::{Archived, Body, Checkpoint, Frontier, Hash, Kind as RecordKind, MAX_BODY, Note, TILE_WIDTH, leaf_hash, range_root};

/// So many problems are kept in words; the others are counted.
const KEPT: usize = 20;

/// What to check, and against what.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// Which record signatures.
    pub signatures: Signatures,
    /// An earlier checkpoint of this log, as text, that was kept elsewhere.
    pub against: Option<String>,
    /// Who may approve, for the approvals that carry evidence.
    pub signers: Option<Signers>,
    /// Which witnesses count.
    pub witnesses: Option<Expected>,
}

/// Something that is not as gate wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Which entry; none for the log as a whole.
    pub seq: Option<u64>,
    /// What is wrong, in words.
    pub what: String,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The log's origin, as it says itself.
    pub origin: String,
    /// How many entries it has, with those in archives.
    pub size: u64,
    /// What is in archives, the oldest first: entries from 0 on, which were not read.
    pub archived: Vec<Archived>,
    /// The signed checkpoint at its end.
    pub checkpoint: String,
    /// The public key that the checkpoint holds under.
    pub key: String,
    /// What is wrong; the first ones.
    pub problems: Vec<Problem>,
    /// How many things are wrong.
    pub wrong: u64,
    /// How many record signatures were checked.
    pub signatures: u64,
    /// Up to which size a checkpoint kept elsewhere vouches for the log.
    pub anchored: Option<u64>,
    /// The checkpoint that enough witnesses vouch for, where they were to be looked at.
    pub witnessed: Option<Witnessed>,
    /// How many disclosures are kept, and how many were erased with a record of it.
    pub disclosures: u64,
    /// See [`Self::disclosures`].
    pub erased: u64,
    /// What was found of approvals, where they were checked.
    pub approvals: Option<Approvals>,
    /// Commands that started, and whose end is not recorded: how many, and the first entries.
    pub unfinished: (u64, Vec<u64>),
    /// What became of the search index, where the own log has one.
    pub searchable: Option<Searchable>,
}

impl Report {
    /// The first entry that was read.
    pub fn first(&self) -> u64 {
        self.archived.last().map_or(0, |archive| archive.to)
    }

    pub(super) fn wrong(&mut self, seq: Option<u64>, what: impl Into<String>) {
        self.wrong += 1;
        if self.problems.len() < KEPT {
            self.problems.push(Problem { seq, what: what.into() });
        }
    }
}

impl Reader {
    /// Reads everything, hashes it again, builds the tree again, and compares.
    pub fn verify(&self, check: &Check) -> Result<Report, Error> {
        // One transaction: what is compared is one moment of the log, whoever writes meanwhile.
        let snapshot = self.connection().unchecked_transaction().map_err(|error| self.failed(&error))?;
        let head = self.head()?;
        let mut walk = Walk::new(self, &head, check)?;
        self.entries(&mut walk)?;
        let mut report = walk.finish()?;
        // The checkpoints in the log were held against its tree on the way; what is wrong by now stays wrong.
        if report.wrong == 0 {
            self.witnesses(&head, check, &mut report)?;
        }
        snapshot.finish().map_err(|error| self.failed(&error))?;
        Ok(report)
    }

    fn entries(&self, walk: &mut Walk<'_>) -> Result<(), Error> {
        const QUERY: &str = "SELECT seq,body,sig,keyid,leaf FROM entry ORDER BY seq";
        let failed = |error| self.failed(&error);
        let mut statement = self.connection().prepare(QUERY).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.told(walk.next, walk.head.frontier.size());
            match Entry::of(row) {
                Some(entry) => walk.entry(&entry)?,
                None => walk.report.wrong(Some(walk.frontier.size()), "has columns of other types than gate writes"),
            }
        }
        Ok(())
    }
}

/// A row of the table, nothing of it believed.
struct Entry<'a> {
    seq: u64,
    body: &'a [u8],
    signature: &'a [u8],
    epoch: u64,
    leaf: &'a [u8],
}

impl<'a> Entry<'a> {
    fn of(row: &'a Row<'_>) -> Option<Self> {
        let number = |column| row.get_ref(column).ok()?.as_i64().ok().and_then(|number| u64::try_from(number).ok());
        let bytes = |column| row.get_ref(column).ok()?.as_blob().ok();
        Some(Self { seq: number(0)?, body: bytes(1)?, signature: bytes(2)?, epoch: number(3)?, leaf: bytes(4)? })
    }
}

/// The way through all entries from the first to the last.
struct Walk<'a> {
    reader: &'a Reader,
    head: &'a Head,
    signers: Option<&'a Signers>,
    used: Used,
    report: Report,
    frontier: Frontier,
    /// The entry before; none where that is in an archive.
    prev: Option<Hash>,
    next: u64,
    epochs: Epochs,
    nodes: Nodes<'a>,
    indices: Indices,
    beside: Beside,
    unfinished: Unfinished,
    signed: Signed,
    searchable: SearchCheck,
    /// Checkpoints that have to hold when the tree has their size, largest first.
    checkpoints: Vec<(Checkpoint, &'static str)>,
}

impl<'a> Walk<'a> {
    fn new(reader: &'a Reader, head: &'a Head, check: &'a Check) -> Result<Self, Error> {
        let mut report =
            Report { origin: head.origin.clone(), checkpoint: head.note.clone(), key: head.log_key.to_string(), ..Report::default() };
        let Start { first, frontier, archives } = reader.start()?;
        let mut checkpoints = checkpoints(reader, head, check.against.as_deref(), &mut report)?;
        without_archived(reader, first, &mut checkpoints, &mut report)?;
        let signed = Signed::start(check.signatures, head.frontier.size());
        Ok(Self {
            reader,
            head,
            signers: check.signers.as_ref(),
            used: Used::default(),
            epochs: Epochs::start(head, archives.last()),
            report: Report { archived: archives, ..report },
            frontier,
            prev: (first == 0).then_some([0; 32]),
            next: first,
            nodes: Nodes::new(reader),
            indices: Indices::default(),
            beside: Beside::default(),
            unfinished: Unfinished::default(),
            signed,
            searchable: SearchCheck::start(reader, &head.origin),
            checkpoints,
        })
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        if entry.seq != self.next {
            self.report.wrong(Some(self.next), format!("is missing: the next one is {}", entry.seq));
        }
        self.next = entry.seq.saturating_add(1);
        let leaf = leaf_hash(entry.body);
        if leaf != entry.leaf {
            self.report.wrong(Some(entry.seq), "was changed: its bytes do not have the hash they were stored with");
        }
        if entry.body.len() > MAX_BODY {
            self.report.wrong(Some(entry.seq), "is larger than any entry");
        } else {
            self.body(entry);
        }
        let (nodes, searchable) = (&mut self.nodes, &mut self.searchable);
        let (mut fault, mut failure) = (None, None);
        self.frontier.append(leaf, |level, index, hash| {
            searchable.node(level, index, hash);
            match nodes.holds(level, index, &hash) {
                Ok(true) => {}
                Ok(false) => fault = Some((level, index)),
                Err(error) => failure = Some(error),
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some((level, index)) = fault {
            self.report.wrong(Some(entry.seq), format!("completes the node {level}/{index}, which is not as stored"));
        }
        self.prev = Some(leaf);
        self.checkpoints();
        Ok(())
    }

    fn body(&mut self, entry: &Entry<'_>) {
        let body = match Body::parse(entry.body) {
            Ok(body) => body,
            Err(wrong) => return self.report.wrong(Some(entry.seq), format!("is not a record: {wrong}")),
        };
        let mut faults = Vec::new();
        if body.header.log != self.head.origin {
            faults.push("belongs to another log");
        }
        if body.header.seq != entry.seq {
            faults.push("says that it has another place");
        }
        if self.prev.is_some_and(|prev| prev != body.header.prev) {
            faults.push("does not follow the entry before it");
        }
        match (entry.seq, body.kind) {
            (0, RecordKind::LogOpen) => match opening_keys(&body) {
                Some((log, record)) if log == self.head.log_key => self.epochs.open(record),
                _ => faults.push("opens the log with another key than the head has"),
            },
            (0, _) => faults.push("does not open the log"),
            (_, RecordKind::LogOpen) => faults.push("opens the log a second time"),
            _ => {}
        }
        if entry.epoch != self.epochs.current() {
            faults.push("is signed with a key that was not in use");
        }
        self.signed.entry(entry.seq, entry.body, entry.signature, self.epochs.key());
        faults.extend(self.epochs.see(&body).err());
        for what in faults {
            self.report.wrong(Some(entry.seq), what);
        }
        if let Some(signers) = self.signers {
            for what in self.report.approvals.get_or_insert_default().see(&body, signers, self.reader, &mut self.used) {
                self.report.wrong(Some(entry.seq), what);
            }
        }
        self.indices.expect(entry.seq, &body);
        self.searchable.entry(self.reader, entry.seq, entry.body, &body);
        self.beside.expect(entry.seq, entry.body, &body);
        self.unfinished.see(entry.seq, &body);
    }

    fn checkpoints(&mut self) {
        while let Some((checkpoint, kept)) = self.checkpoints.pop_if(|(checkpoint, _)| checkpoint.size <= self.frontier.size()) {
            if checkpoint.root == self.frontier.root() && checkpoint.size == self.frontier.size() {
                self.report.anchored = self.report.anchored.max((kept == ELSEWHERE).then_some(checkpoint.size));
            } else {
                self.report.wrong(None, format!("the checkpoint of {} entries {kept} is of another history", checkpoint.size));
            }
        }
    }

    fn finish(mut self) -> Result<Report, Error> {
        let size = self.frontier.size();
        self.report.size = size;
        if self.head.frontier != self.frontier || Some(self.head.prev) != self.prev {
            let what = format!("the head is of {} entries and not of these {size}", self.head.frontier.size());
            self.report.wrong(None, what);
        }
        for (checkpoint, kept) in std::mem::take(&mut self.checkpoints) {
            let what = format!("the checkpoint {kept} is of {} entries, and only {size} are left", checkpoint.size);
            self.report.wrong(None, what);
        }
        if !self.epochs.end_as(self.head) {
            self.report.wrong(None, "the head names another record key than the entries");
        }
        let first = self.report.first();
        self.nodes.finish(first, size, &mut self.report)?;
        self.indices.finish(self.reader, first, &mut self.report)?;
        self.beside.finish(self.reader, first, size, &mut self.report)?;
        self.signed.finish(&mut self.report);
        self.searchable.finish(self.reader, &mut self.report);
        self.report.unfinished = self.unfinished.finish();
        Ok(self.report)
    }
}

const IN_LOG: &str = "in the log";
const ELSEWHERE: &str = "kept elsewhere";

/// All signed checkpoints that have to hold, largest first.
fn checkpoints(reader: &Reader, head: &Head, against: Option<&str>, report: &mut Report) -> Result<Vec<(Checkpoint, &'static str)>, Error> {
    let mut notes = vec![(head.note.clone(), IN_LOG)];
    let mut statement = reader.connection().prepare("SELECT note FROM checkpoint LIMIT 100000").map_err(|error| reader.failed(&error))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(|error| reader.failed(&error))?;
    for note in rows {
        notes.push((note.map_err(|error| reader.failed(&error))?, IN_LOG));
    }
    notes.extend(against.map(|note| (note.to_owned(), ELSEWHERE)));
    let mut checkpoints = Vec::new();
    for (text, kept) in notes {
        let parsed = Note::parse(&text).ok().and_then(|note| Some((Checkpoint::parse(note.text()).ok()?, note)));
        match parsed {
            None if kept == ELSEWHERE => return Err(Error::new(Kind::Unusable, "what `--against` names is not a checkpoint")),
            None => report.wrong(None, format!("a checkpoint {kept} is not one")),
            Some((checkpoint, _)) if checkpoint.origin != head.origin => {
                report.wrong(None, format!("the checkpoint {kept} is of the log `{}`, and this is `{}`", checkpoint.origin, head.origin));
            }
            Some((checkpoint, note)) if !note.is_signed_by(&head.log_key) => {
                report.wrong(None, format!("the checkpoint of {} entries {kept} is not signed by this log's key", checkpoint.size));
            }
            Some((checkpoint, _)) => checkpoints.push((checkpoint, kept)),
        }
    }
    checkpoints.sort_by_key(|(checkpoint, _)| std::cmp::Reverse(checkpoint.size));
    Ok(checkpoints)
}

/// Compares the checkpoints of archived entries with the nodes that stay. Most of them need nodes that went with the entries.
fn without_archived(
    reader: &Reader,
    first: u64,
    checkpoints: &mut Vec<(Checkpoint, &'static str)>,
    report: &mut Report,
) -> Result<(), Error> {
    let at = checkpoints.partition_point(|(checkpoint, _)| checkpoint.size >= first);
    for (checkpoint, kept) in checkpoints.split_off(at) {
        if checkpoint.size.is_multiple_of(TILE_WIDTH) {
            if range_root(0, checkpoint.size, &mut |level, index| reader.node(level, index))? == checkpoint.root {
                report.anchored = report.anchored.max((kept == ELSEWHERE).then_some(checkpoint.size));
            } else {
                report.wrong(None, format!("the checkpoint of {} entries {kept} is of another history", checkpoint.size));
            }
        } else if kept == ELSEWHERE {
            let message = format!("the checkpoint of {} entries is of those in an archive", checkpoint.size);
            return Err(Error::new(Kind::Unusable, message).hint("verify the archive against it: `--bundle ARCHIVE --against FILE`"));
        }
    }
    Ok(())
}
