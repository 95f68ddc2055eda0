//! The std caches of a release, for exports.

use super::ExportError;
use super::tree::{Node, Tree, read_leaf};
use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind};
use crate::fs::path::TreePath;
use crate::golang::std_cache::{STD_CACHE_DIR, StdCacheId, StdCacheIndex, std_cache_ref};
use crate::id::{CommitId, ContentId, FileId, RefName, Sha256};
use crate::object::{FileHasher, FileHeader, Leaf, LeafKind, Tree as ObjectTree};
use crate::repo::{Completeness, Repo};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// A std cache whose commit is complete in the repository.
pub(super) struct StdCacheTree {
    pub(super) id: StdCacheId,
    pub(super) commit: CommitId,
    pub(super) tree: Tree,
    pub(super) index: StdCacheIndex,
    /// The files with the outputs.
    pub(super) outputs: BTreeMap<Sha256, FileId>,
    name: RefName,
    /// The directory with the index.
    dir: TreePath,
    content: ContentId,
}

impl StdCacheTree {
    /// Checks that index and outputs determine the tree, so that its commit can be restored from them.
    /// This is so for every std cache that a compose has made.
    pub(super) fn require_restorable(&self) -> Result<(), ExportError> {
        let header = FileHeader::Regular { executable: false };
        let text = self.index.to_string();
        let mut hasher = FileHasher::new(&header);
        hasher.update(text.as_bytes());
        let index = (StdCacheIndex::FILE_NAME.to_owned(), hasher.finish());
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|(output, id)| (StdCacheIndex::output_path(*output), *id));
        let mut tree = ObjectTree::default();
        for (path, id) in outputs.chain([index]) {
            let leaf = Leaf {
                id,
                size: 0,
                kind: LeafKind::from(&header),
            };
            // The paths are distinct, because each output has a name of its own.
            let _ = tree.insert(&TreePath::from_trusted(path).below(&self.dir), leaf);
        }
        let Ok(root) = tree.objects(&mut |_| Ok::<_, Infallible>(()));
        if root.content_id() == self.content {
            return Ok(());
        }
        Err(ExportError::StdCache {
            name: self.name.clone(),
            problem: "its tree has more than the index and the outputs that it names".to_owned(),
        })
    }
}

/// Reads the std caches of a release's version for an architecture: those that the repository has a ref
/// for.
pub(super) fn std_caches(
    repo: &Repo,
    info: &CommitInfo,
    arch: Arch,
) -> Result<Vec<StdCacheTree>, ExportError> {
    let (Some(version), Some(release)) = (&info.version, info.bound_to.first()) else {
        return Ok(Vec::new());
    };
    let mut caches = Vec::new();
    for id in StdCacheId::of_target(arch) {
        // A version whose std cache cannot have a ref has none.
        let Ok(name) = std_cache_ref(release, version, id) else {
            continue;
        };
        if let Some(commit) = repo.find(&name)? {
            caches.push(read(repo, &name, commit, id)?);
        }
    }
    Ok(caches)
}

/// Reads the std cache that a ref points to.
fn read(
    repo: &Repo,
    name: &RefName,
    commit: CommitId,
    id: StdCacheId,
) -> Result<StdCacheTree, ExportError> {
    let refused = |problem: &str| ExportError::StdCache {
        name: name.clone(),
        problem: problem.to_owned(),
    };
    if !Completeness::of(repo)?.is_complete(commit)? {
        return Err(refused("some of its objects are missing"));
    }
    let info = CommitInfo::read(repo, commit)?;
    if info.kind != CommitKind::StdCache || info.std_cache != Some(id) {
        return Err(refused("its commit is not this std cache"));
    }
    let tree = Tree::read(repo, commit)?;
    let is_index = |path: &TreePath| {
        let rest = path.as_str().strip_prefix(STD_CACHE_DIR);
        let end = format!("/{id}/{}", StdCacheIndex::FILE_NAME);
        rest.is_some_and(|rest| rest.ends_with(&end) && rest.matches('/').count() == 3)
    };
    let mut indexes = tree.entries.iter().filter(|(path, _)| is_index(path));
    let (Some((path, Node::Leaf(leaf))), None) = (indexes.next(), indexes.next()) else {
        return Err(refused("it has no index"));
    };
    let text = read_leaf(repo, path, *leaf)?.content;
    let text = std::str::from_utf8(&text).map_err(|_| refused("its index is not UTF-8"))?;
    let index: StdCacheIndex = text
        .parse()
        .map_err(|error| refused(&format!("its index is invalid: {error}")))?;
    let Some(dir) = path.parent() else {
        return Err(refused("it has no index"));
    };
    let mut outputs = BTreeMap::new();
    for entry in index.0.values() {
        let path = format!("{dir}/{}", StdCacheIndex::output_path(entry.output));
        let path = TreePath::from_trusted(path);
        match tree.entries.get(&path) {
            Some(Node::Leaf(leaf)) => outputs.insert(entry.output, *leaf),
            _ => return Err(refused(&format!("it lacks /{path}"))),
        };
    }
    Ok(StdCacheTree {
        id,
        commit,
        index,
        outputs,
        tree,
        name: name.clone(),
        dir,
        content: info.content,
    })
}
