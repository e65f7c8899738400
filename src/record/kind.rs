use std::fmt;

/// What a record is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// The log's first entry: its origin and its keys.
    LogOpen,
    /// Somebody is asked.
    Request,
    /// What rules or people decided.
    Decision,
    /// A supervised command is about to start; an end is expected.
    ExecStart,
    /// gate is about to become the command; no end is expected.
    ExecReplace,
    /// A supervised command ended.
    ExecEnd,
    /// The command did not start.
    ExecFail,
    /// A policy was read that differs from the one before.
    PolicyLoad,
    /// A setting changed.
    ConfigChange,
    /// The record key changed.
    KeyRotate,
    /// Somebody else countersigned a checkpoint.
    Anchor,
    /// Nothing happened, and the log still stands.
    Heartbeat,
    /// Disclosures were erased.
    Redact,
    /// Old entries were moved to an archive.
    Prune,
    /// The database got a newer schema.
    SchemaMigrate,
    /// The log could not be written for a while.
    AuditFailure,
    /// A person answered at the server, with what shows it.
    Review,
    /// What else became of a request at the server: used, given up, widened.
    RequestState,
    /// Somebody signed on to the server.
    Login,
    /// Somebody's session at the server ended.
    Logout,
    /// What needed approval was let through without it, and why.
    BreakGlass,
    /// Everything at the server was stopped, or may go on again.
    Stop,
    /// What else happened at the server.
    Server,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 23] = [
        Self::LogOpen,
        Self::Request,
        Self::Decision,
        Self::ExecStart,
        Self::ExecReplace,
        Self::ExecEnd,
        Self::ExecFail,
        Self::PolicyLoad,
        Self::ConfigChange,
        Self::KeyRotate,
        Self::Anchor,
        Self::Heartbeat,
        Self::Redact,
        Self::Prune,
        Self::SchemaMigrate,
        Self::AuditFailure,
        Self::Review,
        Self::RequestState,
        Self::Login,
        Self::Logout,
        Self::BreakGlass,
        Self::Stop,
        Self::Server,
    ];

    /// The word that records use.
    pub fn word(self) -> &'static str {
        match self {
            Self::LogOpen => "log.open",
            Self::Request => "request",
            Self::Decision => "decision",
            Self::ExecStart => "exec.start",
            Self::ExecReplace => "exec.replace",
            Self::ExecEnd => "exec.end",
            Self::ExecFail => "exec.fail",
            Self::PolicyLoad => "policy.load",
            Self::ConfigChange => "config.change",
            Self::KeyRotate => "key.rotate",
            Self::Anchor => "anchor",
            Self::Heartbeat => "heartbeat",
            Self::Redact => "redact",
            Self::Prune => "prune",
            Self::SchemaMigrate => "schema.migrate",
            Self::AuditFailure => "audit.failure",
            Self::Review => "review",
            Self::RequestState => "request.state",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::BreakGlass => "break.glass",
            Self::Stop => "stop",
            Self::Server => "server",
        }
    }

    /// Reads a word; nothing but the exact words is a kind.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether something may run, or people are asked to let it, once this record stands.
    pub fn precedes_an_act(self) -> bool {
        matches!(self, Self::Request | Self::ExecStart | Self::ExecReplace)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
