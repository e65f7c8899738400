/// Where a request stands at a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// People are asked.
    Pending,
    /// Enough of them approved; it may be consumed once, until its end.
    Approved,
    /// Somebody rejected it.
    Rejected,
    /// Nobody decided in time, or the approval was not used in time.
    Expired,
    /// The requester gave up, or asked anew.
    Cancelled,
    /// The approval was used.
    Consumed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Pending, Self::Approved, Self::Rejected, Self::Expired, Self::Cancelled, Self::Consumed];

    /// The word of the interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Consumed => "consumed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing can happen to it any more.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Approved)
    }
}
