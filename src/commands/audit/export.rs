use std::fs::{DirBuilder, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::progress::Progress;
use super::{SOUND, Surroundings, finish, since, wrong};
use crate::audit::{Proved, Reader};
use crate::error::Error;
use crate::exit_codes;
use crate::policy::SinkFormat;
use crate::record::export;
use crate::text;

/// How long `--follow` waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The whole log as the files of a transparency log, and no form of single entries.
const TILES: &str = "tiles";

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The form of the entries
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(SinkFormat::ALL.map(SinkFormat::word).into_iter().chain([TILES])))]
    format: String,
    /// Only what was recorded since then: 90s, 30m, 2h, 7d, 2026-01-31, 2026-01-31T12:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// From this entry on
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
    /// Up to and with this entry
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// Goes on with new entries until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Writes to this new file instead of standard output; a new directory for tiles
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Adds the profile `record_integrity` of OCSF 1.9 to OCSF events
    #[arg(long)]
    ocsf_record_integrity: bool,
}

pub(super) fn export(reader: &Reader, args: &ExportArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    if args.format == TILES {
        return tiles(reader, args);
    }
    let Some(format) = SinkFormat::parse(&args.format) else { return Err(Error::new(exit_codes::USAGE, "there is no such format")) };
    if args.ocsf_record_integrity && format != SinkFormat::Ocsf {
        return Err(Error::new(exit_codes::USAGE, "`--ocsf-record-integrity` belongs to `--format ocsf`"));
    }
    let since = args.since.as_deref().map(|when| since(when, around.now)).transpose()?;
    let mut out = output(args, format)?;
    let mut entries = reader.proved(args.from).map_err(wrong)?;
    let mut version = reader.version().map_err(wrong)?;
    // Lines on a terminal are progress enough.
    let progress = Progress::start().filter(|_| args.out.is_some() || !io::stdout().is_terminal());
    loop {
        if let Some(progress) = &progress {
            progress.tell(entries.next(), entries.size());
        }
        // What was read before a changed entry is sound, and stays written.
        let found = entries.bundle();
        let stop = |entry: &Proved| args.to.is_some_and(|to| entry.seq > to);
        for entry in found.as_deref().unwrap_or_default().iter().take_while(|entry| !stop(entry)) {
            let entry = entry.entry(export::carries_signature(format)).map_err(wrong)?;
            if since.is_none_or(|since| entry.body().header.wall >= since) {
                let mut line = export::line(&entry, format, args.ocsf_record_integrity);
                line.push(b'\n');
                let written = out.write_all(&line);
                if written.is_err() {
                    return finish(written, SOUND);
                }
            }
        }
        let found = found.map_err(wrong)?;
        let done = args.to.is_some_and(|to| entries.next() > to);
        if !found.is_empty() && !done {
            continue;
        }
        let written = out.flush();
        if let Some(progress) = &progress {
            progress.clear();
        }
        if written.is_err() || done || !args.follow {
            return finish(written, SOUND);
        }
        while version == reader.version().map_err(wrong)? {
            std::thread::sleep(LOOK_AGAIN);
        }
        version = reader.version().map_err(wrong)?;
        entries.refresh().map_err(wrong)?;
    }
}

/// Writes a transparency log's files (C2SP tlog-tiles) below a new directory.
fn tiles(reader: &Reader, args: &ExportArgs) -> Result<u8, Error> {
    let usage = |what: &str| Error::new(exit_codes::USAGE, what.to_owned());
    if args.since.is_some() || args.from > 0 || args.to.is_some() || args.follow || args.ocsf_record_integrity {
        return Err(usage("tiles are of the whole log"));
    }
    let Some(out) = &args.out else { return Err(usage("tiles are files").hint("name a new directory with `--out`")) };
    let shown = text::escape(out.as_os_str().as_encoded_bytes());
    let private = |recursive: bool, path: &Path| DirBuilder::new().recursive(recursive).mode(0o700).create(path);
    private(false, out).map_err(|error| {
        Error::new(exit_codes::USAGE, format!("`{shown}` cannot be made: {error}")).hint("an export never writes over anything")
    })?;
    let written = reader.publish(&mut |name, bytes| {
        let path = out.join(name);
        path.parent().map_or(Ok(()), |above| private(true, above))?;
        File::options().write(true).create_new(true).mode(0o600).open(&path)?.write_all(bytes)
    });
    let given = written.map_err(wrong)?;
    let from = if given.start > 0 { format!(", from entry {} on: the others are in archives", given.start) } else { String::new() };
    eprintln!("{shown}: a log of {} entries{from}", given.end);
    Ok(SOUND)
}

/// Records as they are may hold what acts on a terminal; the other forms do not.
fn output(args: &ExportArgs, format: SinkFormat) -> Result<BufWriter<Box<dyn Write>>, Error> {
    let Some(path) = &args.out else {
        let out = io::stdout();
        if format == SinkFormat::Jsonl && out.is_terminal() {
            return Err(Error::new(exit_codes::USAGE, "records as they are are not shown on a terminal").hint("send them to a file"));
        }
        return Ok(BufWriter::new(Box::new(out.lock())));
    };
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|error| {
        let shown = text::escape(path.as_os_str().as_encoded_bytes());
        Error::new(exit_codes::USAGE, format!("`{shown}` cannot be made: {error}")).hint("an export never writes over a file")
    })?;
    Ok(BufWriter::new(Box::new(file)))
}
