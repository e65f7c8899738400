use rusqlite::{Transaction, params};
use serde_json::{Map, Value, json};

use super::disclosed;
use super::error::{Error, Kind};
use super::log::{Held, Log, Unstored, write_entries};
use super::search_index::forget;
use super::show::Wanted;
use crate::approval::Stamp;
use crate::record::disclosure::{erasable, erase, open};
use crate::record::{Draft, Kind as RecordKind};

/// What is to be erased, and what the log is to say of it.
#[derive(Clone, Debug)]
pub struct Redaction {
    /// The entry, or all entries of a request.
    pub of: Wanted,
    /// Which parts (`cmd.argv.3`, `cmd.cwd`, `decision.comment`); all that can be erased where none is named.
    pub fields: Vec<String>,
    /// Why.
    pub reason: String,
    /// Who erases it, as records tell it.
    pub actor: Value,
}

/// What was erased of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redacted {
    /// The entry.
    pub seq: u64,
    /// The parts that are gone.
    pub fields: Vec<String>,
    /// The entry that says so.
    pub recorded: u64,
}

impl Log {
    /// Erases what entries disclose, and records that in the same commit. The entries themselves, and every proof, stay as they are.
    ///
    /// The second value says whether nothing of it is left in the files either: a reader that does not let go keeps the
    /// write-ahead file as it was.
    pub fn redact(&mut self, redaction: &Redaction, now: Stamp) -> Result<(Vec<Redacted>, bool), Error> {
        let path = self.room.database();
        let failed = |error: rusqlite::Error| Error::sqlite(&path, &error);
        self.look_ahead();
        let _held = Held::take(&self.lock, &self.room.lock())?;
        self.connection.execute_batch("PRAGMA secure_delete=ON").map_err(failed)?;
        let boot_id = self.boot_id.clone();
        let done = self.under_head(|transaction, head, keys| {
            let plans = entries(transaction, &redaction.of)?
                .into_iter()
                .map(|(seq, body)| Plan::new(transaction, seq, &body, &redaction.fields))
                .collect::<Result<Vec<_>, _>>()?;
            let plans: Vec<Plan> = plans.into_iter().filter(|plan| !plan.is_empty()).collect();
            if plans.is_empty() {
                return Err(nothing(&redaction.fields).into());
            }
            for plan in &plans {
                plan.carry_out(transaction)?;
            }
            // Rows that moved when pages were split left copies in the room between rows: all pages of the table are cleared.
            transaction.execute_batch(
                "CREATE TEMP TABLE kept AS SELECT * FROM disclosure;DELETE FROM disclosure;\
                 INSERT INTO disclosure SELECT * FROM temp.kept ORDER BY digest;DROP TABLE temp.kept",
            )?;
            let drafts: Vec<Draft> = plans.iter().map(|plan| plan.record(redaction)).collect();
            let stored = write_entries(transaction, head, keys, &drafts, now, &boot_id)?;
            let all = plans.into_iter().zip(stored);
            Ok(all.map(|(plan, stored)| Redacted { seq: plan.seq, fields: plan.fields, recorded: stored.seq }).collect())
        })?;
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
        // The words of it are in the search index too; the next search makes that anew.
        let forgotten = forget(&self.room.search_index()).is_ok();
        Ok((done, busy == 0 && forgotten))
    }
}

fn entries(transaction: &Transaction<'_>, wanted: &Wanted) -> Result<Vec<(i64, Vec<u8>)>, Unstored> {
    let (condition, param) = match wanted {
        Wanted::Entry(seq) => ("seq=?1", i64::try_from(*seq).unwrap_or(i64::MAX).to_string()),
        Wanted::Request(id) => ("req=?1", id.to_string()),
        _ => return Ok(Vec::new()),
    };
    let mut statement = transaction.prepare(&format!("SELECT seq,body FROM entry WHERE {condition} ORDER BY seq"))?;
    let rows = statement.query_map([param], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn nothing(fields: &[String]) -> Error {
    let what = if fields.is_empty() {
        "holds nothing that can be erased".to_owned()
    } else {
        format!("has no `{}` to be erased", fields.join("`, `"))
    };
    Error::new(Kind::Refused, format!("the entry is not there, or {what}"))
        .hint("`gate audit show` names what an entry holds; what an older gate wrote has its words in the signed bytes, and an archived entry is in its archive")
}

/// What is to happen to one entry.
struct Plan {
    seq: u64,
    fields: Vec<String>,
    digests: Vec<String>,
    blobs: Vec<String>,
    /// Rows that go, and rows that come in their place.
    gone: Vec<String>,
    new: Vec<(String, Vec<u8>)>,
}

impl Plan {
    fn new(transaction: &Transaction<'_>, seq: i64, body: &[u8], fields: &[String]) -> Result<Self, Unstored> {
        let record: Value = serde_json::from_slice(body).unwrap_or_default();
        let rows = disclosed::of(transaction, body)?;
        let there = erasable(&record, &rows);
        let is_top = |path: &&String| !there.keys().any(|other| path.starts_with(&format!("{other}.")));
        let unnamed = fields.is_empty();
        let fields: Vec<String> = match fields {
            [] => there.keys().filter(is_top).cloned().collect(),
            some => some.iter().filter(|field| there.contains_key(*field)).cloned().collect(),
        };
        let all = unnamed || !there.is_empty() && there.keys().filter(is_top).all(|top| fields.contains(top));
        let (kept, erased) = erase(&record, &rows, &fields);
        let (fields, mut digests): (Vec<String>, Vec<String>) = erased.into_iter().unzip();
        let mut opened = record;
        open(&mut opened, &rows);
        let whole_argv = fields.iter().any(|field| matches!(field.as_str(), "cmd" | "cmd.argv"));
        let blob = opened.pointer("/cmd/argv/blob").and_then(Value::as_str).filter(|_| whole_argv || all);
        let mut gone: Vec<String> = rows.keys().filter(|digest| !kept.contains_key(*digest)).cloned().collect();
        if all {
            let mut old = transaction.prepare("SELECT digest FROM disclosure WHERE seq=?1 AND length(digest)=16")?;
            let old: Vec<String> = old.query_map([seq], |row| row.get(0))?.collect::<Result<_, _>>()?;
            digests.extend(old.iter().cloned());
            gone.extend(old);
        }
        Ok(Self {
            seq: u64::try_from(seq).unwrap_or_default(),
            fields,
            digests,
            blobs: blob.map(str::to_owned).into_iter().collect(),
            gone,
            new: kept.into_iter().filter(|(digest, data)| rows.get(digest) != Some(data)).collect(),
        })
    }

    fn is_empty(&self) -> bool {
        self.digests.is_empty() && self.blobs.is_empty()
    }

    fn carry_out(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for digest in &self.gone {
            transaction.execute("DELETE FROM disclosure WHERE digest=?1", [digest])?;
        }
        let seq = i64::try_from(self.seq).unwrap_or(i64::MAX);
        for (digest, data) in &self.new {
            transaction.execute("INSERT OR REPLACE INTO disclosure VALUES(?1,?2,?3)", params![digest, seq, data])?;
        }
        for blob in &self.blobs {
            transaction.execute("DELETE FROM blob WHERE sha256=?1", [blob])?;
        }
        Ok(())
    }

    fn record(&self, redaction: &Redaction) -> Draft {
        let said = json!({ "seq": self.seq, "fields": self.fields, "digests": self.digests, "blobs": self.blobs });
        let mut fields = Map::new();
        fields.insert("actor".to_owned(), redaction.actor.clone());
        fields.insert("redact".to_owned(), said);
        fields.insert("reason".to_owned(), redaction.reason.as_str().into());
        Draft::new(RecordKind::Redact, None, fields)
    }
}
