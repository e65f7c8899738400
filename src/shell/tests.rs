use super::*;

/// What is read, in a short form: `name arg | …`.
fn told(text: &str, shell: Shell) -> String {
    let Script::Static(found) = read(text.as_bytes(), shell) else { return "opaque".to_owned() };
    let word = |word: &Word| {
        let mut text = String::new();
        for piece in &word.pieces {
            match piece {
                Piece::Text(known) => text += &String::from_utf8_lossy(known),
                Piece::Glob(glob) => text += &format!("<{}>", String::from_utf8_lossy(glob)),
                Piece::Home => text += "<~>",
                Piece::Unknown => text += "<?>",
            }
        }
        text + if word.splits { ".." } else { "" }
    };
    let command = |command: &Command| {
        let mut parts: Vec<String> =
            command.assigned.iter().map(|(name, value)| format!("{}={}", String::from_utf8_lossy(name), word(value))).collect();
        parts.extend(command.words.iter().map(word));
        parts.extend(command.files.iter().map(|file| {
            let sign = match (file.writes, file.appends) {
                (false, _) => "<",
                (true, false) => ">",
                (true, true) => ">>",
            };
            format!("{sign}{}", word(&file.to))
        }));
        match &command.input {
            Input::Inherited => {}
            Input::Pipe => parts.push("(piped)".to_owned()),
            Input::Text(text) => parts.push(format!("(text {:?})", String::from_utf8_lossy(text))),
            Input::Unknown => parts.push("(fed)".to_owned()),
        }
        match &command.place {
            Place::Here => {}
            Place::Below(place) => parts.push(format!("in {}", String::from_utf8_lossy(place))),
            Place::Unknown => parts.push("anywhere".to_owned()),
        }
        parts.join(" ")
    };
    found.iter().map(command).collect::<Vec<_>>().join("; ")
}

#[track_caller]
fn is(text: &str, expected: &str) {
    assert_eq!(told(text, Shell::Bash), expected, "{text:?}");
    assert_eq!(told(text, Shell::Posix), expected, "{text:?}, as sh");
}

#[track_caller]
fn is_in_bash(text: &str, expected: &str) {
    assert_eq!(told(text, Shell::Bash), expected, "{text:?}");
    assert_eq!(told(text, Shell::Posix), "opaque", "{text:?}, as sh");
}

#[test]
fn lists_are_all_that_may_run() {
    is("ls -l && echo 'a b' \"\" || true; x & y | z", "ls -l; echo a b ; true; x; y; z (piped)");
    is("foo \\\n  --bar # and\n\nbaz", "foo --bar; baz");
    is("! grep -q a b", "grep -q a b");
    is_in_bash("time -p make |& tee log", "make; tee log (piped)");
}

#[test]
fn redirections_name_files() {
    is("a > b 2>> c < d 2>&1 >/dev/null", "a >b >>c <d (fed)");
    is("rm 2 >&1", "rm 2");
    is("> \"$X/y\"", "><?>/y");
    is_in_bash("a &> b <<< c", "a >b (text \"c\\n\")");
    is_in_bash("while read -r x; do a \"$x\"; done < <(b)", "x=<?> a <?> (piped); x=<?> b (fed)");
}

#[test]
fn what_is_only_known_when_it_runs_is_told_so() {
    is("a \"$X\" $Y b$? ~/c *.d \"$@\" $#", "a <?> <?>.. b<?> <~>/c <*>.d <?>.. <?>");
    is("a \"$(b c)\" `d` ${X:-y} \"$HOME/x\"", "b c; d; a <?> <?>.. <?>.. <~>/x");
    is_in_bash("a x{,.b} {1..3} $'\\t' <(c)", "c; a x x.b 1 2 3 \t /dev/fd/<[0-9][0-9]>");
}

#[test]
fn assignments_reach_what_comes_after_them() {
    is("X=1 a; b", "X=1 a; b");
    is("X=1; a; export Y=2; b", "X=1; X=1 a; X=1 export Y=2; X=1 Y=2 b");
    is("X=1 Y=$(a) b", "X=1 Y=<?> a; X=1 Y=<?> b");
    is("for x in 1 2; do a; y=1; done", "x=1 x=2 y=1 a; x=1 x=2 y=1");
}

#[test]
fn a_directory_holds_where_it_surely_was_changed() {
    is("cd x && a && cd y && b; c", "cd x; a in x; cd y in x; b in x/y; c anywhere");
    is("(cd x && a); b", "cd x; a in x; b");
    is("cd /x || exit 1; a", "cd /x; a in /x");
    is("for i in 1; do a; cd x; done", "i=1 a anywhere; i=1 cd x anywhere");
    is("cd x && a > b | c", "cd x; a >b in x; c (piped) in x");
}

#[test]
fn texts_after_a_command_are_its_stdin() {
    is("a <<'E' | b\n$(x)\nE\nc", "a (text \"$(x)\\n\"); b (piped); c");
    is("a <<-E\n\tb\n\tE", "a (text \"b\\n\")");
    is("a \"$(b <<E\n$(c)\nE\n)\"", "c; b (fed); a <?>");
}

#[test]
fn compound_commands_hold_what_runs() {
    is("if a; then b; elif c; then d; else e; fi > f", "a; b; c; d; e; >f");
    is("case $X in a|b*) c ;; *) d; esac", "c; d");
    is("{ a; b; } | c", "a; b; c (piped)");
    is_in_bash("[[ -f a && $X == b* ]] && c", "c");
    is(": && [ \"$X\" = y ] && set -eu", ":; [ <?> = y ]");
}

#[test]
fn functions_are_what_they_run() {
    is("f() { a \"$1\"; }; f x", "a <?> (fed)");
    is("f() { a; }; X=1 f > y; b", "X=1 a (fed); X=1 >y; X=1 b");
    is("f() { cd x && a; }; f; b", "cd x (fed) anywhere; a (fed) anywhere; b anywhere");
    is("if a; then f() { b; }; f; fi; f c", "a; b (fed); f c");
    is("t=$(a); trap 'rm \"$t\"' EXIT; t=b", "t=<?> a; t=<?>; t=<?> t=b rm <?> (fed); t=<?> t=b");
    is_in_bash("function f { a; }; f", "a (fed)");
}

#[test]
fn numbers_are_told_from_what_may_be_anything() {
    is("i=0; while [ $i -lt 5 ]; do a $i; i=$((i+1)); done", "i=0; i=0 i=<?> [ <?> -lt 5 ]; i=0 i=<?> a <?>; i=0 i=<?>");
    is("for i in 1 2; do a $i; done", "i=1 i=2 a <?>");
    is_in_bash("for ((i = 0; i < 3; i++)); do a $i; done", "i=<?> a <?>");
    is_in_bash("for ((;;)); do ls; done", "ls");
    is_in_bash("i=1; ((i += 2)); [[ $i -gt 2 ]] && a", "i=1; i=1 i=<?> a");
    is_in_bash("x=(a \"$b\"); for y in \"${x[@]}\"; do c \"$y\"; done", "x=<?>; x=<?> y=<?> c <?>");
    is(": \"${X:=y}\"; a", "X=<?> : <?>; X=<?> a");
}

#[test]
fn a_line_that_bash_may_drop_the_rest_of_is_done_in_part() {
    is_opaque_in_bash("X=$((1/0)); S=1\na $((S))");
    is_opaque_in_bash("readonly X\nX=2; S=1\na $((S))");
    is_opaque_in_bash("f() { X=$((1/0)); }\nf; S=1\na $((S))");
    is_opaque_in_bash("trap 'X=$((1/0)); S=1\na $((S))' EXIT");
    is_opaque_in_bash("X=abc; X=${X:0: -9}; S=1\na $((S))");
    is_opaque_in_bash("X[08]=1; S=1\na $((S))");
    let in_bash = |text, expected| assert_eq!(told(text, Shell::Bash), expected, "{text:?}");
    in_bash("X=$((1/0)); cd d || exit\na", "X=<?>; X=<?> cd d; X=<?> a anywhere");
    in_bash("f() { X=$((1/0)); }; f; cd d || exit\na", "X=<?> (fed) anywhere; X=<?> cd d; X=<?> a anywhere");
    in_bash("X=$((1/0)); f() { b; }\nf", "X=<?>; X=<?> b (fed); X=<?> f");
    in_bash("n=$((1 + 1))\ncd d || exit\nS=1\na $((S))", "n=<?>; n=<?> cd d; n=<?> S=1 in d; n=<?> S=1 a <?> in d");
}

#[track_caller]
fn is_opaque_in_bash(text: &str) {
    assert_eq!(told(text, Shell::Bash), "opaque", "{text:?}");
}

#[test]
fn what_a_failed_redirection_keeps_from_running_is_told_so() {
    is("{ cd d || exit; } > x; a", "cd d; >x; a anywhere");
    is("cd d || exit 2>&7; a", "cd d; a anywhere");
    is("{ a; } > x; b", "a; >x; b");
    is("trap 'a' EXIT; X=5 exit", "X=5 a (fed)");
    is("trap 'a' EXIT; X=5 exec b", "X=5 a (fed); X=5 X=5 b");
}

#[test]
fn what_could_be_something_else_is_opaque() {
    for text in OPAQUE {
        for shell in [Shell::Bash, Shell::Posix] {
            assert_eq!(told(text, shell), "opaque", "{text:?}, {shell:?}");
        }
    }
}

const OPAQUE: &[&str] = &[
    "cd() { ls; }",
    "f() { ls; } > x",
    "f() (ls)",
    "f() if a; then b; fi",
    "function if { ls; }",
    "echo() { ls; }",
    "trap ls",
    "trap 'cd /' EXIT; ls",
    "trap \"$X\" EXIT",
    "X=([0]=a)",
    "X=(a) ls",
    "export X=(a)",
    "X[$Y]=1",
    "X[Y]=1",
    "PATH=(a)",
    "PATH+=:x",
    "((X))",
    "X=$Y; echo $((X))",
    "X=1; X=$Y; [ $X = 1 ]",
    "a && X=1; [ $X = 1 ]",
    "X=1 | a; [ $X = 1 ]",
    "(X=1); [ $X = 1 ]",
    "X=1 & [ $X = 1 ]",
    "if a; then X=1; fi; [ $X = 1 ]",
    "X=1; f() { X=$Y; }; f; [ $X = 1 ]",
    "X=1; read X; echo $((X))",
    "X=08; echo $((X))",
    "readonly X=$Y; X=1; [ $X = 1 ]",
    "X=1; while [ $X = 1 ]; do X=$(a); done",
    "for ((i=0;i<Y;i++)); do a; done",
    "X=1; echo $((X[Y]))",
    "X=1; unset X; [ $X = 1 ]",
    "X=$((Y=Y+1))",
    // What a function, a trap or a loop comes back to.
    "f() { g; }; for i in 1 2; do f; ls; g() { cd d; }; done",
    "f() { ls; }; for i in 1 2; do f; ls; f() { cd d; }; done",
    "f() { ls; }; f; unset f; f",
    "f() { unset ls; }; ls() { a; }; f; ls",
    "f() { local V=5; V=6; g() { a $((V)); }; }; f; g",
    "f() { local V=5; V=6; trap 'a $((V))' EXIT; }; f",
    "f() { V=2; trap 'a $((V))' EXIT; }; V=1 f",
    "X=1; trap '[ $X = 1 ]' EXIT; X=$Q exec a",
    "V=1; V=$S X=$((V)) a",
    "V=1; V=$S X=$((V))",
    "REPLY=1; read; [ $REPLY = 1 ]",
    "REPLY=1; read -r; [ $REPLY = 1 ]",
    "Y=1; Y=$!; [ $Y = 1 ]",
    "Y=1; Y=\"$!\"; [ $Y = 1 ]",
    // What may not have been done.
    "if a; then S=1; else b $((S)); fi",
    "case x in a) S=1 ;; b) b $((S)) ;; esac",
    "S=1 2>&7; a $((S))",
    "S=1 <<E; a $((S))\nE\n",
    // Names that are put together, and signs.
    "V=1; X=1; a $((V$X))",
    "V=1; a $((V$#))",
    "a $((++S = 1))",
    "a $((--S = 1))",
    "a $((0 + S = 1))",
    "a $((S += 1))",
    "a $((S == 1))",
    "X=1; a $((X#2))",
    "X=1; a $((X ? Y : X))",
    "X=1; a $((X, Y))",
    "X=1; a $(( X\n))",
    "a $((PATH = 1))",
    "X=1; trap 'X=$Y' INT; [ $X = 1 ]",
    "",
    " # x",
    "eval ls",
    ". ./x",
    "source x",
    "kub\\\nectl",
    "ls &&",
    "| ls",
    "ls ;; ls",
    "ls\r",
    "exec -a x ls",
    "'' x",
    "a=~/x:~/y ls",
    "echo a=~/b",
    "%1",
    "printf -v PATH /x; ls",
    "printf -vPATH /x",
    "printf \"$X\" y",
    "printf %n PATH",
    "test -v 'a[$(ls)]'",
    "'[' -R 'a[$(ls)]' ']'",
    "[ $X = y ]",
    "[ \"$X\" \"$Y\" ]",
    "chdir / ; ls",
    "getopts p PATH -p",
    "compgen -W '$(ls)'",
    "jobs -x ls",
    "echo \"\u{4e2d}\\\" ; ls \"",
    "$X y",
    "\"$X\" y",
    "*/x y",
    "PATH=x ls",
    "IFS=x",
    "export PATH",
    "read PATH",
    "read \"$X\"",
    "unset IFS",
    "for PATH in x; do ls; done",
    "echo $((X))",
    "echo $((a[0]))",
    "echo ${X@P}",
    "echo ${!X}",
    "echo ${X[$Y]}",
    "echo ${X:$Y}",
    "echo $[1]",
    "echo $\"x\"",
    "alias ls=rm",
    "set -k",
    "set -o posix",
    "shopt -s extglob",
    "echo !(x)",
    "echo ~root",
    "echo ~+",
    "command -p ls",
    "builtin cd x",
    "wait -p X",
    "exec > x",
    "exec 3<&1",
    "a 12>&1",
    "a {x}>y",
    "a {b}c,d}",
    "ls \"a",
    "ls 'a",
    "ls $(a",
    "ls `a",
    "(ls",
    "{ ls",
    "if a; then b",
    "a <<E\nb",
    "cat <<E $(a\nE\n)\nE",
    "cat <<E \"\nE\n\"\nE",
    "time -- ls",
    "coproc ls",
    "select x in y; do ls; done",
    "((ls))",
    "let X=1",
    "ls }; }",
    "fi",
    "a ) b",
    "declare -n X=PATH",
    "$'ls' \\",
    "ls > $(",
    "hash -p /x ls",
    "enable -f x y",
    "\u{a0}ls \u{4e2d}\\",
    "! ! ls",
    "a\u{b}b",
    "> &1",
    "a >&$X",
    "a=b=$(c",
];

#[test]
fn what_only_bash_knows_is_opaque_elsewhere() {
    for text in
        ["a |& b", "a &> b", "a <<< b", "a <(b)", "a {b,c}", "a $'b'", "[[ a ]]", "a ${X/b/c}", "a ${X:1}", "time ls", "declare X=1"]
    {
        assert_eq!(told(text, Shell::Posix), "opaque", "{text:?}");
        assert_ne!(told(text, Shell::Bash), "opaque", "{text:?}");
    }
}

#[test]
fn a_byte_that_shells_drop_is_not_static() {
    assert!(matches!(read(b"psql -c 'a\0b'", Shell::Posix), Script::Opaque { .. }));
}

#[test]
fn one_plain_command_is_its_words() {
    assert_eq!(words(b"time eval 'a b' \"\""), Some(vec![b"time".to_vec(), b"eval".to_vec(), b"a b".to_vec(), Vec::new()]));
    for text in ["a; b", "a b*", "a $X", "X=1 a", "a > b", "a | b", "", "a &"] {
        assert_eq!(words(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn bombs_are_read_to_their_end() {
    for part in [
        "( ",
        "$(",
        "{ ",
        "\"$(",
        "if ",
        "`",
        "'",
        "\"",
        "${X:-",
        "a <<E\n",
        "X=1;",
        "{a,b}",
        "((",
        "[[ ( ",
        "case x in (",
        "a;",
        "a|",
        "! ",
        "f() { ",
        "f() { a; };",
        "f() { a; }; f; ",
        "trap a 0;",
        "X=(",
        "X=1\n",
        "X=$((1))\n",
        "X=1; X=$X;",
    ] {
        let bomb = part.repeat(LIMIT / part.len());
        read(bomb.as_bytes(), Shell::Bash);
    }
}
