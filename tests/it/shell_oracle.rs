//! The real shells as an oracle: what they run of a script, and whether what the strict reader said of it covers that.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use gate::shell::{Command, Input, Piece, Place, Redirection, Script, Shell, Word};

use crate::world::must;

/// A shell that the reader is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Oracle {
    Bash,
    BashPosix,
    Dash,
}

impl Oracle {
    pub fn shell(self) -> Shell {
        match self {
            Self::Bash => Shell::Bash,
            Self::BashPosix | Self::Dash => Shell::Posix,
        }
    }
}

/// One command that a shell ran.
#[derive(Clone, Debug)]
pub struct Ran {
    pub place: Vec<u8>,
    /// What the variables X and Y held, or `{unset}`.
    pub variables: [Vec<u8>; 2],
    pub argv: Vec<Vec<u8>>,
}

/// Commands that only write down that they ran: builtins of these names are replaced by functions.
const NAMES: &[&str] =
    &["alpha", "beta", "gamma", "ls", "cat", "true", "false", "echo", "printf", "test", "pwd", "kill", "ulimit", "umask"];

/// Names that only bash takes for a function.
const BASH_NAMES: &[&str] = &["b-2", "c.d", "[", ":", "git", "%h", "@{u}", "^"];

/// Variables of the script's environment, made to do harm where they are read as code.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("N", "a b *"),
    ("V", "-v"),
    ("Q", "$(pwned)"),
    ("S", "a[$(pwned)]"),
    ("E", ""),
    ("D", "d"),
    ("P", "; pwned"),
    ("K", "eval"),
    ("T", "~"),
    ("W", "PATH=/pwned"),
];

/// What the script's own arguments are.
const ARGUMENTS: &[&str] = &["p q", "*", "-v", "a[$(pwned)]", "eval"];

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = b"'".to_vec();
    for byte in text {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    quoted
}

fn harness(oracle: Oracle, home: &Path) -> Vec<u8> {
    // bash writes what it prints line by line, which another shell may come between.
    let variables = "\"${X-{unset\\}}\" \"${Y-{unset\\}}\" \"$@\"";
    let print = if oracle == Oracle::Dash {
        format!("command printf '%s\\0' \"$ID\" \"$PWD\" {variables} '{{end of a command}}' >&9")
    } else {
        let lines = "\"${words[@]//$'\\n'/$'\\x1f'}\"";
        format!("local words=({variables}); builtin printf '%s\\0' \"$ID\" \"$PWD\" {lines} '{{end of a command}}' >&9")
    };
    // The statuses come from a file that all shells of a script share: where it ends, endless loops do.
    let mut text = format!(
        "PATH=/nonexistent\nexec 9>>'{}'\n\
         note() {{ {print}; \
         read -r status <&8 || exit 3; return $status; }}\n",
        home.join("log").display()
    );
    let note = |name: &str| format!("{{ note '{name}' \"$@\"; }}\n");
    for name in NAMES {
        text += &format!("{name}() {}", note(name));
    }
    // This one tells what it is given.
    let given = if oracle == Oracle::Dash {
        "given=; while IFS= read -r line; do given=$given$line'\n'; done"
    } else {
        "local given; IFS= builtin read -r -d '' given"
    };
    text += &format!("given() {{ {given}; note given \"$given\"; }}\n");
    if oracle != Oracle::Dash {
        text += "command_not_found_handle() { note \"$@\"; }\n";
        for name in BASH_NAMES {
            text += &format!("function {name} () {}", note(name));
        }
    }
    if oracle == Oracle::BashPosix {
        text += "set -o posix\n";
    }
    text += if oracle == Oracle::Dash { "limit() { :; }\n" } else { "limit() { builtin ulimit -t 1; }\n" };
    text += "set --";
    for argument in ARGUMENTS {
        text += &format!(" '{argument}'");
    }
    text += "\n";
    text.into_bytes()
}

/// Runs every script in one shell, each in a directory of its own, in which no program is found and each command is written down instead.
/// Gives what ran, and the files that are there afterwards.
pub fn run(oracle: Oracle, scripts: &[&[u8]]) -> Vec<(Vec<Ran>, Vec<Vec<u8>>)> {
    let scratch = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    let home = scratch.path();
    fs::create_dir(home.join("home")).unwrap();
    fs::write(home.join("in"), "one two\n-v x\na[$(pwned)]\n").unwrap();
    fs::write(home.join("statuses"), "0\n1\n0\n0\n1\n0\n1\n1\n0\n1\n1\n".repeat(5)).unwrap();
    let mut text = harness(oracle, home);
    let mut apart = Vec::new();
    for (index, script) in scripts.iter().enumerate() {
        let place = home.join(index.to_string());
        for below in ["d/e", "sub"] {
            fs::create_dir_all(place.join(below)).unwrap();
        }
        fs::write(place.join("old.txt"), "").unwrap();
        if oracle == Oracle::Bash && may_be_dropped(script) {
            apart.push(index);
            continue;
        }
        let ready = format!("ID={index}; ( limit; cd '{}' || exit; eval ", place.display());
        text.extend_from_slice(ready.as_bytes());
        text.extend_from_slice(&quoted(script));
        text.extend_from_slice(b"\nwait ) <");
        text.extend_from_slice(home.join("in").as_os_str().as_bytes());
        text.extend_from_slice(b" 8<");
        text.extend_from_slice(home.join("statuses").as_os_str().as_bytes());
        text.extend_from_slice(b" >/dev/null 2>&1\n");
    }
    fs::write(home.join("harness"), &text).unwrap();
    // A changed byte turns `/dev/null` into any other path: what root must not write there, nobody tries to.
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if root {
        must(Process::new("chown").args(["-R", "65534:65534"]).arg(home));
    }
    let shell = |name: &str| {
        let shell = if oracle == Oracle::Dash { "dash" } else { "bash" };
        let mut process = Process::new(if root { "setpriv" } else { shell });
        if root {
            process.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", shell]);
        }
        if oracle != Oracle::Dash {
            process.args(["--norc", "--noprofile"]);
        }
        process.arg(home.join(name)).current_dir(home).env_clear().env("HOME", home.join("home"));
        // Other locales are for those who have them.
        process.env("LANG", std::env::var("GATE_TEST_LANG").unwrap_or_else(|_| "C.UTF-8".to_owned()));
        process.envs(std::env::var_os("LOCPATH").map(|path| ("LOCPATH", path)));
        process.envs(ENVIRONMENT.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        process
    };
    let output = shell("harness").output().unwrap();
    assert!(output.status.code().is_some(), "{oracle:?} was ended: {}", String::from_utf8_lossy(&output.stderr));
    for index in apart {
        let mut text = harness(oracle, home);
        let place = home.join(index.to_string());
        text.extend_from_slice(
            format!("exec 8<'{}'; ID={index}; limit; cd '{}' || exit\n", home.join("statuses").display(), place.display()).as_bytes(),
        );
        text.extend_from_slice(scripts[index]);
        fs::write(home.join("apart"), &text).unwrap();
        let stdin = fs::File::open(home.join("in")).unwrap();
        shell("apart").stdin(stdin).output().unwrap();
    }
    let mut all = read_log(&fs::read(home.join("log")).unwrap_or_default(), home);
    (0..scripts.len())
        .map(|index| {
            let mut files = Vec::new();
            created(&home.join(index.to_string()), b"", &mut files);
            (all.remove(&index).unwrap_or_default(), files)
        })
        .collect()
}

/// Whether an error may drop a line and go on with the next, which bash does in no subshell: such a script needs a shell of its own.
fn may_be_dropped(script: &[u8]) -> bool {
    let holds = |text: &[u8]| script.windows(text.len()).any(|part| part == text);
    holds(b"\n") && [b"((".as_slice(), b"readonly", b"[08]", b"[["].into_iter().any(holds)
}

fn read_log(log: &[u8], home: &Path) -> HashMap<usize, Vec<Ran>> {
    let mut all: HashMap<usize, Vec<Ran>> = HashMap::new();
    let mut words: Vec<&[u8]> = Vec::new();
    for word in log.split(|byte| *byte == 0) {
        if word != b"{end of a command}" {
            words.push(word);
            continue;
        }
        if let [id, place, x, y, argv @ ..] = words.as_slice() {
            let id: usize = std::str::from_utf8(id).unwrap().parse().unwrap();
            let own = home.join(id.to_string());
            // The place as the script sees it: from where it began.
            let place = match place.strip_prefix(own.as_os_str().as_bytes()) {
                Some(below) => below.strip_prefix(b"/").unwrap_or(below).to_vec(),
                None => place.to_vec(),
            };
            let lines = |word: &[u8]| word.iter().map(|byte| if *byte == 0x1f { b'\n' } else { *byte }).collect();
            let argv = argv.iter().map(|word| lines(word)).collect();
            all.entry(id).or_default().push(Ran { place, variables: [lines(x), lines(y)], argv });
        }
        words.clear();
    }
    all
}

fn created(directory: &Path, below: &[u8], files: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().into_vec();
        let path = if below.is_empty() { name } else { [below, b"/", &name].concat() };
        if entry.file_type().unwrap().is_dir() {
            created(&entry.path(), &path, files);
        } else if path != b"old.txt" {
            files.push(path);
        }
    }
}

/// Holds what the shells did against what was read; says what is wrong.
pub fn judge(script: &[u8], found: &[Command], ran: &[Ran], files: &[Vec<u8>]) -> Result<(), String> {
    for command in ran {
        if !found.iter().any(|found| covers(found, command)) {
            return Err(format!("{:?} ran\n  {}\nwhich is none of\n{}", show(script), show_ran(command), show_found(found)));
        }
    }
    for file in files {
        let named = |command: &Command| command.files.iter().any(|to| to.writes && names(to, &command.place, file));
        if !found.iter().any(named) {
            return Err(format!("{:?} made {:?}, which none opens of\n{}", show(script), show(file), show_found(found)));
        }
    }
    Ok(())
}

pub fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn show_ran(ran: &Ran) -> String {
    let argv: Vec<String> = ran.argv.iter().map(|word| show(word)).collect();
    format!("{argv:?} in {:?}, X={:?}, Y={:?}", show(&ran.place), show(&ran.variables[0]), show(&ran.variables[1]))
}

fn show_found(found: &[Command]) -> String {
    let mut text = String::new();
    for command in found {
        text += "  ";
        for word in &command.words {
            text += &format!("{} ", show_word(word));
        }
        for (name, value) in &command.assigned {
            text += &format!(" {}={}", show(name), show_word(value));
        }
        for file in &command.files {
            text += &format!(" {}{}", if file.writes { '>' } else { '<' }, show_word(&file.to));
        }
        text += &format!(" {:?}\n", command.place);
    }
    text
}

fn show_word(word: &Word) -> String {
    let mut text = String::from("[");
    for piece in &word.pieces {
        match piece {
            Piece::Text(known) => text += &show(known),
            Piece::Glob(glob) => text += &format!("<{}>", show(glob)),
            Piece::Home => text += "<~>",
            Piece::Unknown => text += "<?>",
        }
    }
    text + if word.splits { "…]" } else { "]" }
}

fn covers(found: &Command, ran: &Ran) -> bool {
    let placed = match &found.place {
        Place::Here => ran.place.is_empty(),
        Place::Below(place) => *place == ran.place,
        Place::Unknown => true,
    };
    let set = |name: &[u8], held: &[u8]| {
        let mut given = found.assigned.iter().filter(|(given, _)| given == name).peekable();
        if given.peek().is_none() {
            return held == b"{unset}";
        }
        // It may also run before the variable is set.
        held == b"{unset}" || given.any(|(_, value)| fits(&value.pieces, held))
    };
    let given = match (&found.input, ran.argv.as_slice()) {
        (Input::Text(text), [name, given]) if name == b"given" => text == given,
        _ => true,
    };
    // It does not tell its arguments.
    let fits = if ran.argv[0] == b"given" {
        found.words.first().is_some_and(|name| fits(&name.pieces, b"given"))
    } else {
        words_fit(&found.words, &ran.argv)
    };
    placed && given && fits && set(b"X", &ran.variables[0]) && set(b"Y", &ran.variables[1])
}

fn words_fit(words: &[Word], argv: &[Vec<u8>]) -> bool {
    let Some((first, rest)) = words.split_first() else { return argv.is_empty() };
    if first.splits {
        return (0..=argv.len()).any(|count| words_fit(rest, &argv[count..]));
    }
    let globs = first.pieces.iter().any(|piece| matches!(piece, Piece::Glob(_)));
    if globs {
        // One argument or more, each of which fits.
        let most = argv.iter().take_while(|word| fits(&first.pieces, word)).count();
        return (1..=most).any(|count| words_fit(rest, &argv[count..]));
    }
    match argv.split_first() {
        Some((word, others)) => fits(&first.pieces, word) && words_fit(rest, others),
        None => false,
    }
}

/// Whether a text may be what the pieces became.
pub fn fits(pieces: &[Piece], text: &[u8]) -> bool {
    match pieces.split_first() {
        None => text.is_empty(),
        Some((Piece::Text(known), rest)) => text.strip_prefix(known.as_slice()).is_some_and(|text| fits(rest, text)),
        Some((Piece::Home, rest)) => {
            // The home directory of the scratch.
            text.windows(5).enumerate().any(|(at, five)| five == b"/home" && fits(rest, &text[at + 5..]))
        }
        Some((Piece::Glob(_) | Piece::Unknown, rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
    }
}

fn names(to: &Redirection, place: &Place, file: &[u8]) -> bool {
    let mut pieces = to.to.pieces.clone();
    if let Some(Piece::Text(text)) = pieces.first_mut() {
        while let Some(below) = text.strip_prefix(b"./") {
            *text = below.to_vec();
        }
    }
    match place {
        Place::Here => fits(&pieces, file),
        Place::Below(place) => {
            let below = file.strip_prefix(place.as_slice()).and_then(|below| below.strip_prefix(b"/"));
            below.is_some_and(|below| fits(&pieces, below))
        }
        Place::Unknown => {
            file.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1).chain([0]).any(|at| fits(&pieces, &file[at..]))
        }
    }
}

/// Reads scripts, runs those that are static, and says which of them were, and what is wrong.
pub fn compare(oracle: Oracle, scripts: &[Vec<u8>]) -> (Vec<bool>, Vec<String>) {
    let read: Vec<Script> = scripts.iter().map(|script| gate::shell::read(script, oracle.shell())).collect();
    let mut chosen = Vec::new();
    for (script, read) in scripts.iter().zip(&read) {
        if let Script::Static(found) = read
            && (oracle != Oracle::Dash || ends(script, found))
        {
            chosen.push((script.as_slice(), found));
        }
    }
    let given: Vec<&[u8]> = chosen.iter().map(|(script, _)| *script).collect();
    let ran = run(oracle, &given);
    let wrong = chosen.iter().zip(ran).filter_map(|((script, found), (ran, files))| judge(script, found, &ran, &files).err()).collect();
    (read.iter().map(|read| matches!(read, Script::Static(_))).collect(), wrong)
}

/// Whether loops of a script surely end in dash, which only writes down the commands that it is given.
fn ends(script: &[u8], found: &[Command]) -> bool {
    let loops = script.windows(5).any(|word| word == b"while" || word == b"until");
    let named = |command: &Command| command.words[0].known().is_some_and(|name| NAMES.iter().any(|known| known.as_bytes() == name));
    !loops || found.iter().all(|command| !command.words.is_empty() && named(command))
}
