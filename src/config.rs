//! Where policies, log and keys live, and which files speak. The only room that reads HOME and XDG_* for that.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::policy::{LayerFiles, Layers, Policy, PolicyError, PolicyFile};
use crate::request::Context;
use crate::sys::files::{self, Owner, USUAL_LIMIT, Unsafe};
use crate::sys::names;

/// The system layer.
pub const SYSTEM: &str = "/etc/gate";

/// What is wrong with the configuration, or with where it would have to be.
#[derive(Debug)]
pub enum Refused {
    /// A policy file cannot be read as one.
    Policy(PolicyError),
    /// A file or directory is not safe, or a setting makes no sense: what, and what to do about it.
    Unsafe(String, &'static str),
    /// There is no place for the log: why.
    NoState(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(error) => error.fmt(f),
            Self::Unsafe(text, _) | Self::NoState(text) => f.write_str(text),
        }
    }
}

impl From<PolicyError> for Refused {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl From<Unsafe> for Refused {
    fn from(refused: Unsafe) -> Self {
        Self::Unsafe(refused.to_string(), "a file that others can write could allow what you would not; `gate doctor` checks them all")
    }
}

/// The files of all layers, and where the log lives.
#[derive(Debug)]
pub struct Config {
    /// What each layer says.
    pub layers: Layers,
    /// The directory of log and keys.
    state: Option<PathBuf>,
    /// The user's configuration directory.
    pub user_directory: Option<PathBuf>,
    /// The variables that moved the user's layer or state.
    pub moved: Vec<&'static str>,
    /// Project files that were skipped: which and why.
    pub skipped: Vec<String>,
}

/// A variable of this process that names an absolute directory.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

impl Config {
    /// Finds and reads all layers for the request's user and directory.
    pub fn load(context: &Context) -> Result<Self, Refused> {
        let uid = context.who.uid;
        let passwd_home = names::home(uid);
        if let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty() && !Path::new(home).is_absolute()) {
            let text = format!("HOME is `{}`, which is not an absolute path", crate::text::escape(home.as_bytes()));
            return Err(Refused::Unsafe(text, "set HOME to your home directory, or unset it"));
        }
        let system = read_layer(Path::new(SYSTEM), Owner::Root)?;
        let mut config = Self { layers: Layers::default(), state: None, user_directory: None, moved: Vec::new(), skipped: Vec::new() };
        let (mut may_move, mut named) = (true, None);
        if let Some(files) = &system {
            let head = SystemHead::of(files)?;
            may_move = head.user_may_move;
            named = head.state;
        }
        let home = if may_move { variable("HOME").or_else(|| passwd_home.clone()) } else { passwd_home.clone() };
        let places = Places::of(home.as_deref(), may_move);
        config.state = match named {
            Some(named) => Some(PathBuf::from(named.replace("@uid", &uid.to_string()).replace("@user", &safe_name(context)))),
            None => places.state,
        };
        if may_move {
            config.moved = moved(home.as_deref(), passwd_home.as_deref());
        }
        let user = match &places.config {
            Some(directory) => read_layer(directory, Owner::User(uid))?,
            None => None,
        };
        config.user_directory = places.config;
        let projects = config.projects(context)?;
        let home = home.and_then(|home| home.into_os_string().into_string().ok());
        config.layers = Layers { system, user, projects, home };
        Ok(config)
    }

    /// The directory of log and keys.
    pub fn state(&self) -> Result<&Path, Refused> {
        self.state.as_deref().ok_or_else(|| {
            Refused::NoState("there is no place for the log: HOME is not set and the user has no passwd entry; let `[state] dir` in `/etc/gate/policy.toml` name one".to_owned())
        })
    }

    /// Each `.gate.toml` from the working directory up to the root or a mount point.
    fn projects(&mut self, context: &Context) -> Result<Vec<PolicyFile>, Refused> {
        let Some(cwd) = &context.cwd else { return Ok(Vec::new()) };
        let uid = context.who.uid;
        let mut found = Vec::new();
        for directory in cwd.path.ancestors() {
            match std::fs::symlink_metadata(directory) {
                Ok(seen) if seen.dev() == cwd.dev => {}
                _ => break,
            }
            let path = directory.join(".gate.toml");
            let seen = match std::fs::symlink_metadata(&path) {
                Ok(seen) => seen,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(Refused::Unsafe(
                        format!("`{}` cannot be examined: {error}", shown(&path)),
                        "a project's file that cannot be read cannot be obeyed",
                    ));
                }
            };
            if seen.uid() != uid && seen.uid() != 0 {
                self.skipped.push(format!("`{}` belongs to another user, and is skipped", shown(&path)));
                continue;
            }
            if let Some(file) = files::read_safely(&path, Owner::User(uid), USUAL_LIMIT)? {
                found.push(PolicyFile { name: shown(&path), family: String::new(), bytes: file.bytes });
            }
        }
        Ok(found)
    }
}

/// A user's name as a part of a path: the number where there is none, or where it could lead elsewhere.
fn safe_name(context: &Context) -> String {
    let plain = |name: &&String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    context.who.user.as_ref().filter(plain).cloned().unwrap_or_else(|| context.who.uid.to_string())
}

/// What the system layer says about where things are.
struct SystemHead {
    state: Option<String>,
    user_may_move: bool,
}

impl SystemHead {
    fn of(files: &LayerFiles) -> Result<Self, Refused> {
        let alone = Layers { system: Some(LayerFiles { head: files.head.clone(), tools: files.tools.clone() }), ..Layers::default() };
        let policy = Policy::load(alone, crate::embedded::tools())?;
        let (state, user_may_move) = policy.system_state();
        Ok(Self { state, user_may_move })
    }
}

struct Places {
    config: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl Places {
    fn of(home: Option<&Path>, may_move: bool) -> Self {
        // `directories` asks the C library for the home where HOME is unset, which a static program cannot; then the passwd home stands in.
        if may_move
            && variable("HOME").is_some()
            && let Some(directories) = directories::ProjectDirs::from("", "", "gate")
        {
            return Self { config: Some(directories.config_dir().to_owned()), state: directories.state_dir().map(Path::to_owned) };
        }
        let by_variable = |name: &str| may_move.then(|| variable(name)).flatten();
        let place = |name: &str, below: &str| by_variable(name).or_else(|| home.map(|home| home.join(below))).map(|at| at.join("gate"));
        Self { config: place("XDG_CONFIG_HOME", ".config"), state: place("XDG_STATE_HOME", ".local/state") }
    }
}

fn moved(home: Option<&Path>, passwd_home: Option<&Path>) -> Vec<&'static str> {
    let mut moved: Vec<&'static str> = ["XDG_CONFIG_HOME", "XDG_STATE_HOME"].into_iter().filter(|name| variable(name).is_some()).collect();
    if home.is_some() && home != passwd_home {
        moved.push("HOME");
    }
    moved
}

fn shown(path: &Path) -> String {
    crate::text::escape(path.as_os_str().as_bytes())
}

/// Reads `policy.toml` and `policies/*.toml` of a layer; none where neither is there.
fn read_layer(directory: &Path, owner: Owner) -> Result<Option<LayerFiles>, Refused> {
    let read = |path: &Path, family: &str| -> Result<Option<PolicyFile>, Refused> {
        let file = files::read_safely(path, owner, USUAL_LIMIT)?;
        Ok(file.map(|file| PolicyFile { name: shown(path), family: family.to_owned(), bytes: file.bytes }))
    };
    let head = read(&directory.join("policy.toml"), "policy")?;
    let mut tools = Vec::new();
    let folder = directory.join("policies");
    let mut names = files::names_safely(&folder, owner)?.unwrap_or_default();
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let Some(family) = path.extension().filter(|extension| *extension == "toml").and_then(|_| path.file_stem()?.to_str()) else {
            continue;
        };
        tools.extend(read(&path, family)?);
    }
    Ok((head.is_some() || !tools.is_empty()).then_some(LayerFiles { head, tools }))
}
