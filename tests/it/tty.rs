use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{Termios, tcgetattr};

/// Longer than anything takes on a busy machine; reached only when a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A real terminal with a program in it, read as a person sees it.
pub struct Tty {
    master: Option<File>,
    slave: Option<File>,
    child: Child,
    parser: vt100::Parser,
    ended: bool,
}

impl Tty {
    /// Starts a program as the leader of a session whose terminal has this many columns and lines.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = File::from(open(ptsname_r(&master).unwrap().as_str(), flags, Mode::empty()).unwrap());
        let master = File::from(OwnedFd::from(master));
        set_size(&master, columns, rows);
        let half = || slave.try_clone().unwrap();
        command.stdin(half()).stdout(half()).stderr(half());
        // SAFETY: setsid and ioctl are async-signal-safe, and nothing else happens between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                nix::errno::Errno::result(libc::ioctl(0, libc::TIOCSCTTY, 0)).map(drop)?;
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        Self {
            master: Some(master),
            slave: Some(slave),
            child,
            parser: vt100::Parser::new(positive(rows), positive(columns), 1000),
            ended: false,
        }
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// Whether a program has the screen to itself, and what was on it comes back.
    pub fn alternate(&self) -> bool {
        self.parser.screen().alternate_screen()
    }

    /// Whether the cursor cannot be seen.
    pub fn hidden_cursor(&self) -> bool {
        self.parser.screen().hide_cursor()
    }

    /// Whether nothing on the screen is coloured, bold or inverse.
    pub fn plain(&self) -> bool {
        let screen = self.parser.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows.get()).flat_map(|row| (0..columns.get()).filter_map(move |column| screen.cell(row, column)));
        cells.into_iter().all(|cell| {
            cell.fgcolor() == vt100::Color::Default && cell.bgcolor() == vt100::Color::Default && !cell.bold() && !cell.inverse()
        })
    }

    /// Reads until the screen is as wanted; fails with the screen when it never is.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        while !wanted(&self.screen()) {
            assert!(start.elapsed() < PATIENCE && !self.ended, "never seen: {what}\n{}", self.screen());
            self.read();
        }
        self.screen()
    }

    /// Reads until the screen shows a text.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Reads until the last line that is not empty ends with a text.
    pub fn wait_for_last(&mut self, text: &str) -> String {
        self.wait(text, |screen| screen.trim_end().ends_with(text))
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) {
        self.master().write_all(text.as_bytes()).unwrap();
    }

    /// Gives the window another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        set_size(self.master(), columns, rows);
        self.parser.set_size(positive(rows), positive(columns));
    }

    /// How the terminal treats what is typed.
    pub fn modes(&self) -> Termios {
        tcgetattr(self.slave.as_ref().unwrap()).unwrap()
    }

    /// Sets how the terminal treats what is typed.
    pub fn set_modes(&self, modes: &Termios) {
        nix::sys::termios::tcsetattr(self.slave.as_ref().unwrap(), nix::sys::termios::SetArg::TCSANOW, modes).unwrap();
    }

    /// The process that was started.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Reads on until the program has ended.
    pub fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                while self.read() {}
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "never ends\n{}", self.screen());
            self.read();
        }
    }

    /// Takes the terminal away, and waits until the program has ended.
    pub fn hang_up(&mut self) -> ExitStatus {
        self.slave = None;
        self.master = None;
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "outlives its terminal");
            let _ = poll(&mut [], PollTimeout::from(10_u8));
        }
    }

    fn master(&self) -> &File {
        self.master.as_ref().unwrap()
    }

    /// Reads what has come, waiting a little for it. Whether anything came.
    fn read(&mut self) -> bool {
        let mut fds = [PollFd::new(self.master().as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(50_u8)).unwrap() == 0 {
            return false;
        }
        let mut buffer = [0; 8192];
        match self.master().read(&mut buffer) {
            Ok(0) | Err(_) => {
                self.ended = true;
                false
            }
            Ok(count) => {
                self.parser.process(&buffer[..count]);
                true
            }
        }
    }
}

fn set_size(master: &File, columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and TIOCSWINSZ reads one winsize from the address it is given.
    assert_eq!(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
}

fn positive(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
