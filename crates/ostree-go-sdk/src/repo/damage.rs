//! Damaged objects, and the commits that need them.

use super::objects::{Next, Object, ObjectKind, Objects};
use super::{Completeness, Partial, Repo, RepoError};
use crate::id::{CommitId, Sha256};
use sha2::Digest;
use std::collections::HashSet;
use std::io;

impl Repo {
    /// Whether a commit is there, undamaged, not marked as partial, and every object that it is
    /// made of is there. See [`Completeness`] for more than one commit.
    pub(crate) fn is_complete(&self, id: CommitId) -> Result<bool, RepoError> {
        Completeness::of(self)?.is_complete(id)
    }

    /// Deletes objects that are damaged, by names such as `00ff….file`, so that a pull fetches them
    /// anew. Commits that need one of them are first marked as damaged, durably. Commit objects
    /// are left alone: without it nothing would tell that a commit is partial.
    ///
    /// # Errors
    /// When a commit cannot be marked, or an object not be deleted.
    pub(crate) fn delete_damaged<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<(), RepoError> {
        let damaged = names.into_iter().filter_map(Object::parse);
        let damaged = damaged.filter(|object| object.kind != ObjectKind::Commit);
        self.delete_marked(&Objects::of(self)?, &damaged.collect())
    }

    /// Deletes the damaged objects of a commit that lacks objects, in the same way, because writers
    /// keep objects that are there. Reads the directories of the commit, and all of its objects if
    /// it is marked as damaged.
    ///
    /// # Errors
    /// When a commit cannot be marked, or an object not be deleted.
    pub(crate) fn clear_damage(&self, id: CommitId) -> Result<(), RepoError> {
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
        self.delete_marked(&objects, &damaged)
    }

    /// Removes the marks of commits that are marked as damaged and are whole now: an object that
    /// several commits share may have been fetched again for one of them. Reads every object of
    /// such commits.
    ///
    /// # Errors
    /// When an object cannot be read, or a mark cannot be removed.
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

    /// Marks the commits that need one of the objects, and deletes these.
    fn delete_marked(
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

    /// Removes the object of a commit that is there and damaged: whoever writes objects leaves
    /// those that are there.
    pub(crate) fn remove_damaged(&self, id: CommitId) -> Result<(), RepoError> {
        if !self.has_commit(id)? || !self.is_damaged(id)? {
            return Ok(());
        }
        self.mark_partial([id], Partial::Damaged)?;
        // libostree's own call would take the signatures away as well.
        Objects::of(self)?.delete(Object::commit(id))
    }

    /// Returns whether the object of a commit that is there is not well-formed, or has another
    /// checksum.
    pub(super) fn is_damaged(&self, id: CommitId) -> Result<bool, RepoError> {
        let kind = ostree::ObjectType::Commit;
        let bytes = self.examine(kind, &id.to_string(), || self.commit_bytes(id))?;
        Ok(bytes.map_or(true, |bytes| {
            Sha256(sha2::Sha256::digest(&bytes).into()).to_string() != id.to_string()
        }))
    }

    /// Runs a check of an object and tells damage from a system that fails: libostree's errors have
    /// the same code for both. The inner error is what the check says of the object.
    ///
    /// # Errors
    /// When the object's file is there and the system cannot read it.
    pub(crate) fn examine<T>(
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
            // `bare` repositories have symlinks as symlinks.
            Ok(found) if found.is_file() => std::fs::File::open(&path)
                .and_then(|mut file| io::copy(&mut file, &mut io::sink()).map(drop)),
            found => found.map(drop),
        };
        match read {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(Err(error)),
            Err(source) => Err(RepoError::Io {
                action: "read",
                path,
                source,
            }),
            // What failed may have passed.
            Ok(()) => Ok(check()),
        }
    }
}

/// Whether a commit needs one of the objects, as far as its directories can be read.
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
    // One that cannot be read to its end is damaged, too.
    !matches!(walked, Ok(true))
}
