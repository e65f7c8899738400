//! The reviewer's page with a thousand requests that wait, in a real browser.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::served::{Served, asks};
use super::wire::Wire;
use super::{Outcome, millis, part, row};

/// How many wait, and how many were approved before them.
const PENDING: usize = 1000;
const APPROVED: usize = 1000;

/// How often each page is asked for.
const LOADS: usize = 50;

pub(crate) async fn measure(gate: &str) -> Outcome<()> {
    let served = Served::start(gate, &[]).await?;
    let mut wire = Wire::open(served.at).await?;
    let host = &served.hosts[0];
    let mut last = String::new();
    for (number, ask) in asks(0, APPROVED + PENDING)?.iter().enumerate() {
        last = host.ask(&mut wire, ask).await?;
        if number < APPROVED {
            served.reviewer.approve(&mut wire, &last, &ask.digest).await?;
            host.consume(&mut wire, &last, ask).await?;
        }
    }
    for (name, path) in [("inbox", "/inbox".to_owned()), ("one request", format!("/r/{last}")), ("history", "/history".to_owned())] {
        let mut times = Vec::with_capacity(LOADS);
        let (before, mut length) = (served.used()?, 0);
        for _ in 0..LOADS {
            let begun = Instant::now();
            let page = wire.call("GET", &path, &format!("cookie: {}\r\n", served.reviewer.cookie), b"").await?;
            times.push(begun.elapsed());
            length = page.body.len();
        }
        let each = served.used()?.time.saturating_sub(before.time) / u32::try_from(LOADS)?;
        let (p50, most) = (part(&mut times, 50), part(&mut times, 100));
        row(
            &format!("{name}, {PENDING} pending: answered, p50 / max"),
            &format!("{} / {}, {} of processor, {length} bytes", millis(p50), millis(most), millis(each)),
            "",
        );
        paint(&served, name, &path)?;
    }
    Ok(())
}

/// Lets Chromium open the page, a fresh profile each time.
fn paint(served: &Served, name: &str, path: &str) -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("node");
    command.arg(root.join("tests/browser/paint.mjs")).arg(root.join("target/browser/node_modules"));
    let ran = command.arg(format!("{}{path}", served.url)).arg(&served.reviewer.cookie).output();
    let Some(ran) = ran.ok().filter(|ran| ran.status.success()) else {
        row(&format!("{name}: first paint"), "Node, Chromium or target/browser is not here", "");
        return Ok(());
    };
    let paints: Vec<Value> = serde_json::from_slice(&ran.stdout)?;
    let of = |what: &str| {
        paints.iter().map(|paint| Duration::from_secs_f64(paint[what].as_f64().unwrap_or(9999.0) / 1000.0)).collect::<Vec<_>>()
    };
    let (mut first, mut contentful, mut answered) = (of("first"), of("contentful"), of("answered"));
    row(
        &format!("{name}: first paint, p50 / max"),
        &format!("{} / {}", millis(part(&mut first, 50)), millis(part(&mut first, 100))),
        "< 200 ms",
    );
    row(
        "  first contentful paint, p50 / max",
        &format!("{} / {}", millis(part(&mut contentful, 50)), millis(part(&mut contentful, 100))),
        "",
    );
    row("  of that until the page had arrived, p50", &millis(part(&mut answered, 50)), "");
    Ok(())
}
