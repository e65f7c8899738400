//! Errors of gate itself; printed in one place, `main`.

use std::fmt;
use std::io::Write;

use serde_json::{Value, json};

use crate::exit_codes;

/// Says something on stderr that changes nothing; a closed stderr does not either.
pub fn note(text: &str) {
    let _ = std::io::stderr().write_all(format!("gate: {text}\n").as_bytes());
}

/// What went wrong, what to do about it, and the exit code that it ends with.
#[derive(Debug)]
pub struct Error {
    code: u8,
    message: String,
    hint: Option<String>,
    object: Option<Value>,
    signal: Option<i32>,
}

impl Error {
    /// An error with one of the codes of [`crate::exit_codes`].
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, object: None, signal: None }
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

    /// Says it to programs in this object instead of the general one.
    #[must_use]
    pub fn object(mut self, object: Value) -> Self {
        self.object = Some(object);
        self
    }

    /// gate ends by this signal after saying so.
    #[must_use]
    pub fn by_signal(mut self, signal: Option<i32>) -> Self {
        self.signal = signal;
        self
    }

    /// The signal that gate ends by.
    pub fn signal(&self) -> Option<i32> {
        self.signal
    }

    /// One line for people, with what to do about it.
    pub fn for_people(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("\n  instead: {}", hint.trim_end().replace('\n', "\n    ")));
        let hint = if self.object.is_some() { hint } else { self.hint.as_ref().map(|hint| format!("\n  {hint}")) };
        lines(&format!("gate: {}{}", self.message, hint.unwrap_or_default()))
    }

    /// One line for programs.
    pub fn for_programs(&self) -> String {
        let general = || match &self.hint {
            Some(hint) => json!({ "gate": 1, "executed": false, "error": self.message, "hint": hint }),
            None => json!({ "gate": 1, "executed": false, "error": self.message }),
        };
        format!("{}\n", crate::audit::ascii_json(&self.object.clone().unwrap_or_else(general)))
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

/// Text of several lines, in which nothing acts on a terminal whatever went into the message.
pub fn lines(text: &str) -> String {
    text.lines().fold(String::with_capacity(text.len() + 1), |shown, line| shown + &crate::text::visible(line) + "\n")
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
        Self { hint, ..Self::config(error.to_string()) }
    }
}
