//! Thousands of requests that wait at once: what they take of memory, and how soon each is woken.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::served::{Served, asks};
use super::wire::Wire;
use super::{Outcome, millis, part, row};

/// How many wait.
const WAITING: usize = 5000;

/// How many of them are woken, and how long after each other.
const WOKEN: usize = 1000;
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn measure(gate: &str) -> Outcome<()> {
    LocalSet::new().run_until(all(gate)).await
}

async fn all(gate: &str) -> Outcome<()> {
    let served = Rc::new(Served::start(gate, &[]).await?);
    let empty = served.used()?;
    let asked = asks(0, WAITING)?;
    let numbered = RefCell::new(asked.iter().enumerate().collect::<Vec<_>>());
    // Each waits on a connection of its own, and tells when it was answered.
    let waiting = RefCell::new(Vec::with_capacity(WAITING));
    let ask = |_| async {
        loop {
            let Some((number, ask)) = numbered.borrow_mut().pop() else { return Outcome::Ok(()) };
            let mut wire = Wire::open(served.at).await?;
            let host = number % served.hosts.len();
            let id = served.hosts[host].ask(&mut wire, ask).await?;
            let (tell, told) = oneshot::channel();
            let (served, name) = (Rc::clone(&served), id.clone());
            tokio::task::spawn_local(async move {
                let state = served.hosts[host].wait(&mut wire, &name).await.map_err(|error| error.to_string());
                let _ = tell.send((Instant::now(), state));
            });
            waiting.borrow_mut().push((id, ask.digest.as_str(), told));
        }
    };
    try_join_all((0..32).map(ask)).await?;
    // So long that all of them have asked to wait once more.
    let before = served.used()?;
    tokio::time::sleep(Duration::from_secs(32)).await;
    let full = served.used()?;
    row(&format!("{WAITING} requests waiting: resident / peak"), &format!("{:.1} / {:.1} MB", full.resident, full.peak), "< 300 MB");
    row("  and the server's memory before them", &format!("{:.1} MB", empty.resident), "");
    row("  the server's processor time in 32 s of their waiting", &millis(full.time.saturating_sub(before.time)), "");
    let mut wire = Wire::open(served.at).await?;
    let mut woken = Vec::with_capacity(WOKEN);
    for (id, digest, told) in waiting.into_inner().into_iter().take(WOKEN) {
        tokio::time::sleep(PAUSE).await;
        let sent = Instant::now();
        served.reviewer.approve(&mut wire, &id, digest).await?;
        let (at, state) = told.await?;
        if state? != "approved" {
            return Err("it was approved, and is not".into());
        }
        woken.push(at - sent);
    }
    let (p50, p99) = (part(&mut woken, 50), part(&mut woken, 99));
    row(
        &format!("from sending a decision to the answer of who waits, {WOKEN}"),
        &format!("p50 {}, p99 {}, max {}", millis(p50), millis(p99), millis(part(&mut woken, 100))),
        "p99 < 50 ms",
    );
    Ok(())
}
