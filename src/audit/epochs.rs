use std::collections::HashSet;

use super::error::{Error, Kind};
use super::head::Head;
use super::reader::Reader;
use super::show::{Found, Wanted};
use crate::key::{PublicKey, Vkey};
use crate::record::{Archived, Body, Hash, Kind as RecordKind, Rotation, inclusion, leaf_hash, verify_inclusion};

/// A record key and the entry that introduced it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// The entry: the first one of the log, or a `key.rotate`.
    pub seq: u64,
    /// The key that signs the entries after it, and the first one of the log.
    pub key: Vkey,
    /// When, in nanoseconds since 1970; none where that entry is in an archive.
    pub wall: Option<i64>,
}

/// Which record key is in use, as the entries so far say.
pub(super) struct Epochs {
    current: u64,
    key: Vkey,
    used: HashSet<PublicKey>,
}

impl Epochs {
    /// Where entries are in archives, the last archive says which key goes on. Else only the head names a key until the first entry is read.
    pub(super) fn start(head: &Head, archived: Option<&Archived>) -> Self {
        let (current, key) = archived.map_or((0, &head.record_key), |archive| (archive.epoch, &archive.key));
        Self { current, key: key.clone(), used: archived.iter().map(|archive| archive.key.public()).collect() }
    }

    /// The key that has to have signed the entry that is read now.
    pub(super) fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// The entry that introduced that key.
    pub(super) fn current(&self) -> u64 {
        self.current
    }

    /// The log opens with this key.
    pub(super) fn open(&mut self, key: Vkey) {
        self.used.insert(key.public());
        self.key = key;
    }

    /// Takes an entry that was checked; the error says why it changes no key although it is meant to.
    pub(super) fn see(&mut self, body: &Body<'_>) -> Result<(), &'static str> {
        if body.kind != RecordKind::KeyRotate {
            return Ok(());
        }
        let rotation = Rotation::of(body).ok_or("changes the record key without a proof of the new one")?;
        if rotation.previous != self.current {
            return Err("changes another record key than the one in use");
        }
        if !self.used.insert(rotation.key.public()) {
            return Err("brings a record key back that was given up");
        }
        self.current = body.header.seq;
        self.key = rotation.key;
        Ok(())
    }

    /// Whether the head goes on with the key that the entries end with.
    pub(super) fn end_as(&self, head: &Head) -> bool {
        self.current == head.epoch && self.key == head.record_key
    }
}

impl Reader {
    /// All record keys, the newest first, each from an entry that is proved against the signed end of the log.
    pub fn epochs(&self) -> Result<Vec<Epoch>, Error> {
        self.epochs_from(0)
    }

    /// The record key that has to have signed an entry.
    pub(super) fn epoch_of(&self, seq: u64) -> Result<Epoch, Error> {
        let mut epochs = self.epochs_from(seq)?;
        epochs.pop().ok_or_else(|| broken(seq))
    }

    /// The newest epoch and those before it, down to the one that signed the entry `seq`.
    fn epochs_from(&self, seq: u64) -> Result<Vec<Epoch>, Error> {
        let head = self.head()?;
        if !head.holds() {
            return Err(Error::new(Kind::Damaged, "the log's end is not signed by its key"));
        }
        let root = head.frontier.root();
        let (mut epoch, previous) = self.introduced(head.epoch, head.frontier.size(), &root)?;
        if epoch.key != head.record_key {
            return Err(broken(head.epoch));
        }
        let mut epochs = vec![epoch];
        let mut next = previous;
        while let Some(before) = next
            && epochs.last().is_some_and(|epoch| epoch.seq >= seq)
        {
            (epoch, next) = self.introduced(before, head.frontier.size(), &root)?;
            epochs.push(epoch);
        }
        Ok(epochs)
    }

    /// What the entry `seq` introduces, and the epoch before it.
    fn introduced(&self, seq: u64, size: u64, root: &Hash) -> Result<(Epoch, Option<u64>), Error> {
        let found = match self.archived_key(seq)? {
            Some((key, record)) if self.stands(&record, size, root)? => return Ok((Epoch { seq, key, wall: None }, None)),
            Some(_) => return Err(broken(seq)),
            None => self.find(&Wanted::Entry(seq))?,
        };
        let found = found.first().filter(|_| seq < size).ok_or_else(|| broken(seq))?;
        if !self.stands(found, size, root)? {
            return Err(broken(seq));
        }
        let body = Body::parse(&found.body).map_err(|_| broken(seq))?;
        let (key, previous) = if seq == 0 {
            (opening_keys(&body).map(|(_, record)| record), None)
        } else {
            Rotation::of(&body).map_or((None, None), |rotation| (Some(rotation.key), Some(rotation.previous)))
        };
        let key = key.ok_or_else(|| broken(seq))?;
        Ok((Epoch { seq, key, wall: Some(body.header.wall) }, previous))
    }

    fn stands(&self, found: &Found, size: u64, root: &Hash) -> Result<bool, Error> {
        let proof = inclusion(found.seq, size, &mut |level, index| self.node(level, index))?;
        Ok(verify_inclusion(&leaf_hash(&found.body), found.seq, size, &proof, root).is_ok())
    }
}

fn broken(seq: u64) -> Error {
    Error::new(Kind::Damaged, format!("entry {seq} does not introduce the record key that it is said to"))
}

/// The log key and the first record key, as the first entry names them.
pub(super) fn opening_keys(body: &Body<'_>) -> Option<(Vkey, Vkey)> {
    let keys = body.value("keys")?;
    let key = |name| Vkey::parse(keys.get(name)?.as_str()?).ok();
    Some((key("log")?, key("record")?))
}
