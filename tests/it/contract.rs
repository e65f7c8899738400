//! The wrapper contract: `gate -- COMMAND` feels like `COMMAND`. Every test compares with running the command bare.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::contract_support::{ALLOW, GATED, Running, STATUS_FD, WAYS, Way, children, command, same, same_after, state, until, world};
use crate::world::{GATE, set_mode};

#[test]
fn an_exit_code_passes_through() {
    let world = world();
    for code in [0, 1, 2, 7, 64, 77, 125, 126, 127, 128, 137, 255] {
        assert_eq!(same(&world, &["sh", "-c", &format!("exit {code}")]).code(), code);
    }
}

#[test]
fn a_command_killed_by_a_signal_makes_gate_die_by_it() {
    let world = world();
    for signal in [
        "HUP", "INT", "QUIT", "ILL", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "XCPU", "SYS", "34",
        "64",
    ] {
        let ran = same(&world, &["sh", "-c", &format!("kill -{signal} $$")]);
        assert!(ran.status.signal().is_some(), "{signal}");
    }
}

#[test]
fn gate_dumps_no_core_of_its_own() {
    let world = world();
    let ran = world.finish(command(&world, Way::Supervised, &["sh", "-c", "ulimit -c; kill -SEGV $$"], || limit_core(1 << 30)));
    assert_eq!(ran.status.signal(), Some(libc::SIGSEGV));
    assert!(!ran.status.core_dumped());
    assert_eq!(ran.out().trim(), ((1 << 30) / 512).to_string(), "the command's limit is the caller's");
}

#[test]
fn what_is_not_found_is_127_and_what_cannot_be_executed_126() {
    let world =
        world().file("home/work/plain", "echo hi\n").file("home/work/lost", "#!/no/such/interpreter\n").program("half", "#!/nowhere\n");
    set_mode(&world.work().join("lost"), 0o755);
    for way in GATED {
        let code = |name: &str| {
            let ran = world.finish(command(&world, way, &[name], || ()));
            assert!(ran.out().is_empty(), "{ran}");
            assert!(ran.err().starts_with("gate: "), "{ran}");
            ran.code()
        };
        assert_eq!(code("no-such-command"), 127);
        assert_eq!(code("./no-such-command"), 127);
        assert_eq!(code("/no/such/directory/command"), 127);
        assert_eq!(code("./lost"), 127);
        assert_eq!(code("half"), 127);
        assert_eq!(code("./plain"), 126);
        assert_eq!(code("/tmp"), 126);
        assert_eq!(code("/dev/null"), 126);
        assert_eq!(code("./plain/below"), 126);
    }
}

#[test]
fn the_search_goes_on_behind_what_cannot_be_executed() {
    let world = world().program("tool", "#!/bin/sh\necho \"found $0\"\n").file("first/tool", "no\n").file("second/tool/x", "a directory\n");
    let root = world.root().display().to_string();
    let world = world.env("PATH", format!("{root}/first:/no/such:{root}/second:{root}/bin:/usr/bin:/bin"));
    let ran = same(&world, &["env", "tool"]);
    assert_eq!(ran.out(), format!("found {root}/bin/tool\n"));
    for way in GATED {
        assert_eq!(world.finish(command(&world, way, &["tool"], || ())).out(), ran.out());
    }
    let world = world.env("PATH", format!("{root}/first:/usr/bin:/bin"));
    for way in GATED {
        assert_eq!(world.finish(command(&world, way, &["tool"], || ())).code(), 126);
    }
}

#[test]
fn an_empty_element_of_path_is_the_working_directory() {
    let world = world().file("home/work/here", "#!/bin/sh\necho \"$0\"\n");
    set_mode(&world.work().join("here"), 0o755);
    for path in [":/usr/bin:/bin", "/usr/bin::/bin", "/usr/bin:/bin:"] {
        let mut bare = world.command("/usr/bin/env", ["here"]);
        bare.env("PATH", path);
        let bare = world.finish(bare).out();
        assert_eq!(bare, "here\n");
        for way in GATED {
            let mut gated = command(&world, way, &["here"], || ());
            gated.env("PATH", path);
            assert_eq!(world.finish(gated).out(), bare);
        }
    }
}

#[test]
fn a_text_file_without_a_magic_runs_with_sh() {
    let world = world().program("texty", "echo \"$0 $# [$1] [$2]\"\nexit 5\n").program("empty", "");
    let bare = world.finish(world.command("env", ["texty", "a b", ""]));
    assert_eq!(bare.code(), 5);
    for way in GATED {
        let ran = world.finish(command(&world, way, &["texty", "a b", ""], || ()));
        assert_eq!((ran.out(), ran.code()), (bare.out(), 5));
        assert_eq!(world.finish(command(&world, way, &["empty"], || ())).code(), 0);
    }
}

#[test]
fn arguments_stay_bytes_and_argv_0_stays_as_typed() {
    let world = world();
    let odd = OsString::from_vec((1..=255).collect());
    let argv: Vec<&OsStr> = ["cat", "/proc/self/cmdline", "", "--", "-"].iter().map(OsStr::new).chain([odd.as_os_str()]).collect();
    let ran = world.finish(command(&world, Way::Bare, &argv, || ()));
    let wanted: Vec<u8> = argv.iter().flat_map(|word| word.as_bytes().iter().copied().chain([0])).collect();
    assert!(ran.stdout.starts_with(&wanted));
    for way in GATED {
        let ran = world.finish(command(&world, way, &argv, || ()));
        assert!(ran.stdout.starts_with(&wanted), "{way:?}");
    }
    for typed in ["cat", "/bin/cat", "/usr/bin/../bin/cat"] {
        same(&world, &[typed, "/proc/self/cmdline"]);
        assert_eq!(same(&world, &[typed, "/proc/self/comm"]).out(), "cat\n");
    }
    // A script gets the path that the search led to, as from a shell.
    let world = world.program("script", "#!/bin/sh -u\ntr '\\0' '\\n' < /proc/$$/cmdline\n");
    let bare = world.finish(world.command("env", ["script", "x"]));
    for way in GATED {
        assert_eq!(world.finish(command(&world, way, &["script", "x"], || ())).out(), bare.out());
    }
}

#[test]
fn the_caller_s_descriptors_stay_and_none_of_gate_s_leaks() {
    let world = world();
    // Nothing else of the test process may be inherited: other tests open files at any time.
    let ran = same_after(&world, &["sh", "-c", "ls /proc/$$/fd; readlink /proc/$$/fd/5"], || {
        close_above(2, STATUS_FD);
        // SAFETY: plain system calls on literals.
        unsafe {
            let zero = libc::open(c"/dev/zero".as_ptr(), libc::O_RDONLY);
            libc::dup2(zero, 5);
            libc::dup2(zero, 200);
            // Other tests decide which number is the lowest free one.
            if zero != 5 {
                libc::close(zero);
            }
        }
    });
    assert_eq!(ran.out(), "0\n1\n2\n200\n5\n/dev/zero\n");
}

#[test]
fn closed_standard_descriptors_become_dev_null() {
    let world = world();
    for way in GATED {
        let script = "for fd in 0 1 2; do target=$(readlink /proc/$$/fd/$fd); echo $target >> out; done";
        let mut gated = command(&world, way, &["sh", "-c", script], || {
            // SAFETY: closing a descriptor touches no memory.
            (0..=2).for_each(|fd| _ = unsafe { libc::close(fd) });
        });
        gated.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        assert_eq!(world.finish(gated).code(), 0);
        let out = world.work().join("out");
        assert_eq!(fs::read_to_string(&out).unwrap(), "/dev/null\n/dev/null\n/dev/null\n", "{way:?}");
        fs::remove_file(out).unwrap();
    }
}

/// The lines of `/proc/self/status` that a wrapper could change.
const STATUS: &str =
    "grep -E '^(Sig(Blk|Ign|Cgt)|Umask|Seccomp|NoNewPrivs|Cap|Uid|Gid|Groups)' /proc/self/status; ulimit -a; ulimit -Ha; nice; umask; pwd";

#[test]
fn ignored_and_blocked_signals_umask_limits_and_niceness_are_inherited() {
    let world = world();
    let plain = same(&world, &["sh", "-c", STATUS]).out();
    let changed = same_after(&world, &["sh", "-c", STATUS], || {
        // SAFETY: plain system calls on local values.
        unsafe {
            for signal in [libc::SIGPIPE, libc::SIGHUP, libc::SIGINT, libc::SIGTSTP, libc::SIGCHLD, libc::SIGXFSZ, libc::SIGUSR2] {
                libc::signal(signal, libc::SIG_IGN);
            }
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in [libc::SIGUSR1, libc::SIGTERM, libc::SIGQUIT, libc::SIGCHLD, 40] {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
            libc::umask(0o027);
            libc::setpriority(libc::PRIO_PROCESS, 0, 7);
            let files = libc::rlimit { rlim_cur: 99, rlim_max: 100 };
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files);
        }
        limit_core(4096);
    });
    assert_ne!(plain, changed.out());
    assert_eq!(changed.code(), 0);
}

#[test]
fn a_command_that_ends_while_sigchld_is_ignored_keeps_its_status() {
    let ran = same_after(&world(), &["sh", "-c", "exit 9"], || {
        // SAFETY: SIG_IGN runs no code.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    });
    assert_eq!(ran.code(), 9);
}

#[test]
fn a_closed_pipe_kills_the_command_unless_the_caller_ignores_sigpipe() {
    let world = world();
    for way in WAYS {
        for ignored in [false, true] {
            let prepare: fn() = if ignored {
                // SAFETY: SIG_IGN runs no code.
                || _ = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) }
            } else {
                || ()
            };
            let mut yes = command(&world, way, &["yes"], prepare);
            let mut child = yes.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            drop(child.stdout.take());
            let status = child.wait().unwrap();
            assert_eq!(status.signal() == Some(libc::SIGPIPE), !ignored, "{way:?}, ignored: {ignored}, {status}");
        }
    }
}

#[test]
fn the_environment_is_byte_identical() {
    let odd = OsString::from_vec(b"\xff\xfe=x".to_vec());
    let world = world().env("KUBECONFIG", "/a:/b").env("AWS_PROFILE", "prod").env("EMPTY", "").env("ODD", odd).env("_", "/usr/bin/true");
    let ran = same(&world, &["cat", "/proc/self/environ"]);
    assert!(ran.stdout.windows(11).any(|window| window == b"AWS_PROFILE"));
}

#[test]
fn stdout_of_a_pipe_is_byte_identical_and_gate_adds_nothing() {
    let world = world().stdin((0..=255).cycle().take(300_000).collect::<Vec<u8>>());
    let ran = same(&world, &["cat"]);
    assert_eq!(ran.stdout.len(), 300_000);
    assert!(ran.stderr.is_empty());
}

#[test]
fn stdin_is_not_touched() {
    let world = world().file("home/work/lines", "one\ntwo\nthree\n");
    for way in WAYS {
        let mut one = command(&world, way, &["sh", "-c", "read a; echo $a"], || ());
        let lines = fs::File::open(world.work().join("lines")).unwrap();
        one.stdin(lines.try_clone().unwrap());
        assert_eq!(world.wait(one.spawn().unwrap()).out(), "one\n");
        let mut two = world.command("cat", [] as [&str; 0]);
        two.stdin(lines);
        assert_eq!(world.wait(two.spawn().unwrap()).out(), "two\nthree\n", "{way:?}");
    }
}

#[test]
fn in_place_means_the_same_process_and_supervised_the_same_session_and_group() {
    let world = world();
    for way in WAYS {
        let mut running = Running::start({
            let mut command = command(&world, way, &["sh", "-c", "echo $$ $PPID; ps -o pgid=,sid= -p $$; cat"], || ());
            command.stdin(Stdio::piped());
            command
        });
        let gate = running.pid().to_string();
        let line = running.line();
        let (own, parent) = line.split_once(' ').unwrap();
        if way == Way::Supervised {
            assert_eq!(parent, gate);
        } else {
            assert_eq!(own, gate);
            assert!(children(running.pid()).len() <= 1);
        }
        let groups = running.line();
        assert_eq!(groups.split_whitespace().collect::<Vec<_>>(), [&gate, &gate], "the world makes each command a session of its own");
        running.close_stdin();
        assert_eq!(running.end().0, 0);
    }
}

#[test]
fn a_signal_from_another_process_reaches_the_command_once() {
    let world = world();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGCONT,
        Signal::SIGWINCH,
    ] {
        for way in WAYS {
            let name = signal.as_str().trim_start_matches("SIG");
            let script = format!(
                "trap 'echo {name}' {name}; trap 'kill -9 $!; exit 3' TERM; sleep 1000 >/dev/null 2>&1 & echo ready; while :; do wait; done"
            );
            let mut running = Running::start(command(&world, way, &["sh", "-c", &script], || ()));
            assert_eq!(running.line(), "ready");
            running.signal(signal);
            assert_eq!(running.line(), name, "{way:?}");
            running.signal(Signal::SIGTERM);
            assert_eq!(running.end(), (3, String::new()), "{way:?}, {name}");
        }
    }
}

#[test]
fn a_signal_that_the_command_does_not_catch_ends_both_alike() {
    let world = world();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGALRM, Signal::SIGVTALRM, Signal::SIGQUIT] {
        for way in WAYS {
            let mut running = Running::start({
                let mut command = command(&world, way, &["sh", "-c", "echo ready; exec cat"], || ());
                command.stdin(Stdio::piped());
                command
            });
            assert_eq!(running.line(), "ready");
            running.signal(signal);
            assert_eq!(running.end().0, 128 + signal as i32, "{way:?}");
        }
    }
}

#[test]
fn an_alarm_set_before_exec_reaches_the_command() {
    for way in WAYS {
        let world = world();
        let mut command = command(&world, way, &["cat"], || {
            let soon =
                libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: libc::timeval { tv_sec: 1, tv_usec: 0 } };
            // SAFETY: `soon` outlives the call.
            unsafe { libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &raw const soon, 0) };
        });
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGALRM), "{way:?}");
        drop(stdin);
    }
}

#[test]
fn a_stop_is_mirrored_and_a_continue_passed_on() {
    let world = world();
    for signal in ["STOP", "TSTP"] {
        for way in WAYS {
            let script = format!("echo $$; kill -{signal} $$; echo again; exit 4");
            let mut running = Running::start(command(&world, way, &["sh", "-c", &script], || ()));
            let shell = nix::unistd::Pid::from_raw(running.line().parse().unwrap());
            // A session of its own is an orphaned group, in which only SIGSTOP stops.
            if signal == "STOP" {
                until("the command stops", || state(shell) == Some('T'));
                until("gate stops", || state(running.pid()) == Some('T'));
                running.signal(Signal::SIGCONT);
            }
            assert_eq!(running.line(), "again", "{way:?}");
            assert_eq!(running.end().0, 4);
        }
    }
}

#[test]
fn killing_gate_leaves_the_command() {
    let world = world();
    let mut command = command(&world, Way::Supervised, &["sh", "-c", "echo $$; exec cat"], || ());
    let mut running = Running::start({
        command.stdin(Stdio::piped());
        command
    });
    let shell = nix::unistd::Pid::from_raw(running.line().parse().unwrap());
    running.signal(Signal::SIGKILL);
    until("gate is gone", || matches!(state(running.pid()), None | Some('Z')));
    assert!(matches!(state(shell), Some('S' | 'R')));
    running.close_stdin();
    assert_eq!(running.end().0, 128 + 9);
    until("the command ends with its stdin", || state(shell).is_none());
}

#[test]
fn a_hangup_that_nohup_ignores_stays_ignored() {
    let world = world();
    for way in WAYS {
        let mut line = crate::contract_support::line(way, &["sh", "-c", "kill -HUP $$; echo alive"]);
        line.insert(0, "nohup".into());
        let mut command = world.command(&line[0], &line[1..]);
        // SAFETY: dup2 is async-signal-safe.
        unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, || std::io::Result::Ok(_ = libc::dup2(2, STATUS_FD))) };
        assert_eq!(world.finish(command).out(), "alive\n", "{way:?}");
    }
}

#[test]
fn everything_behind_the_dashes_is_the_command_s() {
    let world = world();
    assert_eq!(same(&world, &["echo", "--", "--status-fd", "7", "--help"]).out(), "-- --status-fd 7 --help\n");
}

#[test]
fn a_gate_below_a_gate_works_and_can_name_its_parent() {
    let world = world();
    assert_eq!(same(&world, &[GATE, "--", "sh", "-c", "exit 6"]).code(), 6);
    let ran = world.finish(command(&world, Way::Supervised, &["sh", "-c", "readlink /proc/$PPID/exe"], || ()));
    assert_eq!(ran.out().trim(), fs::canonicalize(GATE).unwrap().to_str().unwrap());
}

#[test]
fn the_status_line_says_how_it_ended_and_the_command_cannot_write_there() {
    let world = world();
    let script = format!("exec '{GATE}' --status-fd 7 -- sh -c 'echo forged >&7; exit 5' 7>status 2>/dev/null");
    assert_eq!(world.bare(["sh", "-c", &script]).code(), 5);
    let text = fs::read_to_string(world.work().join("status")).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["executed"], true);
}

#[test]
fn a_variable_that_a_rule_strips_does_not_reach_the_command() {
    let rule =
        "[[rule]]\nid = \"user.strip\"\ntool = \"env\"\neffect = \"allow\"\nenv.strip = [\"DROP_*\"]\nreason = \"they are gate's\"\n";
    let world = world().user_policy(&format!("{ALLOW}{rule}")).env("DROP_ME", "x").env("KEEP_ME", "y");
    let all = world.bare(["env"]).out();
    assert!(all.contains("DROP_ME=x\n") && all.contains("KEEP_ME=y\n"));
    for way in GATED {
        assert_eq!(world.finish(command(&world, way, &["env"], || ())).out(), all.replace("DROP_ME=x\n", ""));
    }
}

#[test]
fn a_command_whose_time_is_over_is_ended() {
    let rule = "[[rule]]\nid = \"user.slow\"\ntool = \"cat\"\neffect = \"allow\"\ntimeout = \"1s\"\nreason = \"it waits\"\n";
    let world = world().user_policy(&format!("{ALLOW}{rule}"));
    let mut slow = command(&world, Way::InPlace, &["cat"], || ());
    let mut child = slow.stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    drop(stdin);
    assert_eq!(world.finish(command(&world, Way::InPlace, &["cat", "/dev/null"], || ())).code(), 0);
}

fn limit_core(to: u64) {
    let limit = libc::rlimit { rlim_cur: to, rlim_max: libc::RLIM_INFINITY };
    let hard = libc::rlimit { rlim_cur: to, rlim_max: to };
    // SAFETY: both outlive the calls; where the hard limit is lower already, only the soft one moves.
    unsafe {
        if libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) != 0 {
            libc::setrlimit(libc::RLIMIT_CORE, &raw const hard);
        }
    }
}

/// Marks all but one to close on exec, since std still needs its error pipe until then.
fn close_above(fd: i32, but: i32) {
    // SAFETY: close_range and fcntl touch no memory.
    unsafe {
        libc::syscall(libc::SYS_close_range, fd + 1, but - 1, libc::CLOSE_RANGE_CLOEXEC);
        libc::syscall(libc::SYS_close_range, but + 1, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}
