//! What may be typed, in words.

use super::Prompt;
use crate::channel::card;
use crate::channel::paint::{Line, Style};
use crate::policy::Justification;
use crate::text;

impl Prompt<'_> {
    pub(super) fn answers(&self) -> Vec<Line> {
        let bold = |text: &str| Line::of(Style::Bold, text);
        let wide = self.word.len().max(4);
        if !self.read {
            let mut line = Line::of(Style::Plain, "First ").and(Style::Bold, "show").and(Style::Plain, " to read it all");
            if self.columns >= 60 {
                line = line.and(Style::Plain, ", then ").and(Style::Bold, self.word.as_str()).and(Style::Plain, " to run it");
            }
            return vec![line.and(Style::Plain, "; ").and(Style::Bold, "no").and(Style::Plain, " to refuse.")];
        }
        if self.columns >= 60 {
            let mut line = Line::of(Style::Plain, "Type ").and(Style::Bold, self.word.as_str()).and(Style::Plain, " to run it, ");
            line = line
                .and(Style::Bold, "no")
                .and(Style::Plain, " to refuse, ")
                .and(Style::Bold, "show")
                .and(Style::Plain, " for all details.");
            return vec![line];
        }
        vec![
            bold(&format!("{:wide$}", self.word)).and(Style::Plain, "  runs it"),
            bold(&format!("{:wide$}", "no")).and(Style::Plain, "  refuses"),
            bold(&format!("{:wide$}", "show")).and(Style::Plain, "  all details"),
        ]
    }

    pub(super) fn wanted(&self) -> Vec<Line> {
        let wants: Vec<String> =
            self.asked.asked().terms.justification.iter().filter(|j| **j != Justification::None).filter_map(card::wants).collect();
        text::wrap(&format!("Why? The policy wants {}.", wants.join(" and ")), self.columns)
            .into_iter()
            .map(|line| Line::of(Style::Plain, line))
            .collect()
    }
}
