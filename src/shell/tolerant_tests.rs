use super::tolerant::see;
use super::{Command, Word};

#[track_caller]
fn sees(script: &str, argv: &[&str]) {
    let found = see(script.as_bytes());
    let wanted: Vec<Option<Vec<u8>>> = argv.iter().map(|word| Some(word.as_bytes().to_vec())).collect();
    let seen = |command: &Command| command.words.iter().map(Word::known).eq(wanted.iter().cloned());
    assert!(found.iter().any(seen), "{script:?} was seen as {found:#?}");
}

#[test]
fn what_hides_a_command_is_looked_through() {
    for script in [
        "eval 'rm -rf /'",
        "eval \"rm\" -rf /",
        "eval \"eval 'rm -rf /'\"",
        "bash -c 'sh -ec \"rm -rf /\"'",
        "trap 'rm -rf /' EXIT",
        "alias ls='rm -rf /'",
        "f() { rm -rf /; }",
        "a=r; b=m; $a$b -rf /",
        "X='rm -rf /'; $X",
        "X='rm -rf /'; eval \"$X\"",
        "rm${IFS}-rf$IFS/",
        "{rm,-rf,/}",
        "$'\\x72\\155' -rf $'\\u002f'",
        "r\\m -r''f \"/\"",
        "r\\\nm -rf /",
        "r\0m -rf /",
        "echo $(( $(rm -rf /) ))",
        "echo \"${X:-`rm -rf /`}\"",
        "cat <<E\n\"$(rm -rf /)\"\nE",
        "bash <<'E'\nrm -rf /\nE",
        "x <<E\nrm -rf /",
        "if ! time exec rm -rf /; then",
        "case x in x) rm -rf /;; esac",
        "diff <(rm -rf /) x",
        "X=1 2>/dev/null rm -rf / >&2",
        "rm -rf /\r\nls",
        "coproc { rm -rf /; }",
        "((((((rm -rf /",
    ] {
        sees(script, &["rm", "-rf", "/"]);
    }
    sees("cd /x && rm y | (z", &["z"]);
}

#[test]
fn a_text_that_is_only_written_is_no_command() {
    let found = see(b"cat > README <<'E'\nrm -rf /\nE\n. x");
    assert_eq!(found.len(), 2, "{found:#?}");
}

#[test]
fn bombs_are_seen_through_to_their_end() {
    let parts = [
        "( ",
        "$(",
        "\"$(",
        "`",
        "\"`",
        "'",
        "\"",
        "${",
        "a <<E\n",
        "X=1;$X;",
        "{a,b}",
        "X=\"$X$X\";",
        "X=a$X$X ;",
        "eval '",
        "eval \"",
        "<(",
        "a;",
        "\\",
        "bash -c '",
        "trap a b c;",
        "{a,b}$X",
        "a\\\n",
        "$'\\x41",
        "eval $X;",
        "X='$X eval $X';eval $X;",
    ];
    for part in parts {
        see(part.repeat(64 * 1024 / part.len()).as_bytes());
    }
}
