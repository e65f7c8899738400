//! What was asked: the argv, the program it names, and the context it stands in.

mod argv;
mod context;
mod facts;
mod job;
mod program;

pub(crate) use argv::base_name;
pub use argv::{Argv, EmptyArgv};
pub use context::{Ancestor, Asker, Context, Cwd, Environment, Inner, ScriptFile, Stdin, Who};
pub use facts::{Fact, FactName, Facts};
pub use job::Job;
pub use program::{Identity, Kind, Place, Program};

use std::fmt;

/// The id of a request: a `UUIDv7` (RFC 9562), so ids sort by the time they were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(uuid::Uuid);

impl RequestId {
    /// Builds an id from milliseconds since 1970 and ten random bytes.
    pub fn new(unix_millis: u64, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, random).into_uuid())
    }

    /// Reads an id back from its text form.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::parse_str(text).ok().map(Self)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// One command that somebody wants to run, here and now.
#[derive(Clone, Debug)]
pub struct Request {
    id: RequestId,
    argv: Argv,
    program: Program,
    context: Context,
}

impl Request {
    /// Puts a request together.
    pub fn new(id: RequestId, argv: Argv, program: Program, context: Context) -> Self {
        Self { id, argv, program, context }
    }

    /// Takes it apart, to build one that knows more.
    pub fn into_parts(self) -> (RequestId, Argv, Program, Context) {
        (self.id, self.argv, self.program, self.context)
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// The command as it was typed.
    pub fn argv(&self) -> &Argv {
        &self.argv
    }

    /// The program that the command names.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Where, by whom and in what surroundings it was asked.
    pub fn context(&self) -> &Context {
        &self.context
    }
}
