//! The real `gate -- COMMAND` that waits for the server: from sending the decision until the command runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::served::{Served, scratch};
use super::wire::Wire;
use super::{Outcome, millis, part, row};

/// How often.
const ROUNDS: usize = 200;

/// How long a `gate` that asked is left to begin to wait.
const SETTLE: Duration = Duration::from_millis(60);

/// Nothing is known, so everything asks; another person has to answer.
const POLICY: &str =
    "version = 1\n[layer]\nembedded = \"off\"\n[terms.medium]\nassurance = \"second-person\"\nchannels = [\"server\"]\n[server]\n";

pub(crate) async fn measure(gate: &str) -> Outcome<()> {
    let home = scratch()?;
    let made = at(gate, home.path(), &["audit", "init"]).output()?;
    if !made.status.success() {
        return Err(format!("{}", String::from_utf8_lossy(&made.stderr)).into());
    }
    let verified = at(gate, home.path(), &["audit", "verify", "--json"]).output()?;
    let key = serde_json::from_slice::<Value>(&verified.stdout)?["key"].as_str().ok_or("the log has no key")?.to_owned();
    let served = Served::start(gate, &[key]).await?;
    let policy = home.path().join(".config/gate/policy.toml");
    fs::create_dir_all(policy.parent().unwrap_or(home.path()))?;
    fs::write(&policy, format!("{POLICY}url = \"{}\"\nkey = \"{}\"\n", served.url, served.key))?;
    let mut wire = Wire::open(served.at).await?;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        // It tells when it runs, which is a little later than when it was started.
        let child = at(gate, home.path(), &["--", "/bin/date", "+%s%N"]).spawn()?;
        let (id, digest) = pending(&served, &mut wire).await?;
        tokio::time::sleep(SETTLE).await;
        let sent = SystemTime::now().duration_since(UNIX_EPOCH)?;
        served.reviewer.approve(&mut wire, &id, &digest).await?;
        let ran = child.wait_with_output()?;
        let at = String::from_utf8(ran.stdout)?.trim().parse();
        let at = at.map_err(|_| format!("the command did not run: {}", String::from_utf8_lossy(&ran.stderr)))?;
        times.push(Duration::from_nanos(at).saturating_sub(sent));
    }
    let (p50, p99) = (part(&mut times, 50), part(&mut times, 99));
    row(
        &format!("from sending a decision to the command's start, {ROUNDS}"),
        &format!("p50 {}, p99 {}, max {}", millis(p50), millis(p99), millis(part(&mut times, 100))),
        "p99 < 30 ms",
    );
    Ok(())
}

fn at(gate: &str, home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(gate);
    command.args(args).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("TERM", "dumb");
    command.current_dir(home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The request that waits, once it does.
async fn pending(served: &Served, wire: &mut Wire) -> Outcome<(String, String)> {
    loop {
        let page = served.reviewer.get(wire, "/v1/requests?state=pending&limit=1").await?;
        if let (Some(id), Some(digest)) = (page["requests"][0]["id"].as_str(), page["requests"][0]["digest"].as_str()) {
            return Ok((id.to_owned(), digest.to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
