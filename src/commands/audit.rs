//! `gate audit`: what the log says, and whether it still says what it said.

use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;

use clap::{Args, Subcommand};

use crate::approval::Stamp;
use crate::audit::{self, Found, Log, Place, Reader, ascii_json};
use crate::error::Error;
use crate::policy::LogSettings;
use crate::sys::harden::Hardened;
use crate::text;
use progress::Progress;

mod anchor;
mod assurance;
mod backup;
mod bundle;
mod export;
mod init;
mod list;
mod progress;
mod prove;
mod prune;
mod redact;
mod report;
mod resume;
mod search;
mod ship;
mod show;
mod stats;
mod tail;
mod verdict;
mod verify;

/// The log is sound, and a checkpoint kept elsewhere vouches for it (or none was wanted).
pub const SOUND: u8 = 0;
/// Something in the log is not as gate wrote it.
pub const TAMPERED: u8 = 1;
/// It could not be checked, or there is nothing to show.
pub const CANNOT_CHECK: u8 = 2;
/// All holds, but only the log's own key vouches for it.
pub const NOT_ANCHORED: u8 = 3;

/// Reads and verifies the audit log
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Reads this database, for example a copy, instead of the own log
    #[arg(long, value_name = "PATH", global = true)]
    db: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes the log and its keys, and prints the key to be kept elsewhere
    Init(init::InitArgs),
    /// Lists requests, the newest first
    List(list::ListArgs),
    /// Finds entries by words, user, rule, program or decision, the newest first, and proves them
    Search(search::SearchArgs),
    /// Shows one entry, or all entries of a request, and proves them
    Show(show::ShowArgs),
    /// Shows the last entries, and follows new ones
    Tail(tail::TailArgs),
    /// Erases what should not have been logged; every proof stays valid
    Redact(redact::RedactArgs),
    /// Moves old entries to archives that still verify
    Prune(prune::PruneArgs),
    /// Copies the log into a new file while others go on writing
    Backup(backup::BackupArgs),
    /// Lets commands run again after a failure of the log had stopped them
    Resume(resume::ResumeArgs),
    /// Checks that nothing in the log was changed, removed or put in
    Verify(verify::VerifyArgs),
    /// Writes a proof of one entry that needs no log to be checked
    Prove(prove::ProveArgs),
    /// Writes what an auditor needs into one file, with the way to verify it without gate
    Bundle(bundle::BundleArgs),
    /// Prints the signed checkpoint of the log's end, to be kept elsewhere
    Checkpoint,
    /// Writes entries in a form that other systems take, each proved first
    Export(export::ExportArgs),
    /// Counts requests by result, rule, user and program, and how long people took
    Stats(stats::StatsArgs),
    /// Writes a report for auditors: who asked, who decided, which policy, and how sure all that is
    Report(report::ReportArgs),
    /// Sends new entries to the sinks that the layers name
    Ship(ship::ShipArgs),
    /// Asks the witnesses that the layers name to countersign the log's end
    Anchor(anchor::AnchorArgs),
}

/// What the outside tells: where the own log is, the time, the boot, the terminal.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// The own log.
    pub place: &'a Place,
    /// Now.
    pub now: Stamp,
    /// This boot.
    pub boot_id: &'a str,
    /// What the layers say about the log.
    pub settings: &'a LogSettings,
    /// Whose files the layers may name.
    pub uid: u32,
    /// Who calls, as records tell it.
    pub actor: &'a serde_json::Value,
    /// `COLUMNS`, if it is set.
    pub columns: Option<usize>,
    /// Whether `NO_COLOR` is set to anything, or `TERM` is `dumb`.
    pub no_colour: bool,
}

/// Runs `gate audit` and says what the process ends with.
pub fn run(args: AuditArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    if let Some(what) = args.what.writes() {
        return match args.db {
            Some(_) => Err(Error::new(crate::exit_codes::USAGE, format!("`{what}` is for the own log only, and `--db` names another one"))),
            None => write(args.what, around),
        };
    }
    let without_a_log = match &args.what {
        What::Verify(verify) if verify.bundle.is_some() && args.db.is_some() => {
            return Err(Error::new(crate::exit_codes::USAGE, "`--bundle` and `--db` are two things to check"));
        }
        What::Prove(prove) => prove::check(prove),
        What::Verify(verify) => verify::bundle(verify, around),
        _ => None,
    };
    if let Some(done) = without_a_log {
        return done;
    }
    let reader = match &args.db {
        Some(path) => Reader::open(path),
        None => Reader::live(around.place),
    };
    let verifying = matches!(args.what, What::Verify(_));
    let reader = match reader {
        // A database that is no longer one is the coarsest kind of tampering.
        Err(error) if verifying && error.kind() == audit::Kind::Damaged => {
            return tampered(&error);
        }
        other => other.map_err(cannot)?,
    };
    match args.what {
        What::List(list) => list::list(&reader, &list, around),
        What::Show(show) => show::show(&reader, &show),
        What::Tail(tail) => tail::tail(&reader, &tail),
        What::Search(search) => search::search(reader, &search, around),
        What::Verify(verify) => verify::verify(reader, &verify, args.db.is_none(), around),
        What::Prove(prove) => prove::prove(&reader, &prove),
        What::Bundle(bundle) => bundle::bundle(&reader, &bundle, around),
        What::Checkpoint => checkpoint(&reader),
        What::Init(_) | What::Redact(_) | What::Prune(_) | What::Resume(_) => Err(Error::internal("this does not only read")),
        What::Backup(backup) => backup::backup(&reader, &backup),
        What::Export(export) => export::export(&reader, &export, around),
        What::Stats(stats) => stats::stats(&reader, &stats, around),
        What::Report(report) => report::report(&reader, &report, args.db.is_none(), around),
        What::Anchor(_) if args.db.is_some() => Err(Error::new(crate::exit_codes::USAGE, "only the own log is anchored")),
        What::Anchor(anchor) => anchor::anchor(&anchor, around),
        What::Ship(_) if args.db.is_some() => Err(Error::new(crate::exit_codes::USAGE, "only the own log is sent anywhere")),
        What::Ship(ship) => ship::ship(&reader, &ship, around),
    }
}

impl What {
    /// The name of what changes the log.
    fn writes(&self) -> Option<&'static str> {
        match self {
            Self::Init(_) => Some("init"),
            Self::Redact(_) => Some("redact"),
            Self::Prune(_) => Some("prune"),
            Self::Resume(_) => Some("resume"),
            _ => None,
        }
    }
}

/// What changes the log, and reads its keys for that.
fn write(what: What, around: &Surroundings<'_>) -> Result<u8, Error> {
    let hardened = Hardened::new().map_err(|error| Error::internal(format!("gate cannot be hardened: {error}")))?;
    let done = match what {
        What::Init(init) => init::init(&init, around),
        What::Redact(redact) => redact::redact(&redact, around),
        What::Prune(prune) => prune::prune(&prune, around),
        What::Resume(resume) => resume::resume(&resume, around),
        _ => Err(Error::internal("this only reads")),
    };
    drop(hardened);
    done
}

/// The own log, open to be written; it has to be there.
fn own(around: &Surroundings<'_>) -> Result<Log, Error> {
    Reader::live(around.place).map_err(cannot)?;
    Log::open(around.place, around.now, around.boot_id).map_err(cannot)
}

/// Reads a time: how long ago, a day, or a moment; UTC where nothing else is said.
fn since(when: &str, now: Stamp) -> Result<i64, Error> {
    let ago = || {
        let (number, unit) = when.split_at(when.len().checked_sub(1)?);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        let nanoseconds = number.parse::<i64>().ok().filter(|number| *number >= 0)?.checked_mul(seconds)?.checked_mul(1_000_000_000)?;
        Some(now.wall.saturating_sub(nanoseconds))
    };
    let moment = || {
        let time = when.parse::<jiff::Timestamp>().ok();
        let civil = || when.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let time = time.or_else(|| civil().map(|time| time.timestamp()))?;
        i64::try_from(time.as_nanosecond()).ok()
    };
    when.is_ascii().then(|| ago().or_else(moment)).flatten().ok_or_else(|| {
        Error::new(crate::exit_codes::USAGE, format!("`{}` is not a time", text::escape(when.as_bytes())))
            .hint("say how long ago (90s, 30m, 2h, 7d) or a date (2026-01-31, 2026-01-31T12:00Z)")
    })
}

/// The same reader, which tells a terminal how far long work is.
fn watched(reader: Reader) -> (Reader, Option<Rc<Progress>>) {
    let Some(progress) = Progress::start().map(Rc::new) else { return (reader, None) };
    let watching = Rc::clone(&progress);
    (reader.watched(move |done, of| watching.tell(done, of)), Some(progress))
}

fn json_of(entry: &Found) -> String {
    format!("{}\n", ascii_json(&entry.value()))
}

/// Prints a note as it is, so only one that a terminal takes as plain text.
fn checkpoint(reader: &Reader) -> Result<u8, Error> {
    let note = reader.checkpoint().map_err(cannot)?;
    if note.chars().any(|c| c != '\n' && c != '—' && !(' '..='~').contains(&c)) {
        return Err(Error::new(CANNOT_CHECK, "the log's checkpoint is not plain text"));
    }
    finish(print(&note), SOUND)
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// A reader of our output that went away is no failure.
fn finish(printed: io::Result<()>, ending: u8) -> Result<u8, Error> {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(crate::exit_codes::INTERNAL, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(ending),
    }
}

fn cannot(error: audit::Error) -> Error {
    told(error, CANNOT_CHECK)
}

/// A log that is none any more, for `verify`.
fn tampered(error: &audit::Error) -> Result<u8, Error> {
    finish(print(&format!("tampered: {}\n", text::escape(error.to_string().as_bytes()))), TAMPERED)
}

/// The same where entries are proved on the way: one that does not hold is tampering.
fn wrong(error: audit::Error) -> Error {
    let code = if error.kind() == audit::Kind::Damaged { TAMPERED } else { CANNOT_CHECK };
    told(error, code)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn told(error: audit::Error, code: u8) -> Error {
    let shown = Error::new(code, text::escape(error.to_string().as_bytes()));
    match error.hint_text() {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}

/// Runs `gate audit` on this user's log.
pub fn run_here(args: AuditArgs) -> Result<u8, Error> {
    let around = super::surroundings::Surroundings::capture()?;
    let place = around.place()?;
    let set = |name: &str| around.context.environment.get(name).filter(|value| !value.is_empty());
    let surroundings = Surroundings {
        place: &place,
        now: super::surroundings::now()?,
        boot_id: &crate::sys::clock::boot_id(),
        settings: &around.policy.log_settings(),
        uid: around.context.who.uid,
        actor: &crate::record::story::actor(&around.context),
        columns: set("COLUMNS").and_then(|columns| columns.to_str()?.parse().ok()),
        no_colour: set("NO_COLOR").is_some() || set("TERM").is_some_and(|term| term == "dumb"),
    };
    run(args, &surroundings)
}
