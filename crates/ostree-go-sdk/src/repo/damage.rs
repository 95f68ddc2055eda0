//! Damaged objects, and the commits that need them.

use super::objects::{Next, Object, ObjectKind, Objects};
use super::{Completeness, Partial, Repo, RepoError};
use crate::fs::context::IoFailure;
use crate::id::{CommitId, Sha256};
use sha2::Digest;
use std::collections::HashSet;
use std::io;

impl Repo {
    /// Returns true if a commit exists, is undamaged and not marked as partial, and all its objects
    /// exist. Use [`Completeness`] to check several commits.
    pub(crate) fn is_complete(&self, id: CommitId) -> Result<bool, RepoError> {
        Completeness::of(self)?.is_complete(id)
    }

    /// Deletes damaged objects, given by names such as `00ff….file`, so that a pull fetches them
    /// again. Commits that need one of them are first marked as damaged, durably. Commit objects
    /// are not deleted: without them there would be no indication that a commit is partial.
    ///
    /// # Errors
    /// Returns an error if a commit cannot be marked, or an object cannot be deleted.
    pub(crate) fn delete_damaged<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<(), RepoError> {
        let damaged = names.into_iter().filter_map(Object::parse);
        let damaged = damaged.filter(|object| object.kind != ObjectKind::Commit);
        self.mark_and_delete(&Objects::of(self)?, &damaged.collect())
    }

    /// Deletes the damaged objects of a commit that lacks objects, in the same way as
    /// [`Repo::delete_damaged`], because writers do not replace existing objects. Reads the
    /// directories of the commit, and all its objects if it is marked as damaged.
    ///
    /// # Errors
    /// Returns an error if a commit cannot be marked, or an object cannot be deleted.
    pub(crate) fn delete_damaged_objects_of(&self, id: CommitId) -> Result<(), RepoError> {
        if !self.has_commit(id)? || self.is_damaged(id)? {
            return Ok(());
        }
        let reads_files = self.partial(id)? == Some(Partial::Damaged);
        let objects = Objects::of(self)?;
        let (mut seen, mut damaged) = (HashSet::new(), HashSet::new());
        objects.walk(id, &mut |object| {
            if !seen.insert(object) {
                return Ok(Next::Skip);
            }
            let is_read = reads_files || object.kind != ObjectKind::File;
            if !is_read || !objects.has(object)? || objects.is_intact(object) {
                return Ok(Next::Enter);
            }
            damaged.insert(object);
            Ok(Next::Skip)
        })?;
        self.mark_and_delete(&objects, &damaged)
    }

    /// Removes the marks of commits that are marked as damaged and are complete now: an object that
    /// several commits share may have been fetched again for one of them. Reads all objects of
    /// these commits.
    ///
    /// # Errors
    /// Returns an error if an object cannot be read, or a mark cannot be removed.
    pub(crate) fn unmark_repaired(&self) -> Result<(), RepoError> {
        let complete = Completeness::of(self)?;
        let mut repaired = Vec::new();
        for id in self.marked_partial()? {
            if self.partial(id)? == Some(Partial::Damaged)
                && complete.has_all_marked(id, Partial::Damaged)?
            {
                repaired.push(id);
            }
        }
        self.unmark_partial(repaired)
    }

    /// Marks the commits that need one of the objects, and deletes the objects.
    fn mark_and_delete(
        &self,
        objects: &Objects<'_>,
        damaged: &HashSet<Object>,
    ) -> Result<(), RepoError> {
        if damaged.is_empty() {
            return Ok(());
        }
        let mut affected = Vec::new();
        for object in objects.list()? {
            if object.kind == ObjectKind::Commit && needs(objects, object.checksum.into(), damaged)
            {
                affected.push(object.checksum.into());
            }
        }
        self.mark_partial(affected, Partial::Damaged)?;
        damaged
            .iter()
            .try_for_each(|object| objects.delete(*object))
    }

    /// Deletes the commit object of an existing commit if it is damaged, because writers do not
    /// replace existing objects.
    pub(crate) fn delete_damaged_commit(&self, id: CommitId) -> Result<(), RepoError> {
        if !self.has_commit(id)? || !self.is_damaged(id)? {
            return Ok(());
        }
        self.mark_partial([id], Partial::Damaged)?;
        // The function of libostree would also delete the signatures.
        Objects::of(self)?.delete(Object::commit(id))
    }

    /// Returns true if the commit object of an existing commit is malformed or does not match its
    /// checksum.
    pub(super) fn is_damaged(&self, id: CommitId) -> Result<bool, RepoError> {
        let kind = ostree::ObjectType::Commit;
        let bytes = self.check_object(kind, &id.to_string(), || self.commit_bytes(id))?;
        Ok(bytes.map_or(true, |bytes| {
            Sha256(sha2::Sha256::digest(&bytes).into()).to_string() != id.to_string()
        }))
    }

    /// Runs a check of an object and distinguishes damage from a failure of the system, for which
    /// libostree returns the same error code. The inner error is the result of the check.
    ///
    /// # Errors
    /// Returns an error if the object's file exists and the system cannot read it.
    pub(crate) fn check_object<T>(
        &self,
        kind: ostree::ObjectType,
        id: &str,
        check: impl Fn() -> Result<T, glib::Error>,
    ) -> Result<Result<T, glib::Error>, RepoError> {
        let error = match check() {
            Ok(found) => return Ok(Ok(found)),
            Err(error) => error,
        };
        let name = ostree::object_to_string(id, kind);
        let (folder, rest) = name.split_at(2);
        let mut path = self.path.join("objects").join(folder).join(rest);
        if kind == ostree::ObjectType::File && self.mode() == super::RepoMode::Archive {
            path.set_extension("filez");
        }
        let read = match path.symlink_metadata() {
            // `bare` repositories store symlinks as symlinks.
            Ok(found) if found.is_file() => std::fs::File::open(&path)
                .and_then(|mut file| io::copy(&mut file, &mut io::sink()).map(drop)),
            found => found.map(drop),
        };
        match read {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(Err(error)),
            Err(source) => Err(IoFailure::new("read", path, source).into()),
            // The failure may have been temporary.
            Ok(()) => Ok(check()),
        }
    }
}

/// Returns true if a commit needs one of the objects, as far as its directories can be read.
fn needs(objects: &Objects<'_>, commit: CommitId, damaged: &HashSet<Object>) -> bool {
    let mut seen = HashSet::new();
    let walked = objects.walk(commit, &mut |object| {
        Ok(match seen.insert(object) {
            false => Next::Skip,
            // A damaged directory cannot be entered.
            true if damaged.contains(&object) => Next::Stop,
            true => Next::Enter,
        })
    });
    // A commit that cannot be walked completely is damaged too.
    !matches!(walked, Ok(true))
}
