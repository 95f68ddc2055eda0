//! Static deltas: generating, listing and removing.
//!
//! Deltas are generated without libostree. Deltas between different commits of the same trees can
//! share their parts, because parts contain objects, and only the superblock refers to commits.
//!
//! Source of the format: `ostree-repo-static-delta-private.h`.

mod compare;
mod compile;
mod details;
mod error;
mod folder;
pub(crate) mod format;
mod name;
mod retarget;
mod signed;
#[cfg(test)]
mod testing;

pub use compare::ComparedDelta;
pub(crate) use compare::keep_smaller;
pub use compile::DeltaPreset;
pub(crate) use compile::{GenerateOptions, generate};
pub use details::{DeltaDetails, DeltaFallback, DeltaPart, PatchedFile, delta_details};
pub use error::DeltaError;
pub(crate) use folder::sweep;
pub use format::DeltaFormatError;
pub use name::DeltaName;
pub(crate) use retarget::retarget;
pub use signed::verify_delta;
pub(crate) use signed::{DeltaTrust, sign};

use crate::fs::context::{IoContext, IoFailure};
use crate::repo::{Repo, RepoError};
use format::{Signatures, Superblock, unwrap_signed};
use std::path::{Path, PathBuf};

/// A static delta of a repository.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeltaInfo {
    /// The commits of the delta.
    pub name: DeltaName,
    /// The total size of superblock and parts in bytes, without objects that are fetched
    /// separately.
    pub bytes: u64,
}

/// Returns all static deltas of a repository, sorted by name.
///
/// # Errors
/// Returns an error if the deltas cannot be read.
pub fn deltas(repo: &Repo) -> Result<Vec<DeltaInfo>, RepoError> {
    let names = repo
        .as_ostree()
        .list_static_delta_names(gio::Cancellable::NONE)
        .map_err(|source| repo.failed("list static deltas", source))?;
    let mut names: Vec<DeltaName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let bytes =
                size(&folder(repo, &name)).context("read static delta", folder(repo, &name))?;
            Ok(DeltaInfo { name, bytes })
        })
        .collect()
}

/// Reads the superblock of a delta, and its signatures without verifying them.
fn read_superblock(repo: &Repo, name: &DeltaName) -> Result<(Superblock, Signatures), DeltaError> {
    let bytes = superblock_bytes(repo, name)?;
    let read = || {
        let (bytes, signatures) = unwrap_signed(&bytes)?;
        Ok((Superblock::read(&bytes)?, signatures))
    };
    read().map_err(|source| DeltaError::Format {
        path: folder(repo, name).join(folder::SUPERBLOCK),
        source,
    })
}

/// Reads the file of a superblock.
fn superblock_bytes(repo: &Repo, name: &DeltaName) -> Result<Vec<u8>, DeltaError> {
    let path = folder(repo, name).join(folder::SUPERBLOCK);
    std::fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => DeltaError::NotFound {
            name: *name,
            path: repo.path().to_owned(),
        },
        _ => DeltaError::Repo(IoFailure::new("read static delta", path, source).into()),
    })
}

/// Removes a delta, if it exists.
pub(crate) fn remove(repo: &Repo, name: &DeltaName) -> Result<(), RepoError> {
    folder::discard(&repo.path().join("tmp"), &folder(repo, name))
}

/// Removes the deltas to commits that are not in the repository, and unfinished deltas of killed
/// processes. The caller must hold the repository's lock.
pub(crate) fn prune(repo: &Repo) -> Result<(), RepoError> {
    sweep(repo)?;
    let names = repo
        .as_ostree()
        .list_static_delta_names(gio::Cancellable::NONE)
        .map_err(|source| repo.failed("list static deltas", source))?;
    for name in names.iter().filter_map(|name| name.parse().ok()) {
        let name: DeltaName = name;
        if !repo.has_commit(name.to)? {
            remove(repo, &name)?;
        }
    }
    Ok(())
}

/// Returns the folder of a delta.
fn folder(repo: &Repo, name: &DeltaName) -> PathBuf {
    repo.path().join(name.path())
}

fn size(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
