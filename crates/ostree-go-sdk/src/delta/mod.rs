//! Static deltas: made, listed, removed.
//!
//! [`generate`] makes them, without libostree. Two commits of one tree need only one delta between them: its parts
//! hold objects, and only the superblock says which commit they are for (see [`retarget`]).
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
pub(crate) use compile::{Making, generate};
pub use details::{DeltaDetails, DeltaFallback, DeltaPart, PatchedFile, delta_details};
pub use error::DeltaError;
pub(crate) use folder::sweep;
pub use format::DeltaFormatError;
pub use name::DeltaName;
pub(crate) use retarget::retarget;
pub use signed::verify_delta;
pub(crate) use signed::{DeltaTrust, sign};

use crate::repo::{Repo, RepoError};
use format::{Signatures, Superblock, unwrap_signed};
use std::path::{Path, PathBuf};

/// A static delta of a repository.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeltaInfo {
    /// Between which commits it is.
    pub name: DeltaName,
    /// Bytes of its superblock and parts. Large objects that are fetched on their own are not
    /// in it.
    pub bytes: u64,
}

/// Every static delta of a repository, ordered by name.
///
/// # Errors
/// When they cannot be read.
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
            let bytes = size(&folder(repo, &name)).map_err(|source| RepoError::Io {
                action: "read static delta",
                path: folder(repo, &name),
                source,
            })?;
            Ok(DeltaInfo { name, bytes })
        })
        .collect()
}

/// Reads the superblock of a delta, and the signatures around it, which nobody has checked.
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

/// The bytes of a superblock's file.
fn superblock_bytes(repo: &Repo, name: &DeltaName) -> Result<Vec<u8>, DeltaError> {
    let path = folder(repo, name).join(folder::SUPERBLOCK);
    std::fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => DeltaError::NotFound {
            name: *name,
            path: repo.path().to_owned(),
        },
        _ => DeltaError::Repo(RepoError::Io {
            action: "read static delta",
            path,
            source,
        }),
    })
}

/// Removes a delta. That it is not there is no error.
pub(crate) fn remove(repo: &Repo, name: &DeltaName) -> Result<(), RepoError> {
    folder::discard(&repo.path().join("tmp"), &folder(repo, name))
}

/// Removes the deltas to commits that are not in the repository, and what a killed process has
/// left of others. To be called with the repository's lock held.
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

/// The folder of a delta's files.
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
