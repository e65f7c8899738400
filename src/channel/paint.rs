use crate::text;

/// How a piece of a line looks. Each is legible on light and dark, and none is needed to understand the words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// As the terminal has it.
    Plain,
    /// What the eye should find first.
    Bold,
    /// What can hurt.
    Alert,
    /// The badge of the worst risk.
    Badge,
    /// An escape or a hidden part inside a command.
    Marked,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Alert => "\x1b[1;31m",
            Self::Badge => "\x1b[1;7;31m",
            Self::Marked => "\x1b[7m",
        }
    }
}

/// One line of a card: pieces that have passed through `text`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line(Vec<(Style, String)>);

impl Line {
    /// A line of one piece.
    pub(super) fn of(style: Style, text: impl Into<String>) -> Self {
        Self(vec![(style, text.into())])
    }

    /// The same with a further piece.
    #[must_use]
    pub(super) fn and(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    /// The words alone.
    pub fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect::<String>().trim_end().to_owned()
    }

    /// The line as a terminal gets it; without colour no escape sequence is in it.
    pub fn paint(&self, colour: bool) -> String {
        if !colour {
            return self.plain();
        }
        let mut out = String::new();
        for (style, text) in &self.0 {
            match style.code() {
                "" => out.push_str(text),
                code => out.extend([code, text, "\x1b[0m"]),
            }
        }
        out
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[(Style, String)] {
        &self.0
    }

    /// How many columns it takes.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text::width(text)).sum()
    }
}
