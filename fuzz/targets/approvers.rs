#![no_main]
//! An approvers file, and evidence in JSON: what is read is written again as it was, and nobody gets into an empty file unsigned.
use gate::approval::{ApproversFile, Evidence, Statement};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = ApproversFile::parse(bytes) {
        assert!(ApproversFile::parse(file.text().as_bytes()).as_ref() == Ok(&file));
        assert!(file.approvers().enrolled().is_empty() || file.changes().iter().all(|change| change.signatures() > 0));
    }
    if let Some(evidence) = serde_json::from_slice(bytes).ok().and_then(|value| Evidence::from_json(&value)) {
        assert!(Evidence::from_json(&evidence.to_json()) == Some(evidence));
    }
    if let Some(statement) = Statement::parse(bytes) {
        assert_eq!(statement.bytes(), bytes);
    }
});
