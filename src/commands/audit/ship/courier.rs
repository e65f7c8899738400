use super::carrier::{Carrier, Position};
use crate::audit::{self, Entries, Log, Proved, Reader};
use crate::policy::Sink;
use crate::record::export::{self, Entry};

/// How many bytes of records go into one batch; one record always does.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// What a step came to.
pub(super) enum Step {
    /// A batch arrived.
    Sent,
    /// There is nothing to send.
    Idle,
    /// It could not be sent.
    Stopped(Stopped),
}

/// Why a sink got nothing.
pub(super) struct Stopped {
    /// In words; what a receiver said is in it.
    pub(super) why: String,
    /// Whether the same may succeed later.
    pub(super) again: bool,
    /// Whether it shows that the log is not what it was.
    pub(super) tampered: bool,
}

impl Stopped {
    /// What may be over soon.
    pub(super) fn again(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true, tampered: false }
    }

    /// What somebody has to change.
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false, tampered: false }
    }

    fn tampered(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false, tampered: true }
    }
}

/// Takes the entries of the log to one sink, in their order.
pub(super) struct Courier<'a> {
    reader: &'a Reader,
    sink: &'a Sink,
    ca: Option<&'a str>,
    carrier: Result<Carrier, String>,
    entries: Option<Entries<'a>>,
    next: u64,
    sent: u64,
}

impl<'a> Courier<'a> {
    pub(super) fn new(reader: &'a Reader, sink: &'a Sink, ca: Option<&'a str>) -> Self {
        Self { reader, sink, ca, carrier: Carrier::new(sink, ca), entries: None, next: 0, sent: 0 }
    }

    pub(super) fn name(&self) -> &str {
        &self.sink.name
    }

    /// The next entry to be sent.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// How many entries the log has, as far as this courier knows.
    pub(super) fn size(&self) -> u64 {
        self.entries.as_ref().map_or(self.next, Entries::size)
    }

    /// How many entries arrived since this was asked last.
    pub(super) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Sends one batch. An error is one of the log itself; whatever a sink does is told in the step.
    pub(super) fn step(&mut self, log: &mut Log) -> Result<Step, audit::Error> {
        let mut entries = match self.entries.take() {
            Some(mut entries) => {
                entries.refresh()?;
                entries
            }
            None => self.reader.proved(0)?,
        };
        let step = self.deliver(log, &mut entries);
        self.entries = Some(entries);
        // The next try begins anew: a token, a certificate or an address may be another by then.
        if matches!(step, Ok(Step::Stopped(_))) {
            self.carrier = Carrier::new(self.sink, self.ca);
        }
        step
    }

    fn deliver(&mut self, log: &mut Log, entries: &mut Entries<'a>) -> Result<Step, audit::Error> {
        let carrier = match &mut self.carrier {
            Ok(carrier) => carrier,
            Err(why) => return Ok(Step::Stopped(Stopped::refused(why.clone()))),
        };
        let (next, end) = log.outbox(&self.sink.name)?;
        self.next = next;
        // A file says itself what it holds, whatever was noted of it.
        let half = match carrier.position(entries.origin()) {
            Ok(Position::Noted(half)) => half,
            Ok(Position::After(last)) => {
                self.next = last + 1;
                None
            }
            Err(stopped) => return Ok(Step::Stopped(stopped)),
        };
        if self.next > entries.size() {
            let why = format!(
                "the sink has {} entries of this log, and the log has {}: was an older copy of it put back?",
                self.next,
                entries.size()
            );
            return Ok(Step::Stopped(Stopped::tampered(why)));
        }
        if entries.next() != self.next {
            entries.go_to(self.next);
        }
        let end = end.filter(|end| *end > self.next);
        let mut batch = entries.bundle()?;
        cut(&mut batch, end);
        let Some(last) = batch.last().map(|entry| entry.seq) else { return Ok(Step::Idle) };
        if carrier.needs_fixed_batches() && end.is_none() {
            log.sending(&self.sink.name, last + 1)?;
        }
        let signed = export::carries_signature(self.sink.format);
        let shown: Vec<Entry<'_>> = batch.iter().map(|entry| entry.entry(signed)).collect::<Result<_, _>>()?;
        if let Err(stopped) = carrier.deliver(&shown, half.as_deref()) {
            return Ok(Step::Stopped(stopped));
        }
        log.sent(&self.sink.name, last + 1)?;
        self.next = last + 1;
        self.sent += batch.len() as u64;
        Ok(Step::Sent)
    }
}

/// Keeps what belongs to the batch that was begun before, or else what is not too much.
fn cut(batch: &mut Vec<Proved>, end: Option<u64>) {
    if let Some(end) = end {
        batch.retain(|entry| entry.seq < end);
        return;
    }
    let mut bytes = 0;
    let fits = batch.iter().take_while(|entry| {
        bytes += entry.body.len();
        bytes <= MOST_BYTES
    });
    let count = fits.count().max(1);
    batch.truncate(count);
}
