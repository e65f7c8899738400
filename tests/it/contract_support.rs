//! One command run bare, in place and supervised, so that the three can be compared.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::{GATE, Ran, World};

/// Everything is allowed and runs in place.
pub const ALLOW: &str = "version = 1\n[layer]\nembedded = \"off\"\nunmatched = \"allow\"\nopaque = \"allow\"\ntrusted_programs = [\"/\"]\n";

/// The descriptor that `--status-fd` is given, which forces supervision.
pub const STATUS_FD: i32 = 60;

/// How long a test waits for what must come; reached only when it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How a command is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Without gate.
    Bare,
    /// gate replaces itself by it.
    InPlace,
    /// gate stays until it ends.
    Supervised,
}

/// All of them, the one to compare with first.
pub const WAYS: [Way; 3] = [Way::Bare, Way::InPlace, Way::Supervised];
/// Those with gate.
pub const GATED: [Way; 2] = [Way::InPlace, Way::Supervised];

/// A world where everything is allowed.
pub fn world() -> World {
    World::new().user_policy(ALLOW)
}

/// The command line of one way.
pub fn line<A: AsRef<OsStr>>(way: Way, argv: &[A]) -> Vec<OsString> {
    let status_fd = STATUS_FD.to_string();
    let prefix: &[&str] = match way {
        Way::Bare => &[],
        Way::InPlace => &[GATE, "--"],
        Way::Supervised => &[GATE, "--status-fd", &status_fd, "--"],
    };
    prefix.iter().map(OsString::from).chain(argv.iter().map(|word| word.as_ref().to_owned())).collect()
}

/// A command of the world, to be run one way. `prepare` runs in the child right before exec: async-signal-safe calls only.
pub fn command<A: AsRef<OsStr>>(world: &World, way: Way, argv: &[A], prepare: fn()) -> Command {
    let line = line(way, argv);
    let mut command = world.command(&line[0], &line[1..]);
    // SAFETY: open, dup2 and close are async-signal-safe, and so is what the tests pass as `prepare`.
    unsafe {
        command.pre_exec(move || {
            if way == Way::Supervised {
                let null = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY);
                if null != STATUS_FD {
                    libc::dup2(null, STATUS_FD);
                    libc::close(null);
                }
            }
            prepare();
            Ok(())
        });
    }
    command
}

/// Runs it all three ways and insists on the same stdout, stderr and status. Gives what the bare one said.
pub fn same<A: AsRef<OsStr>>(world: &World, argv: &[A]) -> Ran {
    same_after(world, argv, || ())
}

/// The same with something done in the child before exec.
pub fn same_after<A: AsRef<OsStr>>(world: &World, argv: &[A], prepare: fn()) -> Ran {
    let bare = world.finish(command(world, Way::Bare, argv, prepare));
    for way in GATED {
        let ran = world.finish(command(world, way, argv, prepare));
        assert_eq!(ran.out(), bare.out(), "stdout, {way:?}\n{ran}");
        assert_eq!(ran.stdout, bare.stdout, "stdout's bytes, {way:?}");
        assert_eq!(ran.err(), bare.err(), "stderr, {way:?}");
        assert_eq!((ran.status.code(), ran.status.signal()), (bare.status.code(), bare.status.signal()), "status, {way:?}\n{ran}");
    }
    bare
}

/// A command that is still running, its stdout read line by line.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The process that was started: gate, or the bare command.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// The next line of its stdout, without the newline; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    /// Sends it a signal, as another process does.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Gives it its stdin's end.
    pub fn close_stdin(&mut self) {
        self.child.stdin.take();
    }

    /// Its exit code, or 128 + n for signal n, and the rest of its stdout.
    pub fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.stdout, &mut rest).unwrap();
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)), rest)
    }
}

/// The letter of a process's state as `/proc` has it, or nothing when it is gone.
pub fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// Looks until it is so; the kernel has no way to be told about another's child.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// The children of a process.
pub fn children(pid: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}
