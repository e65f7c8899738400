//! Live facts: what the tools' own files and this process say, read without running anything.

mod aws;
mod gcloud;
mod git;
pub mod git_config;
mod git_repository;
mod ini;
mod kube;
pub mod kubeconfig;
pub(in crate::sys) mod reader;
mod terraform;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::files::{self, Owner};
use super::{clock, names};
use crate::policy::{Target, calendar};
use crate::request::{Context, Fact, FactName, ScriptFile, Stdin};

/// What is known about a fact, for the target that the argv names. What cannot be told for sure is unknown.
pub fn fact(name: &FactName, context: &Context, target: &Target) -> Fact {
    let here = Here { context, target };
    let found = match name {
        FactName::User => user(context),
        FactName::Uid => Ok(Fact::known(context.who.uid.to_string())),
        FactName::Groups => groups(context),
        FactName::Host => Ok(Fact::known(context.host.clone())),
        FactName::Cwd => here.cwd().and_then(text).map(Fact::known),
        FactName::Tty => context.who.tty.as_deref().map_or(Ok(Fact::Absent), |tty| text(tty).map(Fact::known)),
        FactName::Asker => Ok(Fact::known(context.asker.to_string())),
        FactName::Stdin => Ok(Fact::known(match context.stdin {
            Stdin::Tty => "tty",
            Stdin::Empty => "empty",
            Stdin::File { .. } => "file",
            Stdin::Unseen => "pipe",
        })),
        FactName::Env(name) => here.variable(name).and_then(|value| {
            let Some(value) = value else { return Ok(Fact::Absent) };
            value.to_str().map(Fact::known).ok_or_else(|| format!("the value of `{name}` is not UTF-8"))
        }),
        FactName::KubeContext => here.fixed().and_then(|()| kube::context(&here)),
        FactName::KubeNamespace => here.fixed().and_then(|()| kube::namespace(&here)),
        FactName::GitRemote => here.fixed().and_then(|()| git::remote(&here)),
        FactName::GitBranch => here.fixed().and_then(|()| git::branch(&here)),
        FactName::AwsProfile => here.fixed().and_then(|()| aws::profile(&here)),
        FactName::TfWorkspace => here.fixed().and_then(|()| terraform::workspace(&here)),
        FactName::AwsAccount => here.fixed().and_then(|()| aws::account(&here)),
        FactName::GcpProject => here.fixed().and_then(|()| gcloud::project(&here)),
        // Scripts are read for a command, not for the request.
        FactName::Script => Err("it is known of a shell only".to_owned()),
        FactName::Time => now().map(|now| Fact::known(now.to_string())),
        FactName::Freeze(path) => freeze(Path::new(path), context.who.uid),
    };
    found.unwrap_or_else(Fact::Unknown)
}

/// What a script file holds, as the shell will find it; none where it cannot be read whole.
pub fn script(name: &[u8], context: &Context) -> Option<ScriptFile> {
    let here = Here { context, target: &Target::default() };
    // A shell looks for a name without a slash on PATH when it is not here (bash(1), "COMMAND EXECUTION").
    let bytes = reader::read(&here.resolve(Path::new(OsStr::from_bytes(name))).ok()?).ok()??;
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref());
    Some(ScriptFile { bytes, sha256 })
}

fn now() -> Result<Timestamp, String> {
    let now = clock::now().map_err(|error| format!("the clock cannot be read: {error}"))?;
    // Rules speak of minutes.
    Timestamp::from_second(now.wall / 1_000_000_000).map_err(|error| error.to_string())
}

/// Whether a freeze calendar has something in force; who else could have written it is not believed.
fn freeze(path: &Path, uid: u32) -> Result<Fact, String> {
    let file = files::read_safely(path, Owner::User(uid), files::USUAL_LIMIT).map_err(|error| error.to_string())?;
    let file = file.ok_or_else(|| format!("`{}` is not there", path.display()))?;
    let found = calendar::in_force(&file.bytes, now()?)?;
    let mut reader = reader::Reader::default();
    reader.remember(path, &file.bytes);
    Ok(reader.fact(vec![if found.is_some() { "yes" } else { "no" }.to_owned()]))
}

/// The request's surroundings and what its argv says about the target.
struct Here<'a> {
    context: &'a Context,
    target: &'a Target,
}

impl<'a> Here<'a> {
    fn fixed(&self) -> Result<(), String> {
        if self.target.dynamic { Err("the target is only known when the command runs".to_owned()) } else { Ok(()) }
    }

    fn cwd(&self) -> Result<&'a Path, String> {
        match &self.context.cwd {
            Some(cwd) => Ok(&cwd.path),
            None => Err("the working directory was deleted".to_owned()),
        }
    }

    /// A path as the command will understand it.
    fn resolve(&self, path: &Path) -> Result<PathBuf, String> {
        if path.is_absolute() { Ok(path.to_owned()) } else { Ok(self.cwd()?.join(path)) }
    }

    /// The directory that the tool works in.
    fn directory(&self) -> Result<PathBuf, String> {
        match &self.target.directory {
            Some(directory) if !directory.as_os_str().is_empty() => self.resolve(directory),
            _ => Ok(self.cwd()?.to_owned()),
        }
    }

    /// The value of a variable. Programs differ in which value counts when a name stands there twice.
    fn variable(&self, name: &str) -> Result<Option<&'a OsStr>, String> {
        let mut values = self.context.environment.iter().filter(|(key, _)| key.as_bytes() == name.as_bytes());
        let first = values.next().map(|(_, value)| value);
        let differ = values.any(|(_, value)| Some(value) != first);
        if differ { Err(format!("`{name}` is set twice")) } else { Ok(first) }
    }

    /// The value of a variable that counts as not set when it is empty.
    fn filled(&self, name: &str) -> Result<Option<&'a OsStr>, String> {
        Ok(self.variable(name)?.filter(|value| !value.is_empty()))
    }

    /// The user's home directory, as the tools see it.
    fn home(&self) -> Result<PathBuf, String> {
        self.filled("HOME")?.map(PathBuf::from).ok_or_else(|| "`HOME` is not set".to_owned())
    }

    /// The same as text.
    fn filled_text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(value) = self.filled(name)? else { return Ok(None) };
        value.to_str().map(|value| Some(value.to_owned())).ok_or_else(|| format!("the value of `{name}` is not UTF-8"))
    }
}

fn user(context: &Context) -> Result<Fact, String> {
    match &context.who.user {
        Some(name) => Ok(Fact::known(name.clone())),
        None => Err(format!("uid {} has no name", context.who.uid)),
    }
}

#[cfg(not(target_vendor = "apple"))]
fn groups(context: &Context) -> Result<Fact, String> {
    let mut gids = vec![context.who.gid, nix::unistd::getegid().as_raw()];
    let more = nix::unistd::getgroups().map_err(|error| format!("the groups cannot be read: {error}"))?;
    gids.extend(more.into_iter().map(nix::unistd::Gid::as_raw));
    let names = gids.into_iter().map(names::group).collect::<Result<Vec<String>, String>>()?;
    Ok(reader::Reader::default().fact(names))
}

#[cfg(target_vendor = "apple")]
fn groups(_: &Context) -> Result<Fact, String> {
    Err("the groups cannot be read on this system".to_owned())
}

fn text(path: &Path) -> Result<String, String> {
    path.to_str().map(str::to_owned).ok_or_else(|| format!("`{}` is not UTF-8", path.display()))
}
