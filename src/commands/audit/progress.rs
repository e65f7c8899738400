use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that takes less than this is done in silence.
const PATIENCE: Duration = Duration::from_millis(500);

const BETWEEN: Duration = Duration::from_millis(200);

/// How many steps pass between two looks at the clock.
const STEPS: u32 = 64;

/// A line on the terminal behind standard error that says how far long work is. It is gone when the work is done.
pub(super) struct Progress {
    next: Cell<Instant>,
    steps: Cell<u32>,
    shown: Cell<bool>,
}

impl Progress {
    /// None where nobody would see it.
    pub(super) fn start() -> Option<Self> {
        let next = Cell::new(Instant::now() + PATIENCE);
        io::stderr().is_terminal().then(|| Self { next, steps: Cell::new(0), shown: Cell::new(false) })
    }

    /// So many entries of so many are done.
    pub(super) fn tell(&self, done: u64, of: u64) {
        self.steps.set(self.steps.get().wrapping_add(1));
        if !self.steps.get().is_multiple_of(STEPS) || Instant::now() < self.next.get() {
            return;
        }
        self.next.set(Instant::now() + BETWEEN);
        self.shown.set(true);
        let percent = done.min(of).saturating_mul(100) / of.max(1);
        let _ = write!(io::stderr(), "\r\x1b[K{percent:>3} %  entry {done} of {of}");
    }

    /// Takes the line away, before anything else is written.
    pub(super) fn clear(&self) {
        if self.shown.take() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
