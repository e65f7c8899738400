use super::builtin_words::{printf, set, test, trap};
use super::reader::{Reader, Result};
use super::simple::{Simple, is_a_path};
use super::{Piece, Shell, Word};

/// What a simple command does to the script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// It runs, without so many words before its name.
    Runs(usize),
    /// It changes the directory, without so many words before its name.
    Directory(usize),
    /// Nothing follows it.
    Leaves,
    /// It runs this at some time.
    Traps(Vec<u8>),
    /// It stays inside the shell, and sets these variables.
    Sets(Vec<(Vec<u8>, Word)>),
}

/// Builtins and names that some shells read as their own. Those that do not change what later words mean are told apart below.
const BUILTINS: &[&str] = &[
    ".",
    "alias",
    "autoload",
    "bg",
    "bind",
    "builtin",
    "caller",
    "chdir",
    "compgen",
    "complete",
    "compopt",
    "declare",
    "dirs",
    "disown",
    "enable",
    "eval",
    "export",
    "fc",
    "fg",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "jobs",
    "let",
    "local",
    "login",
    "logout",
    "mapfile",
    "newgrp",
    "nocorrect",
    "noglob",
    "popd",
    "pushd",
    "readarray",
    "readonly",
    "repeat",
    "setvar",
    "shopt",
    "source",
    "suspend",
    "times",
    "trap",
    "typeset",
    "unalias",
    "unset",
    "whence",
    "coproc",
    "select",
    "rehash",
    "setopt",
    "unsetopt",
    "zmodload",
    "print",
    "jobid",
    "bindkey",
    "wordexp",
    "exec",
    "command",
    "cd",
    "exit",
    "return",
    "set",
    "shift",
    "break",
    "continue",
    "wait",
    "read",
    "type",
];

/// Variables by which shells read, find or run what follows, or that are not what they were assigned.
const MEANINGS: &[&str] = &[
    "_",
    "ATTY",
    "CDPATH",
    "CHILD_MAX",
    "DIRSTACK",
    "EMACS",
    "ENV",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "EXECIGNORE",
    "FCEDIT",
    "FIGNORE",
    "FUNCNAME",
    "FUNCNEST",
    "GLOBIGNORE",
    "GLOBSORT",
    "GROUPS",
    "HISTCMD",
    "HISTCONTROL",
    "HISTFILE",
    "HISTFILESIZE",
    "HISTIGNORE",
    "HISTSIZE",
    "HISTTIMEFORMAT",
    "HOME",
    "HOSTFILE",
    "IFS",
    "IGNOREEOF",
    "INPUTRC",
    "INSIDE_EMACS",
    "LINENO",
    "MAIL",
    "MAILCHECK",
    "MAILPATH",
    "MAPFILE",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "PATH",
    "PIPESTATUS",
    "POSIXLY_CORRECT",
    "PPID",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "PWD",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "TEXTDOMAIN",
    "TEXTDOMAINDIR",
    "TIMEFORMAT",
    "TMOUT",
    "UID",
    "auto_resume",
    "histchars",
];

const MEANING_PREFIXES: &[&str] = &["BASH", "COMP_", "COMPREPLY", "COPROC", "LD_", "PROMPT_", "READLINE_"];

impl Reader<'_> {
    pub(super) fn effect(&self, simple: &Simple) -> Result<Effect> {
        self.effect_of(simple, 0)
    }

    /// What the words from `skip` on do.
    fn effect_of(&self, simple: &Simple, skip: usize) -> Result<Effect> {
        let words = &simple.command.words[skip..];
        let number = |at: usize| simple.numbers.contains(&(at + skip));
        let Some(name) = words.first().and_then(Word::literal) else {
            return match words.first() {
                Some(word) if is_a_path(word) => Ok(Effect::Runs(skip)),
                _ => Err("a command whose name is only known when it runs"),
            };
        };
        let texts = || -> Result<Vec<Vec<u8>>> {
            words[1..].iter().map(|word| word.known().ok_or("a builtin whose arguments are only known when it runs")).collect()
        };
        let nothing = Ok(Effect::Sets(Vec::new()));
        match name {
            b"" => Err("an empty command name"),
            b"cd" => Ok(Effect::Directory(skip)),
            b"command" => self.command_builtin(simple, skip),
            b"exec" => match words.get(1).map(Word::literal) {
                Some(Some(program)) if !program.is_empty() && !program.starts_with(b"-") && !is_builtin(program) => {
                    Ok(Effect::Runs(skip + 1))
                }
                _ => Err("an `exec` without a plain command"),
            },
            b"set" => set(&texts, words).and(nothing),
            b"exit" => {
                let plain = match words {
                    [_] => true,
                    [_, status] => {
                        number(1) || status.literal().is_some_and(|text| !text.is_empty() && text.iter().all(u8::is_ascii_digit))
                    }
                    _ => false,
                };
                Ok(if plain { Effect::Leaves } else { Effect::Sets(Vec::new()) })
            }
            b"return" | b"break" | b"continue" | b"shift" | b"type" => nothing,
            b"hash" if texts()? == [b"-r"] => nothing,
            b"trap" => Ok(trap(&texts()?)?.map_or(Effect::Sets(Vec::new()), Effect::Traps)),
            b"pushd" | b"popd" if self.shell == Shell::Bash => Ok(Effect::Directory(skip)),
            b"wait" => {
                let plain =
                    |(at, word): (usize, &Word)| number(at) || word.literal().is_some_and(|text| text.iter().all(u8::is_ascii_digit));
                if words.iter().enumerate().skip(1).all(plain) { nothing } else { Err("a `wait` that may set a variable") }
            }
            b"read" => self.read_builtin(&texts()?),
            b"mapfile" | b"readarray" if self.shell == Shell::Bash => match texts()?.as_slice() {
                [option, variable] if option == b"-t" => {
                    check_name(variable)?;
                    Ok(Effect::Sets(vec![(variable.clone(), unknown())]))
                }
                _ => Err("a builtin that may run what it is given"),
            },
            b"export" | b"readonly" | b"local" => self.export(simple, &texts()?),
            b"declare" | b"typeset" if self.shell == Shell::Bash => self.export(simple, &texts()?),
            b"unset" => {
                let mut variables = texts()?;
                if variables.first().is_some_and(|first| first == b"-v") {
                    variables.remove(0);
                }
                sets_unknown(&variables)
            }
            b"printf" => printf(&words[1..]).map(|()| Effect::Runs(skip)),
            b"test" | b"[" => test(&words[1..]).map(|()| Effect::Runs(skip)),
            _ if is_builtin(name) => Err("a builtin that changes what later words mean"),
            _ if name.starts_with(b"%") => Err("a job of the shell"),
            _ => Ok(Effect::Runs(skip)),
        }
    }

    fn command_builtin(&self, simple: &Simple, skip: usize) -> Result<Effect> {
        let Some(next) = simple.command.words.get(skip + 1) else {
            return Ok(Effect::Sets(Vec::new()));
        };
        match next.literal() {
            Some(b"-v" | b"-V") => Ok(Effect::Sets(Vec::new())),
            Some(b"export" | b"readonly" | b"declare" | b"typeset" | b"local" | b"exec") => {
                Err("a builtin that is called in an uncommon way")
            }
            Some(option) if option.starts_with(b"-") => Err("an option of `command`"),
            Some(_) if skip < 4 => self.effect_of(simple, skip + 1),
            None if is_a_path(next) => Ok(Effect::Runs(skip + 1)),
            _ => Err("a command whose name is only known when it runs"),
        }
    }

    fn read_builtin(&self, texts: &[Vec<u8>]) -> Result<Effect> {
        let mut rest = texts;
        while let [option, tail @ ..] = rest {
            rest = match option.as_slice() {
                b"-r" => tail,
                _ if self.shell == Shell::Posix => break,
                b"-s" | b"-rs" | b"-sr" | b"-a" | b"-ra" => tail,
                b"-p" | b"-rp" | b"-sp" | b"-rsp" | b"-t" | b"-n" | b"-N" | b"-d" | b"-rd" | b"-u" | b"-rn" => {
                    tail.get(1..).ok_or("an option without its value")?
                }
                _ => break,
            };
        }
        if rest.is_empty() { sets_unknown(&[b"REPLY".to_vec()]) } else { sets_unknown(rest) }
    }

    /// `export`, `readonly` and `declare` in their plain forms.
    fn export(&self, simple: &Simple, texts: &[Vec<u8>]) -> Result<Effect> {
        let mut variables = Vec::new();
        for (name, _) in &simple.declared {
            check_name(name)?;
        }
        for (index, text) in texts.iter().enumerate() {
            if index == 0 && matches!(text.as_slice(), b"-x" | b"-r" | b"-g" | b"-p") && self.shell == Shell::Bash {
                continue;
            }
            // bash has read `NAME=value` as an assignment already, unless something in it was quoted.
            match text.iter().position(|byte| *byte == b'=') {
                Some(at) if self.shell == Shell::Posix => {
                    check_name(&text[..at])?;
                    variables.push((text[..at].to_vec(), Word::text(&text[at + 1..])));
                }
                Some(_) => return Err("an assignment that is not plain"),
                None => {
                    check_name(text)?;
                    variables.push((text.clone(), unknown()));
                }
            }
        }
        Ok(Effect::Sets(variables))
    }
}

/// Refuses a variable by which a shell reads, finds or runs what follows, and whatever is no variable's plain name.
pub(super) fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() || super::expand::name_length(name) != name.len() {
        return Err("a variable whose name is not plain");
    }
    let named = MEANINGS.iter().any(|meaning| meaning.as_bytes() == name);
    if named || MEANING_PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes())) {
        return Err("a variable that changes what the shell does");
    }
    Ok(())
}

pub(super) fn is_builtin(name: &[u8]) -> bool {
    BUILTINS.iter().any(|builtin| builtin.as_bytes() == name)
}

fn unknown() -> Word {
    Word { pieces: vec![Piece::Unknown], splits: false }
}

fn sets_unknown(names: &[Vec<u8>]) -> Result<Effect> {
    for name in names {
        check_name(name)?;
    }
    Ok(Effect::Sets(names.iter().map(|name| (name.clone(), unknown())).collect()))
}
