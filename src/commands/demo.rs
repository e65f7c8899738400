//! `gate demo`: the main job on a scratch repository, without set-up and without a terminal.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::error::Error;
use crate::exit_codes::{CONFIG, INTERNAL, REFUSED};
use crate::sys::pty::{Heard, Pty};

/// Shows the main job in a scratch directory: commands that run, one that is asked for, one that is denied, and the record.
#[derive(clap::Args, Debug)]
pub struct DemoArgs {
    /// Keep the scratch directory, and say how to go on by hand
    #[arg(long)]
    pub keep: bool,
}

/// The team's file in the scratch repository.
const PROJECT_POLICY: &str = r#"version = 1

[[rule]]
id = "no-force-push-to-main"
tool = "git"
effect = "deny"
risk = "critical"
words = ["push"]
options.any = ["-f", "--force", "--force-with-lease*"]
operands.any = ["main", "+main", "*:main"]
reason = "Everybody builds from main: what it held must stay."
instead = "git revert COMMIT"
match = ["git push --force origin main"]
not_match = ["git push --force origin feature", "git push origin main"]
"#;

/// The copy of the log, in the scratch repository.
const COPY: &str = "../copy.db";

/// Where a system layer would be, whose log is not the demo's to write.
const SYSTEM_LAYER: &str = "/etc/gate/policy.toml";

/// How long the demo waits for a question before it gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long the terminal must be quiet after the question before the answer is typed.
const PAUSE: Duration = Duration::from_millis(300);

/// The scratch machine: a home, a repository and its remote.
struct Stage {
    root: PathBuf,
    gate: PathBuf,
}

/// Runs the demo; 0 when everything happened as it was told.
pub fn run(args: &DemoArgs) -> Result<u8, Error> {
    if Path::new(SYSTEM_LAYER).exists() {
        return Err(Error::new(CONFIG, format!("`{SYSTEM_LAYER}` may send the demo's records to this machine's own log"))
            .hint("run the demo where no system layer stands"));
    }
    let stage = Stage::set().map_err(|error| Error::new(INTERNAL, format!("the scratch directory could not be made: {error}")))?;
    let told = stage.tell();
    if args.keep {
        stage.keep().map_err(|error| Error::new(INTERNAL, format!("`{}` could not be prepared: {error}", stage.root.display())))?;
    } else {
        fs::remove_dir_all(&stage.root)
            .map_err(|error| Error::new(INTERNAL, format!("`{}` could not be removed: {error}", stage.root.display())))?;
    }
    told.map(|()| 0).map_err(|message| Error::new(INTERNAL, message).hint("gate doctor says what is wrong with this installation"))
}

impl Stage {
    fn set() -> io::Result<Self> {
        let root = scratch()?;
        for part in ["home", "project"] {
            private_directory(&root.join(part))?;
        }
        fs::write(root.join("home/.gitconfig"), "[user]\n\tname = Demo\n\temail = demo@example.com\n[init]\n\tdefaultBranch = main\n")?;
        Ok(Self { root, gate: env::current_exe()? })
    }

    /// The whole story, told while it happens.
    fn tell(&self) -> Result<(), String> {
        self.lay_repository()?;
        say("gate stands in front of a command. Here is a repository with a remote, all in a scratch directory.\n\n");

        say("1. What only reads is allowed by the policy that comes with gate. It runs at once, and is recorded.\n");
        expect(self.show(&["--", "git", "status", "--short", "--branch"])?, 0)?;
        expect(self.show(&["--", "git", "log", "--oneline"])?, 0)?;

        say("\n2. A force push drops commits of others: somebody is asked. The demo answers as a person would.\n");
        expect(self.answer(&["--", "git", "push", "--force", "origin", "feature"])?, 0)?;

        say("\n3. The project's own .gate.toml denies a force push to main. Nobody can be talked into it.\n");
        expect(self.show(&["--", "git", "push", "--force", "origin", "main"])?, i32::from(REFUSED))?;

        say("\n4. Every decision and outcome stands in a signed log.\n");
        expect(self.show(&["audit", "list"])?, 0)?;
        expect(self.show(&["audit", "verify", "--local"])?, 0)?;

        say("\n5. One bit is flipped in a copy of that log.\n");
        self.flip_a_bit()?;
        if self.show(&["audit", "--db", COPY, "verify", "--local"])?.success() {
            return Err("the flipped bit was not found".into());
        }
        say("\nThat is all of it: seen, decided, run exactly as seen, and provable later.\n");
        Ok(())
    }

    fn lay_repository(&self) -> Result<(), String> {
        self.git(&["init", "--quiet", "--bare", "../remote.git"])?;
        self.git(&["init", "--quiet"])?;
        self.git(&["remote", "add", "origin", "../remote.git"])?;
        let write =
            |name: &str, text: &str| fs::write(self.root.join("project").join(name), text).map_err(|error| format!("`{name}`: {error}"));
        write(".gate.toml", PROJECT_POLICY)?;
        write("payments.txt", "one\n")?;
        self.git(&["add", "."])?;
        self.git(&["commit", "--quiet", "-m", "Take payments"])?;
        self.git(&["push", "--quiet", "--set-upstream", "origin", "main"])?;
        self.git(&["switch", "--quiet", "-c", "feature"])?;
        write("payments.txt", "one\ntwo\n")?;
        self.git(&["commit", "--quiet", "-a", "-m", "Take two payments"])?;
        self.git(&["push", "--quiet", "--set-upstream", "origin", "feature"])?;
        self.git(&["commit", "--quiet", "--amend", "-m", "Take a second payment"])
    }

    /// A command in the scratch home, with little more than PATH in its environment.
    fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.root.join("home")).env("LANG", "C.UTF-8").env("TERM", "dumb").env("NO_COLOR", "1");
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.current_dir(self.root.join("project")).stdin(Stdio::null());
        command
    }

    fn git(&self, args: &[&str]) -> Result<(), String> {
        let status = self
            .command(OsStr::new("git"))
            .args(args)
            .status()
            .map_err(|error| format!("the demo needs git, which could not be run: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("`git {}` failed: {status}", args.join(" "))) }
    }

    /// Runs gate and lets it speak for itself.
    fn show(&self, args: &[&str]) -> Result<ExitStatus, String> {
        say(&format!("$ gate {}\n", args.join(" ")));
        let output = self.command(self.gate.as_os_str()).args(args).output().map_err(|error| format!("gate could not be run: {error}"))?;
        say_bytes(&output.stdout);
        say_bytes(&output.stderr);
        Ok(output.status)
    }

    /// Runs gate on a terminal, reads the question there and types the word that it asks for.
    fn answer(&self, args: &[&str]) -> Result<ExitStatus, String> {
        say(&format!("$ gate {}\n", args.join(" ")));
        let mut command = self.command(self.gate.as_os_str());
        command.args(args);
        let failed = |error: io::Error| format!("the demo's terminal failed: {error}");
        let mut terminal = Pty::start(command, 60, 100).map_err(failed)?;
        let until = Instant::now() + PATIENCE;
        let (mut seen, mut asked_at, mut line) = (String::new(), 0, Screen::default());
        loop {
            match terminal.read(PAUSE).map_err(failed)? {
                Heard::Bytes(bytes) => {
                    let text = line.take(&String::from_utf8_lossy(&bytes));
                    say(&text);
                    seen.push_str(&text);
                }
                Heard::End => {
                    say(&line.rest());
                    return terminal.wait().map_err(failed);
                }
                Heard::Silence => {
                    let rest = line.rest();
                    say(&rest);
                    seen.push_str(&rest);
                    if let Some(words) = words_asked(&seen[asked_at..]) {
                        terminal.write(format!("{words}\n").as_bytes()).map_err(failed)?;
                        asked_at = seen.len();
                    } else if Instant::now() > until {
                        drop(terminal.kill());
                        return Err("nothing was asked on the demo's terminal".into());
                    }
                }
            }
        }
    }

    /// Copies the log, lays what is in its write-ahead file into the copy, and flips one bit inside a recorded command.
    fn flip_a_bit(&self) -> Result<(), String> {
        let failed = |error: io::Error| format!("the copy of the log failed: {error}");
        let from = self.root.join("home/.local/state/gate/audit.db");
        let to = self.root.join("project").join(COPY);
        for suffix in ["", "-wal"] {
            let named = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            if named(&from).exists() {
                fs::copy(named(&from), named(&to)).map_err(failed)?;
            }
        }
        rusqlite::Connection::open(&to)
            .and_then(|copy| copy.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
            .map_err(|error| format!("the copy of the log cannot be read: {error}"))?;
        let mut bytes = fs::read(&to).map_err(failed)?;
        let word = b"--force";
        let at = bytes.windows(word.len()).position(|window| window == word).ok_or("the log does not hold the force push")?;
        bytes[at + 2] ^= 1;
        fs::write(&to, bytes).map_err(failed)
    }

    /// Leaves a script that moves a shell into the scratch home, and says so.
    fn keep(&self) -> io::Result<()> {
        let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        let bin = self.root.join("bin");
        private_directory(&bin)?;
        std::os::unix::fs::symlink(&self.gate, bin.join("gate"))?;
        let enter = self.root.join("enter");
        let (home, bin, project) = (self.root.join("home"), bin, self.root.join("project"));
        fs::write(&enter, format!("export HOME={} PATH={}:\"$PATH\"\ncd {}\n", quoted(&home), quoted(&bin), quoted(&project)))?;
        say(&format!("\nThe scratch directory stays. To go on by hand in it:\n  . {}\n", enter.display()));
        Ok(())
    }
}

/// The words that the question on the terminal asks for.
fn words_asked(text: &str) -> Option<String> {
    let (before, _) = text.rsplit_once("to run it")?;
    let (_, words) = before.rsplit_once("Type ")?;
    Some(words.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What a terminal shows in the end: without control sequences, and without lines that were overwritten.
#[derive(Default)]
struct Screen {
    line: String,
    returned: bool,
    sequence: bool,
}

impl Screen {
    /// Takes what was sent, and gives the lines that are complete.
    fn take(&mut self, text: &str) -> String {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                _ if self.sequence => self.sequence = c == '[' || !c.is_ascii_alphabetic(),
                '\u{1b}' => self.sequence = true,
                '\r' => self.returned = true,
                '\n' => {
                    out.push_str(&std::mem::take(&mut self.line));
                    out.push('\n');
                    self.returned = false;
                }
                other => {
                    if std::mem::take(&mut self.returned) {
                        self.line.clear();
                    }
                    self.line.push(other);
                }
            }
        }
        out
    }

    /// The line that is not complete.
    fn rest(&mut self) -> String {
        self.returned = false;
        std::mem::take(&mut self.line)
    }
}

fn expect(status: ExitStatus, code: i32) -> Result<(), String> {
    if status.code() == Some(code) { Ok(()) } else { Err(format!("expected exit status {code}, got {status}")) }
}

fn say(text: &str) {
    say_bytes(text.as_bytes());
}

/// A reader that went away does not stop the demo.
fn say_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    drop(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Makes a directory that nobody had before and only this user can enter.
fn scratch() -> io::Result<PathBuf> {
    let mut name = [0; 8];
    crate::sys::random::fill(&mut name)?;
    let path = env::temp_dir().join(format!("gate-demo-{:016x}", u64::from_be_bytes(name)));
    private_directory(&path)?;
    path.canonicalize()
}

fn private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}
