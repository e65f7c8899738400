use std::fmt;
use std::ops::Range;

/// What is wrong with a policy file, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyError {
    /// The file, as it is shown.
    pub file: String,
    /// Line and column (from 1, in characters), the line's text, and how many characters are meant.
    pub at: Option<(usize, usize, String, usize)>,
    /// A lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl PolicyError {
    /// An error about a whole file.
    pub fn whole(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at: None, message: message.into(), hint: None }
    }

    /// An error about a part of a file.
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = floor(text, span.start.min(text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[..start].matches('\n').count() + 1;
        let column = text[line_start..start].chars().count() + 1;
        let end = floor(text, span.end.clamp(start, line_end));
        let width = text[start..end].chars().count().max(1);
        let shown = text[line_start..line_end].trim_end().to_owned();
        Self { file: file.to_owned(), at: Some((line, column, shown, width)), message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// The nearest place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

/// The longest part of a line that is printed around an error, in characters.
const SHOWN: usize = 160;

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = crate::text::escape(self.file.as_bytes());
        let message = crate::text::escape(self.message.as_bytes());
        let Some((line, column, text, width)) = &self.at else {
            return write!(f, "{file}: {message}");
        };
        let skipped = column.saturating_sub(SHOWN / 2);
        let shown: String = text.chars().skip(skipped).take(SHOWN).collect();
        let before: String = text.chars().skip(skipped).take(column - 1 - skipped.min(column - 1)).collect();
        let indent = crate::text::width(&crate::text::escape(before.as_bytes()));
        let margin = line.to_string().len();
        write!(f, "{file}:{line}:{column}: {message}")?;
        write!(f, "\n{:margin$} |\n{line} | {}", "", crate::text::escape(shown.as_bytes()))?;
        write!(f, "\n{:margin$} | {:indent$}{}", "", "", "^".repeat((*width).min(SHOWN)))
    }
}

impl std::error::Error for PolicyError {}
