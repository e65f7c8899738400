//! The branch and the remote that a git command acts on.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Here;
use super::git_config::Entry;
use super::git_repository::{Head, Repository, read_config};
use super::reader::Reader;
use crate::request::Fact;

/// Where builds of git look for the configuration of the whole system.
const SYSTEM: &[&str] = &["/etc/gitconfig", "/usr/local/etc/gitconfig", "/opt/homebrew/etc/gitconfig", "/opt/local/etc/gitconfig"];

/// The branch that is checked out; absent outside a repository and where HEAD is detached.
pub(super) fn branch(here: &Here<'_>) -> Result<Fact, String> {
    let mut reader = Reader::default();
    let Some(repository) = Repository::find(here, &mut reader)? else { return Ok(Fact::Absent) };
    Ok(match repository.head(&mut reader)? {
        Head::Branch(name) => reader.fact(vec![name]),
        Head::Detached => Fact::Absent,
    })
}

/// The URLs of the remote that the argv names, else of the ones that git would choose.
pub(super) fn remote(here: &Here<'_>) -> Result<Fact, String> {
    let mut reader = Reader::default();
    let repository = Repository::find(here, &mut reader)?;
    let config = configuration(here, repository.as_ref(), &mut reader)?;
    let remotes = Remotes { config: &config, common: repository.as_ref().map(|repository| repository.common.as_path()) };
    if let Some(name) = &here.target.git_remote {
        return Ok(reader.fact(remotes.urls(name)?));
    }
    let Some(repository) = &repository else { return Ok(Fact::Absent) };
    let current = match repository.head(&mut reader)? {
        Head::Branch(name) => Some(name),
        Head::Detached => None,
    };
    let mut values = Vec::new();
    for name in remotes.chosen(current.as_deref())? {
        values.extend(remotes.urls(&name)?);
    }
    Ok(reader.fact(values))
}

/// Everything that git would read, the strongest last. What would rewrite a URL or read more files is an error.
fn configuration(here: &Here<'_>, repository: Option<&Repository>, reader: &mut Reader) -> Result<Vec<Entry>, String> {
    let by_variable = |name: &[u8]| name.starts_with(b"GIT_CONFIG");
    if let Some((name, _)) = here.context.environment.iter().find(|(name, _)| by_variable(name.as_bytes())) {
        return Err(format!("`{}` changes the configuration of git", name.display()));
    }
    let mut entries = Vec::new();
    for path in SYSTEM.iter().map(PathBuf::from).chain(global(here)?) {
        entries.extend(read_config(&path, reader)?);
    }
    if let Some(repository) = repository {
        entries.extend(repository.config(reader)?);
    }
    for entry in &entries {
        match (entry.section.as_slice(), entry.key.as_slice()) {
            (b"include" | b"includeif", _) => return Err("the configuration of git includes other files".to_owned()),
            (b"url", b"insteadof" | b"pushinsteadof") => return Err("the configuration of git rewrites URLs".to_owned()),
            _ => {}
        }
    }
    Ok(entries)
}

/// The user's own files.
fn global(here: &Here<'_>) -> Result<Vec<PathBuf>, String> {
    let home = here.variable("HOME")?.map(Path::new);
    let xdg = here.filled("XDG_CONFIG_HOME")?.map(|path| Path::new(path).join("git/config"));
    let files = [xdg.or_else(|| home.map(|home| home.join(".config/git/config"))), home.map(|home| home.join(".gitconfig"))];
    let files: Vec<PathBuf> = files.into_iter().flatten().collect();
    if files.iter().all(|path| path.is_absolute()) { Ok(files) } else { Err("HOME or XDG_CONFIG_HOME is relative".to_owned()) }
}

struct Remotes<'a> {
    config: &'a [Entry],
    common: Option<&'a Path>,
}

impl Remotes<'_> {
    /// Where git pushes and fetches without an argument; every remote where more than one could be meant.
    fn chosen(&self, branch: Option<&str>) -> Result<Vec<String>, String> {
        let branch = branch.map(str::as_bytes);
        let of_branch = |key| if branch.is_some() { self.last("branch", branch, key) } else { Ok(None) };
        let fetched = of_branch("remote")?;
        let pushed = match of_branch("pushremote")? {
            None => self.last("remote", None, "pushdefault")?,
            some => some,
        };
        if let Some(fetched) = fetched {
            return Ok([Some(fetched), pushed].into_iter().flatten().collect());
        }
        let mut names = Vec::from_iter(pushed);
        for entry in self.config.iter().filter(|entry| entry.section == b"remote") {
            if let Some(subsection) = &entry.subsection {
                names.push(utf8(subsection)?);
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The URLs of a remote, for fetching and for pushing; a name that is no remote is a URL or a path itself.
    fn urls(&self, name: &str) -> Result<Vec<String>, String> {
        let (mut urls, mut push) = (Vec::new(), Vec::new());
        for entry in self.config.iter().filter(|entry| entry.subsection.as_deref() == Some(name.as_bytes())) {
            match (entry.section.as_slice(), entry.key.as_slice()) {
                (b"remote", b"url") => urls.push(filled(entry)?),
                (b"remote", b"pushurl") => push.push(filled(entry)?),
                (b"remote", b"vcs") => return Err(format!("the remote `{name}` is reached by a helper program")),
                _ => {}
            }
        }
        if self.config.iter().any(|entry| entry.is("remotes", None, &name.to_ascii_lowercase())) {
            return Err(format!("`{name}` is a group of remotes"));
        }
        if urls.is_empty() {
            self.no_older_form(name)?;
            urls.push(name.to_owned());
        }
        urls.append(&mut push);
        Ok(urls)
    }

    /// Git still reads remotes from files that were usual before configuration held them.
    fn no_older_form(&self, name: &str) -> Result<(), String> {
        let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        let Some(common) = self.common.filter(|_| plain) else { return Ok(()) };
        if ["remotes", "branches"].iter().any(|folder| common.join(folder).join(name).symlink_metadata().is_ok()) {
            return Err(format!("the remote `{name}` is kept outside the configuration"));
        }
        Ok(())
    }

    fn last(&self, section: &str, subsection: Option<&[u8]>, key: &str) -> Result<Option<String>, String> {
        self.config.iter().rfind(|entry| entry.is(section, subsection, key)).map(filled).transpose()
    }
}

/// A value; versions of git differ in what an empty one means, and in how they read a tab.
fn filled(entry: &Entry) -> Result<String, String> {
    match &entry.value {
        Some(value) if !value.is_empty() && !value.iter().any(u8::is_ascii_control) => utf8(value),
        _ => Err(format!("`{}` in the configuration of git has no plain value", String::from_utf8_lossy(&entry.key))),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a name or URL in the configuration of git is not UTF-8".to_owned())
}
