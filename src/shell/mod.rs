//! The strict reader of shell scripts: what it calls static is surely what a POSIX shell, or bash, would run.
//!
//! It goes over a script once, from left to right, and knows the grammar that people and programs write every day. Whatever it is not
//! sure of is opaque, which can only make an answer stricter.
#![forbid(unsafe_code)]

mod braced;
mod builtin_words;
mod builtins;
mod compound;
mod expand;
mod place;
mod reader;
mod redirect;
mod script;
mod simple;
mod tolerant;
mod tolerant_commands;
#[cfg(test)]
mod tolerant_tests;
mod word;

use reader::Reader;

pub use script::{Command, Input, Piece, Place, Redirection, Script, Shell, Word};

/// The longest script that is read, in bytes.
const LIMIT: usize = 64 * 1024;

/// Reads a script strictly.
pub fn read(script: &[u8], shell: Shell) -> Script {
    match commands(script, shell) {
        Ok(found) => Script::Static(found),
        Err(why) => Script::Opaque { why, seen: tolerant::see(script) },
    }
}

/// Splits one command as the strict reader sees it; `None` where it is not exactly one static command.
pub fn words(script: &[u8]) -> Option<Vec<Vec<u8>>> {
    readable(script).ok()?;
    let mut reader = Reader::new(script, Shell::Posix);
    reader.lines().ok()?;
    let simple = reader.simple_words().ok()?;
    reader.lines().ok()?;
    let nothing_else = reader.at == script.len() && reader.found.is_empty();
    if nothing_else { simple.command.plain() } else { None }
}

fn readable(script: &[u8]) -> reader::Result<()> {
    if script.len() > LIMIT {
        return Err("the script is too long to be read");
    }
    if script.contains(&0) {
        return Err("a NUL byte, which shells drop");
    }
    if script.contains(&b'\r') {
        return Err("a carriage return");
    }
    Ok(())
}

fn commands(script: &[u8], shell: Shell) -> reader::Result<Vec<Command>> {
    readable(script)?;
    let mut reader = Reader::new(script, shell);
    reader.list()?;
    reader.ended()?;
    if reader.found.is_empty() {
        // The shell does it all by itself.
        reader.push(Command::default())?;
    }
    Ok(reader.found)
}

#[cfg(test)]
mod tests {
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
    fn what_could_be_something_else_is_opaque() {
        for text in OPAQUE {
            for shell in [Shell::Bash, Shell::Posix] {
                assert_eq!(told(text, shell), "opaque", "{text:?}, {shell:?}");
            }
        }
    }

    const OPAQUE: &[&str] = &[
        "",
        " # x",
        "eval ls",
        ". ./x",
        "source x",
        "kub\\\nectl",
        "ls &&",
        "| ls",
        "ls ;; ls",
        "f() { ls; }",
        "ls\r",
        "exec -a x ls",
        "'' x",
        "a=~/x:~/y ls",
        "trap ls EXIT",
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
        "X+=1",
        "X[0]=1",
        "X=(a)",
        "echo $((X))",
        "echo $((a[0]))",
        "echo ${X@P}",
        "echo ${!X}",
        "echo ${X:=y}",
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
        "function f { ls; }",
        "((ls))",
        "let X=1",
        "for ((;;)); do ls; done",
        "ls }; }",
        "fi",
        "a ) b",
        "declare -n X=PATH",
        "$'ls' \\",
        "ls > $(",
        "hash -p /x ls",
        "enable -f x y",
        "trap - DEBUG; trap x DEBUG",
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
    fn bombs_are_refused_in_no_time() {
        let start = std::time::Instant::now();
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
        ] {
            let bomb = part.repeat(LIMIT / part.len());
            read(bomb.as_bytes(), Shell::Bash);
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
