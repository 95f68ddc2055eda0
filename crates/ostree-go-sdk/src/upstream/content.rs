//! Reads the SDK in a commit's tree from its objects.

use super::UpstreamError;
use crate::fs::path::TreePath;
use crate::golang::env::GoEnv;
use crate::golang::h1::{H1, H1Builder};
use crate::golang::toolchain::{is_executable, module_entry};
use crate::id::{CommitId, DirMetaId, DirTreeId, FileId, Sha256};
use crate::object::{FileHasher, FileHeader, dirmeta};
use crate::progress::{Event, Phase, Progress};
use crate::repo::Repo;
use sha2::Digest;
use std::collections::BTreeMap;

/// The file whose settings a release may change.
pub(crate) const GO_ENV: &str = "go.env";
/// Buffer size for reading objects, in bytes.
const CHUNK: usize = 256 << 10;

/// The content of one release's SDK.
pub(super) struct Content {
    /// The SDK's folder in the release.
    pub(super) prefix: TreePath,
    /// Paths in the release that are not part of Go's module.
    pub(super) others: Vec<TreePath>,
    /// Paths in the SDK, with the digests of their content.
    files: Vec<(TreePath, Sha256)>,
    go_env: Option<GoEnv>,
}

impl Content {
    /// Computes the `h1:` hash in the module form, and returns the settings in `go.env` that are
    /// not Go's.
    ///
    /// Changes to `go.env` are undone by guessing the original; only the expected hash can
    /// confirm the guess.
    pub(super) fn h1(&self, folder: &str, expected: H1) -> (H1, Vec<(String, String)>) {
        let unchanged = self.h1_with(folder, None);
        let Some(go_env) = &self.go_env else {
            return (unchanged, Vec::new());
        };
        if unchanged == expected {
            return (unchanged, Vec::new());
        }
        let original = go_env.before_set();
        let changed = go_env
            .settings()
            .filter(|setting| !original.settings().any(|own| own == *setting))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        (self.h1_with(folder, Some(&original)), changed)
    }

    fn h1_with(&self, folder: &str, go_env: Option<&GoEnv>) -> H1 {
        let mut h1 = H1Builder::new();
        for (path, sha256) in &self.files {
            let Some(entry) = module_entry(folder, path) else {
                continue;
            };
            let sha256 = match go_env {
                Some(go_env) if path.as_str() == GO_ENV => {
                    Sha256(sha2::Sha256::digest(go_env.to_string()).into())
                }
                _ => *sha256,
            };
            h1.add(&entry, sha256);
        }
        h1.finish()
    }

    /// Returns the number of files that the hash covers.
    pub(super) fn count(&self) -> u64 {
        self.files.len() as u64
    }
}

/// Reads all files of the SDK in a commit that belong to the module form.
pub(super) fn read(
    repo: &Repo,
    commit: CommitId,
    progress: &dyn Progress,
) -> Result<Content, UpstreamError> {
    let tree = Tree::read(repo, commit)?;
    let mut content = Content {
        prefix: tree.prefix(commit)?,
        others: Vec::new(),
        files: Vec::new(),
        go_env: None,
    };
    let plain = dirmeta().id;
    for (path, meta) in tree.folders {
        if path.is_in(&content.prefix) && meta != plain {
            return Err(UpstreamError::Folder { path });
        }
    }
    let item = commit.to_string();
    let mut done = 0;
    for (path, id) in tree.files {
        let Some(inside) = inside(&content.prefix, &path) else {
            content.others.push(path);
            continue;
        };
        if progress.is_cancelled() {
            return Err(UpstreamError::Cancelled { commit });
        }
        let mut kept = Vec::new();
        let is_go_env = inside.as_str() == GO_ENV;
        let sha256 = digest(repo, &path, id, is_executable(&inside), &mut |bytes| {
            if is_go_env {
                kept.extend_from_slice(bytes);
            }
            done += bytes.len() as u64;
        })?;
        if is_go_env {
            content.go_env = GoEnv::parse(&kept).ok();
        }
        content.files.push((inside, sha256));
        progress.event(&Event::Advanced {
            phase: Phase::Verify,
            item: &item,
            done,
            total: None,
        });
    }
    progress.event(&Event::Finished {
        phase: Phase::Verify,
        item: &item,
    });
    Ok(content)
}

/// Returns the path in the SDK of a file that belongs to the module form.
pub(crate) fn inside(prefix: &TreePath, path: &TreePath) -> Option<TreePath> {
    let rest = path.as_str().strip_prefix(prefix.as_str())?;
    let inside = rest.strip_prefix('/')?.parse().ok()?;
    module_entry("", &inside).map(|_| inside)
}

/// All files and directories of a commit, by path.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<TreePath, FileId>,
    folders: BTreeMap<TreePath, DirMetaId>,
}

impl Tree {
    /// Reads the directories of a commit.
    pub(crate) fn read(repo: &Repo, commit: CommitId) -> Result<Self, UpstreamError> {
        let mut tree = Self::default();
        tree.walk(repo, None, repo.commit(commit)?.tree)?;
        Ok(tree)
    }

    fn walk(
        &mut self,
        repo: &Repo,
        at: Option<&TreePath>,
        id: DirTreeId,
    ) -> Result<(), UpstreamError> {
        let entries = repo.dirtree(id)?;
        let path = |name: &str| -> Option<TreePath> {
            let name: TreePath = name.parse().ok()?;
            Some(at.map_or_else(|| name.clone(), |at| name.below(at)))
        };
        for (name, id) in &entries.files {
            if let Some(path) = path(name) {
                self.files.insert(path, *id);
            }
        }
        for (name, tree, meta) in &entries.dirs {
            if let Some(path) = path(name) {
                self.walk(repo, Some(&path), *tree)?;
                self.folders.insert(path, *meta);
            }
        }
        Ok(())
    }

    /// Returns the folder of the SDK: the one with `VERSION` and `bin/go`.
    pub(crate) fn prefix(&self, commit: CommitId) -> Result<TreePath, UpstreamError> {
        let mut found: Vec<TreePath> = self
            .files
            .keys()
            .filter(|path| path.file_name() == "VERSION")
            .filter_map(TreePath::parent)
            .filter(|folder| self.files.contains_key(&folder.join("bin").join("go")))
            .collect();
        match (found.pop(), found.len()) {
            (Some(prefix), 0) => Ok(prefix),
            (last, more) => Err(UpstreamError::NoSdk {
                commit,
                found: more + usize::from(last.is_some()),
            }),
        }
    }
}

/// Computes the digest of a file's content. Recomputing the object's checksum for a plain file of
/// root with Go's mode proves that the file is one.
pub(crate) fn digest(
    repo: &Repo,
    path: &TreePath,
    id: FileId,
    executable: bool,
    seen: &mut dyn FnMut(&[u8]),
) -> Result<Sha256, UpstreamError> {
    let file = repo.file(id)?;
    if file.header.is_symlink() {
        return Err(UpstreamError::Symlink { path: path.clone() });
    }
    let mut object = FileHasher::new(&FileHeader::Regular { executable });
    let mut sha256 = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        object.update(&buffer[..read]);
        sha256.update(&buffer[..read]);
        seen(&buffer[..read]);
    }
    let found = object.finish();
    if found != id {
        return Err(UpstreamError::File {
            path: path.clone(),
            mode: if executable { 0o755 } else { 0o644 },
            found,
            expected: id,
        });
    }
    Ok(Sha256(sha256.finalize().into()))
}
