//! One tree's delta, for another commit of the same tree.

use super::format::{Superblock, unwrap_signed};
use super::{DeltaName, folder};
use crate::fs::atomic;
use crate::repo::{Repo, RepoError};
use std::path::Path;

/// The superblock's file in a delta's folder.
const SUPERBLOCK: &str = "superblock";

/// Makes the delta `name` out of `model`, whose commits have the same trees: the parts become
/// hard links, the superblock is written anew. It becomes visible by one rename.
pub(crate) fn retarget(repo: &Repo, model: &DeltaName, name: &DeltaName) -> Result<(), RepoError> {
    let (from, to) = (folder(repo, model), folder(repo, name));
    let superblock = superblock(repo, &from.join(SUPERBLOCK), name)?;
    let failed = |source| RepoError::Io {
        action: "write static delta",
        path: to.clone(),
        source,
    };
    let parent = to.parent().unwrap_or(repo.path());
    std::fs::create_dir_all(parent).map_err(failed)?;
    // Not among the deltas: libostree takes every folder there for one.
    let fresh = tempfile::Builder::new()
        .prefix("delta-")
        .tempdir_in(repo.path().join("tmp"))
        .map_err(failed)?;
    for entry in std::fs::read_dir(&from).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name();
        if file != SUPERBLOCK {
            std::fs::hard_link(from.join(&file), fresh.path().join(&file)).map_err(failed)?;
        }
    }
    atomic::write(&fresh.path().join(SUPERBLOCK), &superblock.write()).map_err(failed)?;
    // As readable as the folders that libostree makes.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(fresh.path(), mode).map_err(failed)?;
    let fresh = fresh.keep();
    super::remove(repo, name)?;
    std::fs::rename(&fresh, &to).map_err(failed)
}

fn superblock(repo: &Repo, model: &Path, name: &DeltaName) -> Result<Superblock, RepoError> {
    let bytes = std::fs::read(model).map_err(|source| RepoError::Io {
        action: "read static delta",
        path: model.to_owned(),
        source,
    })?;
    let superblock = unwrap_signed(&bytes).and_then(|(bytes, _)| Superblock::read(&bytes));
    let mut superblock = superblock.map_err(|_| RepoError::Malformed {
        what: "static delta",
        id: name.to_string(),
        path: repo.path().to_owned(),
    })?;
    superblock.rename(*name);
    superblock.commit = repo.commit(name.to)?.object().variant;
    superblock.set_detached(&repo.detached(name.to)?);
    Ok(superblock)
}
