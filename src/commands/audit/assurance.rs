//! Whether what vouches for a log is as much as was asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::prove::read;
use super::{CANNOT_CHECK, NOT_ANCHORED, SOUND, Surroundings, TAMPERED, cannot, since};
use crate::audit::{Reader, Report};
use crate::commands::anchor::{self, Anchoring, moment};
use crate::error::Error;
use crate::exit_codes::USAGE;
use crate::record::{LONGEST_POLICY, TlogPolicy};
use crate::text;

/// What is asked for besides soundness.
#[derive(Clone, Debug, Default)]
pub(super) struct Demands {
    /// How many entries have to be vouched for.
    at: Option<u64>,
    most: Option<Most>,
    /// Seconds since 1970.
    now: u64,
    local: bool,
}

/// How much may be without an anchor.
#[derive(Clone, Copy, Debug)]
enum Most {
    Entries(u64),
    Age(Duration),
}

impl Demands {
    /// Reads `--at` and `--max-unanchored`. A time needs a log that says what it held then.
    pub(super) fn new(
        at: Option<&str>,
        most: Option<&str>,
        local: bool,
        reader: Option<&Reader>,
        around: &Surroundings<'_>,
    ) -> Result<Self, Error> {
        let at = at.map(|at| entries(at, reader, around)).transpose()?;
        Ok(Self { at, most: most.map(self::most).transpose()?, now: anchor::seconds(around.now), local })
    }

    /// How many entries have to be vouched for, where that was said.
    pub(super) fn at(&self) -> Option<u64> {
        self.at
    }

    /// What is missing; none where a checkpoint kept elsewhere, or enough witnesses, vouch for as much as was asked for.
    pub(super) fn lacking(&self, report: &Report) -> Option<String> {
        let Some(anchored) = report.anchored else {
            return Some("only the log's own key vouches for this; whoever holds it could have written all of it anew".to_owned());
        };
        if let Some(at) = self.at {
            return (anchored < at).then(|| format!("the first {anchored} entries are vouched for, and {at} were asked for"));
        }
        let follow = report.size.saturating_sub(anchored);
        match self.most? {
            Most::Entries(most) => (follow > most).then(|| format!("{follow} entries follow the last anchor, and {most} may")),
            Most::Age(most) => match &report.witnessed {
                Some(last) if self.now.saturating_sub(last.time) <= most.as_secs() => None,
                Some(last) => Some(format!("the last anchor is of {}, which is too long ago", moment(last.time))),
                None => Some("no witness says of when the anchor is".to_owned()),
            },
        }
    }

    /// What a report comes to.
    pub(super) fn ending(&self, report: &Report) -> u8 {
        match (report.wrong, self.local || self.lacking(report).is_none()) {
            (1.., _) => TAMPERED,
            (0, true) => SOUND,
            (0, false) => NOT_ANCHORED,
        }
    }
}

/// The witnesses that count: those of the file, or for the own log those that the layers name.
pub(super) fn policy(
    file: Option<&PathBuf>,
    own: bool,
    at: Option<u64>,
    around: &Surroundings<'_>,
) -> Result<Option<crate::audit::Expected>, Error> {
    match file {
        Some(path) => Ok(Some(anchor::expected(policy_file(path)?, around.now, at))),
        None if own => {
            let anchoring = Anchoring::new(around.place, around.settings, around.uid, around.now)?;
            Ok(anchoring.map(|anchoring| crate::audit::Expected { at, ..anchoring.into_expected() }))
        }
        None => Ok(None),
    }
}

fn policy_file(path: &Path) -> Result<TlogPolicy, Error> {
    anchor::parse(path, &read(path, LONGEST_POLICY)?).map_err(|what| Error::new(CANNOT_CHECK, what))
}

/// `--at`: a number of entries, or what the log held at a time.
fn entries(at: &str, reader: Option<&Reader>, around: &Surroundings<'_>) -> Result<u64, Error> {
    if let Ok(size) = at.parse() {
        return Ok(size);
    }
    let wall = since(at, around.now)?;
    let reader = reader.ok_or_else(|| Error::new(USAGE, "of a bundle only a number of entries can be said with `--at`"))?;
    reader.first_since(wall).map_err(cannot)
}

/// `--max-unanchored`: a number of entries, or a time such as `2h`.
fn most(given: &str) -> Result<Most, Error> {
    let age = || text::span(given).map(|seconds| Most::Age(Duration::from_secs(seconds)));
    given.parse().map(Most::Entries).ok().or_else(age).ok_or_else(|| {
        let what = format!("`{}` is neither a number of entries nor a time", text::escape(given.as_bytes()));
        Error::new(USAGE, what).hint("write it as `100`, `90s`, `30m`, `2h` or `7d`")
    })
}

/// Says in one line who vouches for how much.
pub(super) fn anchored(report: &Report) -> Option<String> {
    let size = report.anchored?;
    let follow = report.size.saturating_sub(size);
    match report.witnessed.as_ref().filter(|found| found.size == size) {
        Some(found) => {
            let by: Vec<String> = found.by.iter().map(|(name, time)| format!("{name} at {}", moment(*time))).collect();
            Some(format!("witnesses vouch for the first {size} entries as of {} ({}), {follow} follow", moment(found.time), by.join(", ")))
        }
        None => Some(format!("the checkpoint kept elsewhere vouches for the first {size} entries, {follow} follow")),
    }
}

/// Takes what witnesses vouch for together with what was kept elsewhere.
pub(super) fn together(report: &mut Report) {
    report.anchored = report.anchored.max(report.witnessed.as_ref().map(|found| found.size));
}
