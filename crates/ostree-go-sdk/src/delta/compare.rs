//! Comparison of a delta with libostree's own delta of the same commits.

use super::folder::{DeltaWriter, SUPERBLOCK};
use super::format::Superblock;
use super::{DeltaError, DeltaName, read_superblock};
use crate::fs::context::IoContext;
use crate::repo::Repo;
use glib::prelude::*;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The sizes of a delta made here and of one made by libostree: its parts, and the objects that a
/// client fetches separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComparedDelta {
    /// The commits of the delta.
    pub name: DeltaName,
    /// The size of our delta in bytes.
    pub ours: u64,
    /// The size of libostree's delta in bytes. The smaller delta is kept.
    pub libostree: u64,
}

/// Generates an existing delta again with libostree, and keeps the smaller one.
pub(crate) fn keep_smaller(
    repo: &Repo,
    name: &DeltaName,
    time: u64,
) -> Result<ComparedDelta, DeltaError> {
    let (our_superblock, _) = read_superblock(repo, name)?;
    let writer = DeltaWriter::new(repo, name)?;
    let path = writer.path(SUPERBLOCK);
    generate(repo, name, &path).map_err(|source| repo.failed("make a static delta", source))?;
    let bytes = std::fs::read(&path).context("read static delta", &path)?;
    let libostree_superblock = Superblock::read(&bytes);
    let mut libostree_superblock = libostree_superblock.map_err(|source| DeltaError::Format {
        path: path.clone(),
        source,
    })?;
    let compared = ComparedDelta {
        name: *name,
        ours: our_superblock.download(),
        libostree: libostree_superblock.download(),
    };
    if compared.libostree < compared.ours {
        for index in 0..libostree_superblock.parts.len() {
            let part = std::fs::File::open(writer.path(index.to_string()));
            part.and_then(|part| part.sync_all())
                .context("read static delta", &path)?;
        }
        libostree_superblock.timestamp = time;
        writer.publish(&libostree_superblock)?;
    }
    Ok(compared)
}

/// Generates a delta like `ostree static-delta generate` without options, into a folder.
fn generate(repo: &Repo, name: &DeltaName, superblock: &Path) -> Result<(), glib::Error> {
    let options = glib::VariantDict::new(None);
    // Byte strings in GVariants end in NUL.
    let file = [superblock.as_os_str().as_bytes(), &[0]].concat();
    options.insert_value("filename", &file.to_variant());
    let from = name.from.map(|id| id.to_string());
    repo.as_ostree().static_delta_generate(
        ostree::StaticDeltaGenerateOpt::Major,
        from.as_deref(),
        &name.to.to_string(),
        None,
        Some(&options.end()),
        gio::Cancellable::NONE,
    )
}
