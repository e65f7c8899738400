//! What was found and held is what runs, and a file that somebody else could have written decides nothing.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gate::request::{Kind, Place};
use gate::sys::files::{Owner, USUAL_LIMIT, names_safely, read_safely};
use gate::sys::held::Pin;
use gate::sys::resolve::{NotRunnable, Resolved, find};
use tempfile::TempDir;

use crate::world::set_mode;

/// A directory of this user's, below which nobody else can write.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        set_mode(directory.path(), 0o755);
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        set_mode(&path, mode);
        path
    }

    fn find(&self, name: &str) -> Resolved {
        find(self.path(name).as_os_str(), None).unwrap()
    }
}

fn me() -> Owner {
    Owner::User(nix::unistd::geteuid().as_raw())
}

fn kind(bytes: &[u8]) -> Kind {
    let scratch = Scratch::new();
    scratch.file("program", bytes, 0o755);
    scratch.find("program").program.kind
}

fn script(interpreter: &str, argument: Option<&str>) -> Kind {
    Kind::Script { interpreter: interpreter.into(), argument: argument.map(Into::into) }
}

#[test]
fn a_program_is_what_the_kernel_makes_of_its_first_bytes() {
    assert_eq!(kind(b"\x7fELF\x02"), Kind::Elf);
    assert_eq!(kind(b"#!/bin/sh\n"), script("/bin/sh", None));
    assert_eq!(kind(b"#! \t/bin/sh \t-e  -u \n"), script("/bin/sh", Some("-e  -u")));
    assert_eq!(kind(b"#!/bin/sh"), script("/bin/sh", None));
    assert_eq!(kind(b"#!\n/bin/sh"), Kind::Text);
    assert_eq!(kind(b"#!  \n"), Kind::Text);
    assert_eq!(kind(b""), Kind::Text);
    assert_eq!(kind(b"echo hi\n"), Kind::Text);
    assert_eq!(kind(format!("#!/{}\n", "x".repeat(300)).as_bytes()), Kind::Text);
}

#[test]
fn a_program_in_a_root_owned_place_is_trusted_and_a_copy_of_it_is_not() {
    let found = find(OsStr::new("env"), Some(OsStr::new("/nowhere:/usr/bin"))).unwrap();
    assert_eq!((found.program.path.to_str(), &found.program.place), (Some("/usr/bin/env"), &Place::Trusted));
    let scratch = Scratch::new();
    fs::copy("/usr/bin/env", scratch.path("git")).unwrap();
    set_mode(&scratch.path("git"), 0o777);
    let Place::Untrusted(why) = scratch.find("git").program.place else { panic!("trusted") };
    assert!(why.contains("can be written by others") || why.contains("belongs to uid"), "{why}");
    set_mode(&scratch.path("git"), 0o755);
    symlink("/usr/bin/env", scratch.path("link")).unwrap();
    set_mode(scratch.0.path(), 0o757);
    let Place::Untrusted(why) = scratch.find("link").program.place else { panic!("trusted by a link that anybody can replace") };
    assert!(why.contains('`'), "{why}");
    set_mode(scratch.0.path(), 0o755);
    assert!(scratch.find("link").program.real.ends_with("env"));
}

#[test]
fn a_search_that_finds_nothing_says_which_of_both_it_was() {
    let scratch = Scratch::new();
    scratch.file("plain", "x", 0o644);
    let path = scratch.0.path().as_os_str();
    assert!(matches!(find(OsStr::new("plain"), Some(path)), Err(NotRunnable::NotExecutable(_))));
    assert!(matches!(find(OsStr::new("absent"), Some(path)), Err(NotRunnable::NotFound(_))));
    assert!(matches!(find(OsStr::new(""), Some(path)), Err(NotRunnable::NotFound(_))));
    assert!(find(OsStr::new("sh"), None).is_ok());
    symlink("loop", scratch.path("loop")).unwrap();
    assert!(matches!(find(OsStr::new("loop"), Some(path)), Err(NotRunnable::NotExecutable(_))));
}

#[test]
fn a_program_that_is_swapped_or_edited_while_it_is_held_is_found_out() {
    let scratch = Scratch::new();
    let program = scratch.file("program", "#!/bin/sh\necho one\n", 0o755);
    let held = scratch.find("program").held;
    assert_eq!(held.still_the_same(), Ok(()));

    scratch.file("other", "#!/bin/sh\necho two\n", 0o755);
    fs::rename(scratch.path("other"), &program).unwrap();
    assert!(held.still_the_same().unwrap_err().to_string().contains("another file"));

    let held = scratch.find("program").held;
    fs::write(&program, "#!/bin/sh\necho six\n").unwrap();
    assert!(held.still_the_same().is_err());
}

#[test]
fn a_flipped_link_and_a_swapped_interpreter_are_found_out() {
    let scratch = Scratch::new();
    scratch.file("a", "#!/bin/sh\n", 0o755);
    scratch.file("b", "#!/bin/sh\n", 0o755);
    symlink("a", scratch.path("link")).unwrap();
    let held = scratch.find("link").held;
    fs::remove_file(scratch.path("link")).unwrap();
    symlink("b", scratch.path("link")).unwrap();
    assert!(held.still_the_same().is_err());

    fs::copy("/bin/sh", scratch.path("interpreter")).unwrap();
    scratch.file("script", format!("#!{}\n", scratch.path("interpreter").display()), 0o755);
    let held = scratch.find("script").held;
    fs::copy("/bin/cat", scratch.path("new")).unwrap();
    fs::rename(scratch.path("new"), scratch.path("interpreter")).unwrap();
    assert!(held.still_the_same().unwrap_err().to_string().contains("interpreter"));
}

#[test]
fn a_hashed_program_that_the_caller_may_write_is_leased_and_a_writer_is_found_out() {
    let scratch = Scratch::new();
    let program = scratch.file("program", "#!/bin/sh\n", 0o755);
    let mut held = scratch.find("program").held;
    let digest = held.hash().unwrap().unwrap();
    assert_eq!(digest.as_slice(), ring::digest::digest(&ring::digest::SHA256, b"#!/bin/sh\n").as_ref());
    assert_eq!(held.pin(), &Pin::Leased);
    assert_eq!(held.still_the_same(), Ok(()));

    // Opening to write breaks the lease; without waiting, the kernel says so at once.
    let path = CString::new(program.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a C string; nothing is opened when the lease stands in the way.
    assert_eq!(unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK) }, -1);
    assert!(held.still_the_same().unwrap_err().to_string().contains("to write it"));
    drop(held);
    fs::write(&program, "free again").unwrap();

    let writer = fs::OpenOptions::new().append(true).open(&program).unwrap();
    let mut held = scratch.find("program").held;
    held.hash().unwrap();
    assert!(matches!(held.pin(), Pin::Unpinned(_)), "no lease while a writer has it open");
    drop(writer);
}

#[test]
fn a_pinned_file_that_changes_is_found_out() {
    let scratch = Scratch::new();
    scratch.file("program", "#!/bin/sh\n", 0o755);
    let manifest = scratch.file("manifest.yaml", "replicas: 1\n", 0o644);
    let mut held = scratch.find("program").held;
    let pinned = held.pin_file(2, manifest.as_os_str()).unwrap();
    assert_eq!(pinned.sha256.as_slice(), ring::digest::digest(&ring::digest::SHA256, b"replicas: 1\n").as_ref());
    assert_eq!(held.still_the_same(), Ok(()));
    fs::write(&manifest, "replicas: 9\n").unwrap();
    assert!(held.still_the_same().unwrap_err().to_string().contains("manifest.yaml"));
    assert!(held.pin_file(2, OsStr::new("/dev/zero")).is_err());
    nix::unistd::mkfifo(&scratch.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(held.pin_file(2, scratch.path("fifo").as_os_str()).is_err());
}

#[test]
fn a_safe_file_is_read_and_an_absent_one_is_absent() {
    let scratch = Scratch::new();
    let path = scratch.file("gate/policy.toml", "version = 1\n", 0o644);
    let read = read_safely(&path, me(), USUAL_LIMIT).unwrap().unwrap();
    assert_eq!((read.bytes.as_slice(), read.identity.size), (b"version = 1\n".as_slice(), 12));
    assert_eq!(names_safely(&scratch.path("gate"), me()).unwrap().unwrap(), ["policy.toml"]);
    for absent in ["gate/other.toml", "nothing/at/all", "gate/policy.toml/below"] {
        assert_eq!(read_safely(&scratch.path(absent), me(), USUAL_LIMIT), Ok(None));
    }
    symlink(&path, scratch.path("link")).unwrap();
    assert_eq!(read_safely(&scratch.path("link"), me(), USUAL_LIMIT).unwrap().unwrap().real, path);
}

/// The refusal of a path, with the scratch directory left out.
fn refusal(scratch: &Scratch, name: &str, owner: Owner) -> String {
    let path = if name.starts_with('/') { PathBuf::from(name) } else { scratch.path(name) };
    let refused = read_safely(&path, owner, 16).unwrap_err().to_string();
    refused.replace(scratch.path("").to_str().unwrap(), "")
}

#[test]
fn an_unsafe_file_is_refused_by_its_name_and_the_reason() {
    let scratch = Scratch::new();
    scratch.file("open", "x", 0o646);
    assert_eq!(refusal(&scratch, "open", me()), "`open` can be written by others");
    scratch.file("wide/inner/file", "x", 0o644);
    set_mode(&scratch.path("wide"), 0o757);
    assert_eq!(refusal(&scratch, "wide/inner/file", me()), "`wide` can be written by others");
    scratch.file("large", "12345678901234567", 0o644);
    assert_eq!(refusal(&scratch, "large", me()), "`large` is larger than 16 bytes");
    scratch.file("directory/x", "x", 0o644);
    assert_eq!(refusal(&scratch, "directory", me()), "`directory` is a directory, not a file");
    nix::unistd::mkfifo(&scratch.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(refusal(&scratch, "fifo", me()), "`fifo` is a named pipe, not a file");
    symlink("nothing", scratch.path("dangling")).unwrap();
    assert_eq!(refusal(&scratch, "dangling", me()), "`dangling` is a symbolic link that leads to nothing");
    symlink("gone", scratch.path("house")).unwrap();
    assert_eq!(refusal(&scratch, "house/policy.toml", me()), "`house` is a symbolic link that leads to nothing");
    symlink("round", scratch.path("round")).unwrap();
    assert!(refusal(&scratch, "round", me()).starts_with("`round` cannot be followed: too many levels"));
    assert!(refusal(&scratch, "/dev/null", Owner::Root).contains("`/dev/null`"));
    assert!(read_safely(Path::new("relative"), me(), 16).unwrap_err().to_string().contains("not an absolute path"));
}

#[test]
fn a_file_or_link_of_somebody_else_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.file("theirs", "x", 0o644);
    if nix::unistd::geteuid().is_root() {
        nix::unistd::chown(&path, Some(12345.into()), None).unwrap();
        assert_eq!(refusal(&scratch, "theirs", me()), "`theirs` belongs to uid 12345");
        scratch.file("mine", "x", 0o644);
        symlink("mine", scratch.path("trap")).unwrap();
        nix::unistd::fchownat(
            nix::fcntl::AT_FDCWD,
            &scratch.path("trap"),
            Some(12345.into()),
            None,
            nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
        )
        .unwrap();
        assert_eq!(refusal(&scratch, "trap", me()), "`trap` belongs to uid 12345");
    } else {
        assert!(read_safely(&path, Owner::Root, 16).unwrap_err().to_string().contains("belongs to uid"));
    }
}

#[test]
fn a_sticky_directory_is_no_danger_but_a_group_s_file_is() {
    let scratch = Scratch::new();
    let path = scratch.file("sticky/file", "x", 0o644);
    set_mode(&scratch.path("sticky"), 0o1777);
    assert!(read_safely(&path, me(), 16).unwrap().is_some());
    assert!(names_safely(&scratch.path("sticky"), me()).is_err());
    set_mode(&path, 0o664);
    if nix::unistd::geteuid().is_root() {
        nix::unistd::chown(&path, None, Some(54321.into())).unwrap();
        assert_eq!(refusal(&scratch, "sticky/file", me()), "`sticky/file` can be written by its group");
    }
}

#[test]
fn a_program_that_can_only_be_executed_still_runs() {
    // root reads everything, so this needs another user; where the tests run as one already, that one will do.
    let world = crate::contract_support::world();
    let root = world.root().to_owned();
    set_mode(&root, 0o755);
    let program = root.join("secretive");
    fs::copy("/bin/true", &program).unwrap();
    set_mode(&program, 0o111);
    let world = if nix::unistd::geteuid().is_root() { world.user(65_533) } else { world };
    assert_eq!(world.run([OsStr::new("--"), program.as_os_str()]).code(), 0);
}

#[test]
fn a_pinned_stdin_is_hashed_without_moving_its_offset() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"skip me, read me").unwrap();
    file.seek(std::io::SeekFrom::Start(9)).unwrap();
    let exe = std::env::current_exe().unwrap();
    let mut child = Command::new(exe);
    child.args(["--exact", "exec::prints_what_stdin_is_for_the_test_above", "--nocapture"]).stdin(file.try_clone().unwrap());
    let output = child.stdout(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("File { offset: 9, size: 16, sha256: Some(["), "{text}");
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "read me");
}

#[test]
fn prints_what_stdin_is_for_the_test_above() {
    let mut held = find(OsStr::new("true"), None).unwrap().held;
    println!("{:?}", held.pin_stdin().unwrap());
    assert_eq!(held.still_the_same(), Ok(()));
}
