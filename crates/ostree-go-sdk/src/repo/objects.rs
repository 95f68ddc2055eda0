//! Loose objects: their files below `objects/`, and the objects that a commit needs.

use super::{Repo, RepoError};
use crate::fs::context::{IoContext, IoFailure};
use crate::id::{CommitId, DirMetaId, DirTreeId, FileId, Sha256};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The type of a loose object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ObjectKind {
    File,
    /// A symlink to the object of a file, named by the checksum of the file's content.
    PayloadLink,
    DirTree,
    DirMeta,
    Commit,
}

impl ObjectKind {
    /// All types, in the order of deletion: objects come after the objects that they refer to.
    pub(super) const ALL: [Self; 5] = [
        Self::File,
        Self::PayloadLink,
        Self::DirTree,
        Self::DirMeta,
        Self::Commit,
    ];

    /// Returns the file name extension of an object. Source: `_ostree_loose_path`.
    const fn extension(self, mode: ostree::RepoMode) -> &'static str {
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

/// The type and checksum of an object.
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

    /// Parses a name such as `00ff….dirtree`. The extension of a file object is `file` in every
    /// mode of the repository.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (checksum, extension) = name.split_once('.')?;
        let bare = ostree::RepoMode::Bare;
        let mut kinds = ObjectKind::ALL.into_iter();
        Some(Self {
            kind: kinds.find(|kind| kind.extension(bare) == extension)?,
            checksum: checksum.parse().ok()?,
        })
    }

    /// Returns the path of the object's file, relative to `objects/`.
    pub(super) fn loose_path(self, mode: ostree::RepoMode) -> String {
        let checksum = self.checksum.to_string();
        let (folder, name) = checksum.split_at(2);
        format!("{folder}/{name}.{}", self.kind.extension(mode))
    }
}

impl Repo {
    /// Returns the path that the file of a file object has in this repository.
    pub(crate) fn file_object_path(&self, id: FileId) -> PathBuf {
        let path = Object::file(id).loose_path(self.inner.mode());
        self.path.join("objects").join(path)
    }
}

/// The next step of a walk over a commit's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Continue, and enter the object if it is a directory.
    Enter,
    /// Continue without entering the object.
    Skip,
    /// End the walk.
    Stop,
}

/// The objects of a repository.
#[derive(Debug)]
pub(super) struct Objects<'r> {
    repo: &'r Repo,
    folder: OwnedFd,
    /// True if objects may be in another repository (`core.parent`).
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

    /// Returns the size of the object's file in bytes; `None` if it is not in this repository.
    /// Objects that are staged in a transaction are not in the repository.
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

    /// Returns true if the object is in this repository or its parent.
    pub(super) fn has(&self, object: Object) -> Result<bool, RepoError> {
        if self.size(object)?.is_some() {
            return Ok(true);
        }
        if !self.has_parent {
            return Ok(false);
        }
        self.repo
            .has_object(object.kind.to_ostree(), object.checksum)
    }

    /// Returns true if the object's content matches its checksum. Reads all of it.
    pub(super) fn is_intact(&self, object: Object) -> bool {
        let (kind, checksum) = (object.kind.to_ostree(), object.checksum.to_string());
        let none = gio::Cancellable::NONE;
        self.repo.inner.fsck_object(kind, &checksum, none).is_ok()
    }

    /// Deletes the file of an object. It is not an error if the file does not exist.
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

    /// Returns all objects in this repository, in arbitrary order.
    pub(super) fn list(&self) -> Result<Vec<Object>, RepoError> {
        let mode = self.repo.inner.mode();
        let top = self.repo.path.join("objects");
        let mut objects = Vec::new();
        for (folder, path) in folders(&top)? {
            for name in names(&path)? {
                let Some((rest, extension)) = name.split_once('.') else {
                    continue;
                };
                let mut kinds = ObjectKind::ALL.into_iter();
                if let Some(kind) = kinds.find(|kind| kind.extension(mode) == extension)
                    && let Ok(checksum) = format!("{folder}{rest}").parse()
                {
                    objects.push(Object { kind, checksum });
                }
            }
        }
        Ok(objects)
    }

    /// Calls `visit` for all objects that a commit consists of, except the commit itself. A missing
    /// directory cannot be entered, so the objects below it are left out. Returns true unless
    /// `visit` ended the walk.
    ///
    /// # Errors
    /// Returns an error if an existing object cannot be read or is malformed, or if `visit` fails.
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

/// Returns the names and paths of the folders of objects, which are named by the first byte of the
/// checksums.
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

/// Returns the names in a folder that are valid UTF-8; names of objects always are.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, RepoError> {
    let read = || -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    Ok(read().context("read", folder)?)
}

fn failed(action: &'static str, path: &Path, error: Errno) -> RepoError {
    IoFailure::new(action, path, error).into()
}
