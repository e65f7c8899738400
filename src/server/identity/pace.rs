//! How often something may be tried by people who are nobody yet.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::error::Error;
use crate::server::model::Wall;

/// How long tries count, in nanoseconds.
const WINDOW: Wall = 60 * 1_000_000_000;

/// How many who try are told apart; beyond that, nobody new may.
const MOST: usize = 10_000;

/// Counts tries of the last minute, by who tries what.
#[derive(Default, Debug)]
pub(super) struct Pace(Mutex<HashMap<String, (Wall, u32)>>);

impl Pace {
    /// Counts one try more; refused where there were `most` in this minute.
    pub(super) fn tried(&self, who: &str, most: u32, now: Wall) -> Result<(), Error> {
        let window = now.div_euclid(WINDOW);
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= MOST {
            tries.retain(|_, (at, _)| *at == window);
        }
        if tries.len() >= MOST && !tries.contains_key(who) {
            return Err(Error::TooMany);
        }
        let (at, count) = tries.entry(who.to_owned()).or_insert((window, 0));
        if *at != window {
            (*at, *count) = (window, 0);
        }
        *count += 1;
        if *count > most { Err(Error::TooMany) } else { Ok(()) }
    }
}
