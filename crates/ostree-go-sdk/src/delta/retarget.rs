//! Reuses a delta for other commits with the same trees.

use super::folder::{DeltaWriter, SUPERBLOCK};
use super::format::Superblock;
use super::{DeltaError, DeltaName, folder, read_superblock};
use crate::fs::context::IoContext;
use crate::repo::Repo;

/// Creates the delta `name` from `model`, whose commits have the same trees: the parts become hard
/// links, and only the superblock is written.
pub(crate) fn retarget(repo: &Repo, model: &DeltaName, name: &DeltaName) -> Result<(), DeltaError> {
    let superblock = superblock(repo, model, name)?;
    let from = folder(repo, model);
    let writer = DeltaWriter::new(repo, name)?;
    let link = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(&from)? {
            let file = entry?.file_name();
            if file != SUPERBLOCK {
                std::fs::hard_link(from.join(&file), writer.path(&file))?;
            }
        }
        Ok(())
    };
    link().context("link the parts of static delta", &from)?;
    Ok(writer.publish(&superblock)?)
}

fn superblock(repo: &Repo, model: &DeltaName, name: &DeltaName) -> Result<Superblock, DeltaError> {
    let (mut superblock, _) = read_superblock(repo, model)?;
    superblock.rename(*name);
    superblock.commit = repo.commit(name.to)?.object().variant;
    superblock.set_detached(&repo.detached(name.to)?);
    Ok(superblock)
}
