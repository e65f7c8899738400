use std::time::Duration;

use gate::approval::Stamp;
use gate::audit::{Log, Place};
use gate::record::{Draft, Kind};
use serde_json::Map;

fn now() -> Stamp {
    Stamp { wall: 1_795_226_400_000_000_000, boot: Duration::from_secs(60) }
}

#[test]
fn smoke() {
    let home = tempfile::tempdir().unwrap();
    let place = Place { directory: home.path().join("state"), name: "gate.test/host".to_owned() };
    for _ in 0..3 {
        let mut log = Log::open(&place, now(), "boot").unwrap();
        let stored = log.append(&[Draft::new(Kind::Heartbeat, None, Map::new())], now()).unwrap();
        println!("{stored:?}");
    }
    let t = std::time::Instant::now();
    for _ in 0..300 {
        let mut log = Log::open(&place, now(), "boot").unwrap();
        log.append(&[Draft::new(Kind::Heartbeat, None, Map::new())], now()).unwrap();
    }
    println!("{:?}", t.elapsed() / 300);
    println!(
        "{}",
        String::from_utf8_lossy(
            &std::process::Command::new("sh")
                .arg("-c")
                .arg(format!(
                    "ls -la {0}; sqlite3 {0}/audit.db 'select body from entry limit 3;select * from head;pragma synchronous'",
                    place.directory.display()
                ))
                .output()
                .unwrap()
                .stdout
        )
    );
}
