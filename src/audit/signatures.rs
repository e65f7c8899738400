use std::hash::{BuildHasher, RandomState};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::verify::Report;
use crate::key::PublicKey;
use crate::record::write_signed;

/// What is handed to a worker at once, in bytes.
const BATCH: usize = 128 * 1024;
const SAMPLES: u64 = 1000;

/// Which record signatures to check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Signatures {
    /// Each.
    #[default]
    All,
    /// About a thousand, drawn anew each time.
    Sample,
    /// None: a signed checkpoint vouches for the bodies already.
    None,
}

/// Entries of which the signatures are to be checked: what was signed stands one after the other.
#[derive(Default)]
struct Batch {
    signed: Vec<u8>,
    jobs: Vec<Job>,
}

struct Job {
    seq: u64,
    /// Where what was signed ends.
    end: usize,
    /// None where it has another length than a signature.
    signature: Option<[u8; 64]>,
    key: PublicKey,
}

/// Takes entries, and gives back those whose signature does not hold.
type Worker = (SyncSender<Batch>, JoinHandle<Vec<u64>>);

/// The check of record signatures, on all cores beside the walk.
pub(super) struct Signed {
    /// One of so many is checked; 0 for none.
    one_of: u64,
    random: RandomState,
    batch: Batch,
    count: u64,
    workers: Vec<Worker>,
    next: usize,
}

impl Signed {
    pub(super) fn start(which: Signatures, size: u64) -> Self {
        let one_of = match which {
            Signatures::All => 1,
            Signatures::Sample => (size / SAMPLES).max(1),
            Signatures::None => 0,
        };
        let threads = if one_of == 0 { 0 } else { std::thread::available_parallelism().map_or(1, usize::from) };
        let workers = (0..threads).filter_map(|_| {
            let (sender, receiver) = sync_channel(4);
            let worker = std::thread::Builder::new().spawn(move || check(&receiver)).ok()?;
            Some((sender, worker))
        });
        Self { one_of, random: RandomState::new(), batch: Batch::default(), count: 0, workers: workers.collect(), next: 0 }
    }

    pub(super) fn entry(&mut self, seq: u64, body: &[u8], signature: &[u8], key: PublicKey) {
        if self.one_of == 0 || !self.random.hash_one(seq).is_multiple_of(self.one_of) {
            return;
        }
        self.count += 1;
        write_signed(&mut self.batch.signed, body);
        self.batch.jobs.push(Job { seq, end: self.batch.signed.len(), signature: signature.try_into().ok(), key });
        if self.batch.signed.len() >= BATCH {
            self.send();
        }
    }

    fn send(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.next = (self.next + 1) % self.workers.len().max(1);
        if let Some((sender, _)) = self.workers.get(self.next) {
            // A worker that is gone is missed in `finish`.
            let _ = sender.send(batch);
        }
    }

    pub(super) fn finish(mut self, report: &mut Report) {
        self.send();
        let mut bad = Vec::new();
        let none = self.one_of != 0 && self.workers.is_empty();
        let mut died = none;
        for (sender, worker) in self.workers {
            drop(sender);
            match worker.join() {
                Ok(found) => bad.extend(found),
                Err(_) => died = true,
            }
        }
        if died {
            report.wrong(None, "the record signatures could not be checked: a thread was lost");
        }
        bad.sort_unstable();
        for seq in bad {
            report.wrong(Some(seq), "is not signed by the record key of its epoch");
        }
        report.signatures = self.count;
    }
}

fn check(batches: &Receiver<Batch>) -> Vec<u64> {
    let mut failing = Vec::new();
    for batch in batches {
        let mut from = 0;
        for job in &batch.jobs {
            let signed = &batch.signed[from..job.end];
            from = job.end;
            if !job.signature.is_some_and(|signature| job.key.verifies(signed, &signature)) {
                failing.push(job.seq);
            }
        }
    }
    failing
}
