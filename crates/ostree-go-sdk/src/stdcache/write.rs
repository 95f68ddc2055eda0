//! Writes a std cache that was built as objects of a repository.

use super::build::BuiltStdCache;
use super::build_error::StdCacheBuildError;
use crate::fs::context::IoContext;
use crate::fs::path::TreePath;
use crate::golang::std_cache::StdCacheIndex;
use crate::id::Sha256;
use crate::object::{FileHeader, Leaf, LeafKind, Tree};
use crate::progress::Progress;
use crate::repo::Transaction;
use crate::store::{Bytes, Content, Incoming, Written, write_files, writers};
use std::collections::BTreeMap;
use std::fs::File;

/// The tree of a std cache, whose files are in the repository.
#[derive(Debug)]
pub(crate) struct WrittenStdCache {
    pub(crate) tree: Tree,
    /// The number of files that the repository did not have.
    pub(crate) new_objects: u64,
    /// Their size in bytes.
    pub(crate) new_bytes: u64,
}

/// Writes the index and the outputs below a directory of the tree.
///
/// # Errors
/// Returns an error if an output cannot be read or is not what Go recorded, an object cannot be
/// written, or the operation is cancelled.
pub(crate) fn write(
    transaction: &Transaction<'_>,
    threads: usize,
    built: &BuiltStdCache,
    dir: &TreePath,
    progress: &dyn Progress,
) -> Result<WrittenStdCache, StdCacheBuildError> {
    let entries = built.index.0.values();
    let outputs: BTreeMap<Sha256, u64> = entries.map(|one| (one.output, one.size)).collect();
    let spool_in = transaction.repo().path().join("tmp");
    let written = write_files(writers(transaction, threads), |sink| {
        let index = built.index.to_string().into_bytes();
        sink.put(file(None, Bytes::Ready(index.into())));
        for (&output, &size) in &outputs {
            let (path, spool_in) = (built.output(output), &spool_in);
            let read = move || {
                if progress.is_cancelled() {
                    return Err(StdCacheBuildError::Cancelled);
                }
                let content = File::open(&path)
                    .and_then(|mut opened| Content::read(&mut opened, size, spool_in));
                Ok(content.context("read", &path)?)
            };
            let read = Box::new(read);
            if !sink.put(file(Some(output), Bytes::Deferred { size, read })) {
                // The error of the worker is returned instead.
                return Err(StdCacheBuildError::Cancelled);
            }
        }
        Ok(())
    })?;
    let mut all = WrittenStdCache {
        tree: Tree::default(),
        new_objects: 0,
        new_bytes: 0,
    };
    for file in &written {
        let path = match file.tag {
            Some(expected) if expected != file.sha256 => {
                return Err(StdCacheBuildError::Changed {
                    id: built.id,
                    found: file.sha256,
                    expected,
                });
            }
            Some(output) => StdCacheIndex::output_path(output),
            None => StdCacheIndex::FILE_NAME.to_owned(),
        };
        all.add(&TreePath::from_trusted(path).below(dir), file);
    }
    Ok(all)
}

/// Returns a file for the pipeline: an output, or else the index.
fn file(
    output: Option<Sha256>,
    content: Bytes<'_, StdCacheBuildError>,
) -> Incoming<'_, Option<Sha256>, StdCacheBuildError> {
    Incoming {
        tag: output,
        header: FileHeader::Regular { executable: false },
        content,
        store: true,
    }
}

impl WrittenStdCache {
    fn add(&mut self, path: &TreePath, file: &Written<Option<Sha256>>) {
        let leaf = Leaf {
            id: file.id,
            size: file.size,
            kind: LeafKind::File,
        };
        // The paths are distinct, because each output has a name of its own.
        let inserted = self.tree.insert(path, leaf);
        debug_assert!(inserted.is_ok(), "{path}");
        if file.new {
            self.new_objects += 1;
            self.new_bytes += file.size;
        }
    }
}
