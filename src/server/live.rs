//! Wakes those who wait for a request to change. Nothing is kept here: whoever is woken reads the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{broadcast, watch};

/// Changes that a slow listener of all requests may be behind, before it is told to read everything anew.
const BEHIND: usize = 1024;

/// So many requests are remembered before those that nobody waits for are first looked for.
const CLEARED: usize = 64;

/// Who waits for which request.
pub struct Live {
    waiting: Mutex<Waiting>,
    all: broadcast::Sender<String>,
    closing: watch::Sender<bool>,
}

struct Waiting {
    senders: HashMap<String, watch::Sender<u64>>,
    /// At so many it is next looked for those that nobody waits for: each change would else look at all who wait for others.
    clear_at: usize,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { senders: HashMap::new(), clear_at: CLEARED }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self { waiting: Mutex::default(), all: broadcast::channel(BEHIND).0, closing: watch::channel(false).0 }
    }
}

/// Somebody who waits for one request.
pub struct Waiter(watch::Receiver<u64>);

impl Waiter {
    /// Returns when the request changed since it was asked for; also when nobody is left who could change it.
    pub async fn changed(&mut self) {
        drop(self.0.changed().await);
    }
}

impl Live {
    /// Waits for a request from now on: read it after this, or a change in between is missed.
    pub fn wait_for(&self, id: &str) -> Waiter {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.senders.len() >= waiting.clear_at {
            waiting.senders.retain(|_, sender| sender.receiver_count() > 0);
            waiting.clear_at = CLEARED.max(2 * waiting.senders.len());
        }
        Waiter(waiting.senders.entry(id.to_owned()).or_insert_with(|| watch::channel(0).0).subscribe())
    }

    /// Hears of every request that changes, by its id.
    pub fn listen(&self) -> broadcast::Receiver<String> {
        self.all.subscribe()
    }

    /// Tells everybody that a request changed.
    pub fn tell(&self, id: &str) {
        // Nobody listens: nothing to do.
        drop(self.all.send(id.to_owned()));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = waiting.senders.get(id) {
            sender.send_modify(|version| *version += 1);
            if sender.receiver_count() == 0 {
                waiting.senders.remove(id);
            }
        }
    }

    /// Nobody is kept waiting any longer: the server ends.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Returns when the server ends.
    pub async fn closing(&self) {
        drop(self.closing.subscribe().wait_for(|closing| *closing).await.map(drop));
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.senders.values().map(watch::Sender::receiver_count).sum()
    }
}
