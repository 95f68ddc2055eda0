//! Names in an image with an OSTree repository's objects, as encapsulated by ostree-ext.
//!
//! The first layer contains the commit, its detached metadata, and all dirtree and dirmeta objects;
//! the other layers contain files. A file is stored as an object, `sysroot/ostree/repo/objects/…`,
//! with a hard link at its path in the tree, so that the image is a root file system as well.
//!
//! Source: ostree-ext 0.15.3, `src/tar/export.rs` (format 1, as written by `export_chunk` and
//! `export_final_chunk`) and `src/container/encapsulate.rs`. Its importer, `src/tar/import.rs`,
//! ignores directories and everything outside of [`OBJECTS`]. It expects that the commit is the
//! first object of the first layer, followed by the detached metadata, and that a file object
//! directly follows the [link](xattrs_link) to its extended attributes, and occurs once per layer.

use super::layer::{Entry, Node};
use crate::fs::path::TreePath;
use crate::id::{CommitId, DirMetaId, DirTreeId, FileId};

/// Label of a configuration: the digest of the last uncompressed layer of the commit. Its presence
/// marks an image as encapsulated. Source: `encapsulate.rs`, `DIFFID_LABEL`.
pub(crate) const FINAL_DIFFID: &str = "ostree.final-diffid";
/// Annotation of a layer with files: the names of its contents, separated by commas.
/// Source: `container/mod.rs`, `CONTENT_ANNOTATION`.
pub(crate) const COMPONENTS: &str = "ostree.components";
/// The directory that is reserved for the objects.
pub(crate) const SYSROOT: &str = "sysroot";

/// Directory of the objects. Source: `export.rs`, `OSTREEDIR`.
const OBJECTS: &str = "sysroot/ostree/repo/objects";
/// Other directories of a repository, created by `write_repo_structure`.
const BESIDE: [&str; 8] = [
    "extensions",
    "refs",
    "refs/heads",
    "refs/mirrors",
    "refs/remotes",
    "state",
    "tmp",
    "tmp/cache",
];
/// The repository's configuration. Source: `export.rs`, `REPO_CONFIG`.
const CONFIG: &str = "[core]\nrepo_version=1\nmode=bare-split-xattrs\n";
/// The checksum of no extended attributes: the SHA-256 of an empty `a(ayay)`, which has no bytes.
const NO_XATTRS: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Returns the first entries of a layer: an empty repository.
pub(crate) fn repository() -> Vec<(Entry, Vec<u8>)> {
    let above = OBJECTS.match_indices('/').map(|(end, _)| &OBJECTS[..end]);
    let above = above.chain([OBJECTS]).map(str::to_owned);
    let subfolders = (0..=0xff).map(|byte| format!("{OBJECTS}/{byte:02x}"));
    let beside = BESIDE.map(|name| format!("sysroot/ostree/repo/{name}"));
    let mut entries: Vec<_> = above
        .chain(subfolders)
        .chain(beside)
        .map(|name| (directory(TreePath::from_trusted(name), 0o755), Vec::new()))
        .collect();
    let config = TreePath::from_trusted("sysroot/ostree/repo/config".to_owned());
    entries.push(file(config, CONFIG.into()));
    entries
}

/// Returns the object that represents empty extended attributes, which file objects link to.
pub(crate) fn no_xattrs() -> (Entry, Vec<u8>) {
    file(object(NO_XATTRS, "file-xattrs"), Vec::new())
}

/// Returns the entry of a commit object.
pub(crate) fn commit(id: CommitId, bytes: Vec<u8>) -> (Entry, Vec<u8>) {
    file(object(&id.to_string(), "commit"), bytes)
}

/// Returns the entry of a commit's detached metadata.
pub(crate) fn commitmeta(id: CommitId, bytes: Vec<u8>) -> (Entry, Vec<u8>) {
    file(object(&id.to_string(), "commitmeta"), bytes)
}

/// Returns the entry of a dirmeta object.
pub(crate) fn dirmeta(id: DirMetaId, bytes: Vec<u8>) -> (Entry, Vec<u8>) {
    file(object(&id.to_string(), "dirmeta"), bytes)
}

/// Returns the entry of a dirtree object.
pub(crate) fn dirtree(id: DirTreeId, bytes: Vec<u8>) -> (Entry, Vec<u8>) {
    file(object(&id.to_string(), "dirtree"), bytes)
}

/// Returns the link for a file without extended attributes, to precede its [object](file_object).
pub(crate) fn xattrs_link(id: FileId) -> Entry {
    let target = object(NO_XATTRS, "file-xattrs").to_string();
    let node = Node::Hardlink {
        mode: 0o644,
        target,
    };
    let path = object(&id.to_string(), "file-xattrs-link");
    Entry { path, node }
}

/// Returns the path of a file or symlink object.
pub(crate) fn file_object(id: FileId) -> TreePath {
    object(&id.to_string(), "file")
}

/// Returns the entry in the tree for an object. An empty file is not a link, so that writing to it
/// does not change the object. Source: `append_content_hardlink`.
pub(crate) fn in_tree(tree: &TreePath, id: FileId, node: &Node) -> Entry {
    let target = file_object(id).to_string();
    let node = match *node {
        Node::File { mode, size } if size > 0 => Node::Hardlink { mode, target },
        Node::Symlink { .. } => Node::Hardlink {
            mode: 0o777,
            target,
        },
        ref node => node.clone(),
    };
    let path = outside(tree);
    Entry { path, node }
}

/// Returns the entry of a directory in the tree.
pub(crate) fn directory_in_tree(tree: &TreePath, mode: u32) -> Entry {
    directory(outside(tree), mode)
}

/// Maps a path of the tree to one in a container: `usr/etc` becomes `etc`. Source: `map_path_v1`.
fn outside(tree: &TreePath) -> TreePath {
    let inner = tree.as_str().strip_prefix("usr/");
    match inner {
        Some(inner) if inner == "etc" || inner.starts_with("etc/") => {
            TreePath::from_trusted(inner.to_owned())
        }
        _ => tree.clone(),
    }
}

fn object(checksum: &str, kind: &str) -> TreePath {
    let (fan, rest) = checksum.split_at(2);
    TreePath::from_trusted(format!("{OBJECTS}/{fan}/{rest}.{kind}"))
}

fn directory(path: TreePath, mode: u32) -> Entry {
    let node = Node::Directory { mode };
    Entry { path, node }
}

fn file(path: TreePath, bytes: Vec<u8>) -> (Entry, Vec<u8>) {
    let size = bytes.len() as u64;
    let node = Node::File { mode: 0o644, size };
    (Entry { path, node }, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checksum and paths are those of ostree-ext's own tests, `src/tar/export.rs`.
    #[test]
    fn objects_have_the_paths_of_ostree_ext() {
        let checksum = "b8627e3ef0f255a322d2bd9610cfaaacc8f122b7f8d17c0e7e3caafa160f9fc7";
        let id: FileId = checksum.parse().unwrap();
        let at = "sysroot/ostree/repo/objects/b8/\
                  627e3ef0f255a322d2bd9610cfaaacc8f122b7f8d17c0e7e3caafa160f9fc7";
        assert_eq!(file_object(id).as_str(), format!("{at}.file"));
        let link = xattrs_link(id);
        assert_eq!(link.path.as_str(), format!("{at}.file-xattrs-link"));
        let (xattrs, bytes) = no_xattrs();
        let target = xattrs.path.to_string();
        let mode = 0o644;
        assert_eq!(link.node, Node::Hardlink { mode, target });
        assert_eq!(super::super::format::sha256(&bytes).to_string(), NO_XATTRS);
        for (tree, outside) in [
            ("usr/etc", "etc"),
            ("usr/etc/foo", "etc/foo"),
            ("usr/etcetera", "usr/etcetera"),
            ("boot", "boot"),
        ] {
            let entry = directory_in_tree(&tree.parse().unwrap(), 0o755);
            assert_eq!(entry.path.as_str(), outside);
        }
    }

    #[test]
    fn a_repository_has_its_directories_first() {
        let entries = repository();
        let paths: Vec<&str> = entries
            .iter()
            .map(|(entry, _)| entry.path.as_str())
            .collect();
        assert_eq!(
            paths[..4],
            [
                "sysroot",
                "sysroot/ostree",
                "sysroot/ostree/repo",
                "sysroot/ostree/repo/objects",
            ]
        );
        assert_eq!(paths[4 + 0xff], "sysroot/ostree/repo/objects/ff");
        assert_eq!(paths.len(), 4 + 0x100 + BESIDE.len() + 1);
    }

    #[test]
    fn an_empty_file_is_not_a_link() {
        let id: FileId = NO_XATTRS.parse().unwrap();
        let path: TreePath = "usr/a".parse().unwrap();
        let mode = 0o755;
        let empty = Node::File { mode, size: 0 };
        assert_eq!(in_tree(&path, id, &empty).node, empty);
        let target = file_object(id).to_string();
        let link = Node::Hardlink { mode, target };
        assert_eq!(in_tree(&path, id, &Node::File { mode, size: 1 }).node, link);
    }
}
