//! Detached metadata of commits: signatures, and where an SDK came from. A file beside the commit
//! object, `objects/XX/YY….commitmeta` (`_ostree_loose_path` and
//! `OSTREE_OBJECT_TYPE_COMMIT_META` of libostree).

use super::{Repo, RepoError};
use crate::fs::atomic;
use crate::id::CommitId;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;

impl Repo {
    /// Returns a commit's detached metadata, if it has any. A file that is not well-formed, as a
    /// power cut can leave one, counts as absent: it has no signature that could be valid, and
    /// the next operation that describes or signs the commit replaces it.
    pub(crate) fn detached_variant(
        &self,
        id: CommitId,
    ) -> Result<Option<glib::Variant>, RepoError> {
        let trusted = self
            .inner
            .read_commit_detached_metadata(&id.to_string(), gio::Cancellable::NONE)
            .map_err(|source| self.failed(&format!("read the metadata of {id}"), source))?;
        // libostree marks the variant as well-formed without checking it, and reading another
        // one aborts the process.
        let checked = trusted.map(|trusted| {
            glib::Variant::from_bytes_with_type(&trusted.data_as_bytes(), trusted.type_())
        });
        Ok(checked.filter(glib::Variant::is_normal_form))
    }

    /// Returns a commit's detached metadata by key; empty when it has none.
    pub(crate) fn detached(
        &self,
        id: CommitId,
    ) -> Result<BTreeMap<String, glib::Variant>, RepoError> {
        let dict = self.detached_variant(id)?;
        let entries = dict.as_ref().map(|dict| dict.iter().collect::<Vec<_>>());
        Ok(entries
            .unwrap_or_default()
            .into_iter()
            .filter_map(|e| Some((e.child_value(0).get()?, e.child_value(1).as_variant()?)))
            .collect())
    }

    /// Replaces a commit's detached metadata: durably when this returns, or within a transaction,
    /// when that is committed.
    pub(crate) fn write_detached(
        &self,
        id: CommitId,
        metadata: &glib::Variant,
    ) -> Result<(), RepoError> {
        self.inner
            .write_commit_detached_metadata(&id.to_string(), Some(metadata), gio::Cancellable::NONE)
            .map_err(|source| self.failed(&format!("write the metadata of {id}"), source))?;
        self.sync_detached(id)
    }

    /// Makes a file of detached metadata durable. Within a transaction there may be none yet: what
    /// the transaction has written is synced when it is committed.
    fn sync_detached(&self, id: CommitId) -> Result<(), RepoError> {
        if !self.syncs() {
            return Ok(());
        }
        let checksum = id.to_string();
        let (folder, rest) = checksum.split_at(2);
        let path = self
            .path
            .join(format!("objects/{folder}/{rest}.commitmeta"));
        let synced = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            opened => opened
                .and_then(|file| file.sync_all())
                .and_then(|()| atomic::sync_directory(path.parent())),
        };
        synced.map_err(|source| RepoError::Io {
            action: "sync",
            path,
            source,
        })
    }
}
