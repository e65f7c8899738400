//! A user's policy is tested by its own tests when its bytes are new; what passed is remembered.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::policy::{self, FileKind, Layers, Policy, PolicyFile};
use crate::text::hex;

/// Runs the tests of every file that took part and is not known to have passed. One that fails denies everything.
pub(super) fn ensure(policy: &Policy, state: Option<&Path>, uid: u32) -> Result<(), Error> {
    let used = policy.used();
    if used.is_empty() {
        return Ok(());
    }
    // The tests of one file depend on the others, so what passed is the whole set.
    let name = format!("{}-{}", env!("CARGO_PKG_VERSION"), hex(&policy.digest()));
    let marker = state.map(|state| state.join("tested").join(name));
    // The user's mark says nothing about files that the user may not write; those are tested every time.
    let own = uid == 0 || policy.layers().system.is_none();
    if own && marker.as_ref().is_some_and(|marker| std::fs::symlink_metadata(marker).is_ok_and(|seen| seen.is_file())) {
        return Ok(());
    }
    for (file, kind) in files(policy.layers()) {
        if !used.iter().any(|(name, _)| *name == file.name) {
            continue;
        }
        let (_, failures) = policy::check_file(policy, file, kind)?;
        if let Some(first) = failures.into_iter().next() {
            return Err(Error::from(first.error).hint("a policy that fails its own tests allows nothing; `gate policy test` runs them all"));
        }
    }
    if let Some(marker) = marker.filter(|_| own) {
        remember(&marker);
    }
    Ok(())
}

/// Leaves a mark that this set passed. Where that fails the tests run again next time.
fn remember(marker: &PathBuf) {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(directory) = marker.parent() {
        let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        let _ = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(marker);
    }
}

/// All files of all layers, with what each may hold.
pub(super) fn files(layers: &Layers) -> impl Iterator<Item = (&PolicyFile, FileKind)> {
    let system = layers.system.iter().flat_map(|files| {
        files.head.iter().map(|file| (file, FileKind::SystemHead)).chain(files.tools.iter().map(|file| (file, FileKind::Tool)))
    });
    let user = layers.user.iter().flat_map(|files| {
        files.head.iter().map(|file| (file, FileKind::UserHead)).chain(files.tools.iter().map(|file| (file, FileKind::Tool)))
    });
    system.chain(user).chain(layers.projects.iter().map(|file| (file, FileKind::Project)))
}
