//! The tool files inside gate, laid down by the build.

use crate::policy::Tools;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// gate's own grammars and rules.
pub fn tools() -> Tools {
    Tools { names: NAMES, files: FILES, ids: IDS, locked: LOCKED, digest: DIGEST, sha256: crate::approval::sha256 }
}
