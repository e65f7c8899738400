#![no_main]
//! A bundle is read to its end or refused, whatever is in it; what counts as a name or a tile has one spelling.
use std::path::Path;

use gate::audit::{Check, check_bundle};
use gate::record::{Part, bundled_entries, entry_bundle, ustar};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(block) = bytes.first_chunk::<{ ustar::BLOCK }>()
        && let Some((name, length)) = ustar::parse(block)
    {
        assert_eq!(ustar::header(name, length).as_ref(), Some(block));
    }
    if let Some(part) = std::str::from_utf8(bytes).ok().and_then(Part::parse) {
        assert_eq!(part.name().as_bytes(), bytes);
    }
    if let Some(entries) = bundled_entries(bytes) {
        assert_eq!(entry_bundle(entries).as_deref(), Some(bytes));
    }
    // The fuzzer does not guess header sums: files are cut out of its bytes and laid into an archive.
    let mut archive = Vec::new();
    for file in bytes.split(|byte| *byte == 0xff) {
        let Some(at) = file.iter().position(|byte| *byte == b'\n') else { continue };
        let Some(header) = std::str::from_utf8(&file[..at]).ok().and_then(|name| ustar::header(name, (file.len() - at - 1) as u64)) else { continue };
        archive.extend(header);
        archive.extend_from_slice(&file[at + 1..]);
        archive.resize(archive.len() + ustar::padding((file.len() - at - 1) as u64), 0);
    }
    archive.extend(ustar::END);
    for input in [bytes, &archive] {
        if let Ok(found) = check_bundle(Path::new("bundle"), &mut &*input, &Check::default()) {
            assert!(!found.held.is_empty() || found.report.wrong > 0);
        }
    }
});
