//! `gate audit anchor`: witnesses countersign the log's end, also when nothing is run for a while.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{CANNOT_CHECK, NOT_ANCHORED, SOUND, Surroundings, TAMPERED, finish, own, print};
use crate::audit::ascii_json;
use crate::commands::anchor::{Anchored, Anchoring, Said, moment};
use crate::error::Error;
use crate::text;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct AnchorArgs {
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn anchor(args: &AnchorArgs, around: &Surroundings<'_>) -> Result<u8, Error> {
    let anchoring = Anchoring::new(around.place, around.settings, around.uid, around.now)?.ok_or_else(|| {
        Error::config("no layer names witnesses").hint("write `witnesses = \"/PATH\"` below `[log]` into a policy.toml; see gate-policy(5)")
    })?;
    let mut log = own(around)?;
    let anchored = anchoring.ask(&mut log, PATIENCE)?;
    let done = anchored.last.as_ref().is_some_and(|last| last.size >= anchored.size);
    let ending = match (&anchored.halted, done) {
        (Some(_), _) => TAMPERED,
        (None, true) => SOUND,
        (None, false) if anchored.said.is_empty() => CANNOT_CHECK,
        (None, false) => NOT_ANCHORED,
    };
    finish(print(&if args.json { in_json(&anchored, ending) } else { in_words(&anchored, done) }), ending)
}

fn in_words(anchored: &Anchored, done: bool) -> String {
    let mut words = String::new();
    let mut say = |line: String| {
        words.push_str(&text::escape(line.as_bytes()));
        words.push('\n');
    };
    for (witness, said) in &anchored.said {
        say(match said {
            Said::Cosigned(_, size, time) => format!("{}: countersigned {size} entries at {}", witness.name, moment(*time)),
            Said::Knows(conflict) => match conflict.theirs {
                Some(theirs) => format!("{}: refused: it saw {theirs} entries, and the log has {}", witness.name, conflict.ours),
                None => format!("{}: refused: it saw another history than these {} entries", witness.name, conflict.ours),
            },
            Said::Nothing(why) => format!("{}: {why}", witness.name),
        });
    }
    match (&anchored.last, done) {
        (Some(last), true) => say(format!("anchored: enough witnesses vouch for {} entries at {}", last.size, moment(last.time))),
        (Some(last), false) => say(format!(
            "not anchored since entry {}: enough witnesses vouched at {}, and the log has {} entries",
            last.size,
            moment(last.time),
            anchored.size
        )),
        (None, _) => say("not anchored: too few witnesses vouch for this log".to_owned()),
    }
    if let Some(why) = &anchored.halted {
        say(format!("nothing runs: {why}"));
        say("find out what became of the log; then `gate audit resume --reason TEXT` lets commands run again".to_owned());
    }
    words
}

fn in_json(anchored: &Anchored, ending: u8) -> String {
    let said = |said: &Said| match said {
        Said::Cosigned(_, size, time) => json!({ "said": "countersigned", "size": size, "time": moment(*time) }),
        Said::Knows(conflict) => json!({ "said": "conflict", "size": conflict.theirs, "ours": conflict.ours }),
        Said::Nothing(why) => json!({ "said": "nothing", "error": why }),
    };
    let witnesses: Vec<Value> = anchored
        .said
        .iter()
        .map(|(witness, answer)| {
            let mut value = said(answer);
            value["witness"] = witness.name.as_str().into();
            value["key"] = witness.key.to_string().into();
            value
        })
        .collect();
    let value = json!({
        "anchored": anchored.last.as_ref().map(|last| last.size),
        "anchored_at": anchored.last.as_ref().map(|last| moment(last.time)),
        "assurance": match ending { SOUND => "anchored", TAMPERED => "tampered", _ => "not anchored" },
        "entries": anchored.size,
        "halted": anchored.halted,
        "witnesses": witnesses,
    });
    format!("{}\n", ascii_json(&value))
}
