//! The end of a host's log, which travels with what the host asks: the server countersigns it, or refuses whatever came with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::record::{Asked, Checkpoint, Note};
use crate::server::app::App;
use crate::server::logs::{self, Severity};
use crate::server::model::Requester;
use crate::server::store::Unavailable;
use crate::server::witness::{self, Refused};

/// A note with a few signatures is not longer, in bytes.
const LONGEST_NOTE: usize = 16 * 1024;

/// So many hashes prove that one log begins with another, whatever their sizes.
const LONGEST_PROOF: usize = 63;

/// The signed end of the host's log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HostCheckpoint {
    /// The checkpoint as a signed note (C2SP tlog-checkpoint).
    note: String,
    /// How many entries the log had when this server countersigned it last; 0 where it never did.
    old_size: u64,
    /// The proof that the log begins with those: hashes in base64.
    proof: Vec<String>,
}

/// The same checkpoint, countersigned.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Countersigned {
    /// The key of the signature.
    witness: String,
    /// The line of the signature (C2SP tlog-cosignature), with its newline.
    cosignatures: String,
    #[serde(skip)]
    note: String,
}

impl Countersigned {
    /// The checkpoint as it came.
    pub(super) fn note(&self) -> &str {
        &self.note
    }
}

impl HostCheckpoint {
    fn read(&self) -> Option<Asked> {
        let proof = self.proof.iter().map(|hash| STANDARD.decode(hash).ok()?.try_into().ok()).collect::<Option<_>>();
        let short = self.note.len() <= LONGEST_NOTE && self.proof.len() <= LONGEST_PROOF;
        let note = short.then(|| Note::parse(&self.note).ok()).flatten()?;
        Some(Asked { old: self.old_size, proof: proof?, note })
    }
}

/// Countersigns what came with a call. An error where the log went back or is another one: the call does nothing then.
pub(super) async fn countersigned(
    app: &App,
    requester: &Requester,
    given: Option<HostCheckpoint>,
) -> Result<Option<Countersigned>, Problem> {
    let demanded = app.settings.requests.checkpoint;
    let Some(given) = given else {
        return if demanded { Err(Problem::forbidden("this server wants the `checkpoint` of the host's log with this")) } else { Ok(None) };
    };
    let malformed = || Problem::validation("`checkpoint` is not a signed checkpoint with a proof");
    let asked = given.read().ok_or_else(malformed)?;
    let checkpoint = Checkpoint::parse(asked.note.text()).map_err(|_| malformed())?;
    // A host that proves itself by its log speaks for that log alone.
    let of = (requester.way == "host").then_some(requester.name.as_str());
    let entries = checkpoint.size;
    match witness::countersign(app, &asked, of).await? {
        Ok(line) => {
            let witness = app.cosigner.vkey().to_string();
            Ok(Some(Countersigned { witness, cosignatures: format!("{line}\n"), note: given.note }))
        }
        Err(Refused::Malformed) => Err(malformed()),
        Err(Refused::Unknown) if !demanded => Ok(None),
        Err(Refused::Unknown) => Err(Problem::forbidden("this server wants the host's log countersigned, and does not know its key")),
        Err(Refused::Forbidden) => Err(Problem::forbidden("`checkpoint` is not signed by the key of the log that may be spoken for")),
        Err(Refused::Size(seen)) => Err(Problem::conflict(format!("the log has {entries} entries here, and {seen} were seen"), Some(seen))),
        Err(Refused::Inconsistent) => Err(Problem::conflict(format!("its {entries} entries do not begin with those that were seen"), None)),
        Err(Refused::Back(seen)) => {
            went_back(app, requester, &checkpoint, seen).await?;
            Err(Problem::conflict(format!("the log has {entries} entries, and {seen} were seen"), Some(seen)))
        }
    }
}

/// A host that was told how many entries were seen comes again with fewer: it has no others, and that stands in the server's log.
async fn went_back(app: &App, requester: &Requester, checkpoint: &Checkpoint, was: u64) -> Result<(), Unavailable> {
    let told = [("log", checkpoint.origin.as_str().into()), ("size", checkpoint.size.into()), ("was", was.into())];
    logs::tell(Severity::Error, "a host's log went back", &told);
    let by = json!({ "way": requester.way, "name": requester.name });
    let data = json!({ "log": checkpoint.origin, "size": checkpoint.size, "was": was, "requester": by });
    app.store.event("host.conflict", app.now()?, data).await.map(drop)
}
