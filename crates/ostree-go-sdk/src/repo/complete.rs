//! Whether commits have every object that they are made of.

use super::objects::{Next, Object, ObjectKind, Objects};
use super::{Partial, Repo, RepoError};
use crate::id::CommitId;
use std::cell::RefCell;
use std::collections::HashSet;

/// Looks for every object of commits. That the commit is there, and not marked as partial, says
/// little: a process that was killed while it deleted objects may have left it so.
///
/// Directories that were found complete are not entered again, for the next commit either. Keep
/// it for one step of an operation, or for as long as a transaction keeps objects from being
/// deleted.
#[derive(Debug)]
pub(crate) struct Completeness<'r> {
    objects: Objects<'r>,
    /// Directories with all that is below them, and their metadata.
    complete: RefCell<HashSet<Object>>,
}

impl<'r> Completeness<'r> {
    pub(crate) fn of(repo: &'r Repo) -> Result<Self, RepoError> {
        Ok(Self {
            objects: Objects::of(repo)?,
            complete: RefCell::default(),
        })
    }

    /// Whether a commit is there, undamaged, not marked as partial, and every object that it is
    /// made of is there.
    pub(crate) fn is_complete(&self, id: CommitId) -> Result<bool, RepoError> {
        Ok(self.objects.repo().partial(id)?.is_none() && self.has_all(id)?)
    }

    /// The same, whether the commit is marked or not. Of one that is marked as damaged, every
    /// object is read.
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
            let once = object.kind != ObjectKind::File;
            if once && (found.contains(&object) || self.complete.borrow().contains(&object)) {
                return Ok(Next::Skip);
            }
            if !self.objects.has(object)? {
                return Ok(Next::Stop);
            }
            if once {
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
