//! Who decided what: an approval request, reviews of it, and the grant that comes of them.
#![forbid(unsafe_code)]

mod again;
mod allowed_signers;
mod approvers;
mod approvers_file;
mod asked;
mod attestation;
mod canonical;
mod cbor;
mod change;
mod digest;
mod evidence;
mod grant;
mod previewed;
mod proved;
mod receipt;
mod review;
mod slots;
mod sshsig;
mod standing;
mod state;
mod submitted;
mod verify;
pub mod warnings;
mod webauthn;

pub use allowed_signers::{AllowedSigners, BadLine, NotVouched, Signer, Wanted};
pub use approvers::{APPROVERS_NAMESPACE, Approvers, BadApprovers, Enrolled};
pub use approvers_file::{ApproversFile, LONGEST_APPROVERS};
pub use asked::{ApprovalRequest, Past};
pub use attestation::Attesters;
pub use canonical::terms_value;
pub use change::{Act, Change, NewKey, SignedChange};
pub use digest::{Digest, Stamp, sha256};
pub use evidence::{Bound, Evidence, NAMESPACE, Seen, Signed, Statement};
pub use grant::{Basis, Grant};
pub use previewed::{PreviewEnd, Previewed};
pub use proved::{Awaited, NotProved, Proved};
pub use receipt::{CLOCKS_NS, Claims, Expected, LONGEST_RECEIPT, NotAReceipt, RECEIPT_AGE, Receipt, Reviewed};
pub use review::{Answer, Approver, Refusal, Review};
pub use slots::{BREAK_GLASS, Filler, acting_for, behind, breaks_glass, filled, may_decide};
pub use sshsig::{MAX_ARMOR, Sshsig};
pub use standing::{Drawn, NotStanding, Standing, Use, Wanted as WantedStanding};
pub use state::State;
pub use submitted::{LONGEST as LONGEST_SUBMITTED, Malformed, Part, Rule, Said, Submitted, Word};
pub use verify::{Answers, Root, Trust, verify};
pub use webauthn::{Assertion, PasskeyKey, Registration, RelyingParty, Unproved};
