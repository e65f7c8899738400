//! Who decided what: an approval request, reviews of it, and the grant that comes of them.
#![forbid(unsafe_code)]

mod again;
mod allowed_signers;
mod asked;
mod canonical;
mod digest;
mod evidence;
mod grant;
mod receipt;
mod review;
mod slots;
mod sshsig;
mod submitted;
mod verify;

pub use allowed_signers::{AllowedSigners, BadLine, NotVouched, Signer, Wanted};
pub use asked::{ApprovalRequest, Past};
pub use canonical::terms_value;
pub use digest::{Digest, Stamp, sha256};
pub use evidence::{Evidence, NAMESPACE, Statement};
pub use grant::{Basis, Grant};
pub use receipt::{Claims, Expected, LONGEST_RECEIPT, NotAReceipt, RECEIPT_AGE, Receipt, Reviewed};
pub use review::{Answer, Approver, Refusal, Review};
pub use slots::{Filler, filled, may_decide};
pub use sshsig::{MAX_ARMOR, Sshsig};
pub use submitted::{LONGEST as LONGEST_SUBMITTED, Malformed, Rule, Said, Submitted, Word};
pub use verify::{Answers, Root, Trust, verify};
