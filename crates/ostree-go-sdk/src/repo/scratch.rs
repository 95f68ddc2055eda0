//! Temporary folders in a repository, which are removed after their owner has ended.

use super::{Repo, RepoError};
use crate::fs::context::IoContext;
use crate::fs::lock::Lock;
use crate::progress::Progress;
use std::fs;
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// The prefix of the names of the folders, which are in `tmp`.
const PREFIX: &str = "ostree-go-pull-";
/// Name of the lock in `tmp` that is held while a folder is created or removed.
const TMP_LOCK: &str = ".ostree-go-pull.lock";
/// Name of the lock in a folder that its owner holds. The kernel releases it when the owner ends.
const OWNER_LOCK: &str = "owner.lock";

/// A temporary folder of one process. It is removed when this is dropped or, if the process was
/// killed, by [`Repo::clean_scratch`].
#[derive(Debug)]
pub(crate) struct ScratchFolder {
    // Declared first, so that the folder is removed before the lock is released.
    folder: TempDir,
    _owner: Lock,
}

impl ScratchFolder {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Repo {
    /// Creates a temporary folder, and removes those whose owners have ended.
    pub(crate) fn scratch_folder(
        &self,
        progress: &dyn Progress,
    ) -> Result<ScratchFolder, RepoError> {
        let tmp = self.path().join("tmp");
        let _lock = self.lock_tmp(progress)?;
        clean(&tmp).context("make a folder in", &tmp)?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&tmp);
        let folder = folder.context("make a folder in", &tmp)?;
        let owner = Lock::try_exclusive(&folder.path().join(OWNER_LOCK))
            .context("make a folder in", &tmp)?;
        let owner = owner
            .ok_or(io::ErrorKind::WouldBlock)
            .context("make a folder in", &tmp)?;
        Ok(ScratchFolder {
            folder,
            _owner: owner,
        })
    }

    /// Removes the temporary folders whose owners have ended, regardless of their age.
    pub(crate) fn clean_scratch(&self, progress: &dyn Progress) -> Result<(), RepoError> {
        let tmp = self.path().join("tmp");
        let _lock = self.lock_tmp(progress)?;
        Ok(clean(&tmp).context("clean", tmp)?)
    }

    fn lock_tmp(&self, progress: &dyn Progress) -> Result<Lock, RepoError> {
        let path = self.path().join("tmp").join(TMP_LOCK);
        Ok(Lock::exclusive(&path, progress)?)
    }
}

/// Removes the folders in `tmp` whose owners have ended. The lock on `tmp` must be held, because a
/// folder that is being created has no owner yet.
fn clean(tmp: &Path) -> io::Result<()> {
    for entry in fs::read_dir(tmp)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // Symlinks are not followed.
        if !is_ours || !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        let owner = match Lock::try_exclusive(&path.join(OWNER_LOCK)) {
            // The owner has just removed the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            owner => owner?,
        };
        if owner.is_some() {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;
    use crate::repo::RepoMode;

    #[test]
    fn folders_of_ended_owners_are_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let repo = Repo::create(temporary.path(), RepoMode::BareUserOnly).unwrap();
        let tmp = temporary.path().join("tmp");
        let left = || {
            let names = fs::read_dir(&tmp).unwrap();
            let names = names.map(|e| e.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with(PREFIX)).count()
        };
        let living = repo.scratch_folder(&NoProgress).unwrap();
        // A killed process leaves the lock file, which no process holds.
        fs::create_dir(tmp.join("ostree-go-pull-dead")).unwrap();
        fs::write(tmp.join("ostree-go-pull-dead").join(OWNER_LOCK), "").unwrap();
        fs::create_dir(tmp.join("ostree-go-pull-deader")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), tmp.join("ostree-go-pull-link")).unwrap();
        repo.clean_scratch(&NoProgress).unwrap();
        assert_eq!(left(), 2);
        assert!(living.path().is_dir() && elsewhere.path().is_dir());
        drop(living);
        assert_eq!(left(), 1);
        fs::create_dir(tmp.join("ostree-go-pull-dead")).unwrap();
        let _next = repo.scratch_folder(&NoProgress).unwrap();
        assert_eq!(left(), 2);
    }
}
