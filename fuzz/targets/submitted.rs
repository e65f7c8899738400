#![no_main]
//! What a host submits to a server: read as it is kept, under one digest and one key, and covered by a standing grant for itself alone.
use gate::approval::{Standing, Submitted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice(bytes) else { return };
    let Ok(read) = Submitted::read(&value) else { return };
    let Ok(kept) = Submitted::parse(read.text()) else { panic!("what is written is not read") };
    assert!(kept.digest() == read.digest() && kept.key() == read.key());
    for open in [vec![], vec![1], vec![1, 2]] {
        let Some(standing) = Standing::new(2, 1, open) else { panic!("it is one") };
        assert_eq!(standing.fits(&read).is_ok(), standing.covers(&read, &kept));
    }
});
