//! How fast one requester may ask: a memory of the last moments, kept in this process only.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::model::Wall;

/// So many requesters are remembered at once; the memory of those who are idle is dropped first.
const MOST: usize = 10_000;

/// When each requester's last burst is worn off (the generic cell rate algorithm).
#[derive(Default)]
pub struct Pace(Mutex<HashMap<(String, String), Wall>>);

impl Pace {
    /// Lets one more through, of `most` in a minute and in one burst, or tells how long to wait. With 0 nobody is held up.
    pub fn ask(&self, way: &str, name: &str, most: u32, now: Wall) -> Result<(), Duration> {
        let Some(each) = 60_000_000_000_i64.checked_div(i64::from(most)) else { return Ok(()) };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, worn_off| *worn_off > now);
        }
        let worn_off = known.get(&(way.to_owned(), name.to_owned())).copied().unwrap_or(now).max(now);
        let over = worn_off.saturating_add(each).saturating_sub(now).saturating_sub(60_000_000_000);
        if over > 0 {
            return Err(Duration::from_nanos(over.unsigned_abs()));
        }
        known.insert((way.to_owned(), name.to_owned()), worn_off.saturating_add(each));
        Ok(())
    }
}
