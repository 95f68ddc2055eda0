//! Checks that commits have all objects that they consist of.

use super::objects::{Next, Object, ObjectKind, Objects};
use super::{Partial, Repo, RepoError};
use crate::id::CommitId;
use std::cell::RefCell;
use std::collections::HashSet;

/// Looks for all objects of commits. It is not sufficient that a commit exists and is not marked as
/// partial: a process that was killed while it deleted objects may have left it in this state.
///
/// Directories that were found to be complete are not visited again, also for other commits. Use an
/// instance only for one step of an operation, or while a transaction prevents the deletion of
/// objects.
#[derive(Debug)]
pub(crate) struct Completeness<'r> {
    objects: Objects<'r>,
    /// Directories that are complete with all their contents, and directory metadata.
    complete: RefCell<HashSet<Object>>,
}

impl<'r> Completeness<'r> {
    pub(crate) fn of(repo: &'r Repo) -> Result<Self, RepoError> {
        Ok(Self {
            objects: Objects::of(repo)?,
            complete: RefCell::default(),
        })
    }

    /// Returns true if a commit exists, is undamaged and not marked as partial, and all its objects
    /// exist.
    pub(crate) fn is_complete(&self, id: CommitId) -> Result<bool, RepoError> {
        Ok(self.objects.repo().partial(id)?.is_none() && self.has_all(id)?)
    }

    /// Returns true if a commit with the given mark exists, is undamaged, and all its objects
    /// exist. If it is marked as damaged, all its objects are read and verified.
    pub(super) fn has_all_marked(&self, id: CommitId, mark: Partial) -> Result<bool, RepoError> {
        if !self.has_all(id)? {
            return Ok(false);
        }
        if mark == Partial::Unfinished {
            return Ok(true);
        }
        let mut seen = HashSet::new();
        self.objects.walk(id, &mut |object| {
            Ok(match seen.insert(object) {
                false => Next::Skip,
                true if self.objects.is_intact(object) => Next::Enter,
                true => Next::Stop,
            })
        })
    }

    fn has_all(&self, id: CommitId) -> Result<bool, RepoError> {
        let repo = self.objects.repo();
        if !self.objects.has(Object::commit(id))? || repo.is_damaged(id)? {
            return Ok(false);
        }
        let mut found = HashSet::new();
        let walked = self.objects.walk(id, &mut |object| {
            let is_metadata = object.kind != ObjectKind::File;
            if is_metadata && (found.contains(&object) || self.complete.borrow().contains(&object))
            {
                return Ok(Next::Skip);
            }
            if !self.objects.has(object)? {
                return Ok(Next::Stop);
            }
            if is_metadata {
                found.insert(object);
            }
            Ok(Next::Enter)
        });
        match walked {
            Ok(true) => {
                self.complete.borrow_mut().extend(found);
                Ok(true)
            }
            Ok(false) | Err(RepoError::Malformed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
