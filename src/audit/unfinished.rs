use std::collections::HashMap;

use serde_json::Value;

use crate::record::{Body, Kind};
use crate::sys::process_tree::start_of;

/// More than so many are only counted.
const KEPT: usize = 100_000;
const NAMED: usize = 10;

/// Commands that started and have no end yet.
#[derive(Default)]
pub(super) struct Unfinished {
    open: HashMap<String, u64>,
    not_kept: u64,
}

impl Unfinished {
    pub(super) fn see(&mut self, seq: u64, body: &Body<'_>) {
        let Some(request) = body.request else { return };
        match body.kind {
            Kind::ExecStart if self.open.len() >= KEPT => self.not_kept += 1,
            Kind::ExecStart => {
                self.open.insert(request.to_owned(), seq);
            }
            Kind::ExecEnd | Kind::ExecFail => {
                self.open.remove(request);
            }
            _ => {}
        }
    }

    pub(super) fn finish(self) -> (u64, Vec<u64>) {
        let count = self.open.len() as u64 + self.not_kept;
        let mut first: Vec<u64> = self.open.into_values().collect();
        first.sort_unstable();
        first.truncate(NAMED);
        (count, first)
    }
}

/// Whether the process of an `exec.start` record can still write its end:
/// only another boot, or that no process has its id and start time, proves that it cannot.
pub(super) fn may_run(start: &Body<'_>, boot_id: &str) -> bool {
    if start.header.boot != boot_id {
        return false;
    }
    let process = start.value("proc").unwrap_or_default();
    let (Some(pid), Some(begun)) = (process.get("pid").and_then(Value::as_i64), process.get("start").and_then(Value::as_u64)) else {
        return false;
    };
    i32::try_from(pid).ok().and_then(start_of) == Some(begun)
}
