//! The server's own signed log: what happened is taken from the store, in its order, and each thing is recorded once.

mod begin;
mod tell;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::health::Recording;
use super::stop::Stop;
use super::store::Store;
use crate::audit::{self, Log, Place};
use crate::record::Draft;
use crate::sys::{clock, random};

pub use begin::PutBack;

/// The name under which the store keeps how far the log has come.
const READER: &str = "journal";

/// So many events share one commit.
const BATCH: usize = 256;

/// How long to wait for the next event.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The thread that writes the log.
#[derive(Debug)]
pub struct Journal {
    thread: JoinHandle<()>,
}

impl Journal {
    /// Opens the log, or makes it, sees that it goes with the store, and begins to write. The error is in words.
    pub async fn start(
        place: Place,
        store: Arc<dyn Store>,
        recording: Arc<Recording>,
        accepted: Option<PutBack>,
        stop: Stop,
    ) -> Result<Self, String> {
        let runtime = Handle::current();
        let (told, ready) = oneshot::channel();
        let work = move || match Writer::open(&place, store, &runtime, accepted) {
            Ok(mut writer) => {
                recording.worked(0);
                let _ = told.send(Ok(()));
                writer.run(&runtime, &recording, &stop);
            }
            Err(why) => drop(told.send(Err(why))),
        };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(work).map_err(|error| error.to_string())?;
        ready.await.unwrap_or_else(|_| Err("the log's thread ended".to_owned()))?;
        Ok(Self { thread })
    }

    /// Waits until everything that happened before the end is written.
    pub async fn finish(self) {
        let _ = tokio::task::spawn_blocking(|| self.thread.join()).await;
    }
}

/// The open log, and how far it has come.
struct Writer {
    log: Log,
    store: Arc<dyn Store>,
    done: u64,
    salt: [u8; 16],
}

impl Writer {
    fn open(place: &Place, store: Arc<dyn Store>, runtime: &Handle, accepted: Option<PutBack>) -> Result<Self, String> {
        let now = clock::now().map_err(|error| error.to_string())?;
        let mut salt = [0; 16];
        random::fill(&mut salt).map_err(|error| error.to_string())?;
        let mut log = Log::open(place, now, &clock::boot_id()).map_err(|error| told(&error))?;
        let done = runtime.block_on(begin::place(place, &mut log, store.as_ref(), accepted))?;
        Ok(Self { log, store, done, salt })
    }

    fn run(&mut self, runtime: &Handle, recording: &Recording, stop: &Stop) {
        loop {
            // Asked before the last look: whatever happened before the end is seen by it.
            let ending = stop.is_set();
            let pause = match self.drain(runtime, recording) {
                Ok(()) => PAUSE,
                Err(why) => {
                    recording.failed(&why);
                    AFTER_FAILURE
                }
            };
            if ending {
                return;
            }
            runtime.block_on(async {
                tokio::select! { () = sleep(pause) => {}, () = stop.wait() => {} }
            });
        }
    }

    /// Records all that happened and is not recorded yet.
    fn drain(&mut self, runtime: &Handle, recording: &Recording) -> Result<(), String> {
        loop {
            let events = runtime.block_on(self.store.events(self.done, BATCH)).map_err(|error| error.to_string())?;
            let Some(last) = events.last().map(|event| event.seq) else { break };
            let told_all = runtime
                .block_on(tell::all(self.store.as_ref(), &events, &self.salt, &recording.metrics()))
                .map_err(|error| error.to_string())?;
            let written = self.write(told_all)?;
            // Killed before this, the next process finds in the log how far it had come.
            runtime.block_on(self.store.advance(READER, last)).map_err(|error| error.to_string())?;
            self.done = last;
            recording.worked(written);
        }
        self.log.ready().map_err(|error| told(&error))?;
        recording.worked(0);
        Ok(())
    }

    /// Appends in one commit. What cannot be a record leaves one that says so.
    fn write(&mut self, drafts: Vec<(Vec<Draft>, Draft)>) -> Result<u64, String> {
        let (whole, bare): (Vec<Vec<Draft>>, Vec<Draft>) = drafts.into_iter().unzip();
        match self.append(&whole.concat()) {
            Err(error) if error.kind() == audit::Kind::Record => {}
            other => return other.map_err(|error| told(&error)),
        }
        self.append(&bare).map_err(|error| told(&error))
    }

    fn append(&mut self, drafts: &[Draft]) -> Result<u64, audit::Error> {
        let now = clock::now().map_err(|error| audit::Error::clock(&error))?;
        self.log.append(drafts, now).map(|stored| stored.len() as u64)
    }
}

fn told(error: &audit::Error) -> String {
    error.hint_text().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}
