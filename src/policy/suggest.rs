//! The rule that would allow one command, no broader than what was asked.

use std::cell::RefCell;

use super::condition::Scene;
use super::error::PolicyError;
use super::file::{self, FileKind};
use super::layers::Policy;
use super::matching;
use super::paths::Paths;
use super::reason::Effect;
use crate::request::{Argv, Facts};
use crate::text::hex;
use crate::tool::readings;

/// The longest command that a rule is offered for, in words.
const LONGEST: usize = 12;

impl Policy {
    /// A rule for the head of the user's layer that allows exactly this command; none where no rule could, since
    /// an option or a word of it is in no grammar.
    pub fn rule_to_add(&self, argv: &Argv) -> Result<Option<String>, PolicyError> {
        let words: Vec<&[u8]> = argv.bytes().collect();
        let (Ok(name), true) = (std::str::from_utf8(argv.name()), words.len() <= LONGEST) else {
            return Ok(None);
        };
        // A rule with a secret in it would show and keep the secret.
        if !self.hidden(argv.name(), &words)?.is_empty() {
            return Ok(None);
        }
        let view = self.view(argv.name())?;
        let args = Self::args(&words);
        let tried = readings(&view.grammar, name.as_bytes(), &args);
        let [reading] = tried.as_slice() else {
            return Ok(None);
        };
        let mut named: Vec<&str> = Vec::new();
        for arg in reading.words.iter().chain(&reading.operands) {
            match std::str::from_utf8(&arg.text) {
                // A pattern has no way to say a star that is meant as one.
                Ok(text) if !text.contains('*') && !text.chars().any(char::is_control) => named.push(text),
                _ => return Ok(None),
            }
        }
        // What JSON makes of a text is a basic string of TOML too.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        // Ids must differ, so the words are in it.
        let id = format!("{plain}-{}", hex(&(self.tools().sha256)(&words.join(&0))[..3]));
        let list = |items: &[&str]| items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ");
        let mut options: Vec<String> = Vec::new();
        for option in &reading.options {
            let spelling = option.spec.and_then(|spec| spec.spellings.first()).map_or("-", String::as_str);
            match option.value.as_ref().map(|value| std::str::from_utf8(&value.text)) {
                None => options.push(spelling.to_owned()),
                Some(Ok(value)) if !value.contains('*') && !value.chars().any(char::is_control) => {
                    options.push(format!("{spelling}={value}"));
                }
                Some(_) => return Ok(None),
            }
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut rule = format!("[[rule]]\nid = \"my.{id}\"\ntool = {}\neffect = \"allow\"\nwords = [{}]\n", quoted(name), list(&named));
        if !view.grammar.options.is_empty() || !options.is_empty() {
            rule += &format!("options.only = [{}]\n", list(&options));
        }
        let read = file::read("rule", format!("version = 1\n{rule}").as_bytes(), FileKind::UserHead)?;
        let scene = Scene {
            facts: &Facts::default(),
            names: &[],
            paths: &Paths::new(None, None),
            own_target: false,
            assigned: &[],
            fed: false,
            asked: &RefCell::default(),
        };
        let works = reading.inner.is_empty() && read.rules.iter().all(|rule| matching::fires(rule, Effect::Allow, false, reading, &scene));
        Ok(works.then_some(rule))
    }
}
