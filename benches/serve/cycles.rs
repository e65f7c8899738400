//! Full cycles: a host asks and waits, a person approves, the host uses that.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::served::{Ask, Served, asks};
use super::wire::Wire;
use super::{Outcome, bare_disk, millis, part, row};

/// How many hosts' commands are under way at once.
const CLIENTS: usize = 64;

/// How many cycles are not counted, and how many are.
const CYCLES: [usize; 2] = [500, 5000];

pub(crate) async fn measure(gate: &str) -> Outcome<()> {
    let served = Served::start(gate, &[]).await?;
    let f = bare_disk(served.place())?;
    let mut first = 0;
    for count in CYCLES {
        let asked = RefCell::new(asks(first, count)?);
        let times = RefCell::new(Vec::with_capacity(count));
        first += count;
        let (before, begun) = (served.used()?, Instant::now());
        try_join_all((0..CLIENTS).map(|client| rounds(&served, client, &asked, &times))).await?;
        let (took, after) = (begun.elapsed(), served.used()?);
        if count == CYCLES[1] {
            let mut times = times.into_inner();
            let each = after.time.saturating_sub(before.time) / u32::try_from(count)?;
            row("F: append 1 KiB + fdatasync", &format!("{:.2} ms", f.as_secs_f64() * 1000.0), "holds for 0.2 ms");
            row(
                &format!("cycles a second, {CLIENTS} at once"),
                &format!("{:.0}", f64::from(u32::try_from(count)?) / took.as_secs_f64()),
                "≥ 500 where F ≤ 0.2 ms",
            );
            row("a cycle, p50 / p99", &format!("{} / {}", millis(part(&mut times, 50)), millis(part(&mut times, 99))), "");
            row("the server's processor time per cycle", &format!("{:.2} ms", each.as_secs_f64() * 1000.0), "");
            row("the server's memory, peak", &format!("{:.1} MB", after.peak), "");
        }
    }
    Ok(())
}

/// What one client does until nothing is left to ask.
async fn rounds(served: &Served, client: usize, asked: &RefCell<Vec<Ask>>, times: &RefCell<Vec<Duration>>) -> Outcome<()> {
    let (mut hosts, mut persons) = (Wire::open(served.at).await?, Wire::open(served.at).await?);
    let host = &served.hosts[client % served.hosts.len()];
    loop {
        let Some(ask) = asked.borrow_mut().pop() else { return Ok(()) };
        let begun = Instant::now();
        let id = host.ask(&mut hosts, &ask).await?;
        let (state, said) = tokio::join!(host.wait(&mut hosts, &id), served.reviewer.approve(&mut persons, &id, &ask.digest));
        said?;
        if state? != "approved" {
            return Err("it was approved, and is not".into());
        }
        host.consume(&mut hosts, &id, &ask).await?;
        times.borrow_mut().push(begun.elapsed());
    }
}
