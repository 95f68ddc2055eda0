//! Transactions: changes to a repository that take effect completely or not at all.

use super::objects::{Object, Objects};
use super::{Completeness, Partial, RefMove, Repo, RepoError, Staging};
use crate::failpoint;
use crate::ffi;
use crate::fs::context::IoContext;
use crate::id::{CommitId, RefName};
use crate::object::MetadataObject;
use rustix::fs::AtFlags;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A transaction, whose changes are invisible until [`Transaction::commit`]: objects are in a
/// staging folder, and refs have not been moved. A transaction that is dropped before leaves
/// nothing behind.
#[derive(Debug)]
pub(crate) struct Transaction<'r> {
    repo: &'r Repo,
    /// The folder of its objects until it is committed; `None` if it could not be determined.
    staging: Option<Arc<Staging>>,
    /// The refs to move, in order.
    refs: RefCell<Vec<RefMove>>,
    /// The commits that were written, whether they are new or not.
    commits: RefCell<BTreeSet<CommitId>>,
    /// True if the commits have to stay marked as partial.
    partial: Cell<bool>,
    /// The number of metadata objects that were written, and the number of those that were new.
    metadata: Cell<(u64, u64)>,
    open: bool,
    keeps_staged_objects: Cell<bool>,
}

impl Repo {
    /// Begins a transaction. A process can have only one open transaction in a repository handle.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be written, or a prune holds the lock until the
    /// timeout.
    pub(crate) fn begin(&self) -> Result<Transaction<'_>, RepoError> {
        Transaction::begin(self)
    }
}

impl<'r> Transaction<'r> {
    fn begin(repo: &'r Repo) -> Result<Self, RepoError> {
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
            commits: RefCell::default(),
            partial: Cell::new(false),
            metadata: Cell::default(),
            open: true,
            keeps_staged_objects: Cell::new(false),
        })
    }

    pub(crate) fn repo(&self) -> &Repo {
        self.repo
    }

    /// Returns the folder for objects that are written without libostree.
    pub(crate) fn staging(&self) -> Option<&Arc<Staging>> {
        self.staging.as_ref()
    }

    /// Returns true if a file object is in the repository, uncompressed. It may also be in the
    /// staging folder or in a parent repository.
    pub(crate) fn has_uncompressed_file(&self, id: &str) -> bool {
        let path = format!("{}/{}.file", &id[..2], &id[2..]);
        self.staging.as_ref().is_some_and(|staging| {
            rustix::fs::statat(staging.objects(), path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        })
    }

    /// Writes a metadata object unless it exists; returns true if it was new.
    pub(crate) fn write<Id: fmt::Display>(
        &self,
        kind: ostree::ObjectType,
        object: &MetadataObject<Id>,
    ) -> Result<bool, RepoError> {
        let is_new = !self.repo.has_object(kind, &object.id)?;
        if is_new {
            self.repo
                .write_metadata(kind, &object.id, &object.variant)?;
        }
        if kind == ostree::ObjectType::Commit {
            let id = object.id.to_string().parse::<CommitId>();
            self.commits.borrow_mut().extend(id);
        }
        let (total, new) = self.metadata.get();
        self.metadata.set((total + 1, new + u64::from(is_new)));
        Ok(is_new)
    }

    /// Returns the number of metadata objects that were written so far, and the number of those
    /// that were new.
    pub(crate) fn metadata_objects(&self) -> (u64, u64) {
        self.metadata.get()
    }

    /// Copies a commit object from another repository, unless it exists and is undamaged.
    pub(crate) fn copy_commit(&self, from: &Repo, id: CommitId) -> Result<(), RepoError> {
        let kind = ostree::ObjectType::Commit;
        let variant = from.metadata_object(kind, &id.to_string())?;
        self.repo.delete_damaged_commit(id)?;
        self.write(kind, &MetadataObject { id, variant })?;
        Ok(())
    }

    /// Adds an existing commit to those that were written, so that an outdated mark of it is
    /// removed.
    pub(crate) fn add_existing_commit(&self, id: CommitId) {
        self.commits.borrow_mut().insert(id);
    }

    /// Returns the commit that a local ref points to, or will point to after the transaction.
    pub(crate) fn find(&self, name: &RefName) -> Result<Option<CommitId>, RepoError> {
        let refs = self.refs.borrow();
        let mut moves = refs.iter().rev();
        match moves.find(|moved| moved.remote.is_none() && moved.name == name.as_str()) {
            Some(moved) => Ok(moved.to),
            None => self.repo.find(name),
        }
    }

    /// Moves a local ref when the transaction is committed.
    pub(crate) fn set_ref(&self, name: &RefName, commit: CommitId) {
        self.move_ref(RefMove::local(name, Some(commit)));
    }

    /// Moves a ref when the transaction is committed.
    pub(crate) fn move_ref(&self, moved: RefMove) {
        self.refs.borrow_mut().push(moved);
    }

    /// Keeps the commits marked as partial, because not all their objects were written.
    pub(crate) fn keep_partial_marks(&self) {
        self.partial.set(true);
    }

    /// Keeps the written objects for the next transaction, if this one is not committed.
    pub(crate) fn keep_staged_objects(&self) {
        self.keeps_staged_objects.set(true);
    }

    /// Makes everything durable, then visible. If refs move, the repository's [lock](Repo::lock)
    /// must be held.
    ///
    /// 1. New commits are marked as partial, durably.
    /// 2. libostree syncs the file system, moves the objects into place in arbitrary order, and
    ///    syncs their folders. In a new repository, whole folders of objects are moved before,
    ///    after a separate sync.
    /// 3. The marks are removed, durably. A mark that a commit had before is removed if all objects
    ///    of the commit exist, and so are marks of damage that the new objects repair.
    /// 4. The refs are moved in the order in which they were set, [atomically](Repo::move_refs);
    ///    libostree's own transaction would move them in arbitrary order.
    ///
    /// Everything is durable when this returns. If it is interrupted at any point, the refs have
    /// not moved or the next process that takes the lock completes their moves, and every commit is
    /// complete or marked.
    pub(crate) fn commit(mut self) -> Result<(), RepoError> {
        let repo = self.repo;
        // libostree's lock ends with the second step, when no ref points to the objects yet.
        let _kept = repo.lock_objects_shared()?;
        let marks = PartialMarks::set(repo, self.all_commits()?)?;
        failpoint::hit("transaction.marked");
        if let Err(error) = self.move_objects() {
            marks.remove_absent();
            return Err(error);
        }
        self.open = false;
        failpoint::hit("transaction.objects-moved");
        if !self.partial.get() {
            marks.remove()?;
        }
        repo.unmark_repaired()?;
        failpoint::hit("transaction.unmarked");
        repo.move_refs(&self.refs.take())
    }

    /// Returns the commits that will appear, and those that existed before.
    fn all_commits(&self) -> Result<BTreeSet<CommitId>, RepoError> {
        let mut commits = self.commits.take();
        if let Some(staging) = &self.staging {
            // libostree also writes commits that this transaction does not record.
            commits.extend(staging.commits()?);
        }
        Ok(commits)
    }

    fn move_objects(&self) -> Result<(), RepoError> {
        if let Some(staging) = &self.staging {
            staging
                .move_folders(self.repo.is_sync_enabled())
                .context("move objects from", staging.path())?;
            failpoint::hit("transaction.folders-moved");
        }
        ffi::commit_transaction(&self.repo.inner)
            .map_err(|source| self.repo.failed("commit the transaction", source))?;
        Ok(())
    }
}

/// The partial marks of commits whose objects are being moved into place.
struct PartialMarks<'r> {
    repo: &'r Repo,
    /// The commits that did not exist.
    new: Vec<CommitId>,
    /// The commits that were marked before.
    before: Vec<(CommitId, Partial)>,
}

impl<'r> PartialMarks<'r> {
    /// Marks the commits that do not exist yet.
    fn set(repo: &'r Repo, commits: BTreeSet<CommitId>) -> Result<Self, RepoError> {
        let objects = Objects::of(repo)?;
        let (mut new, mut before) = (Vec::new(), Vec::new());
        for id in commits {
            if let Some(mark) = repo.partial(id)? {
                before.push((id, mark));
            } else if !objects.has(Object::commit(id))? {
                new.push(id);
            }
        }
        let marks = Self { repo, new, before };
        let marked = repo.mark_partial(marks.new.iter().copied(), Partial::Unfinished);
        match marked {
            Ok(()) => Ok(marks),
            Err(error) => {
                marks.remove_absent();
                Err(error)
            }
        }
    }

    /// Removes the marks of commits that are complete now.
    fn remove(self) -> Result<(), RepoError> {
        let complete = Completeness::of(self.repo)?;
        let mut complete_commits = self.new;
        for (id, mark) in self.before {
            if complete.has_all_marked(id, mark)? {
                complete_commits.push(id);
            }
        }
        self.repo.unmark_partial(complete_commits)
    }

    /// Removes the marks of commits that were not moved into place. Errors are ignored: the earlier
    /// error is the one to report, and a mark without a commit does no harm.
    fn remove_absent(&self) {
        let is_absent = |id: &CommitId| {
            let objects = Objects::of(self.repo);
            objects.is_ok_and(|objects| matches!(objects.has(Object::commit(*id)), Ok(false)))
        };
        let absent = self.new.iter().copied().filter(is_absent);
        let _ = self.repo.unmark_partial(absent);
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // libostree keeps the objects for the next transaction, but they may be refused
            // objects, or the ones that filled the disk. The folder is locked until the transaction
            // is aborted.
            if let Some(staging) = self
                .staging
                .as_ref()
                .filter(|_| !self.keeps_staged_objects.get())
            {
                let _ = std::fs::remove_dir_all(staging.path());
            }
            let _ = self.repo.inner.abort_transaction(gio::Cancellable::NONE);
        }
    }
}
