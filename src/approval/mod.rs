//! Who decided what: an approval request, reviews of it, and the grant that comes of them.

mod asked;
mod digest;
mod grant;
mod review;
mod verify;

pub use asked::{ApprovalRequest, Past};
pub use digest::{Digest, Stamp, sha256};
pub use grant::{Basis, Grant};
pub use review::{Answer, Approver, Refusal, Review};
pub use verify::verify;
