//! Detached metadata of commits: signatures, and the provenance of an SDK. It is a file beside the
//! commit object, `objects/XX/YY….commitmeta` (`_ostree_loose_path` and
//! `OSTREE_OBJECT_TYPE_COMMIT_META` of libostree).

use super::objects::Object;
use super::{Repo, RepoError};
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::id::CommitId;
use std::collections::BTreeMap;

impl Repo {
    /// Returns a commit's detached metadata, if it has any. A malformed file, which a power failure
    /// may leave, counts as absent: it cannot contain a valid signature, and the next operation
    /// that describes or signs the commit replaces it.
    pub(crate) fn detached_variant(
        &self,
        id: CommitId,
    ) -> Result<Option<glib::Variant>, RepoError> {
        let trusted = self
            .inner
            .read_commit_detached_metadata(&id.to_string(), gio::Cancellable::NONE)
            .map_err(|source| self.failed(&format!("read the metadata of {id}"), source))?;
        // libostree marks the variant as well-formed without checking it, and reading a malformed
        // variant that is marked so aborts the process.
        let checked = trusted.map(|trusted| {
            glib::Variant::from_bytes_with_type(&trusted.data_as_bytes(), trusted.type_())
        });
        Ok(checked.filter(glib::Variant::is_normal_form))
    }

    /// Returns a commit's detached metadata by key; empty if it has none.
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

    /// Replaces a commit's detached metadata. The change is durable when this returns, or if the
    /// commit was written by a transaction that is open, when the transaction is committed.
    ///
    /// libostree writes the file of a staged commit. It would create a temporary file beside the
    /// file of any other commit, and leave it there if the process were killed.
    pub(crate) fn write_detached(
        &self,
        id: CommitId,
        metadata: &glib::Variant,
    ) -> Result<(), RepoError> {
        let object = Object::commit(id).loose_path(self.inner.mode());
        let path = self.path.join("objects").join(object);
        if !path.exists() {
            return self
                .inner
                .write_commit_detached_metadata(
                    &id.to_string(),
                    Some(metadata),
                    gio::Cancellable::NONE,
                )
                .map_err(|source| self.failed(&format!("write the metadata of {id}"), source));
        }
        let path = path.with_extension("commitmeta");
        let written =
            self.replace_file(&path, metadata.data())
                .and_then(|()| match self.is_sync_enabled() {
                    true => atomic::sync_directory(path.parent()),
                    false => Ok(()),
                });
        Ok(written.context("write", path)?)
    }
}
