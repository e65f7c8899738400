//! A scratch home in which the real `gate` runs: nothing of the caller's environment, configuration or terminal reaches it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

/// The `gate` under test.
pub const GATE: &str = env!("CARGO_BIN_EXE_gate");

/// Where small tools are found.
pub const TOOLS: &str = "/usr/bin:/bin";

/// What of the machine's `/etc` a world with a system layer still sees.
const KEPT_OF_ETC: &str = "passwd group nsswitch.conf hosts hostname machine-id ld.so.cache localtime alternatives";

/// Lays a copy of the needed part of `/etc`, with the world's system layer, over `/etc` in this mount namespace.
const ENTER: &str = r#"
etc=$1 kept=$2; shift 2
for name in $kept; do
    [ -e "$etc/$name" ] || [ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$etc/$name"
done
mount --bind "$etc" /etc && exec "$@"
"#;

/// A scratch machine for one test, removed at its end.
pub struct World {
    root: TempDir,
    variables: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    stdin: Vec<u8>,
    system: bool,
    user: Option<u32>,
}

impl World {
    /// A home without any configuration, the working directory `work` in it, and an environment with little more than PATH and HOME.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("gate-world-").tempdir().unwrap();
        let home = root.path().join("home");
        let work = home.join("work");
        fs::create_dir_all(&work).unwrap();
        let variables = [("PATH", TOOLS.into()), ("HOME", home.into_os_string()), ("LANG", "C.UTF-8".into()), ("TERM", "xterm".into())];
        let variables = variables.into_iter().map(|(name, value): (&str, OsString)| (name.into(), value)).collect();
        Self { root, variables, cwd: work, stdin: Vec::new(), system: false, user: None }
    }

    /// The directory that holds everything of this world.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The user's home.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// The working directory.
    pub fn work(&self) -> &Path {
        &self.cwd
    }

    /// Where gate keeps its log and keys.
    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/gate")
    }

    /// The user's configuration directory of gate.
    pub fn config(&self) -> PathBuf {
        self.home().join(".config/gate")
    }

    /// Writes the user's `policy.toml`.
    pub fn user_policy(self, text: &str) -> Self {
        self.file("home/.config/gate/policy.toml", text)
    }

    /// Writes `policies/FAMILY.toml` of the user's layer.
    pub fn user_tool(self, family: &str, text: &str) -> Self {
        let path = format!("home/.config/gate/policies/{family}.toml");
        self.file(&path, text)
    }

    /// Writes the `.gate.toml` of the working directory.
    pub fn project(self, text: &str) -> Self {
        fs::write(self.cwd.join(".gate.toml"), text).unwrap();
        self
    }

    /// Writes `/etc/gate/policy.toml`, which only commands of this world see (in a mount namespace of their own).
    pub fn system_policy(self, text: &str) -> Self {
        self.system_file("policy.toml", text)
    }

    /// Writes a file below the `/etc/gate` of this world.
    pub fn system_file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.etc(&format!("gate/{path}"), text)
    }

    /// Writes a file below the `/etc` of this world, which only its own commands see.
    pub fn etc(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.system = true;
        let world = self.file(&format!("etc/{path}"), text);
        set_mode(&world.root().join("etc"), 0o755);
        world
    }

    /// Writes a file, its directories made as needed; the path is relative to [`Self::root`].
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    /// Makes an executable file in `bin`, which stands first on PATH from then on.
    pub fn program(self, name: &str, text: &str) -> Self {
        let bin = self.root().join("bin");
        let world = self.file(&format!("bin/{name}"), text).env("PATH", format!("{}:{TOOLS}", bin.display()));
        set_mode(&bin.join(name), 0o755);
        world
    }

    /// Sets a variable.
    pub fn env(self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        let mut world = self.no_env(&name);
        world.variables.push((name, value.into()));
        world
    }

    /// Removes a variable.
    pub fn no_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.variables.retain(|(key, _)| key != name.as_ref());
        self
    }

    /// Moves to a directory, relative to [`Self::root`]; it is made when missing.
    pub fn cwd(mut self, path: &str) -> Self {
        self.cwd = self.root().join(path);
        fs::create_dir_all(&self.cwd).unwrap();
        self
    }

    /// What the command reads; nothing (`/dev/null`) unless told.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs as this uid and gid, to whom the home is handed over. Needs root.
    pub fn user(mut self, uid: u32) -> Self {
        set_mode(self.root(), 0o755);
        let gate = self.root().join("gate");
        fs::copy(GATE, &gate).unwrap();
        let home = self.home();
        must(Command::new("chown").arg("-R").arg(format!("{uid}:{uid}")).arg(home));
        self.user = Some(uid);
        self
    }

    /// The `gate` that this world runs.
    pub fn gate(&self) -> PathBuf {
        if self.user.is_some() { self.root().join("gate") } else { GATE.into() }
    }

    /// A command of this world: no terminal, a cleared environment. The caller may change it further.
    pub fn command<A: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, args: impl IntoIterator<Item = A>) -> Command {
        let mut line: Vec<OsString> = Vec::new();
        if self.system {
            line.extend(["unshare", "--mount"].map(OsString::from));
            if !nix::unistd::geteuid().is_root() {
                line.push("--map-root-user".into());
            }
            line.extend(["sh", "-c", ENTER, "sh"].map(OsString::from));
            line.push(self.root().join("etc").into());
            line.push(KEPT_OF_ETC.into());
        }
        if let Some(uid) = self.user {
            line.extend(["setpriv".into(), format!("--reuid={uid}").into(), format!("--regid={uid}").into(), "--clear-groups".into()]);
        }
        line.push(program.as_ref().into());
        line.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_clear().envs(self.variables.iter().cloned()).current_dir(&self.cwd);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
        unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
        command
    }

    /// Runs `gate ARGS` to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        self.finish(self.command(self.gate(), args))
    }

    /// Runs a command without gate, to compare with.
    pub fn bare<A: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = A>) -> Ran {
        let argv: Vec<OsString> = argv.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self.finish(self.command(&argv[0], &argv[1..]))
    }

    /// Runs a shell script of this world, with `gate` on its PATH, and insists that it succeeds.
    pub fn sh(&self, script: &str) -> Ran {
        let mut command = self.command("sh", ["-ec", script]);
        let path = self.variables.iter().find(|(key, _)| key == "PATH").map_or_else(|| TOOLS.into(), |(_, value)| value.clone());
        let mut with_gate = self.gate().parent().unwrap().as_os_str().to_owned();
        with_gate.push(":");
        with_gate.push(path);
        command.env("PATH", with_gate);
        let ran = self.finish(command);
        assert!(ran.status.success(), "`{script}` failed:\n{ran}");
        ran
    }

    /// Starts a command, hands it this world's stdin and waits for its end.
    pub fn finish(&self, mut command: Command) -> Ran {
        if self.stdin.is_empty() {
            return self.wait(command.spawn().unwrap());
        }
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = self.stdin.clone();
        // A command that does not read to the end breaks the pipe, which is its right.
        let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
        let ran = self.wait(child);
        writer.join().unwrap();
        ran
    }

    /// Waits for a command of this world.
    pub fn wait(&self, child: Child) -> Ran {
        let output = child.wait_with_output().unwrap();
        Ran { status: output.status, stdout: output.stdout, stderr: output.stderr, places: self.places() }
    }

    /// Every entry of the log, the oldest first.
    pub fn records(&self) -> Vec<serde_json::Value> {
        let ran = self.run(["audit", "list", "--entries"]);
        assert!(ran.status.success(), "{ran}");
        String::from_utf8(ran.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The paths that a snapshot shows by name, longest first.
    fn places(&self) -> Vec<(String, &'static str)> {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        vec![(path(&self.home()), "[HOME]"), (path(self.root()), "[WORLD]"), (GATE.to_owned(), "[GATE]")]
    }
}

/// What a command said and how it ended.
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: Vec<u8>,
    places: Vec<(String, &'static str)>,
}

impl Ran {
    /// The exit code, or 128 + n for signal n.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// stdout as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stderr as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// stdout, stderr and the status in one string, with times, ids, digests and paths replaced by their names: made for inline snapshots.
impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !bytes.is_empty() {
                writeln!(f, "--- {name}")?;
                writeln!(f, "{}", filtered(&String::from_utf8_lossy(bytes), &self.places).trim_end_matches('\n'))?;
            }
        }
        match self.status.signal() {
            Some(signal) => write!(f, "--- died by signal {signal}"),
            None => write!(f, "--- exit {}", self.code()),
        }
    }
}

/// What differs between two runs: `h` stands for a hexadecimal digit, `d` for a decimal one.
const MASKS: [(&str, &str); 3] = [
    ("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "[ID]"),
    ("hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh", "[SHA256]"),
    ("dddd-dd-ddTdd:dd:dd", "[TIME]"),
];

/// Replaces what differs between two runs by its name.
pub fn filtered(text: &str, places: &[(String, &'static str)]) -> String {
    let mut text = text.to_owned();
    for (path, name) in places {
        text = text.replace(path, name);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let skip = if let Some((mask, name)) = MASKS.iter().find(|(mask, _)| fits(mask, rest)) {
            out.push_str(name);
            mask.len()
        } else {
            out.push(first);
            first.len_utf8()
        };
        rest = &rest[skip..];
        if out.ends_with("[TIME]") {
            rest = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit()).trim_start_matches('Z');
        }
    }
    out
}

fn fits(mask: &str, text: &str) -> bool {
    text.len() >= mask.len()
        && mask.bytes().zip(text.bytes()).all(|(want, have)| match want {
            b'h' => have.is_ascii_hexdigit(),
            b'd' => have.is_ascii_digit(),
            other => have == other,
        })
}

/// Sets a file's permission bits.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if mode & 0o111 != 0 && path.is_file() {
        // A copy that this process never had open: a program that a process forked at that moment still holds cannot be run (ETXTBSY).
        let copy = path.with_extension("copy");
        must(Command::new("/bin/cp").arg("-p").arg(path).arg(&copy));
        fs::rename(copy, path).unwrap();
    }
}

/// Runs a program of `tests/go`, which is built on the Go project's own packages; says whether it agrees, and what it said.
pub fn go(program: &str, args: &[&str], input: &str) -> (bool, String) {
    let mut go = Command::new("go")
        .args(["run", &format!("./tests/go/{program}")])
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("GOFLAGS", "")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    go.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = go.wait_with_output().unwrap();
    (out.status.success(), String::from_utf8(out.stdout).unwrap())
}

/// Runs a preparing command that must succeed.
pub fn must(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

#[test]
fn a_system_layer_is_seen_by_its_own_world_only() {
    let world = World::new().system_policy("version = 1\n");
    let ran = world.bare(["sh", "-c", "cat /etc/gate/policy.toml; stat -c %u:%a /etc /etc/gate /etc/gate/policy.toml; id -un"]);
    insta::assert_snapshot!(ran, @r"
    --- stdout
    version = 1
    0:755
    0:755
    0:644
    root
    --- exit 0
    ");
    assert!(!World::new().bare(["cat", "/etc/gate/policy.toml"]).out().contains("version = 1\n"));
}

#[test]
fn a_world_has_no_terminal_and_nothing_of_the_callers_environment() {
    let ran = World::new().bare(["sh", "-c", "env | cut -d= -f1 | sort | tr '\\n' ' '; tty; : </dev/tty"]);
    assert!(ran.out().starts_with("HOME LANG PATH PWD TERM not a tty"), "{ran}");
    assert!(!ran.status.success(), "{ran}");
}

#[test]
fn what_differs_between_two_runs_is_shown_by_its_name() {
    let text = "2026-01-02T03:04:05.678Z 01932c07-0000-7000-8000-00000000abcd /tmp/x/file 12:30";
    let places = [("/tmp/x".to_owned(), "[WORLD]")];
    assert_eq!(filtered(text, &places), "[TIME] [ID] [WORLD]/file 12:30");
}
