//! Changes to a repository that are all there or not at all.

use super::objects::{Object, Objects};
use super::{Completeness, Partial, RefMove, Repo, RepoError, Staging};
use crate::failpoint;
use crate::ffi;
use crate::id::{CommitId, RefName};
use crate::object::MetadataObject;
use rustix::fs::AtFlags;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What is written through it is invisible until [`Transaction::commit`]: objects stay in a
/// staging folder and refs where they were. Dropped without, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Transaction<'r> {
    repo: &'r Repo,
    /// Where its objects are until it is committed; `None` if that could not be found out.
    staging: Option<Arc<Staging>>,
    /// The refs to move, in order.
    refs: RefCell<Vec<RefMove>>,
    /// Commits that were written, be they new or not.
    commits: RefCell<BTreeSet<CommitId>>,
    /// Whether the commits are to stay marked as partial.
    partial: Cell<bool>,
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
            commits: RefCell::default(),
            partial: Cell::new(false),
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
                if kind == ostree::ObjectType::Commit {
                    self.commits.borrow_mut().extend(id.parse::<CommitId>());
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

    /// Counts a commit that is there among those written, so that a stale mark of it goes.
    pub(crate) fn keep_commit(&self, id: CommitId) {
        self.commits.borrow_mut().insert(id);
    }

    /// The commit a local ref names, or will name.
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

    /// Leaves the commits marked as partial: not all that they are made of was written.
    pub(crate) fn leave_partial(&self) {
        self.partial.set(true);
    }

    /// Leaves what has been written for the next transaction to go on with, if this one is not
    /// committed.
    pub(crate) fn keep(&self) {
        self.kept.set(true);
    }

    /// Makes everything durable, then visible. To be called with the repository's
    /// [lock](Repo::lock) held when refs move.
    ///
    /// 1. Commits that are new are marked as partial, durably.
    /// 2. libostree syncs the file system, moves the objects into place, in no order, and syncs
    ///    their folders. In a new repository whole folders of objects are moved before, after a
    ///    sync of their own.
    /// 3. The marks are removed, durably. A mark that a commit had before is removed if all that
    ///    the commit is made of is there, and so are marks of damage that the objects repair.
    /// 4. The refs move, in the order in which they were set, [all or none](Repo::move_refs);
    ///    libostree's own transaction would move them in no order.
    ///
    /// Everything is durable when this returns. Whenever it ends early, refs are where they were,
    /// or are moved on by whoever takes the lock next, and every commit is complete or marked.
    pub(crate) fn commit(mut self) -> Result<(), RepoError> {
        let repo = self.repo;
        // libostree's own ends with the second step. No ref names the objects by then.
        let _kept = repo.keep_objects()?;
        let marks = Marks::set(repo, self.all_commits()?)?;
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

    /// The commits that are to appear, and those that were found present.
    fn all_commits(&self) -> Result<BTreeSet<CommitId>, RepoError> {
        let mut commits = self.commits.take();
        if let Some(staging) = &self.staging {
            // libostree writes some without telling.
            commits.extend(staging.commits()?);
        }
        Ok(commits)
    }

    fn move_objects(&self) -> Result<(), RepoError> {
        if let Some(staging) = &self.staging {
            staging
                .move_folders(self.repo.syncs())
                .map_err(|source| RepoError::Io {
                    action: "move objects from",
                    path: staging.path().to_owned(),
                    source,
                })?;
            failpoint::hit("transaction.folders-moved");
        }
        ffi::commit_transaction(&self.repo.inner)
            .map_err(|source| self.repo.failed("commit the transaction", source))?;
        Ok(())
    }
}

/// The marks of commits whose objects are being moved into place.
struct Marks<'r> {
    repo: &'r Repo,
    /// Commits that were not there.
    new: Vec<CommitId>,
    /// Commits that were marked before.
    before: Vec<(CommitId, Partial)>,
}

impl<'r> Marks<'r> {
    /// Marks those commits that are not there yet.
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

    /// Removes the marks of what is complete now.
    fn remove(self) -> Result<(), RepoError> {
        let complete = Completeness::of(self.repo)?;
        let mut whole = self.new;
        for (id, mark) in self.before {
            if complete.has_all_marked(id, mark)? {
                whole.push(id);
            }
        }
        self.repo.unmark_partial(whole)
    }

    /// Removes the marks of commits that did not get into place. The error that came before is
    /// the one to report, and a mark without a commit does no harm.
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
            // libostree keeps the objects for the next transaction. They may be what was refused,
            // or what filled the disk. It has the folder locked as long as the transaction is open.
            if let Some(staging) = self.staging.as_ref().filter(|_| !self.kept.get()) {
                let _ = std::fs::remove_dir_all(staging.path());
            }
            let _ = self.repo.inner.abort_transaction(gio::Cancellable::NONE);
        }
    }
}
