//! `gate audit`: what the log says, and whether it still says what it said.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::approval::Stamp;
use crate::audit::{self, Check, Filter, Found, Line, Look, Place, Reader, Wanted, ascii_json, table};
use crate::error::Error;
use crate::request::RequestId;
use crate::text;

mod verdict;

use verdict::{in_json, in_words};

/// The log is sound, and a checkpoint kept elsewhere vouches for it (or none was wanted).
pub const SOUND: u8 = 0;
/// Something in the log is not as gate wrote it.
pub const TAMPERED: u8 = 1;
/// It could not be checked, or there is nothing to show.
pub const CANNOT_CHECK: u8 = 2;
/// All holds, but only the log's own key vouches for it.
pub const NOT_ANCHORED: u8 = 3;

/// How long `tail --follow` waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

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
    /// Lists requests, the newest first
    List(ListArgs),
    /// Shows one entry, or all entries of a request, and proves them
    Show(ShowArgs),
    /// Shows the last entries, and follows new ones
    Tail(TailArgs),
    /// Checks that nothing in the log was changed, removed or put in
    Verify(VerifyArgs),
    /// Prints the signed checkpoint of the log's end, to be kept elsewhere
    Checkpoint,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only what was asked since then: 90s, 30m, 2h, 7d, 2026-01-31, 2026-01-31T12:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only this user's requests, by name or uid
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only where this rule took part; ID* stands for all that begin so
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Only with this decision: allowed, approved, denied, rejected, …, or allow, ask, deny
    #[arg(long, value_name = "WORD")]
    decision: Option<String>,
    /// Only of this risk
    #[arg(long, value_name = "RISK", value_parser = ["low", "medium", "high", "critical"])]
    risk: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Prints one JSON object in each line
    #[arg(long)]
    json: bool,
    /// Prints every entry as JSON, the oldest first
    #[arg(long, conflicts_with_all = ["since", "user", "rule", "decision", "risk", "limit"])]
    entries: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// An entry's number, or a request's id
    #[arg(value_name = "ID|SEQ")]
    which: String,
    /// Prints one JSON object in each line
    #[arg(long)]
    json: bool,
    /// Prints the very bytes that are hashed and signed; not to a terminal
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

#[derive(Debug, Args)]
struct TailArgs {
    /// Goes on with new entries until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many entries to begin with
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: u32,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Which record signatures to check
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Which::All)]
    signatures: Which,
    /// A checkpoint of this log that was kept elsewhere (see `gate audit checkpoint`)
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Is content with a log that only its own key vouches for
    #[arg(long)]
    local: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Each
    All,
    /// About a thousand
    Sample,
    /// None: the signed checkpoint vouches for all entries already
    None,
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
    /// `COLUMNS`, if it is set.
    pub columns: Option<usize>,
    /// Whether `NO_COLOR` is set to anything, or `TERM` is `dumb`.
    pub no_colour: bool,
}

/// Runs `gate audit` and says what the process ends with.
pub fn run(args: AuditArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    let reader = match &args.db {
        Some(path) => Reader::open(path),
        None => Reader::live(around.place),
    };
    let verifying = matches!(args.what, What::Verify(_));
    let reader = match reader {
        // A database that is no longer one is the coarsest kind of tampering.
        Err(error) if verifying && error.kind() == audit::Kind::Damaged => {
            return finish(print(&format!("tampered: {error}\n")), TAMPERED);
        }
        other => other.map_err(cannot)?,
    };
    match args.what {
        What::List(list) => self::list(&reader, &list, around),
        What::Show(show) => self::show(&reader, &show),
        What::Tail(tail) => self::tail(&reader, &tail),
        What::Verify(verify) => self::verify(&reader, &verify),
        What::Checkpoint => checkpoint(&reader),
    }
}

fn list(reader: &Reader, args: &ListArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    if args.entries {
        return entries(reader);
    }
    let since = args.since.as_deref().map(|when| since(when, around.now)).transpose()?;
    let filter = Filter {
        since,
        user: args.user.clone(),
        rule: args.rule.clone(),
        decision: args.decision.clone(),
        risk: args.risk.clone(),
        limit: args.limit,
    };
    let mut lines: Vec<Line> = Vec::new();
    let mut printed = Ok(());
    let each = |line: Line| {
        if args.json {
            printed = print(&format!("{}\n", ascii_json(&line.json())));
        } else {
            lines.push(line);
        }
        printed.is_ok()
    };
    reader.list(&filter, around.boot_id, each).map_err(cannot)?;
    if !args.json && printed.is_ok() {
        printed = print(&table(&lines, look(around)));
    }
    finish(printed, SOUND)
}

fn entries(reader: &Reader) -> Result<u8, Error> {
    let mut next = 0;
    loop {
        let found = reader.find(&Wanted::From(next)).map_err(cannot)?;
        let Some(last) = found.last() else { return Ok(SOUND) };
        next = last.seq + 1;
        let printed = print(&found.iter().map(json_of).collect::<String>());
        if printed.is_err() {
            return finish(printed, SOUND);
        }
    }
}

fn look(around: &Surroundings<'_>) -> Look {
    let terminal = io::stdout().is_terminal();
    let columns = || crate::sys::window::columns().map_or(80, usize::from);
    let width = around.columns.or_else(|| terminal.then(columns));
    Look { width, colours: terminal && !around.no_colour }
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

fn show(reader: &Reader, args: &ShowArgs) -> Result<u8, Error> {
    let wanted = match (args.which.parse(), RequestId::parse(&args.which)) {
        (Ok(seq), _) => Wanted::Entry(seq),
        (_, Some(id)) => Wanted::Request(id),
        _ => {
            let which = text::escape(args.which.as_bytes());
            return Err(Error::new(crate::exit_codes::USAGE, format!("`{which}` is neither an entry's number nor a request's id"))
                .hint("`gate audit list --json` shows both"));
        }
    };
    if args.raw && io::stdout().is_terminal() {
        return Err(Error::new(crate::exit_codes::USAGE, "raw bytes are not shown on a terminal").hint("send them to a file"));
    }
    let found = reader.find(&wanted).map_err(cannot)?;
    if found.is_empty() {
        return Err(Error::new(CANNOT_CHECK, "there is no such entry"));
    }
    let mut ending = SOUND;
    for (number, entry) in found.iter().enumerate() {
        let proof = reader.prove(entry);
        if let Err(error) = &proof {
            ending = TAMPERED;
            eprintln!("gate: {error}");
        }
        let printed = if args.raw {
            let mut out = io::stdout().lock();
            out.write_all(&entry.body).and_then(|()| if found.len() > 1 { out.write_all(b"\n") } else { Ok(()) })
        } else if args.json {
            print(&json_of(entry))
        } else {
            let gap = if number == 0 { "" } else { "\n" };
            let proved = proof.map_or_else(|_| "NOT PROVED".to_owned(), |size| format!("proved in the checkpoint of {size} entries"));
            print(&format!("{gap}entry {}, {proved}\n{}", entry.seq, entry.members()))
        };
        if printed.is_err() {
            return finish(printed, ending);
        }
    }
    Ok(ending)
}

fn json_of(entry: &Found) -> String {
    let value: serde_json::Value = serde_json::from_slice(&entry.body).unwrap_or_default();
    format!("{}\n", ascii_json(&value))
}

fn tail(reader: &Reader, args: &TailArgs) -> Result<u8, Error> {
    let mut found = reader.find(&Wanted::Last(args.lines)).map_err(cannot)?;
    let mut next = match found.last() {
        Some(last) => last.seq + 1,
        None => reader.find(&Wanted::Last(1)).map_err(cannot)?.last().map_or(0, |last| last.seq + 1),
    };
    let mut version = 0;
    loop {
        for entry in &found {
            next = entry.seq + 1;
            let printed = print(&format!("{}\n", entry.line()));
            if printed.is_err() {
                return finish(printed, SOUND);
            }
        }
        if !args.follow {
            return Ok(SOUND);
        }
        while found.len() < 1000 && version == reader.version().map_err(cannot)? {
            std::thread::sleep(LOOK_AGAIN);
        }
        version = reader.version().map_err(cannot)?;
        found = reader.find(&Wanted::From(next)).map_err(cannot)?;
    }
}

/// Prints a note as it is, so only one that a terminal takes as plain text.
fn checkpoint(reader: &Reader) -> Result<u8, Error> {
    let note = reader.checkpoint().map_err(cannot)?;
    if note.chars().any(|c| c != '\n' && c != '—' && !(' '..='~').contains(&c)) {
        return Err(Error::new(CANNOT_CHECK, "the log's checkpoint is not plain text"));
    }
    finish(print(&note), SOUND)
}

fn verify(reader: &Reader, args: &VerifyArgs) -> Result<u8, Error> {
    let against = args.against.as_ref().map(|path| {
        std::fs::read_to_string(path).map_err(|error| Error::new(CANNOT_CHECK, format!("`{}` cannot be read: {error}", path.display())))
    });
    let signatures = match args.signatures {
        Which::All => audit::Signatures::All,
        Which::Sample => audit::Signatures::Sample,
        Which::None => audit::Signatures::None,
    };
    let report = match reader.verify(&Check { signatures, against: against.transpose()? }) {
        Err(error) if error.kind() == audit::Kind::Damaged => return finish(print(&format!("tampered: {error}\n")), TAMPERED),
        other => other.map_err(cannot)?,
    };
    let ending = match (report.wrong, report.anchored, args.local) {
        (1.., ..) => TAMPERED,
        (0, Some(_), _) | (0, None, true) => SOUND,
        (0, None, false) => NOT_ANCHORED,
    };
    finish(print(&if args.json { in_json(&report, ending) } else { in_words(&report) }), ending)
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

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn cannot(error: audit::Error) -> Error {
    let shown = Error::new(CANNOT_CHECK, text::escape(error.to_string().as_bytes()));
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
        columns: set("COLUMNS").and_then(|columns| columns.to_str()?.parse().ok()),
        no_colour: set("NO_COLOR").is_some() || set("TERM").is_some_and(|term| term == "dumb"),
    };
    run(args, &surroundings)
}
