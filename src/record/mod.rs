//! Records as bytes: what is signed, how a tree stands over it, and what proves it to somebody else.

pub mod archive;
mod body;
mod canonical;
mod checkpoint;
pub mod disclosure;
mod frontier;
mod kind;
mod note;
mod proof;
mod signature;
pub mod story;
mod time;
mod tree;
mod value;

pub use crate::text::hex;
pub use body::{Body, Disclosure, Draft, Header, MAX_BODY, NotARecord, Stored, VERSION};
pub use canonical::{Members, NotCanonical, canonical, members};
pub use checkpoint::{Checkpoint, NotACheckpoint};
pub use frontier::Frontier;
pub use kind::Kind;
pub use note::{Line, NotANote, Note};
pub use proof::{BadProof, consistency, inclusion, verify_consistency, verify_inclusion};
pub use signature::{PAYLOAD_TYPE, signed_bytes};
pub(crate) use tree::sha256;
pub use tree::{Hash, empty_root, leaf_hash, node_hash, range_root, unhex};
pub use value::{MAX_INLINE_ARGV, argv_value, bytes_value, integer};
