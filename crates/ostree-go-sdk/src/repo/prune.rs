//! Deletes the objects that are not reachable from a ref.

use super::objects::{Next, Object, ObjectKind, Objects};
use super::{Partial, Repo, RepoError};
use crate::failpoint;
use crate::ffi::{self, LockType};
use crate::fs::atomic;
use crate::fs::context::{IoContext, IoFailure};
use crate::id::{CommitId, InvalidChecksum, Sha256};
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// A guard that holds libostree's lock on a repository's objects until it is dropped.
#[derive(Debug)]
pub(crate) struct ObjectsLock<'r> {
    repo: &'r Repo,
    kind: LockType,
}

impl Drop for ObjectsLock<'_> {
    fn drop(&mut self) {
        // If this fails, the kernel releases the lock when the process ends.
        let _ = ffi::lock_pop(&self.repo.inner, self.kind);
    }
}

/// The number and size of deleted objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) objects: u64,
    /// The size of their files in bytes.
    pub(crate) bytes: u64,
}

impl Repo {
    /// Prevents other processes from deleting objects.
    pub(super) fn lock_objects_shared(&self) -> Result<ObjectsLock<'_>, RepoError> {
        self.lock_objects(LockType::Shared)
    }

    /// Waits until no transaction is open, at most for the repository's `core.lock-timeout-secs`,
    /// and prevents other processes from beginning one.
    pub(crate) fn lock_objects_exclusive(&self) -> Result<ObjectsLock<'_>, RepoError> {
        self.lock_objects(LockType::Exclusive)
    }

    fn lock_objects(&self, kind: LockType) -> Result<ObjectsLock<'_>, RepoError> {
        ffi::lock_push(&self.inner, kind).map_err(|source| self.failed("lock objects", source))?;
        Ok(ObjectsLock { repo: self, kind })
    }

    /// Deletes all objects that are not reachable from a ref. For each ref, its commit and the
    /// `depth` commits before it are kept. The returned numbers are those of `ostree prune
    /// --refs-only`.
    ///
    /// Commits are marked as partial, durably, before one of their objects is deleted. They are
    /// deleted after all objects that they consist of, and their marks are removed last. If this is
    /// interrupted at any point, the remaining commits are complete or marked.
    ///
    /// # Errors
    /// Returns an error if a transaction stays open, or an object cannot be read or deleted.
    /// Nothing is deleted if a commit or directory that is reachable from a ref is malformed.
    pub(crate) fn prune_objects(&self, depth: usize) -> Result<Deleted, RepoError> {
        let _lock = self.lock_objects_exclusive()?;
        let objects = Objects::of(self)?;
        let reachable = reachable(&objects, depth)?;
        let all = objects.list()?;
        let mut unreachable = Vec::new();
        for object in all {
            if !reachable.contains(&object) && !self.links_to(object, &reachable)? {
                unreachable.push(object);
            }
        }
        unreachable.sort_unstable();
        let mut deleted = Deleted::default();
        for object in &unreachable {
            deleted.objects += 1;
            deleted.bytes += objects.size(*object)?.unwrap_or(0);
        }
        self.delete(&objects, &unreachable)?;
        Ok(deleted)
    }

    /// Returns the commits that [`Repo::prune_objects`] keeps.
    ///
    /// # Errors
    /// Returns an error if the refs or a commit cannot be read.
    pub(crate) fn commits_to_keep(&self, depth: usize) -> Result<HashSet<CommitId>, RepoError> {
        let kept = kept_commits(&Objects::of(self)?, depth)?;
        Ok(kept.into_iter().collect())
    }

    /// Deletes objects in the order of [`ObjectKind::ALL`].
    fn delete(&self, objects: &Objects<'_>, unreachable: &[Object]) -> Result<(), RepoError> {
        let first_commit = unreachable.partition_point(|object| object.kind != ObjectKind::Commit);
        let (parts, commits) = unreachable.split_at(first_commit);
        let ids = || commits.iter().map(|commit| CommitId::from(commit.checksum));
        self.mark_partial(ids(), Partial::Unfinished)?;
        failpoint::hit("prune.marked");
        for object in parts {
            objects.delete(*object)?;
            failpoint::hit("prune.object-deleted");
        }
        for id in ids() {
            // This also deletes the signatures, and writes a tombstone if the repository is
            // configured to.
            let kind = ostree::ObjectType::Commit;
            self.inner
                .delete_object(kind, &id.to_string(), gio::Cancellable::NONE)
                .map_err(|source| self.failed(&format!("delete commit {id}"), source))?;
            failpoint::hit("prune.commit-deleted");
        }
        self.sync_folders(unreachable)?;
        failpoint::hit("prune.synced");
        // No transaction is open, so a mark without a commit belongs to a commit that was just
        // deleted, or was left by a killed process.
        let mut stale = Vec::new();
        for id in self.marked_partial()? {
            if !objects.has(Object::commit(id))? {
                stale.push(id);
            }
        }
        self.unmark_partial(stale)
    }

    /// Makes the directory entries of objects durable.
    fn sync_folders(&self, objects: &[Object]) -> Result<(), RepoError> {
        if !self.is_sync_enabled() {
            return Ok(());
        }
        let folders: BTreeSet<u8> = objects.iter().map(|object| object.checksum.0[0]).collect();
        for folder in folders {
            let path = self.path.join(format!("objects/{folder:02x}"));
            atomic::sync_directory(Some(&path)).context("sync", path)?;
        }
        Ok(())
    }

    /// Returns true if an object is a payload link to one of the `reachable` objects.
    fn links_to(&self, object: Object, reachable: &HashSet<Object>) -> Result<bool, RepoError> {
        if object.kind != ObjectKind::PayloadLink {
            return Ok(false);
        }
        let path = object.loose_path(self.inner.mode());
        let path = self.path.join("objects").join(path);
        // `../00/ff….file`. Source: `_ostree_loose_path`, `OSTREE_OBJECT_TYPE_PAYLOAD_LINK`.
        let target = match std::fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(source) => {
                return Err(IoFailure::new("read", path, source).into());
            }
        };
        let target = target.to_string_lossy();
        let mut parts = target.trim_start_matches("../").split(['/', '.']);
        let (folder, rest) = (parts.next(), parts.next());
        let checksum = format!("{}{}", folder.unwrap_or(""), rest.unwrap_or(""));
        let checksum: Option<Sha256> = checksum.parse().ok();
        Ok(checksum.is_some_and(|id| reachable.contains(&Object::file(id.into()))))
    }

    /// Returns all commits that refs point to, including the refs of remotes and of mirrored
    /// collections.
    fn ref_targets(&self) -> Result<BTreeSet<CommitId>, RepoError> {
        let flags = ostree::RepoListRefsExtFlags::NONE;
        let refs = self
            .inner
            .list_refs_ext(None, flags, gio::Cancellable::NONE);
        let refs = refs.map_err(|source| self.failed("list refs", source))?;
        let mut commits = BTreeSet::new();
        for (name, commit) in refs {
            commits.insert(self.parse_ref_target(&name, &commit)?);
        }
        // The function of libostree that lists these has no Rust binding.
        let mirrors = self.path.join("refs/mirrors");
        for path in files(&mirrors).context("read", mirrors)? {
            let commit = std::fs::read_to_string(&path);
            let commit = commit.context("read", &path)?;
            commits.insert(self.parse_ref_target(&path.to_string_lossy(), commit.trim())?);
        }
        Ok(commits)
    }

    /// Parses the checksum in a ref. An invalid ref is an error, because nothing may be deleted
    /// unless all commits that refs point to are known.
    fn parse_ref_target(&self, name: &str, commit: &str) -> Result<CommitId, RepoError> {
        commit.parse().map_err(|invalid| {
            let invalid: InvalidChecksum = invalid;
            let invalid = glib::Error::new(gio::IOErrorEnum::InvalidData, &invalid.to_string());
            self.failed(&format!("read ref {name}"), invalid)
        })
    }
}

/// Returns all files below a folder, which may be missing.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    Ok(files)
}

/// Returns the commits that refs point to, and for each ref the `depth` commits before it, as far as
/// they exist. Commits of several refs are repeated.
fn kept_commits(objects: &Objects<'_>, depth: usize) -> Result<Vec<CommitId>, RepoError> {
    let repo = objects.repo();
    let mut kept = Vec::new();
    for target in repo.ref_targets()? {
        let mut next = Some(target);
        let mut left = depth;
        while let Some(id) = next
            && objects.has(Object::commit(id))?
        {
            kept.push(id);
            next = repo.commit(id)?.parent.filter(|_| left > 0);
            left = left.saturating_sub(1);
        }
    }
    Ok(kept)
}

/// Returns all objects that are reachable from a ref.
fn reachable(objects: &Objects<'_>, depth: usize) -> Result<HashSet<Object>, RepoError> {
    let mut reached = HashSet::new();
    for id in kept_commits(objects, depth)? {
        reached.insert(Object::commit(id));
        objects.walk(id, &mut |object| {
            Ok(match reached.insert(object) {
                true => Next::Enter,
                false => Next::Skip,
            })
        })?;
    }
    Ok(reached)
}
