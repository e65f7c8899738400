//! The strict reader of shell scripts: what it calls static is surely what a POSIX shell would run.
//!
//! It knows bare words of a small alphabet, `'…'`, `"…"` without expansion, `\c`, and lists joined by `;`, `&`, `&&`, `||`, `|` and
//! newlines. Everything else is opaque, which can only make an answer stricter.
#![forbid(unsafe_code)]

mod script;

pub use script::{Command, Input, Piece, Place, Redirection, Script, Shell, Word};

/// The longest script that is read, in bytes.
const LIMIT: usize = 64 * 1024;

/// Words that a shell reads as its own where a command begins; a command of that name is never static.
const RESERVED: &[&str] = &[
    "!", "{", "}", "[[", "]]", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select", "then", "time",
    "until", "while", "coproc",
];

/// Builtins after which names or words mean something else, or which run text that they are given or write what a program of their name would not.
const REDEFINING: &[&str] = &[
    ".",
    "alias",
    "bind",
    "builtin",
    "cd",
    "chdir",
    "command",
    "compgen",
    "complete",
    "compopt",
    "declare",
    "enable",
    "eval",
    "exec",
    "export",
    "fc",
    "getopts",
    "hash",
    "history",
    "jobs",
    "let",
    "local",
    "mapfile",
    "popd",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "set",
    "shopt",
    "source",
    "trap",
    "typeset",
    "unalias",
    "unset",
    "wait",
];

/// Reads a script strictly.
pub fn read(script: &[u8], _shell: Shell) -> Script {
    match commands(script) {
        Ok(found) => Script::Static(found.into_iter().map(command).collect()),
        Err(why) => Script::Opaque { why, seen: Vec::new() },
    }
}

fn command(words: Vec<Vec<u8>>) -> Command {
    Command { words: words.into_iter().map(Word::text).collect(), ..Command::default() }
}

/// Splits one command as the strict reader sees it; `None` where it is not exactly one static command.
pub fn words(script: &[u8]) -> Option<Vec<Vec<u8>>> {
    match commands_with(script, false) {
        Ok(mut found) if found.len() == 1 => found.pop(),
        _ => None,
    }
}

fn commands(script: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, &'static str> {
    commands_with(script, true)
}

fn commands_with(script: &[u8], check_names: bool) -> Result<Vec<Vec<Vec<u8>>>, &'static str> {
    if script.len() > LIMIT {
        return Err("the script is too long to be read");
    }
    if script.contains(&0) {
        return Err("a NUL byte, which shells drop");
    }
    let mut found: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut command: Vec<Vec<u8>> = Vec::new();
    let mut rest = script;
    let mut operator_pending = false;
    loop {
        rest = skip_blanks(rest);
        match rest {
            [] => break,
            [b'\n', tail @ ..] => {
                if !command.is_empty() {
                    finish(&mut command, &mut found, check_names)?;
                    operator_pending = false;
                }
                rest = tail;
            }
            [b'#', ..] => rest = rest.iter().position(|byte| *byte == b'\n').map_or(&[][..], |end| &rest[end..]),
            [b';', b';', ..] | [b'|', b'&', ..] | [b'&', b'>', ..] => return Err("an operator that the strict reader does not know"),
            [b'&', b'&', tail @ ..] | [b'|', b'|', tail @ ..] | [b'|', tail @ ..] => {
                finish(&mut command, &mut found, check_names)?;
                operator_pending = true;
                rest = tail;
            }
            [b';' | b'&', tail @ ..] => {
                finish(&mut command, &mut found, check_names)?;
                operator_pending = false;
                rest = tail;
            }
            _ => {
                let (word, tail) = word(rest, command.is_empty())?;
                command.push(word);
                rest = tail;
            }
        }
    }
    if !command.is_empty() {
        finish(&mut command, &mut found, check_names)?;
    } else if operator_pending {
        return Err("an operator without a command after it");
    }
    if found.is_empty() { Err("there is no command in it") } else { Ok(found) }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len())..]
}

fn finish(command: &mut Vec<Vec<u8>>, found: &mut Vec<Vec<Vec<u8>>>, check_names: bool) -> Result<(), &'static str> {
    let Some(name) = command.first() else {
        return Err("an operator without a command before it");
    };
    if check_names {
        let named = |list: &[&str]| list.iter().any(|word| word.as_bytes() == name.as_slice());
        if named(RESERVED) {
            return Err("a compound command");
        }
        if name.starts_with(b"%") {
            return Err("a job of the shell");
        }
        if named(REDEFINING) {
            return Err("a builtin that changes what later words mean");
        }
        if named(&["printf", "test", "["]) && command[1..].iter().any(|word| names_a_variable(word)) {
            return Err("a builtin that may set a variable, or evaluate a subscript");
        }
    }
    if name.is_empty() {
        return Err("an empty command name");
    }
    found.push(std::mem::take(command));
    Ok(())
}

/// `printf -v NAME`, `test -v NAME`: bash and its like assign to the name, and run what `NAME[$(…)]` holds.
fn names_a_variable(word: &[u8]) -> bool {
    word.starts_with(b"-v") || word.starts_with(b"-R") || word.len() > 1 && word.contains(&b'[')
}

/// Reads one word; the rest begins with what ended it.
fn word(text: &[u8], first: bool) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let mut word = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' => break,
            b'\'' => {
                let length = text[at + 1..].iter().position(|byte| *byte == b'\'').ok_or("an open quote")?;
                word.extend_from_slice(&text[at + 1..at + 1 + length]);
                at += length + 2;
            }
            b'"' => at += double_quoted(&text[at + 1..], &mut word)? + 1,
            b'\\' => {
                match text.get(at + 1) {
                    None => return Err("a backslash at the end"),
                    Some(b'\n') => return Err("a line that goes on"),
                    Some(&escaped) if escaped.is_ascii_graphic() || escaped == b' ' => word.push(escaped),
                    Some(_) => return Err("an escape that the strict reader does not know"),
                }
                at += 2;
            }
            b'=' if first && !word.is_empty() => return Err("an assignment before a command"),
            b'~' if word.is_empty() && at == 0 => return Err("a home directory that the shell looks up"),
            b'~' => return Err("a tilde that a shell might expand"),
            byte if bare(byte) => {
                word.push(byte);
                at += 1;
            }
            _ => return Err("an expansion, a redirection or a character that is not plain"),
        }
    }
    Ok((word, &text[at..]))
}

fn bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b',' | b'+' | b'@' | b'%' | b'=')
}

/// Reads the inside of `"…"` and gives how many bytes it took, the closing quote included.
fn double_quoted(text: &[u8], word: &mut Vec<u8>) -> Result<usize, &'static str> {
    let mut at = 0;
    loop {
        match text.get(at) {
            None => return Err("an open quote"),
            Some(b'"') => return Ok(at + 1),
            Some(b'$' | b'`') => return Err("an expansion inside quotes"),
            Some(b'!') => return Err("an exclamation mark inside double quotes"),
            // In some encodings a backslash after such a byte is the second half of a letter.
            Some(b'\\') if at > 0 && !text[at - 1].is_ascii() => return Err("a backslash that may belong to a letter"),
            Some(b'\\') => match text.get(at + 1) {
                Some(&escaped @ (b'$' | b'`' | b'"' | b'\\')) => {
                    word.push(escaped);
                    at += 2;
                }
                Some(b'\n') => return Err("a line that goes on"),
                _ => {
                    word.push(b'\\');
                    at += 1;
                }
            },
            Some(&byte) => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Script {
        read(text.as_bytes(), Shell::Posix)
    }

    #[test]
    fn a_byte_that_shells_drop_is_not_static() {
        assert!(matches!(read(b"psql -c 'a\0b'", Shell::Posix), Script::Opaque { .. }));
    }

    #[test]
    fn plain_lists_are_static() {
        let expected = vec![vec![b"ls".to_vec(), b"-l".to_vec()], vec![b"echo".to_vec(), b"a b".to_vec(), b"".to_vec()]];
        assert_eq!(split("ls -l && echo 'a b' \"\""), Script::Static(expected.into_iter().map(command).collect()));
    }

    #[test]
    fn everything_that_a_shell_could_turn_into_something_else_is_opaque() {
        for text in [
            "echo $X",
            "echo `x`",
            "echo \"$X\"",
            "A=b ls",
            "ls *",
            "ls > x",
            "rm 2>&1",
            "(ls)",
            "{ ls; }",
            "if true; then ls; fi",
            "! ls",
            "time ls",
            "eval ls",
            "cd / ; ls",
            "ls {a,b}",
            "echo ~",
            "ls \\\nx",
            "kub\\\nectl",
            "ls &&",
            "| ls",
            "ls ;; ls",
            "f() { ls; }",
            "ls\r",
            "exec -a x ls",
            "'' x",
            "echo \u{e9}",
            "a=~/x ls",
            "trap ls EXIT",
            "ls |& cat",
            "ls &> x",
            "echo a=~/b",
            "%1",
            "printf -v PATH /x; ls",
            "printf -vPATH /x",
            "test -v 'a[$(ls)]'",
            "'[' -R 'a[$(ls)]' ']'",
            "test 'a[$(ls)]' -eq 0",
            "chdir / ; ls",
            "getopts p PATH -p",
            "compgen -W '$(ls)'",
            "jobs -x ls",
            "echo \"\u{4e2d}\\\" ; ls \"",
        ] {
            assert!(matches!(split(text), Script::Opaque { .. }), "{text:?} was read as {:?}", split(text));
        }
    }
}
