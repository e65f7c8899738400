//! The strict reader of scripts against the real shells.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gate::shell::{Script, Shell};

/// Commands of a script, each a list of words.
type Commands = Vec<Vec<Vec<u8>>>;

/// What the reader calls static, as plain commands.
fn read(script: &[u8]) -> Option<Commands> {
    match gate::shell::read(script, Shell::Posix) {
        Script::Static(commands) => commands.iter().map(gate::shell::Command::plain).collect(),
        Script::Opaque { .. } => None,
    }
}

/// What scripts are made of: what the reader knows, and what shells read in ways of their own.
const PIECES: &[&str] = &[
    "alpha",
    "b-2",
    "c.d",
    "x=1",
    "=x",
    "a=b=c",
    "-n",
    "--",
    "@{u}",
    "%h",
    "+x",
    "a:b,c",
    "^",
    "!",
    "!!",
    "{",
    "}",
    "{a,b}",
    "[a]",
    "*",
    "?",
    "~",
    "~/x",
    "a~b",
    "$X",
    "$1",
    "${X}",
    "$(q)",
    "`q`",
    "$'a'",
    "$\"a\"",
    "'s q'",
    "'",
    "\"d q\"",
    "\"",
    "\"\\$\"",
    "\"\\q\"",
    "\"\\\\\"",
    "\"a'b\"",
    "'a\"b'",
    "\\",
    "\\ ",
    "\\\n",
    "\\;",
    "\\'",
    "\\\"",
    "\\x",
    "'a'\"b\"c",
    "''",
    "\"\"",
    " ",
    "  ",
    "\t",
    "\n",
    ";",
    ";;",
    "&",
    "&&",
    "||",
    "|",
    "|&",
    ">",
    "<",
    "<<x",
    "2>&1",
    "(",
    ")",
    "((",
    "#",
    "# c\n",
    "a#b",
    "if",
    "then",
    "fi",
    "time",
    "case",
    "in",
    "esac",
    "do",
    "function",
    "coproc",
    "eval",
    "exec",
    "command",
    "builtin",
    "cd",
    "set",
    "export",
    "alias",
    "printf",
    "test",
    "-v",
    "echo",
    "true",
    "\u{e9}",
    "\"\u{4e2d}\"",
    "\"\u{4e2d}\\\"\"",
    "\r",
    "\u{b}",
    "\u{a0}",
];

/// A small generator, so that a seed tells the whole run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % sides
    }

    fn script(&mut self) -> String {
        let mut script = String::new();
        for _ in 0..=self.roll(12) {
            script += PIECES[self.roll(PIECES.len())];
            if self.roll(3) > 0 {
                script.push(' ');
            }
        }
        script
    }
}

/// Builtins of bash that gate calls static: what they do is not seen by the handler below.
const BUILTINS: &[&str] = &["printf", "test", "echo", "true"];

/// Runs every script in one bash, in which no program is found and each command is written down instead.
fn by_bash(scripts: &[&str]) -> Vec<Option<Commands>> {
    let mut harness = String::from("PATH=/nonexistent\ncommand_not_found_handle() { printf '%s\\0' \"$@\" '{end of a command}'; }\n");
    for name in BUILTINS {
        harness += &format!("enable -n {name} 2>/dev/null\n");
    }
    // The handler itself needs printf.
    harness = harness.replace("enable -n printf 2>/dev/null\n", "");
    harness += "for script in \"$@\"; do ( eval -- \"$script\"; wait ) 2>/dev/null </dev/null; printf '%s\\0' '{end of a script}'; done\n";
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-c", &harness, "bash"]).args(scripts.iter().map(OsStr::new));
    let output = command.env_clear().env("LANG", "C.UTF-8").stdin(Stdio::null()).output().unwrap();
    let mut all = Vec::new();
    let (mut commands, mut command) = (Commands::new(), Vec::new());
    for word in output.stdout.split(|byte| *byte == 0) {
        match word {
            b"{end of a command}" => commands.push(std::mem::take(&mut command)),
            b"{end of a script}" => all.push(Some(std::mem::take(&mut commands))),
            other => command.push(other.to_vec()),
        }
    }
    assert_eq!(all.len(), scripts.len(), "{}", String::from_utf8_lossy(&output.stderr));
    all
}

/// Joins all commands by `;` so that statuses and pipes cannot leave one out: each that is called static must then run, in order.
fn compare(seed: u64) -> usize {
    let mut dice = Dice(seed | 1);
    let mut scripts = Vec::new();
    let mut expected = Vec::new();
    for _ in 0..1500 {
        let script = dice.script();
        let Some(commands) = read(script.as_bytes()) else { continue };
        let plain = |command: &Vec<Vec<u8>>| command[0] != b"printf";
        if commands.iter().all(plain) {
            scripts.push(script);
            expected.push(commands);
        }
    }
    let given: Vec<&str> = scripts.iter().map(String::as_str).collect();
    for ((script, wanted), ran) in scripts.iter().zip(&expected).zip(by_bash(&given)) {
        let ran = ran.unwrap();
        // Lists stop where a status says so (a command that is not found gives 127) and pipes hide output: what ran must be among what was read.
        let mut left = wanted.iter();
        let listed = script.contains("||") || script.contains('|') || script.contains('&');
        for command in &ran {
            let known = if listed { wanted.contains(command) } else { left.next() == Some(command) };
            assert!(known, "seed {seed}: {script:?} was read as {wanted:?}, and bash ran {ran:?}");
        }
        assert!(listed || ran.len() == wanted.len(), "seed {seed}: {script:?} was read as {wanted:?}, and bash ran {ran:?}");
    }
    scripts.len()
}

#[test]
fn what_the_reader_calls_static_is_what_bash_runs() {
    let seeds = [1, 20_260_101, std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos().into()];
    let start = Instant::now();
    let mut compared = 0;
    for seed in seeds {
        compared += compare(seed);
        if start.elapsed() > Duration::from_secs(30) {
            break;
        }
    }
    assert!(compared > 100, "only {compared} scripts of the soup were static");
}

#[test]
fn every_byte_alone_and_between_letters_is_read_as_bash_reads_it() {
    let mut scripts = Vec::new();
    for byte in 1..=127_u8 {
        for around in [["a ", ""], ["a x", "y"], ["a '", "'"], ["a \"", "\""], ["a \\", "z"]] {
            scripts.push(format!("{}{}{}", around[0], char::from(byte), around[1]));
        }
    }
    let known: Vec<(&str, Commands)> =
        scripts.iter().filter_map(|script| read(script.as_bytes()).map(|commands| (script.as_str(), commands))).collect();
    let ran = by_bash(&known.iter().map(|(script, _)| *script).collect::<Vec<_>>());
    for ((script, wanted), ran) in known.iter().zip(ran) {
        // A pipe and a job in the background may end after bash does.
        let mut ran = ran.unwrap();
        let mut wanted = wanted.clone();
        ran.sort();
        wanted.sort();
        if script.contains('|') || script.contains('&') {
            continue;
        }
        assert_eq!(ran, wanted, "{script:?}");
    }
}

#[test]
fn builtins_that_set_variables_or_run_text_are_never_static() {
    for script in
        ["printf -v PATH /x; ls", "test -v 'a[$(id)]'", "'[' -v 'a[$(id)]' ']'", "jobs -x id", "compgen -W '$(id)'", "getopts p PATH -p"]
    {
        assert!(read(script.as_bytes()).is_none(), "{script}");
    }
}

#[test]
fn a_letter_of_two_bytes_does_not_swallow_the_backslash_that_the_reader_saw() {
    // In GBK the second byte of a letter may be a backslash, and the quote after it then ends the string.
    let script = [b"echo \"\xe4\xb8\xad".as_slice(), b"\\\" ; rm x ; \""].concat();
    assert!(read(&script).is_none(), "{}", OsStr::from_bytes(&script).display());
}
