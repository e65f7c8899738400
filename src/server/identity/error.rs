//! Why somebody is not signed on.

use std::fmt;

use super::jwt::Wrong;
use crate::server::store::Unavailable;

/// Why somebody is not signed on, or a token not believed. Holds no secrets.
#[derive(Debug)]
pub enum Error {
    /// The provider cannot be reached, or answers nonsense.
    Unreachable(String),
    /// The call is not of the form that it has to have.
    Malformed(String),
    /// What the provider or the browser brought is not believed.
    Refused(String),
    /// The token is not believed.
    Token(Wrong),
    /// The person may sign on, but did not prove what was demanded.
    NotReached,
    /// The provider ended it: the person has to sign on again.
    Ended,
    /// Too many at once.
    TooMany,
    /// The store cannot be used.
    Store(Unavailable),
    /// The kernel does not give what it always gives: what.
    System(&'static str),
}

impl Error {
    /// The status of the answer to a browser.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unreachable(_) => 502,
            Self::Malformed(_) | Self::Refused(_) | Self::Token(_) => 400,
            Self::NotReached => 403,
            Self::Ended => 401,
            Self::TooMany => 429,
            Self::Store(_) | Self::System(_) => 503,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) | Self::Unreachable(why) | Self::Refused(why) => f.write_str(why),
            Self::Token(wrong) => wrong.fmt(f),
            Self::NotReached => f.write_str("the provider did not prove the second factor that was asked for"),
            Self::Ended => f.write_str("the sign-on has ended at the provider"),
            Self::TooMany => f.write_str("too many at once; try again in a minute"),
            Self::Store(error) => error.fmt(f),
            Self::System(what) => write!(f, "the kernel gives no {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Self {
        Self::Store(error)
    }
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        Self::Token(wrong)
    }
}
