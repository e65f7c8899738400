//! What others say while the question stands at the terminal.

use std::io;

use super::Prompt;
use crate::channel::Answered;
use crate::channel::server::Heard;

impl Prompt<'_> {
    /// What others said, or how asking them goes.
    pub(super) fn heard(&mut self) -> io::Result<Option<Answered>> {
        self.say("")?;
        while let Some(waiting) = &mut self.elsewhere {
            match waiting.heard(self.asked) {
                None => break,
                Some(Heard::Lines(lines)) => self.tell(&lines)?,
                Some(Heard::Over(lines, answered)) => {
                    self.tell(&lines)?;
                    return Ok(Some(answered));
                }
                Some(Heard::Gone(why)) => {
                    self.elsewhere = None;
                    self.say(&format!("gate: {why}; only this terminal is asked"))?;
                }
            }
        }
        Ok(None)
    }

    fn tell(&mut self, lines: &[String]) -> io::Result<()> {
        lines.iter().try_for_each(|line| self.say(&format!("gate: {line}")))
    }
}
