//! Who looks at a page, and what they may do there.

use super::view::Moment;
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
    /// The emergency stop, while it stands.
    pub stopped: Option<Stopped>,
    /// Whether they look after anything of the server.
    pub serves: bool,
}

/// The emergency stop as every page tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// Who stopped everything.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Moment,
    /// Who wants to lift it already: `ISSUER#SUBJECT`.
    pub lifted_by: Vec<String>,
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
        /// In whose place; nothing where it is their own.
        place_of: String,
        /// How far they may approve more than this one run; none: not at all.
        standing: Option<Offer>,
    },
    /// Only look: why.
    Look(&'static str),
}

/// What somebody may choose who approves more than one run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// How often at most.
    pub uses: u32,
    /// For how long: in seconds and in words, the shortest first.
    pub spans: Vec<(u64, String)>,
    /// The words that may be others: places in the argv, and what stands there.
    pub open: Vec<(usize, String)>,
    /// Whether other people have to approve it so, too.
    pub joint: bool,
}

/// What the viewer may do about broken glass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Glass {
    /// Nothing.
    None,
    /// Break it: approve alone, for a reason, with a second factor; these look at it afterwards.
    Break(String),
    /// Look at what somebody did, and say so.
    Review,
    /// It was broken, and nobody has looked at it yet.
    Owed(String),
}
