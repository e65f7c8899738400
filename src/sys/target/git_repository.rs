//! Finds the repository that a git command will work in.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::Here;
use super::git_config::{self, Entry};
use super::reader::{self, Reader};

/// As many symbolic references as git follows.
const CHAIN: usize = 5;

/// Variables that put a part of the repository elsewhere.
const ELSEWHERE: &[&str] = &["GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_REFERENCE_BACKEND"];

/// A repository on disk.
pub(super) struct Repository {
    /// Where HEAD is.
    directory: PathBuf,
    /// Where branches and configuration are: the same, except in a linked worktree.
    pub(super) common: PathBuf,
}

/// What HEAD says.
pub(super) enum Head {
    Branch(String),
    Detached,
}

impl Repository {
    /// Finds the repository: the one that the argv or `GIT_DIR` names, else upward from the directory.
    pub(super) fn find(here: &Here<'_>, reader: &mut Reader) -> Result<Option<Self>, String> {
        for name in ELSEWHERE {
            if here.variable(name)?.is_some() {
                return Err(format!("`{name}` is set"));
            }
        }
        let given = match &here.target.git_dir {
            Some(given) => Some(given.clone()),
            None => here.variable("GIT_DIR")?.map(PathBuf::from),
        };
        let start = here.directory()?;
        let start = fs::canonicalize(&start).map_err(|error| format!("`{}` cannot be read: {error}", start.display()))?;
        if let Some(given) = given {
            let path = start.join(&given);
            let found = Self::at(&path, reader)?.filter(|_| !given.as_os_str().is_empty());
            return found.map(Some).ok_or_else(|| format!("`{}` is not a repository", path.display()));
        }
        // Where git would stop early (a ceiling, a file system's edge) it fails, so looking further is harmless.
        for directory in start.ancestors() {
            let inner = directory.join(".git");
            if fs::symlink_metadata(&inner).is_ok() {
                let found = Self::at(&inner, reader)?;
                return found.map(Some).ok_or_else(|| format!("`{}` is not a repository", inner.display()));
            }
            if let Some(bare) = Self::at(directory, reader)? {
                return Ok(Some(bare));
            }
        }
        Ok(None)
    }

    /// The repository whose directory, or whose `gitdir:` file, this path is.
    fn at(path: &Path, reader: &mut Reader) -> Result<Option<Self>, String> {
        let directory = if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            path.to_owned()
        } else {
            match reader.read(path)? {
                Some(bytes) => pointed(path, &bytes, b"gitdir: ")?,
                None => return Ok(None),
            }
        };
        let head = directory.join("HEAD");
        if fs::symlink_metadata(&head).is_err() {
            return Ok(None);
        }
        let common = match reader.read(&directory.join("commondir"))? {
            Some(bytes) => pointed(&directory.join("commondir"), &bytes, b"")?,
            None => directory.clone(),
        };
        let whole = ["objects", "refs"].iter().all(|part| access(&common.join(part), AccessFlags::X_OK).is_ok());
        if whole {
            // Git passes over a directory whose HEAD is none and looks further up.
            reference(&head, reader)?;
        }
        Ok(whole.then_some(Self { directory, common }))
    }

    /// The repository's own configuration, the worktree's last.
    pub(super) fn config(&self, reader: &mut Reader) -> Result<Vec<Entry>, String> {
        let mut entries = read_config(&self.common.join("config"), reader)?;
        let of_worktree = |entry: &Entry| entry.is("extensions", None, "worktreeconfig") && !says_no(entry);
        if entries.iter().any(of_worktree) {
            entries.extend(read_config(&self.directory.join("config.worktree"), reader)?);
        }
        Ok(entries)
    }

    /// What is checked out.
    pub(super) fn head(&self, reader: &mut Reader) -> Result<Head, String> {
        let config = read_config(&self.common.join("config"), reader)?;
        let other = |entry: &&Entry| entry.is("extensions", None, "refstorage") && entry.value.as_deref() != Some(b"files");
        if config.iter().any(|entry| other(&entry)) {
            return Err("the repository keeps its references in another format than files".to_owned());
        }
        let path = self.directory.join("HEAD");
        let Some(mut name) = reference(&path, reader)? else {
            return Ok(Head::Detached);
        };
        for _ in 0..CHAIN {
            let branch = name.strip_prefix("refs/heads/").ok_or_else(|| format!("HEAD is at `{name}`, which is no branch"))?;
            let odd = |part: &str| matches!(part, "" | "." | "..") || part.starts_with('.');
            if branch.split('/').any(odd) {
                return Err(format!("HEAD is at `{name}`, which is no branch that a file could hold"));
            }
            let path = self.common.join(&name);
            // A branch that is packed, or that has no commit yet, has no file of its own.
            if fs::symlink_metadata(&path).is_ok_and(|metadata| !metadata.is_dir())
                && let Some(next) = reference(&path, reader)?
            {
                name = next;
                continue;
            }
            return Ok(Head::Branch(branch.to_owned()));
        }
        Err("HEAD goes through too many symbolic references".to_owned())
    }
}

/// Reads and parses one configuration file; an absent one is empty.
pub(super) fn read_config(path: &Path, reader: &mut Reader) -> Result<Vec<Entry>, String> {
    let bytes = reader.read(path)?.unwrap_or_default();
    git_config::parse(&bytes).map_err(|what| format!("`{}`, {what}", path.display()))
}

/// The name that a reference file points to; none where it holds an object's name, which no fact depends on.
fn reference(path: &Path, reader: &mut Reader) -> Result<Option<String>, String> {
    let odd = || format!("`{}` is no reference", path.display());
    match fs::read_link(path) {
        Ok(to) if to.as_os_str().as_bytes().starts_with(b"refs/") => {
            return to.to_str().map(|name| Some(name.to_owned())).ok_or_else(odd);
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        Err(error) => return Err(format!("`{}` cannot be read: {error}", path.display())),
    }
    let bytes = reader::read(path)?.ok_or_else(odd)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| odd())?;
    let space = [' ', '\t', '\n', '\r'];
    if let Some(name) = text.strip_prefix("ref:") {
        let name = name.trim_matches(space);
        reader.remember(path, &bytes);
        let odd_name = !name.starts_with("refs/") || name.contains(|c: char| c.is_ascii_control() || c == ' ');
        return if odd_name { Err(odd()) } else { Ok(Some(name.to_owned())) };
    }
    let object = text.trim_end_matches(space);
    let named = matches!(object.len(), 40 | 64) && object.bytes().all(|byte| byte.is_ascii_hexdigit());
    if named { Ok(None) } else { Err(odd()) }
}

/// The directory that a one-line file points to, relative to where the file stands.
fn pointed(file: &Path, bytes: &[u8], prefix: &[u8]) -> Result<PathBuf, String> {
    let odd = || format!("`{}` points nowhere", file.display());
    let mut line = bytes.strip_prefix(prefix).ok_or_else(odd)?;
    while let [rest @ .., b'\n' | b'\r'] = line {
        line = rest;
    }
    if line.is_empty() || line.contains(&0) {
        return Err(odd());
    }
    let to = Path::new(std::ffi::OsStr::from_bytes(line));
    Ok(file.parent().unwrap_or(Path::new("/")).join(to))
}

fn says_no(entry: &Entry) -> bool {
    let value = entry.value.as_deref().map(<[u8]>::to_ascii_lowercase);
    matches!(value.as_deref(), Some(b"" | b"0" | b"no" | b"off" | b"false"))
}
