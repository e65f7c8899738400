use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::assurance::{self, Demands};
use super::verdict::in_words;
use super::verify::whole;
use super::{SOUND, Surroundings, TAMPERED, cannot, finish, print, since, wrong};
use crate::audit::{self, Reader};
use crate::error::Error;
use crate::exit_codes;
use crate::record::ascii_json;
use crate::report::{Facts, Framework, Gathering, Report, Span, Verification, markdown, moment, page};
use crate::text;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Whose controls the report is about
    #[arg(long, value_name = "FRAMEWORK", value_enum)]
    control: Control,
    /// From then on: 90s, 30m, 2h, 7d, 2026-01-31, 2026-01-31T12:00Z
    #[arg(long, value_name = "WHEN")]
    since: String,
    /// Until then, this moment not included
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// The form
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Format,
    /// A checkpoint of this log that was kept elsewhere (see `gate audit checkpoint`)
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The witnesses that count, and how many of them it takes (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Writes to this new file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Control {
    /// The Trust Services Criteria of SOC 2
    Soc2,
    /// What `FedRAMP` asks for, from NIST SP 800-53
    Fedramp,
    /// ISO/IEC 27001:2022, annex A
    Iso27001,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// One page that needs nothing else
    Html,
    /// Markdown
    Md,
    /// One JSON object
    Json,
}

/// `own` says that it is the own log, whose witnesses the layers name.
pub(super) fn report(reader: &Reader, args: &ReportArgs, own: bool, around: &Surroundings<'_>) -> Result<u8, Error> {
    let span = span(Some(&args.since), args.until.as_deref(), around)?;
    let (verification, ending) = verification(reader, args, own, around)?;
    let framework = match args.control {
        Control::Soc2 => Framework::Soc2,
        Control::Fedramp => Framework::Fedramp,
        Control::Iso27001 => Framework::Iso27001,
    };
    let (gathering, stopped) = gathered(reader, span);
    let facts = gathering.finish(stopped.map(|error| text::escape(error.to_string().as_bytes())));
    // What cannot be proved is tampering too, whichever check met it first.
    let ending = if facts.stopped.is_some() { TAMPERED } else { ending };
    let verification = if ending == TAMPERED { Verification { assurance: "tampered", ..verification } } else { verification };
    let controls = framework.controls(&facts, &verification);
    let made = moment(around.now.wall);
    let report = Report { framework: framework.name(), made, gate: env!("CARGO_PKG_VERSION"), verification, facts, controls };
    let written = match args.format {
        Format::Html => page(&report, span),
        Format::Md => markdown(&report),
        Format::Json => Ok(format!("{}\n", ascii_json(&serde_json::to_value(&report).unwrap_or_default()))),
    };
    let written = written.map_err(|_| Error::new(exit_codes::INTERNAL, "the report cannot be written out"))?;
    match &args.out {
        None => finish(print(&written), ending),
        Some(path) => save(path, &written).map(|()| ending),
    }
}

/// Checks the log with all its signatures, as `gate audit verify` does.
fn verification(reader: &Reader, args: &ReportArgs, own: bool, around: &Surroundings<'_>) -> Result<(Verification, u8), Error> {
    let demands = Demands::new(None, None, false, Some(reader), around)?;
    let check = whole(args.against.as_ref(), args.policy.as_ref(), own, around)?;
    let mut report = match reader.verify(&check) {
        Err(error) if error.kind() == audit::Kind::Damaged => {
            let words = vec![format!("tampered: {}", text::escape(error.to_string().as_bytes()))];
            return Ok((Verification { assurance: "tampered", words, ..Verification::default() }, TAMPERED));
        }
        other => other.map_err(cannot)?,
    };
    let shown = |text: &str| text::escape(text.as_bytes());
    assurance::together(&mut report);
    let (assurance, ending) = match (report.wrong, demands.lacking(&report)) {
        (1.., _) => ("tampered", TAMPERED),
        (0, None) => ("anchored", SOUND),
        (0, Some(_)) => ("not anchored", SOUND),
    };
    let verification = Verification {
        assurance,
        words: in_words(&report, &demands).lines().map(str::to_owned).collect(),
        entries: report.size,
        origin: shown(&report.origin),
        key: shown(&report.key),
        checkpoint: report.checkpoint.lines().map(shown).collect(),
    };
    Ok((verification, ending))
}

/// A span that the command line names; without an end it ends now.
pub(super) fn span(from: Option<&str>, until: Option<&str>, around: &Surroundings<'_>) -> Result<Span, Error> {
    let time = |when: Option<&str>| when.map(|when| since(when, around.now)).transpose();
    let span = Span { since: time(from)?.unwrap_or(0), until: time(until)?.unwrap_or(around.now.wall.saturating_add(1)) };
    if span.since >= span.until {
        return Err(Error::new(exit_codes::USAGE, "the time span is empty").hint("`--since` has to lie before `--until`, and in the past"));
    }
    Ok(span)
}

/// Goes through all entries, each proved, as far as they hold; with what ended it early.
fn gathered(reader: &Reader, span: Span) -> (Gathering, Option<audit::Error>) {
    let mut gathering = Gathering::new(span);
    let stopped = walk(reader, &mut gathering).err();
    (gathering, stopped)
}

fn walk(reader: &Reader, gathering: &mut Gathering) -> Result<(), audit::Error> {
    let mut entries = reader.proved(0)?;
    loop {
        let found = entries.bundle()?;
        if found.is_empty() {
            return Ok(());
        }
        // What the tree holds and is no record is told by the verification.
        for entry in found.iter().filter_map(|entry| entry.entry(false).ok()) {
            gathering.see(&entry);
        }
    }
}

/// The facts alone; an entry that does not hold is an error.
pub(super) fn facts(reader: &Reader, span: Span) -> Result<Facts, Error> {
    match gathered(reader, span) {
        (gathering, None) => Ok(gathering.finish(None)),
        (_, Some(error)) => Err(wrong(error)),
    }
}

fn save(path: &PathBuf, text: &str) -> Result<(), Error> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| {
        let shown = crate::text::escape(path.as_os_str().as_encoded_bytes());
        Error::new(exit_codes::USAGE, format!("`{shown}` cannot be made: {error}")).hint("a report never writes over a file")
    })
}
