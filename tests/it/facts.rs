//! Live facts come from the tools' own files, and what those cannot tell for sure is unknown.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gate::policy::Target;
use gate::request::{Asker, Context, Cwd, Environment, Fact, FactName, Who};
use gate::sys::target::fact;
use tempfile::TempDir;

/// A scratch home with a working directory in it, for facts and for the real tools.
pub(crate) struct Place {
    root: TempDir,
    cwd: PathBuf,
    variables: Vec<(OsString, OsString)>,
    pub(crate) target: Target,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("gate-facts-").tempdir().unwrap();
        let cwd = root.path().join("work");
        fs::create_dir(&cwd).unwrap();
        let place = Self { root, cwd, variables: Vec::new(), target: Target::default() };
        let home = place.path("home");
        fs::create_dir(&home).unwrap();
        place.with("HOME", home)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(key, _)| key != name);
        self
    }

    pub(crate) fn in_directory(mut self, path: &str) -> Self {
        self.cwd = self.path(path);
        self
    }

    pub(crate) fn aimed(mut self, aim: impl FnOnce(&mut Target)) -> Self {
        aim(&mut self.target);
        self
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    /// Runs a real tool here and returns what it printed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.cwd).env_clear().envs(self.variables.iter().cloned());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.run("git", arguments).unwrap()
    }

    pub(crate) fn context(&self) -> Context {
        let cwd = Cwd { path: self.cwd.clone(), dev: 0, ino: 0 };
        Context { cwd: Some(cwd), environment: Environment::new(self.variables.clone()), ..Context::default() }
    }

    pub(crate) fn fact(&self, name: &str) -> Fact {
        fact(&FactName::parse(name).unwrap(), &self.context(), &self.target)
    }

    /// The values that are known, or why there are none.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        match self.fact(name) {
            Fact::Known { values, .. } => values,
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Why a fact is unknown, without the scratch directory's name.
    pub(crate) fn unknown(&self, name: &str) -> String {
        match self.fact(name) {
            Fact::Unknown(why) => why.replace(self.root.path().to_str().unwrap(), "ROOT"),
            other => panic!("{name} is {other:?}"),
        }
    }
}

pub(crate) fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_target_that_is_only_known_at_run_time_makes_its_facts_unknown() {
    let place = Place::new().aimed(|target| target.dynamic = true);
    for name in ["kube_context", "kube_namespace", "git_remote", "git_branch", "aws_profile", "tf_workspace", "aws_account", "gcp_project"]
    {
        assert_eq!(place.unknown(name), "the target is only known when the command runs");
    }
    assert_eq!(place.values("uid"), ["0"]);
}

#[test]
fn the_context_answers_for_the_process() {
    let mut context = Place::new().context();
    context.who = Who { uid: 7, user: Some("ann".to_owned()), tty: Some("/dev/pts/3".into()), ..Who::default() };
    context.host = "forge".to_owned();
    context.asker = Asker::Agent("codex".to_owned());
    let ask = |name: &str| fact(&FactName::parse(name).unwrap(), &context, &Target::default());
    assert_eq!(ask("user"), Fact::known("ann"));
    assert_eq!(ask("uid"), Fact::known("7"));
    assert_eq!(ask("host"), Fact::known("forge"));
    assert_eq!(ask("tty"), Fact::known("/dev/pts/3"));
    assert_eq!(ask("asker"), Fact::known("agent:codex"));
    assert_eq!(ask("cwd"), Fact::known(context.cwd.as_ref().unwrap().path.to_str().unwrap()));
}

#[test]
fn what_nobody_can_know_is_unknown_and_what_is_not_there_is_absent() {
    let context = Context::default();
    let ask = |name: &str| fact(&FactName::parse(name).unwrap(), &context, &Target::default());
    assert_eq!(ask("user"), Fact::Unknown("uid 0 has no name".to_owned()));
    assert_eq!(ask("cwd"), Fact::Unknown("the working directory was deleted".to_owned()));
    assert_eq!(ask("git_branch"), Fact::Unknown("the working directory was deleted".to_owned()));
    assert_eq!(ask("tty"), Fact::Absent);
    assert_eq!(ask("env.NONE"), Fact::Absent);
}

#[test]
fn the_groups_are_those_that_id_prints() {
    let output = Command::new("id").arg("-Gn").output().unwrap();
    let mut expected: Vec<String> = String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect();
    let mut context = Context::default();
    context.who.gid = nix_gid();
    let Fact::Known { mut values, .. } = fact(&FactName::Groups, &context, &Target::default()) else { panic!() };
    values.sort();
    expected.sort();
    assert_eq!(values, expected);
}

fn nix_gid() -> u32 {
    let output = Command::new("id").arg("-g").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn a_variable_that_is_not_text_or_that_stands_twice_is_unknown() {
    use std::os::unix::ffi::OsStrExt;
    let odd = Place::new().with("ODD", OsStr::from_bytes(b"\xff"));
    assert_eq!(odd.unknown("env.ODD"), "the value of `ODD` is not UTF-8");
    let same = Place::new().with("A", "1").with("A", "1");
    assert_eq!(same.values("env.A"), ["1"]);
    let twice = Place::new().with("A", "1").with("A", "2");
    assert_eq!(twice.unknown("env.A"), "`A` is set twice");
    assert_eq!(Place::new().with("A", "").values("env.A"), [""]);
}

#[test]
fn the_aws_profile_is_the_argvs_then_the_environments_then_default() {
    assert_eq!(Place::new().values("aws_profile"), ["default"]);
    assert_eq!(Place::new().with("AWS_PROFILE", "dev").values("aws_profile"), ["dev"]);
    assert_eq!(Place::new().with("AWS_DEFAULT_PROFILE", "dev").with("AWS_PROFILE", "").values("aws_profile"), ["dev"]);
    let named =
        Place::new().with("AWS_PROFILE", "dev").with("AWS_ACCESS_KEY_ID", "AKIA").aimed(|target| target.aws_profile = Some("prod".into()));
    assert_eq!(named.values("aws_profile"), ["prod"]);
}

#[test]
fn an_aws_profile_that_tools_would_choose_differently_is_unknown() {
    let two = Place::new().with("AWS_PROFILE", "dev").with("AWS_DEFAULT_PROFILE", "prod");
    assert_eq!(two.unknown("aws_profile"), "`AWS_DEFAULT_PROFILE` and `AWS_PROFILE` differ");
    let keys = Place::new().with("AWS_PROFILE", "dev").with("AWS_ACCESS_KEY_ID", "AKIA");
    assert_eq!(keys.unknown("aws_profile"), "`AWS_ACCESS_KEY_ID` gives credentials that belong to no profile");
}

#[test]
fn the_terraform_workspace_is_the_environments_then_the_files_then_default() {
    assert_eq!(Place::new().values("tf_workspace"), ["default"]);
    let place = Place::new().file("work/.terraform/environment", "prod\n");
    assert_eq!(place.values("tf_workspace"), ["prod"]);
    assert_eq!(place.with("TF_WORKSPACE", "dev").values("tf_workspace"), ["dev"]);
    let elsewhere = Place::new().file("work/live/.terraform/environment", "live").aimed(|target| target.directory = Some("live".into()));
    assert_eq!(elsewhere.values("tf_workspace"), ["live"]);
    let data = Place::new().file("work/live/data/environment", "other").aimed(|target| target.directory = Some("live".into()));
    assert_eq!(data.with("TF_DATA_DIR", "data").values("tf_workspace"), ["other"]);
}

#[test]
fn a_file_that_is_no_small_regular_file_is_unknown_and_never_waited_for() {
    let place = Place::new();
    fs::create_dir(place.path("work/.terraform")).unwrap();
    let file = place.path("work/.terraform/environment");
    fifo(&file);
    assert_eq!(place.unknown("tf_workspace"), "`ROOT/work/.terraform/environment` is not a regular file");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    assert_eq!(place.unknown("tf_workspace"), "`ROOT/work/.terraform/environment` is not a regular file");
    fs::remove_file(&file).unwrap();
    fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert_eq!(place.unknown("tf_workspace"), "`ROOT/work/.terraform/environment` is larger than 1 MB");
}

#[test]
fn a_fact_carries_the_digest_of_the_file_it_was_read_from() {
    let place = Place::new().file("work/.terraform/environment", "prod\n");
    let Fact::Known { files, .. } = place.fact("tf_workspace") else { panic!() };
    let [(path, digest)] = files.as_slice() else { panic!() };
    let hex: String =
        digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from_digit(nibble.into(), 16).unwrap()).collect();
    let expected = place.run("sha256sum", &[path.to_str().unwrap()]).unwrap();
    assert_eq!(hex, expected.split(' ').next().unwrap());
}
