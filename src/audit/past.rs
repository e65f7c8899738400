use rusqlite::params;
use serde_json::Value;

use super::disclosed;
use super::error::Error;
use super::log::Log;
use crate::approval::Past;
use crate::record::Body;

/// How many decisions about a program are looked through.
const LOOKED_AT: u32 = 200;

impl Log {
    /// The last commands of this program that begin with these words, newest first.
    pub fn similar(&mut self, program: &str, words: &[String], limit: usize) -> Result<Vec<Past>, Error> {
        self.read_similar(program, words, limit).map_err(|error| Error::sqlite(&self.database(), &error))
    }

    fn read_similar(&self, program: &str, words: &[String], limit: usize) -> rusqlite::Result<Vec<Past>> {
        let mut decisions = self.connection().prepare("SELECT body FROM entry WHERE program=?1 ORDER BY seq DESC LIMIT ?2")?;
        let mut rows = decisions.query(params![program, LOOKED_AT])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if found.len() == limit {
                break;
            }
            let Some(body) = row.get_ref(0)?.as_blob().ok().and_then(|bytes| Body::parse(bytes).ok()) else { continue };
            let cmd = disclosed::member(self.connection(), &body, "cmd")?.unwrap_or_default();
            if !begins_with(&cmd, words) {
                continue;
            }
            let outcome = body.request.map(|request| self.outcome(request)).transpose()?.flatten().unwrap_or_default();
            let decision = body.value("decision").and_then(|decision| Some(decision.get("result")?.as_str()?.to_owned()));
            found.push(Past {
                wall: body.header.wall,
                command: super::words::command(&cmd),
                decision: decision.unwrap_or_default(),
                outcome,
            });
        }
        Ok(found)
    }

    fn outcome(&self, request: &str) -> rusqlite::Result<Option<String>> {
        let mut entries = self.connection().prepare("SELECT body FROM entry WHERE req=?1 ORDER BY seq DESC")?;
        let mut rows = entries.query([request])?;
        while let Some(row) = rows.next()? {
            let outcome = row.get_ref(0)?.as_blob().ok().and_then(|bytes| super::words::outcome(&Body::parse(bytes).ok()?));
            if outcome.is_some() {
                return Ok(outcome);
            }
        }
        Ok(None)
    }
}

fn begins_with(cmd: &Value, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let Some(Value::Array(given)) = cmd.get("words") else { return false };
    given.len() >= words.len() && words.iter().zip(given).all(|(wanted, given)| given.as_str() == Some(wanted))
}
