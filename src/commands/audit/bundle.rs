use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::assurance::{Demands, together};
use super::prove::{read, shown};
use super::{CANNOT_CHECK, SOUND, Surroundings, cannot, finish, print, since, tampered, wrong};
use crate::audit::{self, Bundled, Check, Contents, Reader, ascii_json, check_bundle};
use crate::error::Error;
use crate::text;

pub(super) const README: &str = include_str!("bundle.md");

/// A policy of witnesses and a list of approvers are short.
const MAX_FILE: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// The first entry
    #[arg(long, value_name = "SEQ", conflicts_with = "since")]
    from: Option<u64>,
    /// The last entry
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// Entries since then: 90s, 30m, 2h, 7d, 2026-01-31, 2026-01-31T12:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// The witnesses that count, to go with it (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Who may approve, to go with it (ssh-keygen's `allowed_signers`)
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// The new file
    #[arg(value_name = "OUT.tar")]
    out: PathBuf,
}

pub(super) fn bundle(reader: &Reader, args: &BundleArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    let from = match (&args.since, args.from) {
        (Some(when), _) => reader.first_since(since(when, around.now)?).map_err(cannot)?,
        (None, from) => from.unwrap_or(0),
    };
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| read(path, MAX_FILE)).transpose();
    let contents = Contents {
        entries: from..args.to.map_or(u64::MAX, |to| to.saturating_add(1)),
        readme: README,
        policy: file(&args.policy)?,
        signers: file(&args.allowed_signers)?,
    };
    let failed = |error| Error::new(CANNOT_CHECK, format!("`{}` cannot be written: {error}", shown(&args.out)));
    let mut out = BufWriter::new(File::create_new(&args.out).map_err(failed)?);
    let written = reader.bundle(&contents, &args.out, &mut out).map_err(wrong);
    let written = written.and_then(|entries| out.flush().and_then(|()| out.get_ref().sync_all()).map_err(failed).map(|()| entries));
    if written.is_err() {
        // Half a bundle is worth nothing.
        let _ = std::fs::remove_file(&args.out);
    }
    let entries = written?;
    let line = format!("{}: entries {} to {}, see its README.md\n", shown(&args.out), entries.start, entries.end - 1);
    finish(print(&line), SOUND)
}

/// Checks a bundle and says what it found.
pub(super) fn verify(path: &Path, check: &Check, demands: &Demands, json: bool) -> Result<u8, Error> {
    let file = File::open(path).map_err(|error| Error::new(CANNOT_CHECK, format!("`{}` cannot be read: {error}", shown(path))))?;
    let mut found = match check_bundle(path, &mut BufReader::new(file), check) {
        Err(error) if error.kind() == audit::Kind::Damaged => {
            return tampered(&error);
        }
        other => other.map_err(cannot)?,
    };
    together(&mut found.report);
    let ending = demands.ending(&found.report);
    finish(print(&if json { in_json(&found, demands) } else { in_words(&found, demands) }), ending)
}

fn in_words(found: &Bundled, demands: &Demands) -> String {
    let report = &found.report;
    let mut words = String::new();
    let mut say = |line: String| {
        words.push_str(&text::escape(line.as_bytes()));
        words.push('\n');
    };
    super::verdict::problems(report).into_iter().for_each(&mut say);
    let held: Vec<String> = found.held.iter().map(|(first, last)| range(*first, *last)).collect();
    if report.wrong == 0 {
        let count: u64 = found.held.iter().map(|(first, last)| last - first + 1).sum();
        say(format!("sound: {count} of the log's {} entries as they were written, {} signatures checked", report.size, report.signatures));
        say(format!("holds entries {}", held.join(", ")));
        if report.erased > 0 {
            say(format!("redacted: {} of their parts are not disclosed: they were erased, or left out here", report.erased));
        }
        super::verdict::vouched(report, demands).into_iter().for_each(&mut say);
        for size in &found.countersigned {
            say(format!("holds a countersigned checkpoint of {size} entries"));
        }
    }
    say(format!("log {}", report.origin));
    say(format!("key {}", report.key));
    words
}

fn range(first: u64, last: u64) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn in_json(found: &Bundled, demands: &Demands) -> String {
    let mut value: serde_json::Value = serde_json::from_str(&super::verdict::in_json(&found.report, demands)).unwrap_or_default();
    value["held"] = serde_json::json!(found.held);
    value["countersigned"] = serde_json::json!(found.countersigned);
    format!("{}\n", ascii_json(&value))
}
