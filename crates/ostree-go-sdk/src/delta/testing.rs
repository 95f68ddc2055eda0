//! Helpers for tests of deltas.

use super::format::*;
use super::name::DeltaName;
use crate::id::{CommitId, FileId, Sha256};
use crate::repo::{Repo, RepoMode};
use gio::prelude::*;
use sha2::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Commits a folder with libostree.
pub(super) fn commit(repo: &Repo, folder: &Path) -> CommitId {
    let inner = repo.as_ostree();
    let none = gio::Cancellable::NONE;
    inner.prepare_transaction(none).unwrap();
    let tree = ostree::MutableTree::new();
    inner
        .write_directory_to_mtree(&gio::File::for_path(folder), &tree, None, none)
        .unwrap();
    let root = inner.write_mtree(&tree, none).unwrap();
    let root = root.downcast_ref::<ostree::RepoFile>().unwrap();
    let id = inner
        .write_commit(None, Some("test"), None, None, root, none)
        .unwrap();
    inner.commit_transaction(none).unwrap();
    id.parse().unwrap()
}

/// Returns incompressible bytes that only depend on the seed.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

pub(super) struct TwoCommits {
    pub(super) folder: tempfile::TempDir,
    pub(super) repo: Repo,
    pub(super) old: CommitId,
    pub(super) new: CommitId,
}

/// Creates a repository with two commits that differ in every kind of change.
pub(super) fn two_commits() -> TwoCommits {
    let folder = tempfile::tempdir().unwrap();
    let repo = Repo::create(folder.path().join("repo"), RepoMode::Archive).unwrap();
    let tree = folder.path().join("tree");
    let write = |name: &str, content: &[u8]| {
        let path = tree.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    let (big, middle) = (noise(1, 1_300_000), noise(2, 200_000));
    write("same", b"the same\n");
    write("empty", b"");
    // With small changes libostree finds it by rolling checksums, with large ones by bsdiff.
    write("rolling", &big);
    write("patched", &middle);
    write("lib/program", &noise(3, 70_000));
    std::os::unix::fs::symlink("lib/program", tree.join("link")).unwrap();
    let old = commit(&repo, &tree);
    let mut inserted = big.clone();
    inserted.splice(500_000..500_000, *b"something new");
    write("rolling", &inserted);
    let scattered = middle.iter().zip(0..);
    let scattered = scattered.map(|(byte, at)| byte ^ u8::from(at % 90 == 0));
    write("patched", &scattered.collect::<Vec<_>>());
    write("new", b"new\n");
    write("large", &noise(4, 1_100_000));
    std::fs::remove_file(tree.join("link")).unwrap();
    std::os::unix::fs::symlink("rolling", tree.join("link")).unwrap();
    let new = commit(&repo, &tree);
    TwoCommits {
        folder,
        repo,
        old,
        new,
    }
}

impl TwoCommits {
    /// Lists the objects of a commit with libostree.
    pub(super) fn objects(&self, commit: CommitId) -> BTreeSet<ObjectKey> {
        let found = self
            .repo
            .as_ostree()
            .traverse_commit(&commit.to_string(), 0, gio::Cancellable::NONE)
            .unwrap();
        let key = |name: ostree::ObjectName| ObjectKey {
            kind: ObjectKind::ALL
                .into_iter()
                .find(|kind| kind.to_ostree() == name.object_type())
                .unwrap(),
            checksum: name.checksum().parse().unwrap(),
        };
        found.into_iter().map(key).collect()
    }

    pub(super) fn content(&self, id: FileId) -> Vec<u8> {
        self.repo.file(id).unwrap().read_to_end(u64::MAX).unwrap()
    }
}

/// Computes the checksum of an object with libostree.
pub(super) fn checksum_of(object: &Object<'_>) -> Sha256 {
    let file = match object {
        Object::Metadata(bytes) => return Sha256(sha2::Sha256::digest(bytes).into()),
        Object::File(file) => file,
    };
    let info = gio::FileInfo::new();
    let Attributes { uid, gid, mode } = file.attributes;
    info.set_attribute_uint32("unix::uid", uid);
    info.set_attribute_uint32("unix::gid", gid);
    info.set_attribute_uint32("unix::mode", mode);
    let input = match &file.content {
        Content::Symlink(target) => {
            info.set_file_type(gio::FileType::SymbolicLink);
            info.set_symlink_target(target);
            None
        }
        Content::Regular(bytes) => {
            info.set_file_type(gio::FileType::Regular);
            info.set_size(i64::try_from(bytes.len()).unwrap());
            let bytes = bytes.clone();
            Some(gio::MemoryInputStream::from_bytes(&bytes))
        }
    };
    let checksum = ostree::checksum_file_from_input(
        &info,
        Some(&file.xattrs.to_variant()),
        input.as_ref(),
        ostree::ObjectType::File,
        gio::Cancellable::NONE,
    );
    checksum.unwrap().to_hex().parse().unwrap()
}

/// Reads and applies a delta, and returns the codes of its operations.
pub(super) fn check(
    fixture: &TwoCommits,
    name: &DeltaName,
    folder: &Path,
) -> BTreeMap<&'static str, usize> {
    let bytes = std::fs::read(folder.join("superblock")).unwrap();
    let superblock = Superblock::read(&bytes).unwrap();
    assert_eq!(superblock.name, *name);
    let commit = Sha256(sha2::Sha256::digest(superblock.commit.data()).into());
    assert_eq!(CommitId::from(commit), name.to);
    let mut expected = fixture.objects(name.to);
    expected.remove(&ObjectKey {
        kind: ObjectKind::Commit,
        checksum: commit,
    });
    for known in name.from.iter().flat_map(|from| fixture.objects(*from)) {
        expected.remove(&known);
    }
    let mut created = BTreeSet::new();
    let mut codes = BTreeMap::new();
    for (index, header) in superblock.parts.iter().enumerate() {
        let inline = superblock.inline_part(index);
        *codes.entry("inline").or_default() += usize::from(inline.is_some());
        let file = inline.unwrap_or_else(|| std::fs::read(folder.join(index.to_string())).unwrap());
        assert_eq!(header.checksum, Sha256(sha2::Sha256::digest(&file).into()));
        assert_eq!(header.size, file.len() as u64);
        let part = Part::read(&file, 64 << 20).unwrap();
        for op in Ops::new(part.ops(), &header.objects) {
            let code = match op.unwrap() {
                Op::BsPatch { .. } => "bspatch",
                Op::Write { .. } => "write",
                Op::File { .. } => "file",
                Op::Metadata { .. } => "metadata",
                _ => continue,
            };
            *codes.entry(code).or_default() += 1;
        }
        apply(
            &part,
            &header.objects,
            64 << 20,
            |id| Ok::<_, DeltaFormatError>(fixture.content(id)),
            |key, object| {
                assert_eq!(checksum_of(&object), key.checksum);
                assert!(created.insert(*key), "{key} is made twice");
                Ok(())
            },
        )
        .unwrap();
    }
    for fallback in &superblock.fallbacks {
        let content = fixture.content(fallback.object.checksum.into());
        assert_eq!(fallback.uncompressed, content.len() as u64);
        let path = fallback.object.checksum.to_string();
        let path = format!("objects/{}/{}.filez", &path[..2], &path[2..]);
        let size = fixture.repo.path().join(path).metadata().unwrap().len();
        assert_eq!(fallback.size, size);
        assert!(created.insert(fallback.object));
    }
    assert_eq!(created, expected);
    codes.insert("fallback", superblock.fallbacks.len());
    codes
}
