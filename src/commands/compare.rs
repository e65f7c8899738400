//! `gate policy diff`: what two policies would decide differently.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::history::{self, Past};
use crate::audit::Reader;
use crate::embedded;
use crate::error::Error;
use crate::policy::{self, LayerFiles, Layers, Policy, PolicyFile};
use crate::text;

/// What came of a comparison.
pub(super) struct Compared {
    /// For people, or one JSON object a line.
    pub text: String,
    /// Whether the new policy is milder anywhere.
    pub milder: bool,
}

/// Decides every command of the history by both policies. Facts are unknown to both, so conditions take their stricter answer.
pub(super) fn run(old: &Path, new: &Path, past: &[Past], as_json: bool) -> Result<Compared, Error> {
    let (old, new) = (load(old)?, load(new)?);
    let mut compared = Compared { text: String::new(), milder: false };
    let mut differ = 0;
    for past in past {
        let (Some((before, by_before)), Some((after, by_after))) = (policy::judged(&old, &past.argv)?, policy::judged(&new, &past.argv)?)
        else {
            continue;
        };
        if before == after {
            continue;
        }
        differ += 1;
        compared.milder |= after < before;
        let words: Vec<&[u8]> = past.argv.iter().map(Vec::as_slice).collect();
        let command = text::command(&words, &spans(&new, &words)?);
        let change = if after < before { "milder" } else { "stricter" };
        compared.text += &if as_json {
            let change = json!({
                "command": command, "times": past.times, "old": before.word(), "new": after.word(), "change": change,
                "old_rules": by_before, "new_rules": by_after,
            });
            format!("{change}\n")
        } else {
            format!(
                "{change:8} {:>5} -> {:<5} {command}\n    {} -> {}\n",
                before.word(),
                after.word(),
                listed(&by_before),
                listed(&by_after)
            )
        };
    }
    if !as_json {
        compared.text += &format!("{} commands, {differ} decided otherwise\n", past.len());
    }
    Ok(compared)
}

/// The commands to compare by: a file's, or those of the own log.
pub(super) fn commands(against: Option<&PathBuf>, own: impl FnOnce() -> Result<Reader, Error>) -> Result<Vec<Past>, Error> {
    match against {
        Some(path) => history::of_file(path),
        None => history::of_log(&own()?),
    }
}

fn spans(policy: &Policy, words: &[&[u8]]) -> Result<Vec<(usize, usize, usize)>, Error> {
    Ok(policy.secrets(words)?.into_iter().map(|span| (span.word, span.start, span.end)).collect())
}

fn listed(rules: &[String]) -> String {
    rules.iter().map(|rule| text::escape(rule.as_bytes())).collect::<Vec<_>>().join(", ")
}

/// Loads a policy as a user's layer: a `policy.toml`, or a directory that holds one and `policies`.
pub(super) fn load(path: &Path) -> Result<Policy, Error> {
    let user = if path.is_dir() {
        let head = path.join("policy.toml");
        let tools = path.join("policies");
        let mut files: Vec<PathBuf> = if tools.is_dir() {
            let entries =
                std::fs::read_dir(&tools).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|error| unreadable(&tools, &error))?;
            entries.into_iter().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "toml")).collect()
        } else {
            Vec::new()
        };
        files.sort();
        if !head.is_file() && files.is_empty() {
            return Err(Error::config(format!("`{}` holds no policy", text::escape(path.as_os_str().as_encoded_bytes()))));
        }
        let head = head.is_file().then(|| file(&head)).transpose()?;
        LayerFiles { head, tools: files.iter().map(|path| file(path)).collect::<Result<_, _>>()? }
    } else {
        LayerFiles { head: Some(file(path)?), tools: Vec::new() }
    };
    let policy = Policy::load(Layers { user: Some(user), ..Layers::default() }, embedded::tools())?;
    Ok(policy)
}

fn file(path: &Path) -> Result<PolicyFile, Error> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let family = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    Ok(PolicyFile { name: text::escape(path.as_os_str().as_encoded_bytes()), family, bytes })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::config(format!("`{}` cannot be read: {error}", text::escape(path.as_os_str().as_encoded_bytes())))
}
