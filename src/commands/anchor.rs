//! Witnesses are asked to countersign the log's end, and what they know of it decides whether anything runs.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::surroundings::log_failed;
use crate::approval::Stamp;
use crate::audit::{self, Expected, Log, Place, Reader, Witnessed};
use crate::error::Error;
use crate::policy::LogSettings;
use crate::record::{Answer, Checkpoint, Draft, Kind, LONGEST_ANSWER, LONGEST_POLICY, Note, TlogPolicy, Witness, add_checkpoint, cosigned};
use crate::sys::files::{self, Owner};
use crate::sys::http::Http;
use crate::text;

/// How far a witness's clock may be from ours, in seconds.
pub(super) const CLOCKS: u64 = 600;

/// A witness is asked once more where it named another size, and where the log grew meanwhile.
const TRIES: u32 = 4;

/// What is needed to ask, and to judge what was said.
pub(super) struct Anchoring<'a> {
    place: &'a Place,
    settings: &'a LogSettings,
    now: Stamp,
    expected: Expected,
}

/// What a witness said, or why it said nothing.
pub(super) enum Said {
    /// It countersigned so many entries, at this time in seconds since 1970.
    Cosigned(Note, u64, u64),
    /// It knows something of this log that the log does not: what.
    Knows(Conflict),
    /// Nothing that counts: why.
    Nothing(String),
}

/// What a witness knows otherwise.
pub(super) struct Conflict {
    /// The size that it saw last; none where it did not say.
    pub(super) theirs: Option<u64>,
    /// The log's size.
    pub(super) ours: u64,
}

/// What came of asking.
pub(super) struct Anchored {
    /// Each witness with what it said, in the policy's order.
    pub(super) said: Vec<(Witness, Said)>,
    /// How many entries the log had.
    pub(super) size: u64,
    /// The newest checkpoint that enough of them vouch for.
    pub(super) last: Option<Witnessed>,
    /// Why nothing may run, if so.
    pub(super) halted: Option<String>,
}

impl Conflict {
    fn words(&self, witness: &str) -> String {
        let ours = self.ours;
        match self.theirs {
            Some(theirs) if theirs > ours => {
                format!(
                    "the witness `{witness}` has seen {theirs} entries of this log, and the log has {ours}: was an older copy of it put back?"
                )
            }
            _ => format!(
                "the witness `{witness}` has seen another history of this log than its {ours} entries: is there a second copy that goes on?"
            ),
        }
    }
}

impl<'a> Anchoring<'a> {
    /// Reads the policy that the layers name; none where they name none.
    pub(super) fn new(place: &'a Place, settings: &'a LogSettings, uid: u32, now: Stamp) -> Result<Option<Self>, Error> {
        let Some(path) = &settings.witnesses else {
            return match settings.max_unanchored {
                None => Ok(None),
                Some(_) => Err(Error::config("`max_unanchored` is set below `[log]`, and no layer names `witnesses`")),
            };
        };
        let policy = policy_of(Path::new(path), uid)?;
        Ok(Some(Self { place, settings, now, expected: expected(policy, now, None) }))
    }

    /// The witnesses that count here.
    pub(super) fn into_expected(self) -> Expected {
        self.expected
    }

    /// Asks all witnesses at once to countersign the log's end, each for no longer than `patience`, and keeps what they signed.
    pub(super) fn ask(&self, log: &mut Log, patience: Duration) -> Result<Anchored, Error> {
        let failed = |error| log_failed(&error);
        let reader = Reader::live(self.place).map_err(failed)?;
        let size = end(&reader)?.0.size;
        let key = reader.log_key().map_err(failed)?;
        if !self.expected.policy.knows(&key) {
            return Err(Error::config("the policy of witnesses names logs, and this one is not among them")
                .hint(format!("add this line to it: log {}", text::escape(key.to_string().as_bytes()))));
        }
        let http = Http::new(self.settings.ca.as_deref().map(Path::new), patience).map_err(Error::config)?;
        let witnesses = self.expected.policy.witnesses();
        let said: Vec<Said> = std::thread::scope(|scope| {
            let asked: Vec<_> = witnesses.iter().map(|witness| scope.spawn(|| self.ask_one(&http, witness))).collect();
            let joined = asked.into_iter().map(|one| one.join().unwrap_or_else(|_| Said::Nothing("could not be asked".to_owned())));
            joined.collect()
        });
        for said in &said {
            if let Said::Cosigned(note, ..) = said {
                log.keep_countersigned(note).map_err(failed)?;
            }
        }
        let mut conflicts = None;
        for (witness, said) in witnesses.iter().zip(&said) {
            if let Said::Knows(conflict) = said {
                conflicts = Some(self.halt(log, witness, conflict)?);
            }
        }
        let last = reader.last_anchor(&self.expected).map_err(failed)?;
        Ok(Anchored { said: witnesses.iter().cloned().zip(said).collect(), size, last, halted: conflicts.or_else(|| halted(log)) })
    }

    fn ask_one(&self, http: &Http, witness: &Witness) -> Said {
        let Some(url) = &witness.url else { return Said::Nothing("has no URL in the policy".to_owned()) };
        let asked =
            Reader::live(self.place).map_err(|error| log_failed(&error)).and_then(|reader| self.converse(http, &reader, witness, url));
        asked.unwrap_or_else(|error| Said::Nothing(error.to_string()))
    }

    /// Asks with a proof from the size that the witness saw last; where it names another, once more from that.
    fn converse(&self, http: &Http, reader: &Reader, witness: &Witness, url: &str) -> Result<Said, Error> {
        let failed = |error| log_failed(&error);
        let url = format!("{url}/add-checkpoint");
        let (mut checkpoint, mut note) = end(reader)?;
        let mut old = reader.seen_by(&witness.key).map_err(failed)?.min(checkpoint.size);
        for _ in 0..TRIES {
            let ours = checkpoint.size;
            let proof = reader.consistency_proof(old, ours).map_err(failed)?;
            let body = add_checkpoint(old, &proof, &note).into_bytes();
            let reply = match http.post(&url, &[("Content-Type", "text/plain; charset=utf-8")], body, LONGEST_ANSWER) {
                Ok(reply) => reply,
                Err(why) => return Ok(Said::Nothing(format!("cannot be asked: {why}"))),
            };
            match Answer::read(reply.status, &reply.body) {
                Answer::Cosigned(lines) => return Ok(self.countersigned(note, lines, ours, witness)),
                Answer::Size(theirs) if theirs > ours => {
                    // Another process may have gone on meanwhile, and asked first.
                    (checkpoint, note) = end(reader)?;
                    if theirs > checkpoint.size {
                        return Ok(Said::Knows(Conflict { theirs: Some(theirs), ours: checkpoint.size }));
                    }
                    old = theirs;
                }
                Answer::Size(theirs) if theirs == old && old == ours => {
                    return Ok(Said::Knows(Conflict { theirs: Some(theirs), ours }));
                }
                Answer::Size(theirs) if theirs == old => break,
                Answer::Size(theirs) => old = theirs,
                Answer::Inconsistent => return Ok(Said::Knows(Conflict { theirs: None, ours })),
                Answer::Forbidden => return Ok(Said::Nothing("knows the log, and not its key (403)".to_owned())),
                Answer::Unknown => return Ok(Said::Nothing("does not know the log (404)".to_owned())),
                Answer::Other(what) => return Ok(Said::Nothing(what)),
            }
        }
        Ok(Said::Nothing("names a size, and another one when it is told that".to_owned()))
    }

    /// Believes lines of the witness's own key over this very note, of about now.
    fn countersigned(&self, note: Note, lines: Vec<crate::record::Line>, size: u64, witness: &Witness) -> Said {
        let (name, id) = (witness.key.name(), witness.key.id());
        let own = note.clone().with_all(lines).lines(name, id);
        let note = note.with(own);
        let now = seconds(self.now);
        match cosigned(&note, &witness.key) {
            Ok(Some(time)) if time.abs_diff(now) <= CLOCKS => Said::Cosigned(note, size, time),
            Ok(Some(time)) => Said::Nothing(format!("signed with the time {}, and here it is {}", moment(time), moment(now))),
            Ok(None) => Said::Nothing("answered without a signature of the key that the policy names".to_owned()),
            Err(_) => Said::Nothing("answered with a signature that does not hold".to_owned()),
        }
    }

    /// Why nothing may run: the age of the last anchor. Nobody is asked.
    pub(super) fn standing(&self) -> Result<Option<String>, Error> {
        let Some(limit) = self.settings.max_unanchored else { return Ok(None) };
        let last = Reader::live(self.place).and_then(|reader| reader.last_anchor(&self.expected)).map_err(|error| log_failed(&error))?;
        let said = format!("`max_unanchored` is {} s", limit.as_secs());
        Ok(match last {
            None => Some(format!("no witness vouches for this log yet, and {said}")),
            Some(last) if seconds(self.now).saturating_sub(last.time) > limit.as_secs() => {
                Some(format!("the last anchor is of {}, and {said}", moment(last.time)))
            }
            Some(_) => None,
        })
    }

    /// Halts everything and leaves an entry of it; once, until somebody looked.
    fn halt(&self, log: &mut Log, witness: &Witness, conflict: &Conflict) -> Result<String, Error> {
        let words = conflict.words(&witness.name);
        if halted(log).is_some() {
            return Ok(words);
        }
        audit::halt(self.place, &words).map_err(|error| log_failed(&error))?;
        let told = json!({ "name": witness.key.name(), "ours": conflict.ours, "theirs": conflict.theirs });
        let fields = Map::from_iter([
            ("error".to_owned(), Value::from("a witness knows another history")),
            ("refused".to_owned(), Value::from(true)),
            ("witness".to_owned(), without_null(told)),
        ]);
        log.append(&[Draft::new(Kind::AuditFailure, None, fields)], self.now).map_err(|error| log_failed(&error))?;
        Ok(words)
    }
}

/// What the mark says that stops everything until somebody looks.
fn halted(log: &Log) -> Option<String> {
    log.ready().err().filter(|error| error.kind() == audit::Kind::Halted).map(|error| error.to_string())
}

/// Records have no nulls.
fn without_null(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, member| !member.is_null());
    }
    value
}

/// The signed end of the log.
pub(super) fn end(reader: &Reader) -> Result<(Checkpoint, Note), Error> {
    let text = reader.checkpoint().map_err(|error| log_failed(&error))?;
    let parsed = Note::parse(&text).ok().and_then(|note| Some((Checkpoint::parse(note.text()).ok()?, note)));
    parsed.ok_or_else(|| Error::internal("the log's end is not a checkpoint"))
}

/// Witnesses that count now; a clock may be ahead by a little.
pub(super) fn expected(policy: TlogPolicy, now: Stamp, at: Option<u64>) -> Expected {
    Expected { policy, latest: seconds(now).saturating_add(CLOCKS), at }
}

/// The policy that layers name: a file that nobody else could have written.
fn policy_of(path: &Path, uid: u32) -> Result<TlogPolicy, Error> {
    let file =
        files::read_safely(path, Owner::User(uid), LONGEST_POLICY).map_err(|refused| Error::config(text::visible(&refused.to_string())))?;
    let file = file.ok_or_else(|| {
        Error::config(format!("`{}` is missing, and `[log] witnesses` names it", shown(path)))
            .hint("it lists witnesses as C2SP tlog-policy has it; see gate-policy(5)")
    })?;
    parse(path, &file.bytes).map_err(Error::config)
}

/// Reads a policy; the error names file and line.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<TlogPolicy, String> {
    TlogPolicy::parse(bytes).map_err(|wrong| format!("`{}`, line {}: {}", shown(path), wrong.line, wrong.what))
}

/// Seconds since 1970.
pub(super) fn seconds(now: Stamp) -> u64 {
    u64::try_from(now.wall / 1_000_000_000).unwrap_or_default()
}

/// Such a time as people read it.
pub(super) fn moment(time: u64) -> String {
    let time = i64::try_from(time).ok().and_then(|time| jiff::Timestamp::from_second(time).ok());
    time.map_or_else(|| "no time".to_owned(), |time| time.to_string())
}

fn shown(path: &Path) -> String {
    text::escape(path.as_os_str().as_encoded_bytes())
}
