//! Who looks at a page, and what they may do there.

use crate::approval::Approver;
use crate::policy::Assurance;

/// Somebody who signed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Viewer {
    /// Who.
    pub person: Approver,
    /// What to call them.
    pub name: String,
    /// What state-changing calls of this session show.
    pub csrf: String,
}

/// What the viewer may do with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum May {
    /// Decide.
    Decide {
        /// The assurance that an approval needs.
        assurance: Assurance,
        /// Whether the number that the requester sees has to be typed.
        number: bool,
        /// How many wrong numbers are left before it is rejected.
        tries: u32,
    },
    /// Only look: why.
    Look(&'static str),
}
