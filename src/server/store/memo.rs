//! What was just read need not be parsed again: a request is read several times between its creation and its end.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::approval::{Malformed, Submitted};

/// Bytes of text after which what is remembered grows old; what was old then is forgotten.
const MOST: usize = 256 * 1024;

/// What is remembered, by the requests' ids.
struct Known {
    young: BTreeMap<String, Submitted>,
    old: BTreeMap<String, Submitted>,
    bytes: usize,
}

static KNOWN: Mutex<Known> = Mutex::new(Known { young: BTreeMap::new(), old: BTreeMap::new(), bytes: 0 });

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parses the text of a request, unless the very same text is remembered.
pub(super) fn submitted(id: &str, text: &str) -> Result<Submitted, Malformed> {
    let remembered = {
        let known = known();
        known.young.get(id).or_else(|| known.old.get(id)).filter(|submitted| submitted.text() == text).cloned()
    };
    if let Some(submitted) = remembered {
        return Ok(submitted);
    }
    let submitted = Submitted::parse(text)?;
    remember(id, &submitted);
    Ok(submitted)
}

/// Remembers one.
pub(super) fn remember(id: &str, submitted: &Submitted) {
    let mut known = known();
    let grown = known.bytes + submitted.text().len() > MOST;
    let forgotten = if grown {
        known.bytes = 0;
        let young = mem::take(&mut known.young);
        mem::replace(&mut known.old, young)
    } else {
        BTreeMap::new()
    };
    known.bytes += submitted.text().len();
    known.young.insert(id.to_owned(), submitted.clone());
    // Others go on while it is freed.
    drop(known);
    drop(forgotten);
}
