//! Records as bytes: what is signed, how a tree stands over it, and what proves it to somebody else.

mod body;
mod canonical;
mod checkpoint;
mod dsse;
mod epoch;
mod frontier;
mod kind;
mod note;
mod parts;
mod proof;
mod signature;
pub mod story;
mod tiles;
mod time;
mod tlog_proof;
mod tree;
pub mod ustar;
mod value;

pub use crate::text::hex;
pub use body::{Body, Disclosure, Draft, Header, MAX_BODY, NotARecord, Stored, VERSION};
pub use canonical::{Members, NotCanonical, canonical, members};
pub use checkpoint::{Checkpoint, NotACheckpoint};
pub use dsse::{Envelope, NotAnEnvelope, envelope};
pub use epoch::Rotation;
pub use frontier::Frontier;
pub use kind::Kind;
pub use note::{Line, NotANote, Note};
pub use parts::{Member, Part};
pub use proof::{BadProof, consistency, inclusion, verify_consistency, verify_inclusion};
pub use signature::{PAYLOAD_TYPE, signed_bytes};
pub use tiles::{Row, TILE_HEIGHT, TILE_WIDTH, Tile, bundled_entries, complete_root, entry_bundle, tile_hashes};
pub use tlog_proof::{NotAProof, TlogProof, Unproved};
pub(crate) use tree::sha256;
pub use tree::{Hash, empty_root, leaf_hash, node_hash, range_root, unhex};
pub use value::{MAX_INLINE_ARGV, argv_value, bytes_value, integer};
