//! Static deltas: made, listed, removed.
//!
//! libostree makes them. Two commits of one tree need only one delta between them: its parts
//! hold objects, and only the superblock says which commit they are for (see [`retarget`]).
//!
//! Source of the format: `ostree-repo-static-delta-private.h`.

pub(crate) mod format;
mod name;
mod retarget;

pub use format::DeltaFormatError;
pub use name::DeltaName;
pub(crate) use retarget::retarget;

use crate::repo::{Repo, RepoError};
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

/// Makes a delta by libostree, with its defaults. Long work on one thread.
pub(crate) fn generate(repo: &Repo, name: &DeltaName) -> Result<(), RepoError> {
    let from = name.from.map(|id| id.to_string());
    // libostree looks options up in whatever it is given, and dies of none.
    let defaults = glib::VariantDict::new(None).end();
    repo.as_ostree()
        .static_delta_generate(
            ostree::StaticDeltaGenerateOpt::Major,
            from.as_deref(),
            &name.to.to_string(),
            None,
            Some(&defaults),
            gio::Cancellable::NONE,
        )
        .map_err(|source| repo.failed(&format!("make the static delta {name}"), source))
}

/// Removes a delta. That it is not there is no error.
pub(crate) fn remove(repo: &Repo, name: &DeltaName) -> Result<(), RepoError> {
    let path = folder(repo, name);
    match std::fs::remove_dir_all(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(RepoError::Io {
            action: "remove static delta",
            path,
            source,
        }),
        _ => Ok(()),
    }
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
