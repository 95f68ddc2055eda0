//! Writes a delta's folder atomically.

use super::DeltaName;
use super::format::Superblock;
use crate::failpoint;
use crate::fs::atomic::{self, folder_of};
use crate::fs::context::IoFailure;
use crate::repo::{Repo, RepoError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Name of the superblock in a delta's folder.
pub(super) const SUPERBLOCK: &str = "superblock";

/// Prefix of unfinished folders in the repository's `tmp`.
const PREFIX: &str = "delta-";

/// A delta that is not visible yet. Dropping it removes everything written.
pub(super) struct DeltaWriter {
    /// The final path.
    to: PathBuf,
    folder: TempDir,
}

impl DeltaWriter {
    pub(super) fn new(repo: &Repo, name: &DeltaName) -> Result<Self, RepoError> {
        // Not among the deltas, because libostree regards every folder there as a delta.
        let tmp = repo.path().join("tmp");
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&tmp);
        let folder = folder.map_err(|source| failed(&tmp, source))?;
        let to = super::folder(repo, name);
        Ok(Self { to, folder })
    }

    /// Returns the temporary path of a file.
    pub(super) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes a part durably.
    pub(super) fn write_part(&self, index: usize, bytes: &[u8]) -> Result<(), RepoError> {
        let path = self.path(index.to_string());
        atomic::write(&path, bytes).map_err(|source| failed(&path, source))?;
        failpoint::hit("delta.part-written");
        Ok(())
    }

    /// Writes the superblock durably, and publishes the delta by one rename.
    pub(super) fn publish(self, superblock: &Superblock) -> Result<(), RepoError> {
        let to = self.to;
        let parent = to.parent().unwrap_or(&to);
        let write = || {
            fs::create_dir_all(parent)?;
            let file = self.folder.path().join(SUPERBLOCK);
            atomic::write(&file, &superblock.write())?;
            // The mode of folders created by libostree.
            fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755))
        };
        write().map_err(|source| failed(&to, source))?;
        failpoint::hit("delta.written");
        discard(folder_of(self.folder.path()), &to)?;
        let temporary = self.folder.keep();
        fs::rename(&temporary, &to)
            .inspect_err(|_| {
                // The first error is reported.
                let _ = fs::remove_dir_all(&temporary);
            })
            .and_then(|()| {
                failpoint::hit("delta.shown");
                atomic::sync_directory(Some(parent))
            })
            .map_err(|source| failed(&to, source))
    }

    /// Replaces the superblock of the existing delta, durably and by one rename.
    pub(super) fn replace_superblock(self, bytes: &[u8]) -> Result<(), RepoError> {
        let (temporary, to) = (self.path(SUPERBLOCK), self.to.join(SUPERBLOCK));
        atomic::write(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, &to))
            .and_then(|()| atomic::sync_directory(Some(self.to.as_path())))
            .map_err(|source| failed(&to, source))
    }
}

/// Removes temporary folders of processes that were killed while generating a delta. The caller must
/// hold the repository's lock, like those that generate deltas.
pub(crate) fn sweep(repo: &Repo) -> Result<(), RepoError> {
    let tmp = repo.path().join("tmp");
    let entries = fs::read_dir(&tmp).map_err(|source| failed(&tmp, source))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(|source| not_removed(&path, source))?;
        }
    }
    Ok(())
}

/// Removes a delta's folder, if it exists. It is moved to `tmp` first, so that an incomplete delta
/// is never visible: a commit with the same checksum may be created again.
pub(super) fn discard(tmp: &Path, folder: &Path) -> Result<(), RepoError> {
    let remove = || {
        if !folder.try_exists()? {
            return Ok(());
        }
        let hidden = tempfile::Builder::new().prefix(PREFIX).tempdir_in(tmp)?;
        fs::rename(folder, hidden.path().join("removed"))?;
        atomic::sync_directory(folder.parent())?;
        failpoint::hit("delta.hidden");
        hidden.close()
    };
    remove().map_err(|source| not_removed(folder, source))
}

fn not_removed(path: &Path, source: std::io::Error) -> RepoError {
    IoFailure::new("remove static delta", path, source).into()
}

fn failed(path: &Path, source: std::io::Error) -> RepoError {
    IoFailure::new("write static delta", path, source).into()
}
