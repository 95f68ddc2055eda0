//! Changes to a repository that are all there or not at all.

use super::{Repo, RepoError, Staging};
use crate::failpoint;
use crate::ffi;
use crate::id::{CommitId, RefName};
use crate::object::MetadataObject;
use rustix::fs::AtFlags;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

/// What is written through it is invisible until [`Transaction::commit`]: objects stay in a
/// staging folder and refs where they were. Dropped without, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Transaction<'r> {
    repo: &'r Repo,
    /// Where its objects are until it is committed; `None` if that could not be found out.
    staging: Option<Arc<Staging>>,
    /// What to move refs to, in order.
    refs: RefCell<Vec<(RefName, CommitId)>>,
    /// Metadata objects that were written, and those of them that were new.
    metadata: Cell<(u64, u64)>,
    open: bool,
    kept: Cell<bool>,
}

impl<'r> Transaction<'r> {
    pub(super) fn begin(repo: &'r Repo) -> Result<Self, RepoError> {
        let prepare = || {
            let inner = &repo.inner;
            inner.is_writable()?;
            inner.prepare_transaction(gio::Cancellable::NONE)
        };
        let staging = Staging::of(repo, || {
            prepare()
                .map(drop)
                .map_err(|source| repo.failed("begin a transaction", source))
        })?;
        Ok(Self {
            repo,
            staging: staging.map(Arc::new),
            refs: RefCell::default(),
            metadata: Cell::default(),
            open: true,
            kept: Cell::new(false),
        })
    }

    pub(crate) fn repo(&self) -> &Repo {
        self.repo
    }

    /// Where whoever writes objects without libostree puts them.
    pub(crate) fn staging(&self) -> Option<&Arc<Staging>> {
        self.staging.as_ref()
    }

    /// Whether a file object lies in the repository uncompressed. It may also be elsewhere.
    pub(crate) fn has_bare(&self, id: &str) -> bool {
        let path = format!("{}/{}.file", &id[..2], &id[2..]);
        self.staging.as_ref().is_some_and(|staging| {
            rustix::fs::statat(staging.objects(), path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        })
    }

    /// Writes a metadata object unless it is there; says whether it was new.
    pub(crate) fn write<Id: fmt::Display>(
        &self,
        kind: ostree::ObjectType,
        object: &MetadataObject<Id>,
    ) -> Result<bool, RepoError> {
        let id = object.id.to_string();
        let inner = &self.repo.inner;
        inner
            .has_object(kind, &id, gio::Cancellable::NONE)
            .and_then(|has| {
                if !has {
                    inner.write_metadata(
                        kind,
                        Some(&id),
                        &object.variant,
                        gio::Cancellable::NONE,
                    )?;
                }
                let (total, new) = self.metadata.get();
                self.metadata.set((total + 1, new + u64::from(!has)));
                Ok(!has)
            })
            .map_err(|source| self.repo.failed(&format!("write object {id}"), source))
    }

    /// How many metadata objects were written up to now, and how many of them were new.
    pub(crate) fn metadata_objects(&self) -> (u64, u64) {
        self.metadata.get()
    }

    /// Writes a commit object that another repository has, unless it is there and undamaged.
    pub(crate) fn copy_commit(&self, from: &Repo, id: CommitId) -> Result<(), RepoError> {
        let kind = ostree::ObjectType::Commit;
        let variant = from.metadata_object(kind, &id.to_string())?;
        self.repo.remove_damaged(id)?;
        self.write(kind, &MetadataObject { id, variant })?;
        Ok(())
    }

    /// The commit a ref names, or will name.
    pub(crate) fn find(&self, name: &RefName) -> Result<Option<CommitId>, RepoError> {
        let refs = self.refs.borrow();
        match refs.iter().rev().find(|(set, _)| set == name) {
            Some((_, commit)) => Ok(Some(*commit)),
            None => self.repo.find(name),
        }
    }

    /// Moves a ref when the transaction is committed.
    pub(crate) fn set_ref(&self, name: &RefName, commit: CommitId) {
        self.refs.borrow_mut().push((name.clone(), commit));
    }

    /// Leaves what has been written for the next transaction to go on with, if this one is not
    /// committed.
    pub(crate) fn keep(&self) {
        self.kept.set(true);
    }

    /// Makes everything durable, then visible: libostree syncs the file system, moves the
    /// objects into place and syncs their folders; in a new repository whole folders of objects
    /// are moved before, after a sync of their own. Then the refs move, in the order in which
    /// they were set: libostree's own transaction would move them in no order, and a crash
    /// could leave a release without its layers' refs.
    pub(crate) fn commit(mut self) -> Result<(), RepoError> {
        let inner = &self.repo.inner;
        if let Some(staging) = &self.staging {
            let syncs = inner.config().boolean("core", "fsync").unwrap_or(true);
            staging
                .move_folders(syncs)
                .map_err(|source| RepoError::Io {
                    action: "move objects from",
                    path: staging.path().to_owned(),
                    source,
                })?;
            failpoint::hit("transaction.folders-moved");
        }
        ffi::commit_transaction(inner)
            .map_err(|source| self.repo.failed("commit the transaction", source))?;
        self.open = false;
        failpoint::hit("transaction.objects-moved");
        for (name, commit) in self.refs.take() {
            if self.repo.find(&name)? == Some(commit) {
                continue;
            }
            let commit = commit.to_string();
            inner
                .set_ref_immediate(None, name.as_str(), Some(&commit), gio::Cancellable::NONE)
                .map_err(|source| self.repo.failed(&format!("move ref {name}"), source))?;
            failpoint::hit("transaction.ref-moved");
        }
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // libostree keeps the objects for the next transaction. They may be what was refused,
            // or what filled the disk. It has the folder locked as long as the transaction is open.
            if let Some(staging) = self.staging.as_ref().filter(|_| !self.kept.get()) {
                let _ = std::fs::remove_dir_all(staging.path());
            }
            let _ = self.repo.inner.abort_transaction(gio::Cancellable::NONE);
        }
    }
}
