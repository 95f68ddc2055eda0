//! Files of SDKs with the SELinux labels of the OS.

use super::OverlayError;
use super::labels::Labels;
use crate::export::read_leaf;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId};
use crate::object::{AnyHeader, FileHasher};
use crate::parallel;
use crate::progress::{Event, Phase, Progress};
use crate::repo::{Repo, Transaction};
use crate::store::{self, Content, ObjectWriter};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file of an SDK, without a label.
#[derive(Debug, Clone, Copy)]
pub(super) struct SdkFile {
    pub(super) id: FileId,
    pub(super) of: CommitId,
}

/// A file of an SDK, read, checked and labelled for the OS.
pub(super) struct Labelled {
    pub(super) id: FileId,
    header: AnyHeader,
    content: Vec<u8>,
}

/// Reads a file of an SDK and adds the label for its path.
pub(super) fn labelled(
    repo: &Repo,
    labels: &Labels,
    path: &TreePath,
    id: FileId,
) -> Result<Labelled, OverlayError> {
    let mut leaf = read_leaf(repo, path, id)?;
    let changed = labels.apply(path, leaf.header.mode, &mut leaf.header.xattrs)?;
    let id = match changed {
        true => {
            let mut hasher = FileHasher::framed(&leaf.header.framed());
            hasher.update(&leaf.content);
            hasher.finish()
        }
        false => id,
    };
    Ok(Labelled {
        id,
        header: leaf.header,
        content: leaf.content,
    })
}

/// The result of writing files.
#[derive(Debug, Default)]
pub(super) struct WrittenFiles {
    /// The object of each path.
    pub(super) ids: BTreeMap<TreePath, FileId>,
    /// The size of all files in bytes.
    pub(super) bytes: u64,
    /// The number of objects that were not in the repository.
    pub(super) new_objects: u64,
    /// The size of the content of the new objects in bytes.
    pub(super) new_bytes: u64,
}

/// Writes files of SDKs into an open transaction, on every core. Files that need no label are
/// copied from the SDK's repository as objects, by hard link where possible.
pub(super) fn write(
    transaction: &Transaction<'_>,
    sdk_repo: &Repo,
    labels: &Labels,
    files: &[(TreePath, SdkFile)],
    item: &str,
    progress: &dyn Progress,
) -> Result<WrittenFiles, OverlayError> {
    let done = AtomicU64::new(0);
    let state = || {
        let repo = transaction.repo().clone();
        (repo, sdk_repo.clone(), store::writer(transaction))
    };
    let results = parallel::map(files, state, |(repo, sdk_repo, writer), (path, file)| {
        if progress.is_cancelled() {
            return Err(OverlayError::Cancelled);
        }
        let Labelled {
            id,
            header,
            content,
        } = labelled(sdk_repo, labels, path, file.id)?;
        let size = content.len() as u64;
        let is_new = !writer.has(id)?;
        if is_new && id == file.id {
            repo.import_verified_file(sdk_repo, id)?;
        } else if is_new {
            writer.write_any(id, &header, &Content::from(content))?;
        }
        progress.event(&Event::Advanced {
            phase: Phase::Write,
            item,
            done: done.fetch_add(size, Ordering::Relaxed) + size,
            total: None,
        });
        Ok((path.clone(), id, size, is_new))
    });
    progress.event(&Event::Finished {
        phase: Phase::Write,
        item,
    });
    // Two threads may have written the same object.
    let mut new = HashSet::new();
    let mut written = WrittenFiles::default();
    for (path, id, size, is_new) in results? {
        written.ids.insert(path, id);
        written.bytes += size;
        if is_new && new.insert(id) {
            written.new_objects += 1;
            written.new_bytes += size;
        }
    }
    Ok(written)
}
