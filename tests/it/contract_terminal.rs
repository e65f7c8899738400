//! The wrapper contract at a real terminal: its keys, its job control, and what it looks like afterwards.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command};
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::contract_support::{PATIENCE, STATUS_FD, WAYS, Way, children, command, line, state, until, world};
use crate::world::World;

/// A process that leads the session of a new terminal, and the keyboard and screen of that terminal.
struct Terminal {
    child: Child,
    master: Option<File>,
    screen: String,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        // Neither end may leak into what another test starts meanwhile: a terminal hangs up when nobody holds its master.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(ptsname_r(&master).unwrap()).unwrap();
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        // SAFETY: ioctl is async-signal-safe; the world has made this process the leader of a session already.
        unsafe {
            command.pre_exec(|| {
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        Self { child, master: Some(File::from(OwnedFd::from(master))), screen: String::new() }
    }

    /// A shell with job control in the world.
    fn shell(world: &World, shell: &[&str]) -> Self {
        let mut command = world.command(shell[0], &shell[1..]);
        command.env("PS1", "ready> ").env("ENV", "");
        // SAFETY: open and dup2 are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                let null = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY);
                libc::dup2(null, STATUS_FD);
                Ok(())
            });
        }
        let mut terminal = Self::start(command);
        terminal.wait_for("ready> ");
        terminal
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn press(&mut self, keys: &str) {
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Reads the screen until the text stands there, and forgets everything up to its end.
    fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.screen.find(text) {
                self.screen.drain(..at + text.len());
                return;
            }
            let master = self.master.as_mut().unwrap();
            let mut ready = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, 1000_u16).unwrap();
            assert!(Instant::now() < end, "`{text}` never came; the screen: {:?}", self.screen);
            let readable = ready[0].revents().is_some_and(|events| !events.is_empty());
            let mut bytes = [0; 4096];
            if readable {
                let length = master.read(&mut bytes).unwrap_or_else(|error| panic!("`{text}`: {error}; the screen: {:?}", self.screen));
                self.screen.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        }
    }

    /// The one process that the shell started.
    fn job(&self) -> Pid {
        let mut job = None;
        until("the shell starts the job", || {
            job = children(self.pid()).first().copied();
            job.is_some()
        });
        job.unwrap()
    }

    /// The shell has given the job the terminal and continued it: what is typed from now on is the job's.
    fn in_front(job: Pid) {
        until("the job has the terminal", || {
            let stat = std::fs::read_to_string(format!("/proc/{job}/stat")).unwrap_or_default();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            // After the name: state, parent, process group, session, terminal, the terminal's foreground group.
            matches!(fields.as_slice(), [state, _, group, _, _, front, ..] if *state != "T" && group == front)
        });
    }

    fn stopped(job: Pid) {
        until("the job stops", || state(job) == Some('T'));
    }

    fn end(mut self) -> i32 {
        let status = self.child.wait().unwrap();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }
}

/// The words of a command line for a shell.
fn typed(way: Way, argv: &[&str]) -> String {
    line(way, argv).iter().map(|word| format!("'{}'", word.to_str().unwrap())).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_interrupt_key_reaches_the_command_once() {
    for way in WAYS {
        let script = "trap 'n=$((n+1)); echo INT-$n' INT; trap 'kill -9 $!; echo all-$n; exit 9' USR1; (trap '' INT; exec sleep 1000) & echo ready; while :; do wait; done";
        let world = world();
        let mut terminal = Terminal::start(command(&world, way, &["sh", "-c", script], || ()));
        terminal.wait_for("ready");
        terminal.press("\x03");
        terminal.wait_for("INT-1");
        // Waiting signals are read in the order of their numbers, so a second SIGINT would come before this.
        kill(terminal.pid(), Signal::SIGUSR1).unwrap();
        terminal.wait_for("all-1");
        assert_eq!(terminal.end(), 9, "{way:?}");
    }
}

#[test]
fn a_command_that_cleans_up_after_an_interrupt_gives_its_own_status() {
    for way in WAYS {
        let script = "trap 'echo cleaned; kill -9 $!; exit 9' INT; (trap '' INT; exec sleep 1000) & echo ready; while :; do wait; done";
        let world = world();
        let mut terminal = Terminal::start(command(&world, way, &["sh", "-c", script], || ()));
        terminal.wait_for("ready");
        terminal.press("\x03");
        terminal.wait_for("cleaned");
        assert_eq!(terminal.end(), 9, "{way:?}");
    }
}

#[test]
fn a_background_command_that_reads_stops_and_fg_brings_it_back() {
    for way in WAYS {
        let world = world();
        let mut terminal = Terminal::shell(&world, &["sh", "-i"]);
        terminal.press(&format!("{} &\n", typed(way, &["cat"])));
        terminal.wait_for("ready> ");
        let job = terminal.job();
        Terminal::stopped(job);
        terminal.press("fg\n");
        terminal.wait_for("fg\r\n");
        Terminal::in_front(job);
        terminal.press("hello\n");
        // Once from the terminal's echo, once from cat.
        terminal.wait_for("hello\r\n");
        terminal.wait_for("hello\r\n");
        terminal.press("\x04");
        terminal.wait_for("ready> ");
        terminal.press("echo status=$?\n");
        terminal.wait_for("status=0");
        terminal.press("exit 3\n");
        assert_eq!(terminal.end(), 3, "{way:?}");
    }
}

#[test]
fn the_suspend_key_stops_both_and_fg_continues_both() {
    for way in WAYS {
        let world = world();
        let mut terminal = Terminal::shell(&world, &["sh", "-i"]);
        terminal.press(&format!("{}\n", typed(way, &["sh", "-c", "echo up; exec cat"])));
        terminal.wait_for("up\r\n");
        for round in ["one", "two"] {
            terminal.press("\x1a");
            terminal.wait_for("ready> ");
            let job = terminal.job();
            Terminal::stopped(job);
            terminal.press("fg\n");
            terminal.wait_for("fg\r\n");
            Terminal::in_front(job);
            terminal.press(&format!("{round}\n"));
            terminal.wait_for(&format!("{round}\r\n"));
            terminal.wait_for(&format!("{round}\r\n"));
        }
        terminal.press("\x03");
        terminal.wait_for("ready> ");
        terminal.press("echo status=$?\n");
        terminal.wait_for("status=130");
        terminal.press("exit\n");
        terminal.end();
    }
}

#[test]
fn a_shell_restores_a_raw_terminal_after_a_command_that_a_signal_ended() {
    for way in WAYS {
        let world = world();
        let mut terminal = Terminal::shell(&world, &["bash", "--norc", "--noediting", "-i"]);
        terminal.press(&format!("{}\n", typed(way, &["sh", "-c", "stty raw -echo; kill -9 $$"])));
        terminal.wait_for("Killed");
        terminal.wait_for("ready> ");
        terminal.press("stty -a | grep -c ' icanon'; echo the-end\n");
        terminal.wait_for("the-end\r\n1\r\nthe-end");
        terminal.press("exit 5\n");
        assert_eq!(terminal.end(), 5, "{way:?}");
    }
}

#[test]
fn what_was_typed_ahead_stays_for_the_shell() {
    for way in WAYS {
        let world = world();
        let mut terminal = Terminal::shell(&world, &["sh", "-i"]);
        terminal.press(&format!("{}\necho after-$((40 + 2))\nexit 6\n", typed(way, &["sh", "-c", "echo out-$((1 + 1))"])));
        terminal.wait_for("out-2");
        terminal.wait_for("after-42");
        assert_eq!(terminal.end(), 6, "{way:?}");
    }
}

#[test]
fn a_hangup_of_the_terminal_reaches_the_command() {
    for way in WAYS {
        let world = world();
        let script = "trap 'kill -9 $!; echo hup > hung; exit' HUP; (trap '' HUP; exec sleep 1000) & echo ready; while :; do wait; done";
        let mut terminal = Terminal::start(command(&world, way, &["sh", "-c", script], || ()));
        terminal.wait_for("ready");
        terminal.master.take();
        terminal.child.wait().unwrap();
        assert!(world.work().join("hung").exists(), "{way:?}");
    }
}
