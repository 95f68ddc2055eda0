//! Merges the trees of SDKs into a base's tree, one directory at a time. Directories that no SDK
//! touches are neither read nor rewritten.

use super::files::{SdkFile, labelled};
use super::labels::Labels;
use super::{OverlayDifference as Difference, OverlayError, OverlaySide};
use crate::fs::path::TreePath;
use crate::id::{CommitId, DirMetaId, DirTreeId, FileId};
use crate::object::{Commit, DIRECTORY_MODE, DirHeader, DirTree, ROOT, Root, dirtree};
use crate::repo::{Repo, RepoError, Transaction};
use ostree::ObjectType;
use std::collections::BTreeMap;

/// An entry of an open directory.
#[derive(Debug)]
enum Entry {
    File(File),
    Dir(Dir),
}

/// A file or a symlink.
#[derive(Debug, Clone, Copy)]
enum File {
    Base(FileId),
    /// A file of an SDK, without a label.
    Sdk(SdkFile),
}

/// A directory.
#[derive(Debug)]
pub(super) struct Dir {
    meta: Meta,
    below: Children,
}

#[derive(Debug)]
enum Meta {
    Base(DirMetaId),
    /// The header without a label.
    Sdk(DirHeader, CommitId),
}

#[derive(Debug)]
enum Children {
    Unread(DirTreeId),
    Open(BTreeMap<String, Entry>),
}

/// Merges trees into a base's tree.
pub(super) struct Merge<'a> {
    pub(super) repo: &'a Repo,
    pub(super) sdk_repo: &'a Repo,
    pub(super) labels: &'a Labels,
    pub(super) base: CommitId,
    pub(super) may_override: bool,
}

impl Dir {
    /// Returns the root directory of a commit.
    pub(super) fn top(commit: &Commit) -> Self {
        Self {
            meta: Meta::Base(commit.meta),
            below: Children::Unread(commit.tree),
        }
    }

    fn open(&mut self, repo: &Repo) -> Result<&mut BTreeMap<String, Entry>, RepoError> {
        if let Children::Unread(id) = self.below {
            let DirTree { files, dirs } = repo.dirtree(id)?;
            let files = files
                .into_iter()
                .map(|(name, id)| (name, Entry::File(File::Base(id))));
            let dirs = dirs.into_iter().map(|(name, tree, meta)| {
                let dir = Self {
                    meta: Meta::Base(meta),
                    below: Children::Unread(tree),
                };
                (name, Entry::Dir(dir))
            });
            self.below = Children::Open(files.chain(dirs).collect());
        }
        match &mut self.below {
            Children::Open(entries) => Ok(entries),
            Children::Unread(_) => unreachable!("it was opened"),
        }
    }

    /// Returns whether a path exists.
    pub(super) fn has(&mut self, repo: &Repo, path: &[&str]) -> Result<bool, RepoError> {
        let Some((name, rest)) = path.split_first() else {
            return Ok(true);
        };
        match self.open(repo)?.get_mut(*name) {
            Some(Entry::Dir(dir)) => dir.has(repo, rest),
            Some(Entry::File(_)) => Ok(rest.is_empty()),
            None => Ok(false),
        }
    }

    /// Returns all files of the SDKs, sorted by path.
    pub(super) fn sdk_files(&self) -> Vec<(TreePath, SdkFile)> {
        fn collect(dir: &Dir, at: Option<&TreePath>, into: &mut Vec<(TreePath, SdkFile)>) {
            let Children::Open(entries) = &dir.below else {
                return;
            };
            for (name, entry) in entries {
                // A name that is not valid in an SDK belongs to the base.
                let Some(path) = join(at, name) else { continue };
                match entry {
                    Entry::File(File::Sdk(file)) => into.push((path, *file)),
                    Entry::File(File::Base(_)) => {}
                    Entry::Dir(below) => collect(below, Some(&path), into),
                }
            }
        }
        let mut files = Vec::new();
        collect(self, None, &mut files);
        files
    }

    /// Writes the directories that were opened. `written` maps the SDKs' files to their objects in
    /// the repository.
    pub(super) fn write(
        &self,
        transaction: &Transaction<'_>,
        labels: &Labels,
        written: &BTreeMap<TreePath, FileId>,
    ) -> Result<Root, OverlayError> {
        self.write_at(None, transaction, labels, written)
    }

    fn write_at(
        &self,
        at: Option<&TreePath>,
        transaction: &Transaction<'_>,
        labels: &Labels,
        written: &BTreeMap<TreePath, FileId>,
    ) -> Result<Root, OverlayError> {
        let meta = match (&self.meta, at) {
            (Meta::Base(id), _) => *id,
            (Meta::Sdk(header, _), at) => {
                let mut header = header.clone();
                if let Some(path) = at {
                    labels.apply(path, header.mode, &mut header.xattrs)?;
                }
                let object = header.object();
                transaction.write(ObjectType::DirMeta, &object)?;
                object.id
            }
        };
        let entries = match &self.below {
            Children::Unread(tree) => return Ok(Root { tree: *tree, meta }),
            Children::Open(entries) => entries,
        };
        let (mut files, mut dirs) = (Vec::new(), Vec::new());
        for (name, entry) in entries {
            match entry {
                Entry::File(File::Base(id)) => files.push((name.as_str(), *id)),
                Entry::File(File::Sdk(file)) => {
                    let id = join(at, name).and_then(|path| written.get(&path).copied());
                    files.push((name.as_str(), id.unwrap_or(file.id)));
                }
                Entry::Dir(below) => {
                    let path = join(at, name);
                    let below = below.write_at(path.as_ref(), transaction, labels, written)?;
                    dirs.push((name.as_str(), below.tree, below.meta));
                }
            }
        }
        let object = dirtree(files.into_iter(), dirs.into_iter());
        transaction.write(ObjectType::DirTree, &object)?;
        Ok(Root {
            tree: object.id,
            meta,
        })
    }
}

impl Merge<'_> {
    /// Adds the tree of an SDK. Its `/etc` goes to the path that the base uses.
    pub(super) fn add_sdk(
        &self,
        top: &mut Dir,
        sdk: &Commit,
        of: CommitId,
    ) -> Result<(), OverlayError> {
        let mut theirs = self.sdk_repo.dirtree(sdk.tree)?;
        if let Some((_, var, _)) = theirs.dirs.iter().find(|(name, ..)| name == "var") {
            self.check_var("var".to_owned(), *var, of)?;
        }
        let etc = theirs.dirs.iter().position(|(name, ..)| name == "etc");
        let in_usr = match theirs.dirs.iter().find(|(name, ..)| name == "usr") {
            Some((_, usr, _)) => {
                let usr = self.sdk_repo.dirtree(*usr)?;
                usr.dirs.iter().any(|(name, ..)| name == "etc")
            }
            None => false,
        };
        let base = (
            top.has(self.repo, &["etc"])?,
            top.has(self.repo, &["usr", "etc"])?,
        );
        let two = |side| OverlayError::TwoEtc { side };
        match (etc.is_some(), in_usr, base) {
            (false, false, _) => {}
            (_, _, (true, true)) => return Err(two(OverlaySide::Base(self.base))),
            (true, true, _) | (_, true, (true, false)) => return Err(two(OverlaySide::Sdk(of))),
            _ => {}
        }
        // An OS commit stores /etc as /usr/etc.
        if let Some(at) = etc.filter(|_| !base.0) {
            let (_, tree, meta) = theirs.dirs.remove(at);
            let usr = top
                .open(self.repo)?
                .entry("usr".to_owned())
                .or_insert_with(|| Entry::Dir(empty_dir(of)));
            let path = self.path(None, "usr", of)?;
            let Entry::Dir(usr) = usr else {
                return Err(self.conflict(path, usr, of, Difference::Kind));
            };
            self.merge_dir(usr, Some(&path), "etc", (tree, meta), of)?;
        }
        self.merge_entries(top, None, theirs, of)
    }

    /// Checks that a directory below `/var` has no files. rpm-ostree drops them without a message.
    fn check_var(&self, at: String, tree: DirTreeId, of: CommitId) -> Result<(), OverlayError> {
        let tree = self.sdk_repo.dirtree(tree)?;
        if let Some((name, _)) = tree.files.first() {
            let path = self.path(Some(&self.path(None, &at, of)?), name, of)?;
            return Err(OverlayError::Var {
                commit: of,
                path: Box::new(path),
            });
        }
        for (name, below, _) in tree.dirs {
            self.check_var(format!("{at}/{name}"), below, of)?;
        }
        Ok(())
    }

    fn merge_entries(
        &self,
        dir: &mut Dir,
        at: Option<&TreePath>,
        theirs: DirTree,
        of: CommitId,
    ) -> Result<(), OverlayError> {
        for (name, id) in theirs.files {
            let path = self.path(at, &name, of)?;
            let new = SdkFile { id, of };
            let entries = dir.open(self.repo)?;
            match entries.get(&name) {
                None => {}
                Some(Entry::File(found)) => {
                    if self.is_same(*found, new, &path)? {
                        continue;
                    }
                    if !self.may_override {
                        let found = &Entry::File(*found);
                        return Err(self.conflict(path, found, of, Difference::Content));
                    }
                }
                Some(found) => {
                    return Err(self.conflict(path, found, of, Difference::Kind));
                }
            }
            entries.insert(name, Entry::File(File::Sdk(new)));
        }
        for (name, tree, meta) in theirs.dirs {
            self.merge_dir(dir, at, &name, (tree, meta), of)?;
        }
        Ok(())
    }

    fn merge_dir(
        &self,
        parent: &mut Dir,
        at: Option<&TreePath>,
        name: &str,
        (tree, meta): (DirTreeId, DirMetaId),
        of: CommitId,
    ) -> Result<(), OverlayError> {
        let path = self.path(at, name, of)?;
        let header = header(self.sdk_repo, meta)?;
        let new = || {
            Entry::Dir(Dir {
                meta: Meta::Sdk(header.clone(), of),
                below: Children::Open(BTreeMap::new()),
            })
        };
        let entry = parent
            .open(self.repo)?
            .entry(name.to_owned())
            .or_insert_with(new);
        let Entry::Dir(dir) = entry else {
            return Err(self.conflict(path, entry, of, Difference::Kind));
        };
        let is_plain = header == default_header();
        if !is_plain && !self.may_override && !self.is_alike(dir, &header)? {
            return Err(self.conflict(path, entry, of, Difference::Directory));
        }
        let theirs = self.sdk_repo.dirtree(tree)?;
        self.merge_entries(dir, Some(&path), theirs, of)
    }

    /// Returns whether a file equals the object that is already at the path.
    fn is_same(&self, found: File, new: SdkFile, path: &TreePath) -> Result<bool, OverlayError> {
        Ok(match found {
            File::Sdk(found) => found.id == new.id,
            File::Base(found) if found == new.id => true,
            File::Base(found) if self.labels.has_policy() => {
                labelled(self.sdk_repo, self.labels, path, new.id)?.id == found
            }
            File::Base(_) => false,
        })
    }

    /// Returns whether a directory has the same owner, mode and xattrs, ignoring its label.
    fn is_alike(&self, dir: &Dir, other: &DirHeader) -> Result<bool, RepoError> {
        let mut found = match &dir.meta {
            Meta::Base(id) => header(self.repo, *id)?,
            Meta::Sdk(header, _) => header.clone(),
        };
        found
            .xattrs
            .retain(|(name, _)| name != b"security.selinux\0");
        Ok(found == *other)
    }

    fn path(
        &self,
        at: Option<&TreePath>,
        name: &str,
        of: CommitId,
    ) -> Result<TreePath, OverlayError> {
        let whole = at.map_or_else(|| name.to_owned(), |at| format!("{at}/{name}"));
        whole
            .parse()
            .map_err(|source| OverlayError::Path { commit: of, source })
    }

    fn conflict(
        &self,
        path: TreePath,
        found: &Entry,
        of: CommitId,
        difference: Difference,
    ) -> OverlayError {
        let lower = match found {
            Entry::File(File::Sdk(SdkFile { of, .. }))
            | Entry::Dir(Dir {
                meta: Meta::Sdk(_, of),
                ..
            }) => OverlaySide::Sdk(*of),
            _ => OverlaySide::Base(self.base),
        };
        OverlayError::Conflict {
            path: Box::new(path),
            upper: OverlaySide::Sdk(of),
            lower,
            difference,
        }
    }
}

fn join(at: Option<&TreePath>, name: &str) -> Option<TreePath> {
    let name: TreePath = name.parse().ok()?;
    Some(at.map_or_else(|| name.clone(), |at| name.below(at)))
}

fn header(repo: &Repo, id: DirMetaId) -> Result<DirHeader, RepoError> {
    let variant = repo.metadata_object(ObjectType::DirMeta, &id.to_string())?;
    DirHeader::parse(&variant).ok_or_else(|| repo.malformed("dirmeta", id))
}

/// Returns the default header of a directory: owned by root, mode 0755.
fn default_header() -> DirHeader {
    DirHeader {
        uid: ROOT,
        gid: ROOT,
        mode: DIRECTORY_MODE,
        xattrs: Vec::new(),
    }
}

fn empty_dir(of: CommitId) -> Dir {
    Dir {
        meta: Meta::Sdk(default_header(), of),
        below: Children::Open(BTreeMap::new()),
    }
}
