use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::time::Duration;

use gate::text;
use proptest::prelude::*;

/// Bytes that tools like this one have been fooled with, among any others.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let tricky = prop::sample::select(vec![
        "\x1b[2J",
        "\r",
        "\n",
        "\t",
        "\x08",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\u{ad}",
        "\u{e0041}",
        "\u{fe0f}",
        "\u{2028}",
        "\u{85}",
        "\u{9b}2J",
        "\u{a0}",
        "\u{3164}",
        "\u{2800}",
        "\u{301}\u{301}\u{301}\u{301}",
        "e\u{301}",
        "‹hidden, 5 bytes›",
        "'",
        "\"",
        "\\",
        "\\x1b",
        "$'",
        "`",
        "!",
        "~",
        "=",
        "*",
        "é",
        "日本",
        "\u{5d0}",
        "-",
        " ",
        "a",
        "0",
        "\u{1f600}",
    ]);
    prop::collection::vec(
        prop_oneof![
            tricky.prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(1..=255_u8, 1..3),
            any::<char>().prop_map(|c| c.to_string().replace('\0', "0").into_bytes())
        ],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

/// Nothing that moves a cursor, reorders, or cannot be seen.
fn is_harmless(shown: &str) -> bool {
    shown.chars().all(|c| {
        !c.is_control()
            && !matches!(u32::from(c), 0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xe0000..=0xe0fff)
            && (c == ' ' || !c.is_whitespace())
    })
}

proptest! {
    #[test]
    fn text_never_emits_a_control_or_bidi_character(bytes in nasty()) {
        let text = String::from_utf8_lossy(&bytes);
        for shown in [text::escape(&bytes), text::visible(&text), text::quote(&bytes), text::command(&[&bytes, &bytes], &[(1, 0, 2)])] {
            prop_assert!(is_harmless(&shown), "{shown:?}");
        }
    }

    #[test]
    fn no_two_words_look_the_same(a in nasty(), b in nasty()) {
        if a != b {
            prop_assert_ne!(text::quote(&a), text::quote(&b));
            prop_assert_ne!(text::escape(&a), text::escape(&b));
        }
    }

    #[test]
    fn a_command_laid_out_in_rows_loses_nothing(words in prop::collection::vec(nasty(), 1..6), room in 12..100_usize) {
        let rows = text::rows(&words, &[], room);
        let mut joined = String::new();
        for row in &rows {
            if !joined.is_empty() && !row.inside {
                joined.push(' ');
            }
            row.runs.iter().for_each(|(_, run)| joined.push_str(run));
        }
        prop_assert_eq!(joined, text::command(&words, &[]));
        for row in &rows {
            let wide: usize = row.runs.iter().map(|(_, run)| text::width(run)).sum();
            prop_assert!(wide <= room, "{} columns in {}: {:?}", wide, room, row);
        }
    }

    #[test]
    fn wrapped_prose_keeps_its_words(prose in "[a-z é日]{0,80}", room in 2..40_usize) {
        let kept: String = text::wrap(&prose, room).concat().replace(' ', "");
        prop_assert_eq!(kept, prose.replace(' ', ""));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn bash_reads_a_quoted_word_back_as_the_same_bytes(words in prop::collection::vec(nasty(), 1..20)) {
        let script = format!("printf '%s\\0' {}", words.iter().map(|word| text::quote(word)).collect::<Vec<_>>().join(" "));
        let read = Command::new("bash").args(["--norc", "-c"]).arg(OsStr::from_bytes(script.as_bytes())).env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin").output().unwrap();
        let mut expected = words.join(&0);
        expected.push(0);
        prop_assert_eq!(read.stdout, expected, "{}", script);
    }
}

#[test]
fn words_are_quoted_as_a_person_would_type_them() {
    let cases: [(&[u8], &str); 16] = [
        (b"--context=prod-eu", "--context=prod-eu"),
        (b"HEAD~1", "HEAD~1"),
        (b"~root", "'~root'"),
        (b"", "''"),
        (b"a b", "'a b'"),
        (b"it's", "\"it's\""),
        (b"it's $HOME", "$'it\\'s $HOME'"),
        (b"a\\x1b", "'a\\x1b'"),
        (b"a\x1b", "$'a\\x1b'"),
        (b"line\nline", "$'line\\nline'"),
        (b"\xff", "$'\\xff'"),
        ("müller".as_bytes(), "müller"),
        ("e\u{301}t".as_bytes(), "e\u{301}t"),
        ("a\u{202e}b".as_bytes(), "$'a\\u202eb'"),
        ("\u{e0041}1".as_bytes(), "$'\\U000e00411'"),
        ("‹hidden, 5 bytes›".as_bytes(), "'‹hidden, 5 bytes›'"),
    ];
    for (word, quoted) in cases {
        assert_eq!(text::quote(word), quoted);
    }
}

#[test]
fn of_a_hidden_part_only_the_length_is_shown() {
    let words = ["mysql", "--password=hunter2", "-h", "db", "https://u:pw@host/x"];
    assert_eq!(
        text::command(&words, &[(1, 11, 18), (4, 10, 12)]),
        "mysql --password=‹hidden, 7 bytes› -h db https://u:‹hidden, 2 bytes›@host/x"
    );
    assert_eq!(text::command(&["x", "secret"], &[(1, 0, 99), (1, 2, 4)]), "x ‹hidden, 6 bytes›");
}

#[test]
fn a_first_word_is_never_read_as_an_assignment() {
    assert_eq!(text::command(&["A=b", "A=b"], &[]), "'A=b' A=b");
}

#[test]
fn escapes_are_visible_and_unambiguous() {
    assert_eq!(text::escape(b"a\x1b[31m\r\n\t\x08\xffz"), "a\\x1b[31m\\r\\n\\t\\x08\\xffz");
    assert_eq!(text::escape("\u{202e}\u{200b}\u{2028}\u{9b}".as_bytes()), "\\u{202e}\\u{200b}\\u{2028}\\u{9b}");
    assert_eq!(text::escape(br"\x1b"), r"\\x1b");
}

#[test]
fn look_alikes_are_found_and_honest_words_are_not() {
    for word in ["k\u{443}bectl", "prod\u{2013}eu", "\u{441}\u{43e}\u{440}", "\u{ff47}it", "etc\u{2215}passwd", "\u{3c1}rod"] {
        assert!(text::suspicious(word).is_some(), "{word}");
    }
    for word in ["kubectl", "müller", "Москва", "--name=Москва", "日本語abc", "naïve", "Ελλάδα", "v1.2-ñ"] {
        assert_eq!(text::suspicious(word), None, "{word}");
    }
}

#[test]
fn times_read_as_people_say_them() {
    let seconds = |count| text::duration(Duration::from_secs(count));
    assert_eq!(
        [seconds(45), seconds(900), seconds(7500), seconds(86_400), seconds(266_400)],
        ["45 s", "15 min", "2 h 5 min", "1 day", "3 days 2 h"]
    );
    let now = 1_700_000_000_000_000_000;
    let ago = |count: i64| text::ago(now - count * 1_000_000_000, now);
    assert_eq!(
        [ago(3), ago(180), ago(3600), ago(7200), ago(172_800), ago(-3600)],
        ["just now", "3 min ago", "1 hour ago", "2 hours ago", "2 days ago", "later than now"]
    );
}
