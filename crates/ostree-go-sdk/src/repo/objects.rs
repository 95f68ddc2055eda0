//! Loose objects: their files below `objects/`, and which of them a commit needs.

use super::{Repo, RepoError};
use crate::id::{CommitId, DirMetaId, DirTreeId, FileId, Sha256};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The type of a loose object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ObjectKind {
    File,
    /// A symlink by the checksum of a file's content to the file's object.
    PayloadLink,
    DirTree,
    DirMeta,
    Commit,
}

impl ObjectKind {
    /// Every type, the parts before what is made of them: the order of deletion.
    pub(super) const ALL: [Self; 5] = [
        Self::File,
        Self::PayloadLink,
        Self::DirTree,
        Self::DirMeta,
        Self::Commit,
    ];

    /// The ending of the object's file. Source: `_ostree_loose_path`.
    const fn ending(self, mode: ostree::RepoMode) -> &'static str {
        match (self, mode) {
            (Self::File, ostree::RepoMode::Archive) => "filez",
            (Self::File, _) => "file",
            (Self::PayloadLink, _) => "payload-link",
            (Self::DirTree, _) => "dirtree",
            (Self::DirMeta, _) => "dirmeta",
            (Self::Commit, _) => "commit",
        }
    }

    const fn to_ostree(self) -> ostree::ObjectType {
        match self {
            Self::File => ostree::ObjectType::File,
            Self::PayloadLink => ostree::ObjectType::PayloadLink,
            Self::DirTree => ostree::ObjectType::DirTree,
            Self::DirMeta => ostree::ObjectType::DirMeta,
            Self::Commit => ostree::ObjectType::Commit,
        }
    }
}

/// An object: its type and checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Object {
    pub(super) kind: ObjectKind,
    pub(super) checksum: Sha256,
}

impl Object {
    pub(super) fn file(id: FileId) -> Self {
        Self::new(ObjectKind::File, *id.as_bytes())
    }

    pub(super) fn tree(id: DirTreeId) -> Self {
        Self::new(ObjectKind::DirTree, *id.as_bytes())
    }

    pub(super) fn meta(id: DirMetaId) -> Self {
        Self::new(ObjectKind::DirMeta, *id.as_bytes())
    }

    pub(super) fn commit(id: CommitId) -> Self {
        Self::new(ObjectKind::Commit, *id.as_bytes())
    }

    const fn new(kind: ObjectKind, checksum: [u8; 32]) -> Self {
        let checksum = Sha256(checksum);
        Self { kind, checksum }
    }

    /// Reads `00ff….dirtree`, where a file's ending is `file` whatever the repository's mode.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (checksum, ending) = name.split_once('.')?;
        let bare = ostree::RepoMode::Bare;
        let mut kinds = ObjectKind::ALL.into_iter();
        Some(Self {
            kind: kinds.find(|kind| kind.ending(bare) == ending)?,
            checksum: checksum.parse().ok()?,
        })
    }

    /// The object's file, below `objects/`.
    pub(super) fn loose_path(self, mode: ostree::RepoMode) -> String {
        let checksum = self.checksum.to_string();
        let (folder, name) = checksum.split_at(2);
        format!("{folder}/{name}.{}", self.kind.ending(mode))
    }
}

/// What a walk over a commit's objects is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on, and down if the object is a directory.
    Enter,
    /// Go on, and not down.
    Skip,
    /// End the walk.
    Stop,
}

/// The objects of a repository.
#[derive(Debug)]
pub(super) struct Objects<'r> {
    repo: &'r Repo,
    folder: OwnedFd,
    /// Whether objects may be in another repository (`core.parent`).
    has_parent: bool,
}

impl<'r> Objects<'r> {
    pub(super) fn of(repo: &'r Repo) -> Result<Self, RepoError> {
        let path = repo.path.join("objects");
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&path, flags, Mode::empty());
        Ok(Self {
            repo,
            folder: folder.map_err(|error| failed("open", &path, error))?,
            has_parent: repo.inner.config().has_key("core", "parent") == Ok(true),
        })
    }

    pub(super) fn repo(&self) -> &'r Repo {
        self.repo
    }

    /// Bytes of the object's file; `None` when it is not in this repository. What is staged in a
    /// transaction is not.
    pub(super) fn size(&self, object: Object) -> Result<Option<u64>, RepoError> {
        let path = object.loose_path(self.repo.inner.mode());
        match rustix::fs::statat(&self.folder, &path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(file) => Ok(Some(u64::try_from(file.st_size).unwrap_or(0))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => {
                let path = self.repo.path.join("objects").join(path);
                Err(failed("look for", &path, error))
            }
        }
    }

    /// Whether the object is in this repository, or its parent.
    pub(super) fn has(&self, object: Object) -> Result<bool, RepoError> {
        if self.size(object)?.is_some() {
            return Ok(true);
        }
        if !self.has_parent {
            return Ok(false);
        }
        let checksum = object.checksum.to_string();
        let kind = object.kind.to_ostree();
        let has = self
            .repo
            .inner
            .has_object(kind, &checksum, gio::Cancellable::NONE);
        has.map_err(|e| self.repo.failed(&format!("look for object {checksum}"), e))
    }

    /// Whether the object's content has its checksum. Reads all of it.
    pub(super) fn is_intact(&self, object: Object) -> bool {
        let (kind, checksum) = (object.kind.to_ostree(), object.checksum.to_string());
        let none = gio::Cancellable::NONE;
        self.repo.inner.fsck_object(kind, &checksum, none).is_ok()
    }

    /// Deletes the file of an object. That it is not there is no error.
    pub(super) fn delete(&self, object: Object) -> Result<(), RepoError> {
        let path = object.loose_path(self.repo.inner.mode());
        match rustix::fs::unlinkat(&self.folder, &path, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => {
                let path = self.repo.path.join("objects").join(path);
                Err(failed("delete", &path, error))
            }
        }
    }

    /// Every object in this repository, in no order.
    pub(super) fn list(&self) -> Result<Vec<Object>, RepoError> {
        let mode = self.repo.inner.mode();
        let top = self.repo.path.join("objects");
        let mut objects = Vec::new();
        for (folder, path) in folders(&top)? {
            for name in names(&path)? {
                let Some((rest, ending)) = name.split_once('.') else {
                    continue;
                };
                let mut kinds = ObjectKind::ALL.into_iter();
                if let Some(kind) = kinds.find(|kind| kind.ending(mode) == ending)
                    && let Ok(checksum) = format!("{folder}{rest}").parse()
                {
                    objects.push(Object { kind, checksum });
                }
            }
        }
        Ok(objects)
    }

    /// Calls `visit` for all that a commit is made of, but for the commit itself. A directory
    /// that is not there cannot be entered; what it would lead to is left out. Returns whether
    /// the walk came to its end.
    ///
    /// # Errors
    /// When an object that is there cannot be read, or is not well-formed.
    pub(super) fn walk(
        &self,
        commit: CommitId,
        visit: &mut dyn FnMut(Object) -> Result<Next, RepoError>,
    ) -> Result<bool, RepoError> {
        let commit = self.repo.commit(commit)?;
        let mut todo = vec![(commit.tree, commit.meta)];
        while let Some((tree, meta)) = todo.pop() {
            if visit(Object::meta(meta))? == Next::Stop {
                return Ok(false);
            }
            match visit(Object::tree(tree))? {
                Next::Enter if self.has(Object::tree(tree))? => {}
                Next::Enter | Next::Skip => continue,
                Next::Stop => return Ok(false),
            }
            let entries = self.repo.dirtree(tree)?;
            for (_, file) in entries.files {
                if visit(Object::file(file))? == Next::Stop {
                    return Ok(false);
                }
            }
            todo.extend(entries.dirs.into_iter().map(|(_, tree, meta)| (tree, meta)));
        }
        Ok(true)
    }
}

/// The folders of objects by the first byte of their checksums: their names and paths.
pub(super) fn folders(top: &Path) -> Result<Vec<(String, std::path::PathBuf)>, RepoError> {
    let two_digits = |name: &String| name.len() == 2 && u8::from_str_radix(name, 16).is_ok();
    let folders = names(top)?.into_iter().filter(two_digits);
    Ok(folders
        .map(|name| {
            let path = top.join(&name);
            (name, path)
        })
        .collect())
}

/// The names in a folder that are UTF-8, as those of objects are.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, RepoError> {
    let read = || -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    read().map_err(|source| RepoError::Io {
        action: "read",
        path: folder.to_owned(),
        source,
    })
}

fn failed(action: &'static str, path: &Path, error: Errno) -> RepoError {
    RepoError::Io {
        action,
        path: path.to_owned(),
        source: error.into(),
    }
}
