//! `gate audit ship`: entries go to the sinks of the layers, each from where it stands, none left out and none twice where the receiver lets it.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::{CANNOT_CHECK, SOUND, Surroundings, TAMPERED, finish, print, wrong};
use crate::audit::{Log, Reader, ascii_json};
use crate::error::{Error, note};
use crate::sys::durable::{self, Refused};
use crate::text;

mod carrier;
mod courier;

use courier::{Courier, Step, Stopped};

/// How long `--follow` waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The waits before a delivery is tried once more without `--follow`; a timer tries again anyway.
const TRIES: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3)];

/// The longest wait before a delivery is tried once more with `--follow`.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub(super) struct ShipArgs {
    /// Sends what there is and ends; this is what it does unless told otherwise
    #[arg(long)]
    once: bool,
    /// Goes on with new entries until interrupted
    #[arg(short, long, conflicts_with = "once")]
    follow: bool,
    /// Prints one JSON object in each line
    #[arg(long)]
    json: bool,
}

pub(super) fn ship(reader: &Reader, args: &ShipArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    if around.settings.sinks.is_empty() {
        return Err(Error::config("no layer names a sink")
            .hint("write `[[log.sink]]` with `name`, `to` and `format` into a policy.toml; see gate-policy(5)"));
    }
    let _alone = alone(around)?;
    let mut log = Log::open(around.place, around.now, around.boot_id).map_err(wrong)?;
    let mut couriers: Vec<Courier<'_>> =
        around.settings.sinks.iter().map(|sink| Courier::new(reader, sink, around.settings.ca.as_deref())).collect();
    if args.follow { follow(reader, &mut log, &mut couriers, args.json) } else { once(&mut log, &mut couriers, args.json) }
}

/// Two that send at once would send everything twice.
fn alone(around: &Surroundings<'_>) -> Result<std::fs::File, Error> {
    let path = around.place.directory.join("ship.lock");
    let failed = |why: String| Error::new(CANNOT_CHECK, format!("`{}`: {why}", text::escape(path.as_os_str().as_encoded_bytes())));
    let file = durable::open_private(&path).map_err(|refused| match refused {
        Refused::Absent => failed("it is missing".to_owned()),
        Refused::Unsafe(reason) => failed(reason),
        Refused::Io(error) => failed(error.to_string()),
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(failed("another `gate audit ship` is at work".to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error.to_string())),
    }
}

/// Sends all that there is, one sink after the other; one that fails stops no other.
fn once(log: &mut Log, couriers: &mut [Courier<'_>], as_json: bool) -> Result<u8, Error> {
    let mut ending = SOUND;
    for courier in couriers {
        let mut waits = TRIES.iter();
        let stopped = loop {
            match courier.step(log).map_err(wrong)? {
                Step::Sent => waits = TRIES.iter(),
                Step::Idle => break None,
                Step::Stopped(stopped) => match waits.next().filter(|_| stopped.again) {
                    Some(wait) => std::thread::sleep(*wait),
                    None => break Some(stopped),
                },
            }
        };
        let printed = told(courier, stopped.as_ref(), as_json);
        if let Some(stopped) = stopped {
            ending = if stopped.tampered || ending == TAMPERED { TAMPERED } else { CANNOT_CHECK };
        }
        if printed.is_err() {
            return finish(printed, ending);
        }
    }
    Ok(ending)
}

/// Sends batch after batch, each sink in turn; one that fails is left alone for a while.
fn follow(reader: &Reader, log: &mut Log, couriers: &mut [Courier<'_>], as_json: bool) -> Result<u8, Error> {
    let mut waiting: Vec<(Option<Instant>, Duration)> = couriers.iter().map(|_| (None, LOOK_AGAIN)).collect();
    loop {
        let version = reader.version().map_err(wrong)?;
        let mut busy = false;
        for (courier, (until, wait)) in couriers.iter_mut().zip(&mut waiting) {
            if until.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            *until = None;
            match courier.step(log).map_err(wrong)? {
                Step::Sent => {
                    (busy, *wait) = (true, LOOK_AGAIN);
                    let printed = told(courier, None, as_json);
                    if printed.is_err() {
                        return finish(printed, SOUND);
                    }
                }
                Step::Idle => {}
                Step::Stopped(stopped) => {
                    if stopped.tampered {
                        return Err(Error::new(TAMPERED, format!("{}: {}", courier.name(), stopped.why)));
                    }
                    let _ = told(courier, Some(&stopped), as_json);
                    *wait = (*wait * 2).min(LONGEST_WAIT);
                    *until = Some(Instant::now() + *wait);
                }
            }
        }
        let pending = || waiting.iter().any(|(until, _)| until.is_some());
        while !busy && version == reader.version().map_err(wrong)? {
            std::thread::sleep(LOOK_AGAIN);
            busy = pending();
        }
    }
}

/// What became of a sink's entries.
fn told(courier: &mut Courier<'_>, stopped: Option<&Stopped>, as_json: bool) -> std::io::Result<()> {
    let (name, sent, next, size) = (courier.name().to_owned(), courier.take_sent(), courier.next(), courier.size());
    let waiting = size.saturating_sub(next);
    if let Some(stopped) = stopped {
        note(&format!("{name}: {}", text::escape(stopped.why.as_bytes())));
    }
    if as_json {
        let mut said = json!({ "sink": name, "sent": sent, "next": next, "waiting": waiting });
        if let (Some(stopped), Some(said)) = (stopped, said.as_object_mut()) {
            said.insert("error".to_owned(), stopped.why.as_str().into());
        }
        return print(&format!("{}\n", ascii_json(&said)));
    }
    print(&format!("{name}: {sent} sent, {waiting} wait\n"))
}
