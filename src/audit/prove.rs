use rusqlite::OptionalExtension;

use super::error::{Error, Kind};
use super::head::Head;
use super::reader::Reader;
use super::show::Found;
use crate::record::{Checkpoint, Hash, Note, TILE_WIDTH, TlogProof, consistency, inclusion, leaf_hash, range_root, verify_consistency};

impl Reader {
    /// The proof of one entry that stands alone: against the newest checkpoint that others countersigned, else against the log's end.
    pub fn tlog_proof(&self, found: &Found) -> Result<TlogProof, Error> {
        let snapshot = self.connection().unchecked_transaction().map_err(|error| self.failed(&error))?;
        self.prove(found)?;
        let head = self.head()?;
        let countersigned = self.countersigned(&head, "size>?1 ORDER BY size DESC LIMIT 1", found.seq)?.pop();
        let (checkpoint, note) = match countersigned {
            Some(kept) => kept,
            None => (head.checkpoint(), Note::parse(&head.note).map_err(|_| self.damaged("has an end that is not a note"))?),
        };
        let path = inclusion(found.seq, checkpoint.size, &mut |level, index| self.node(level, index))?;
        let proof = TlogProof { extra: None, index: found.seq, path, note };
        if proof.verify(&leaf_hash(&found.body), &head.log_key).is_err() {
            return Err(self.damaged(&format!("cannot prove entry {}: its tree is not the one that was signed", found.seq)));
        }
        snapshot.finish().map_err(|error| self.failed(&error))?;
        Ok(proof)
    }

    /// The proof that the tree of `to` entries begins with that of `from`; `from` may be 0, of which nothing is to be proved.
    /// A checkpoint that is kept of either size has to have that very root.
    pub fn consistency_proof(&self, from: u64, to: u64) -> Result<Vec<Hash>, Error> {
        let snapshot = self.connection().unchecked_transaction().map_err(|error| self.failed(&error))?;
        let head = self.head()?;
        if !head.holds() {
            return Err(self.damaged("has an end that its key did not sign"));
        }
        if from > to || to > head.frontier.size() {
            let message = format!("there is no proof from {from} to {to} entries: the log has {}", head.frontier.size());
            return Err(Error::new(Kind::Unusable, message));
        }
        if self.root(head.frontier.size())? != head.frontier.root() {
            return Err(self.damaged("has another tree than the one that was signed"));
        }
        for size in [from, to] {
            if !self.knows_tree(size)? {
                let message = format!("the entries around {size} are in an archive");
                return Err(Error::new(Kind::Unusable, message).hint("the archive holds what proves it"));
            }
            self.countersigned(&head, "size=?1", size)?;
        }
        let proof = consistency(from, to, &mut |level, index| self.node(level, index))?;
        if from > 0 && verify_consistency(from, to, &self.root(from)?, &self.root(to)?, &proof).is_err() {
            return Err(self.damaged("has a tree that does not fit together"));
        }
        snapshot.finish().map_err(|error| self.failed(&error))?;
        Ok(proof)
    }

    /// The countersigned checkpoints that a condition finds, each held against the key and the tree.
    pub(super) fn countersigned(&self, head: &Head, condition: &str, size: u64) -> Result<Vec<(Checkpoint, Note)>, Error> {
        let mut found = Vec::new();
        self.each_countersigned(head, condition, size, |checkpoint, note| {
            found.push((checkpoint, note));
            true
        })?;
        Ok(found)
    }

    /// Hands them over one by one, until that says false.
    pub(super) fn each_countersigned(
        &self,
        head: &Head,
        condition: &str,
        size: u64,
        mut each: impl FnMut(Checkpoint, Note) -> bool,
    ) -> Result<(), Error> {
        let failed = |error| self.failed(&error);
        let mut statement = self.connection().prepare(&format!("SELECT note,size FROM checkpoint WHERE {condition}")).map_err(failed)?;
        let mut rows = statement.query([i64::try_from(size).unwrap_or(i64::MAX)]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (text, stored): (String, i64) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
            let parsed = Note::parse(&text).ok().and_then(|note| Some((Checkpoint::parse(note.text()).ok()?, note)));
            let own = parsed.filter(|(checkpoint, note)| {
                checkpoint.origin == head.origin
                    && u64::try_from(stored) == Ok(checkpoint.size)
                    && checkpoint.size <= head.frontier.size()
                    && note.is_signed_by(&head.log_key)
            });
            match own {
                Some((checkpoint, note)) if self.root(checkpoint.size)? == checkpoint.root => {
                    if !each(checkpoint, note) {
                        break;
                    }
                }
                _ => return Err(self.damaged("keeps a checkpoint that is not of this log")),
            }
        }
        Ok(())
    }

    /// Whether the tree over the first `size` entries can be made: of archived entries only the nodes over whole tiles stay.
    pub(super) fn knows_tree(&self, size: u64) -> Result<bool, Error> {
        Ok(size.is_multiple_of(TILE_WIDTH) || size >= self.first_kept()?)
    }

    /// The root over the first `size` entries, as the stored tree has it.
    pub(super) fn root(&self, size: u64) -> Result<Hash, Error> {
        range_root(0, size, &mut |level, index| self.node(level, index))
    }

    /// The first entry from this moment on, or the log's size.
    pub fn first_since(&self, wall: i64) -> Result<u64, Error> {
        let failed = |error| self.failed(&error);
        let mut statement = self.connection().prepare("SELECT seq,body FROM entry ORDER BY seq").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let body = row.get_ref(1).map_err(failed)?.as_blob().ok().and_then(|bytes| crate::record::Body::parse(bytes).ok());
            if body.is_some_and(|body| body.header.wall >= wall) {
                return Ok(u64::try_from(row.get::<_, i64>(0).map_err(failed)?).unwrap_or_default());
            }
        }
        Ok(self.head()?.frontier.size())
    }

    /// The first entry that is still in the log.
    pub(super) fn first_kept(&self) -> Result<u64, Error> {
        let first = self.connection().query_row("SELECT seq FROM entry ORDER BY seq LIMIT 1", [], |row| row.get::<_, i64>(0)).optional();
        let first = first.map_err(|error| self.failed(&error))?;
        Ok(first.and_then(|seq| u64::try_from(seq).ok()).unwrap_or_default())
    }
}
