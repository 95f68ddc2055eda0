//! Symbolic links in the folders of a root, which are updated to match its deployments.

use super::error::DeployError;
use super::folder;
use super::root::Root;
use crate::fs::context::{IoContext, IoFailure};
use crate::fs::{atomic, tree};
use rustix::fs::AtFlags;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind as Io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Updates the links in a folder of the root, whose names start with `prefix`, so that they are the
/// wanted ones: target by name. Each link is replaced atomically. Entries that this library did not
/// create, which their targets tell, are kept, even if a wanted link has the same name.
pub(super) fn update(
    root: &Root,
    folder: &'static str,
    prefix: &str,
    mut wanted: BTreeMap<String, PathBuf>,
    is_ours: impl Fn(&Path) -> bool,
) -> Result<(), DeployError> {
    let top = folder::open(root.path())?;
    let opened = folder::directory(&top, root.path(), folder)?;
    let path = root.path().join(folder);
    let temporary = format!(".{prefix}");
    for name in tree::names(&opened).context("read directory", &path)? {
        let text = name.to_string_lossy();
        let is_temporary = text.starts_with(&temporary);
        if !is_temporary && !text.starts_with(prefix) {
            continue;
        }
        let full = path.join(&name);
        match target(&full)? {
            Some(target) if is_ours(&target) => {
                if is_temporary || !wanted.contains_key(&*text) {
                    remove_file(&opened, &name).context("remove", &full)?;
                } else if wanted.get(&*text) == Some(&target) {
                    wanted.remove(&*text);
                }
            }
            _ => {
                wanted.remove(&*text);
            }
        }
    }
    for (name, target) in wanted {
        let path = path.join(name);
        atomic::symlink(&target, &path).context("link", &path)?;
    }
    Ok(())
}

/// Returns the target of a symlink; `None` for other files.
pub(super) fn target(path: &Path) -> Result<Option<PathBuf>, DeployError> {
    match std::fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        // `readlink` fails with `EINVAL` for a file that is not a symlink.
        Err(error) if error.kind() == Io::InvalidInput => Ok(None),
        Err(error) => Err(IoFailure::new("read link", path, error).into()),
    }
}

pub(super) fn remove_file(folder: &OwnedFd, name: &OsStr) -> std::io::Result<()> {
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
}
