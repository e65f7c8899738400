//! Who decided what: an approval request, reviews of it, and the grant that comes of them.
#![forbid(unsafe_code)]

mod asked;
mod canonical;
mod digest;
mod grant;
mod review;
mod verify;

pub use asked::{ApprovalRequest, Past};
pub use canonical::terms_value;
pub use digest::{Digest, Stamp, sha256};
pub use grant::{Basis, Grant};
pub use review::{Answer, Approver, Refusal, Review};
pub use verify::verify;
