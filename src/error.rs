//! Errors of gate itself; printed in one place, `main`.

use std::fmt;

use crate::exit_codes;

/// What went wrong, what to do about it, and the exit code that it ends with.
#[derive(Debug)]
pub struct Error {
    code: u8,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// An error with one of the codes of [`crate::exit_codes`].
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// gate itself failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(exit_codes::INTERNAL, message)
    }

    /// Bad configuration or policy.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(exit_codes::CONFIG, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// What to do about it, if there is something to say.
    pub fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<crate::policy::PolicyError> for Error {
    fn from(error: crate::policy::PolicyError) -> Self {
        let hint = error.hint.clone();
        Self { code: exit_codes::CONFIG, message: error.to_string(), hint }
    }
}
