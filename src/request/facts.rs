use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of something a rule can ask about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FactName {
    /// The login name of the real uid. Proved.
    User,
    /// The real uid, in decimal. Proved.
    Uid,
    /// The names of all groups, or numbers where a group has no name. Proved.
    Groups,
    /// The host's name. Proved.
    Host,
    /// The working directory. Proved.
    Cwd,
    /// The controlling terminal's path. Proved.
    Tty,
    /// `person`, `agent:NAME` or `ci:NAME`. Claimed.
    Asker,
    /// What descriptor 0 is: `tty`, `empty`, `file` or `pipe`. Proved.
    Stdin,
    /// A variable of the environment. Claimed.
    Env(String),
    /// The kubeconfig's current context, or the one that the argv names. Claimed.
    KubeContext,
    /// The namespace that the argv or the context names. Claimed.
    KubeNamespace,
    /// The URLs of the remote that the argv names, or of all. Claimed.
    GitRemote,
    /// The branch that is checked out. Claimed.
    GitBranch,
    /// The AWS profile that is selected. Claimed.
    AwsProfile,
    /// The terraform workspace that is selected. Claimed.
    TfWorkspace,
    /// The AWS account of the profile that is selected. Claimed.
    AwsAccount,
    /// The project of the gcloud configuration, or the one that the argv names. Claimed.
    GcpProject,
    /// The time of the decision, in UTC (RFC 3339). Proved.
    Time,
    /// `read` where the script file that a shell is given could be read, else `unread`. Proved.
    Script,
    /// Whether the freeze calendar of this path has something in force: `yes` or `no`. Claimed.
    Freeze(String),
}

impl FactName {
    /// Reads a fact's name as policies write it; `env.NAME` for a variable.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "user" => Self::User,
            "uid" => Self::Uid,
            "groups" => Self::Groups,
            "host" => Self::Host,
            "cwd" => Self::Cwd,
            "tty" => Self::Tty,
            "asker" => Self::Asker,
            "stdin" => Self::Stdin,
            "kube_context" => Self::KubeContext,
            "kube_namespace" => Self::KubeNamespace,
            "git_remote" => Self::GitRemote,
            "git_branch" => Self::GitBranch,
            "aws_profile" => Self::AwsProfile,
            "tf_workspace" => Self::TfWorkspace,
            "aws_account" => Self::AwsAccount,
            "gcp_project" => Self::GcpProject,
            "time" => Self::Time,
            "script" => Self::Script,
            // Which calendar is said by the rules alone; tests speak of whichever there is.
            "freeze" => Self::Freeze(String::new()),
            other => Self::Env(other.strip_prefix("env.").filter(|rest| !rest.is_empty())?.to_owned()),
        })
    }

    /// Whether the caller could have written the value.
    pub fn claimed(&self) -> bool {
        !matches!(
            self,
            Self::User | Self::Uid | Self::Groups | Self::Host | Self::Cwd | Self::Tty | Self::Stdin | Self::Time | Self::Script
        )
    }
}

impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Uid => "uid",
            Self::Groups => "groups",
            Self::Host => "host",
            Self::Cwd => "cwd",
            Self::Tty => "tty",
            Self::Asker => "asker",
            Self::Stdin => "stdin",
            Self::Env(name) => return write!(f, "env.{name}"),
            Self::KubeContext => "kube_context",
            Self::KubeNamespace => "kube_namespace",
            Self::GitRemote => "git_remote",
            Self::GitBranch => "git_branch",
            Self::AwsProfile => "aws_profile",
            Self::TfWorkspace => "tf_workspace",
            Self::AwsAccount => "aws_account",
            Self::GcpProject => "gcp_project",
            Self::Time => "time",
            Self::Script => "script",
            Self::Freeze(path) if !path.is_empty() => return write!(f, "freeze {path}"),
            Self::Freeze(_) => "freeze",
        })
    }
}

/// What is known about a fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// Its values: one, or several for groups and remotes.
    Known {
        /// The values, never empty.
        values: Vec<String>,
        /// SHA-256 of each file that it was read from.
        files: Vec<(std::path::PathBuf, [u8; 32])>,
    },
    /// Surely not there: no such variable, no terminal, no repository.
    Absent,
    /// Could not be told for sure: why. Conditions take the stricter answer.
    Unknown(String),
}

/// Parts of names of variables whose values are secrets.
const SECRET_NAMES: &[&str] =
    &["PASSWORD", "PASSWD", "PASSPHRASE", "TOKEN", "SECRET", "API_KEY", "APIKEY", "ACCESS_KEY", "PRIVATE_KEY", "CREDENTIAL"];

impl Fact {
    /// What people and records get of it: not the value of a variable whose name says that it is a secret.
    #[must_use]
    pub fn shown(&self, name: &FactName) -> Self {
        let secret = matches!(name, FactName::Env(name) if SECRET_NAMES.iter().any(|part| name.to_ascii_uppercase().contains(part)));
        match self {
            Self::Known { values, files } if secret => {
                Self::Known { values: values.iter().map(|value| format!("hidden, {} bytes", value.len())).collect(), files: files.clone() }
            }
            other => other.clone(),
        }
    }

    /// A fact with one value that no file holds.
    pub fn known(value: impl Into<String>) -> Self {
        Self::Known { values: vec![value.into()], files: Vec::new() }
    }
}

/// The facts that were captured. One that was not captured reads as unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts(BTreeMap<FactName, Fact>);

impl Facts {
    /// Adds a fact.
    pub fn insert(&mut self, name: FactName, fact: Fact) {
        self.0.insert(name, fact);
    }

    /// What is known about a fact.
    pub fn get(&self, name: &FactName) -> Option<&Fact> {
        self.0.get(name)
    }

    /// All captured facts by name.
    pub fn iter(&self) -> impl Iterator<Item = (&FactName, &Fact)> {
        self.0.iter()
    }
}
