//! The end of this host's log goes with what is asked, and comes back countersigned; what the server knows otherwise of it stops everything.

use serde_json::{Value, json};

use super::Client;
use super::http::{Call, Failed, Problem, Reply};

/// So often the server may name another size: this log may grow meanwhile, by another process.
const TRIES: u32 = 4;

/// The end of a log, with the proof that it begins with what the server saw of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEnd {
    /// The signed checkpoint.
    pub note: String,
    /// How many entries it has.
    pub size: u64,
    /// From how many entries the proof leads. More than there are says that the log has no more.
    pub from: u64,
    /// The proof, in base64.
    pub proof: Vec<String>,
}

/// The log of this host, as a server is told of it.
pub trait HostLog: Send + Sync {
    /// Its end, with the proof from so many entries; from those that the server is known to have countersigned where none is told.
    /// The error says why there is none.
    fn end(&self, from: Option<u64>) -> Result<LogEnd, String>;

    /// Keeps what the server of this key signed under it, where that holds.
    fn keep(&self, end: &LogEnd, witness: &str, cosignatures: &str);
}

/// Calls with the end of the log in the body; where the server names another size, again with the proof from that.
pub(super) async fn ask(client: &Client, log: &dyn HostLog, call: &Call<'_>, mut body: Value) -> Result<Reply, Failed> {
    let mut from = None;
    for _ in 0..TRIES {
        let end = log.end(from).map_err(Failed::Here)?;
        body["checkpoint"] = json!({ "note": end.note, "old_size": end.from, "proof": end.proof });
        let seen = match client.ask(&Call { body: Some(&body), ..call.clone() }).await {
            Ok(reply) => {
                keep(log, &end, &reply);
                return Ok(reply);
            }
            Err(Failed::No(problem)) if problem.is_conflict() => problem.size,
            Err(failed) => return Err(failed),
        };
        match seen {
            Some(seen) if seen != end.from => from = Some(seen),
            Some(seen) if seen > end.size => {
                return Err(conflict(&format!(
                    "it has seen {seen} entries of this log, and the log has {}: was an older copy of it put back?",
                    end.size
                )));
            }
            _ => {
                return Err(conflict(&format!(
                    "it has seen another history of this log than its {} entries: is there a second copy that goes on?",
                    end.size
                )));
            }
        }
    }
    Err(Failed::No(Problem::strange("it names a size of this log, and another one when it is told that")))
}

fn conflict(words: &str) -> Failed {
    Failed::No(Problem::conflict(words))
}

fn keep(log: &dyn HostLog, end: &LogEnd, reply: &Reply) {
    let value: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let said = |name: &str| value.get("countersigned")?.get(name)?.as_str();
    if let (Some(witness), Some(cosignatures)) = (said("witness"), said("cosignatures")) {
        log.keep(end, witness, cosignatures);
    }
}
