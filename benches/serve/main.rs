//! What `gate serve` takes: the real server on loopback, with the load on the same machine, each figure beside its bound.
//!
//! `cargo bench --bench serve` measures everything; `-- cycles waiting exec page` only what is named. `GATE=PATH` measures another `gate`.
//! The page needs Node, Chromium and what `tests/all` installs below target/browser. Compare the lines of one run with each other, and say
//! what else ran: the load and the server share the processors.

mod cycles;
mod exec;
mod page;
mod provider;
mod served;
mod waiting;
mod wire;

use std::error::Error;
use std::time::{Duration, Instant};

/// Whatever goes wrong ends the benchmark.
type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let gate = std::env::var("GATE").unwrap_or_else(|_| env!("CARGO_BIN_EXE_gate").to_owned());
    let _ = rustls::crypto::ring::default_provider().install_default();
    many_descriptors()?;
    println!("{gate}, load {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if wanted("cycles") {
            cycles::measure(&gate).await?;
        }
        if wanted("waiting") {
            waiting::measure(&gate).await?;
        }
        if wanted("exec") {
            exec::measure(&gate).await?;
        }
        if wanted("page") {
            page::measure(&gate).await?;
        }
        Ok(())
    })
}

/// Thousands of connections stand open at once, here and in the server, which inherits this.
fn many_descriptors() -> Outcome<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

/// One line of the table.
fn row(what: &str, value: &str, bound: &str) {
    println!("{what:<58} {value}{}", if bound.is_empty() { String::new() } else { format!("   (bound: {bound})") });
}

/// The value below which so many percent lie.
fn part(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// F, what the bare disk takes to append 1 KiB durably: the median.
fn bare_disk(directory: &std::path::Path) -> Outcome<Duration> {
    use std::io::Write;
    let mut file = std::fs::File::create(directory.join("bare"))?;
    let mut times = Vec::new();
    for _ in 0..300 {
        let begun = Instant::now();
        file.write_all(&[7; 1024])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    Ok(part(&mut times, 50))
}
