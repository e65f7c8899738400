//! The reader of git's configuration understands a file as git does, or not at all.

use gate::sys::target::git_config::{Entry, parse};
use proptest::prelude::*;

use crate::facts::Place;

/// What git makes of the bytes: each key with its value, or a refusal.
fn by_git(place: &Place) -> Option<Vec<(String, Option<String>)>> {
    let listed = place.run("git", &["config", "-f", "file", "--list", "-z"]).ok()?;
    let entry = |entry: &str| match entry.split_once('\n') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (entry.to_owned(), None),
    };
    Some(listed.split_terminator('\0').map(entry).collect())
}

fn by_gate(bytes: &[u8]) -> Option<Vec<(String, Option<String>)>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entry = |entry: Entry| {
        let parts: Vec<String> = [Some(entry.section), entry.subsection, Some(entry.key)].iter().flatten().map(|part| text(part)).collect();
        (parts.join("."), entry.value.map(|value| text(&value)))
    };
    parse(bytes).ok().map(|entries| entries.into_iter().map(entry).collect())
}

fn agree(bytes: &[u8]) {
    let place = Place::new().file("work/file", bytes);
    if let Some(ours) = by_gate(bytes) {
        assert_eq!(Some(ours), by_git(&place), "{}", bytes.escape_ascii());
    }
}

#[test]
fn usual_and_unusual_files_read_as_git_reads_them() {
    let files: [&[u8]; 20] = [
        b"",
        b"\xef\xbb\xbf[a]\nb = c\n",
        b"[core]\r\n\tbare = false\r\n[remote \"origin\"]\r\n\turl = x\r\n",
        b"[remote.Origin]\n\turl = x\n",
        b"[remote \"a.b\\\"c\\\\d\"]\n\turl = x\n",
        b"[a] b = 1 # no\n; comment\n# comment\n\n[c]d\n",
        b"[a]\nb = \"x ; y\" z ; w\n",
        b"[a]\nb = one \\\n   two\n",
        b"[a]\nb = one\\\n\\\ntwo\n",
        b"[a]\nb = \\t\\n\\b\\\\\\\"\n",
        b"[a]\nb = x   y  \n",
        b"[a]\nb = \"x \"  \n",
        b"[a]\nb =\nc\n",
        b"[a \"\"]\nb = 1\n",
        b"[a.]\nb = 1\n",
        b"[A-1.B \"C\"]\nD-2 = 1\n",
        b"[a]b=1\n[a]c=2",
        b"[a]\nb = x\\",
        b"[a]\n\tb\t=\tx\ty\t\n",
        b"[a]\nb = a\"b\"c\n",
    ];
    for file in files {
        assert!(by_gate(file).is_some(), "{}", file.escape_ascii());
        agree(file);
    }
}

#[test]
fn what_git_refuses_is_refused() {
    let files: [&[u8]; 12] = [
        b"[a\nb = 1\n",
        b"[a \"b]\nc = 1\n",
        b"[a \"b\" ]\nc = 1\n",
        b"[a b]\nc = 1\n",
        b"[a]\n1b = 1\n",
        b"[a]\nb c\n",
        b"[a]\nb = \"x\n",
        b"[a]\nb = \\x\n",
        b"[a_b]\nc = 1\n",
        b"[]\na = 1\n",
        b"[a]\nb_c = 1\n",
        b"= 1\n",
    ];
    for file in files {
        let place = Place::new().file("work/file", file);
        assert_eq!(by_git(&place), None, "{}", file.escape_ascii());
        assert_eq!(by_gate(file), None, "{}", file.escape_ascii());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_made_of_pieces_reads_as_git_reads_it(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)) {
        agree(pieces.concat().as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }
}

const PIECES: &[&str] = &[
    "[a]",
    "[a \"b\"]",
    "[remote \"",
    "\"]",
    "[",
    "]",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "key",
    "Key-1",
    "=",
    " = ",
    "value",
    "\"",
    "\\",
    "\\\n",
    "\\n",
    "\\t",
    "#",
    ";",
    ".",
    "[a.b]",
    "\n[c]\nd = e\n",
    "\n\tx = ",
    "é",
];
