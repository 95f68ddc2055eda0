//! Deltas that libostree makes, of every kind, read and applied: the objects that come out have
//! the checksums that libostree computes, and are those that it would have to make.

use super::*;
use crate::delta::DeltaName;
use crate::id::{CommitId, FileId};
use crate::repo::{Repo, RepoMode};
use gio::prelude::*;
use glib::prelude::*;
use sha2::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// Commits a folder by libostree, as it is.
fn commit(repo: &Repo, folder: &Path) -> CommitId {
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

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

struct Shelf {
    folder: tempfile::TempDir,
    repo: Repo,
    old: CommitId,
    new: CommitId,
}

/// A repository with two commits, between which every kind of change is.
fn shelf() -> Shelf {
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
    // Much of it stays: found by its rolling sums. Little stays: bsdiff.
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
    Shelf {
        folder,
        repo,
        old,
        new,
    }
}

impl Shelf {
    /// Has libostree make a delta, and returns its folder.
    fn generate(&self, name: &DeltaName, options: &[(&str, glib::Variant)]) -> std::path::PathBuf {
        let folder = self.folder.path().join("delta");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        let dict = glib::VariantDict::new(None);
        let mut file = folder
            .join("superblock")
            .into_os_string()
            .into_encoded_bytes();
        file.push(0);
        dict.insert_value("filename", &file.to_variant());
        for (key, value) in options {
            dict.insert_value(key, value);
        }
        let from = name.from.map(|id| id.to_string());
        self.repo
            .as_ostree()
            .static_delta_generate(
                ostree::StaticDeltaGenerateOpt::Major,
                from.as_deref(),
                &name.to.to_string(),
                None,
                Some(&dict.end()),
                gio::Cancellable::NONE,
            )
            .unwrap();
        folder
    }

    /// The objects of a commit, by libostree's count.
    fn objects(&self, commit: CommitId) -> BTreeSet<ObjectKey> {
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

    fn content(&self, id: FileId) -> Vec<u8> {
        let (input, _, _) = self
            .repo
            .as_ostree()
            .load_file(&id.to_string(), gio::Cancellable::NONE)
            .unwrap();
        let mut content = Vec::new();
        input
            .unwrap()
            .into_read()
            .read_to_end(&mut content)
            .unwrap();
        content
    }
}

/// The checksum of an object, by libostree.
fn checksum_of(object: &Object<'_>) -> Sha256 {
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
            let bytes = glib::Bytes::from_owned(bytes.clone().into_owned());
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

/// Reads and applies a delta, and returns which codes its operations have.
fn check(shelf: &Shelf, name: &DeltaName, folder: &Path) -> BTreeMap<&'static str, usize> {
    let bytes = std::fs::read(folder.join("superblock")).unwrap();
    let superblock = Superblock::read(&bytes).unwrap();
    assert_eq!(superblock.name, *name);
    let commit = Sha256(sha2::Sha256::digest(superblock.commit.data()).into());
    assert_eq!(CommitId::from(commit), name.to);
    let mut expected = shelf.objects(name.to);
    expected.remove(&ObjectKey {
        kind: ObjectKind::Commit,
        checksum: commit,
    });
    for known in name.from.iter().flat_map(|from| shelf.objects(*from)) {
        expected.remove(&known);
    }
    let mut made = BTreeSet::new();
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
            |id| Ok::<_, DeltaFormatError>(shelf.content(id)),
            |key, object| {
                assert_eq!(checksum_of(&object), key.checksum);
                assert!(made.insert(*key), "{key} is made twice");
                Ok(())
            },
        )
        .unwrap();
    }
    for fallback in &superblock.fallbacks {
        let content = shelf.content(fallback.object.checksum.into());
        assert_eq!(fallback.uncompressed, content.len() as u64);
        let path = fallback.object.checksum.to_string();
        let path = format!("objects/{}/{}.filez", &path[..2], &path[2..]);
        let size = shelf.repo.path().join(path).metadata().unwrap().len();
        assert_eq!(fallback.size, size);
        assert!(made.insert(fallback.object));
    }
    assert_eq!(made, expected);
    codes.insert("fallback", superblock.fallbacks.len());
    codes
}

#[test]
fn deltas_of_libostree_are_read_and_applied() {
    let shelf = shelf();
    let between = DeltaName {
        from: Some(shelf.old),
        to: shelf.new,
    };
    let empty = DeltaName {
        from: None,
        to: shelf.new,
    };
    let u32 = |key: &'static str, value: u32| (key, value.to_variant());
    let (fallback, none) = (u32("min-fallback-size", 1), u32("min-fallback-size", 0));
    let run = |name, options: &[_]| check(&shelf, name, &shelf.generate(name, options));

    let codes = run(&empty, std::slice::from_ref(&fallback));
    assert_eq!(codes["fallback"], 2);
    assert!(!codes.contains_key("bspatch") && codes["metadata"] > 0);
    let codes = run(&empty, std::slice::from_ref(&none));
    assert_eq!(codes["fallback"], 0);

    let codes = run(&between, std::slice::from_ref(&fallback));
    assert_eq!((codes["fallback"], codes["bspatch"]), (1, 1), "{codes:?}");
    assert!(codes["write"] > 1, "{codes:?}");
    let no_bsdiff = ("bsdiff-enabled", false.to_variant());
    let codes = run(&between, &[no_bsdiff, none.clone()]);
    assert!(
        !codes.contains_key("bspatch") && codes["fallback"] == 0,
        "{codes:?}"
    );
    let inline = ("inline-parts", true.to_variant());
    let codes = run(&between, &[inline, u32("max-chunk-size", 1), none]);
    assert!(codes["inline"] > 1, "{codes:?}");

    // `G_LITTLE_ENDIAN`, `G_BIG_ENDIAN`.
    for order in [1234, 4321] {
        run(&between, &[u32("endianness", order), fallback.clone()]);
        run(&empty, &[u32("endianness", order), fallback.clone()]);
    }
}

#[test]
fn a_superblock_reads_back_and_changes_its_name() {
    let shelf = shelf();
    let name = DeltaName {
        from: Some(shelf.old),
        to: shelf.new,
    };
    let inline = [("inline-parts", true.to_variant())];
    let folder = shelf.generate(&name, &inline);
    let bytes = std::fs::read(folder.join("superblock")).unwrap();
    let superblock = Superblock::read(&bytes).unwrap();
    // Ours are sorted; libostree puts the order of bytes first, and so does the alphabet.
    let again = Superblock::read(&superblock.write()).unwrap();
    assert_eq!(again.write(), superblock.write());
    assert_eq!(again.parts, superblock.parts);
    assert_eq!(again.fallbacks, superblock.fallbacks);
    assert_eq!(again.timestamp, superblock.timestamp);

    let mut renamed = again;
    let other = DeltaName {
        from: None,
        to: shelf.old,
    };
    renamed.rename(other);
    let detached = BTreeMap::from([("key".to_owned(), 7u32.to_variant())]);
    renamed.set_detached(&detached);
    let renamed = Superblock::read(&renamed.write()).unwrap();
    assert_eq!(renamed.name, other);
    assert_eq!(renamed.inline_part(0), superblock.inline_part(0));
    assert!(renamed.inline_part(0).is_some());
    assert_eq!(renamed.detached(), detached);
    assert!(superblock.detached().is_empty());

    for cut in [0, 1, 100, bytes.len() - 1] {
        assert!(Superblock::read(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn signatures_come_off() {
    let inner = b"any bytes".to_vec();
    let magic = u64::from_be_bytes(*b"OSTSGNDT").to_be();
    let signatures = BTreeMap::from([(
        "ostree.sign.ed25519".to_owned(),
        vec![vec![1u8; 64]].to_variant(),
    )]);
    let signed = glib::Variant::tuple_from_iter([
        magic.to_variant(),
        inner.to_variant(),
        crate::object::sorted_dict(&signatures),
    ]);
    let (bytes, found) = unwrap_signed(signed.data()).unwrap();
    assert_eq!((&*bytes, found), (&inner[..], signatures));
    assert_eq!(
        unwrap_signed(&inner).unwrap(),
        (inner[..].into(), Signatures::new())
    );
    assert!(unwrap_signed(b"OSTSGNDT and nothing").is_err());
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_superblock_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Superblock::read(&bytes);
            super::super::fuzz::delta(&bytes);
        }

        /// A part whose operations and payload are anything, with tables that are right.
        #[test]
        fn any_operations_end(
            kinds in proptest::collection::vec(0usize..4, 0..6),
            raw in proptest::collection::vec((0u8..8, [0u64..40, 0u64..40, 0u64..40, 0u64..40]), 0..20),
            payload in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut tables = PartTables::default();
            for mode in [0o100_644, 0o120_777, 0o040_755] {
                tables.mode(Attributes { uid: 0, gid: 0, mode });
            }
            tables.xattrs(&Xattrs::new());
            let mut ops = OpWriter::default();
            for (kind, [a, b, size, offset]) in raw {
                let (mode, xattrs) = (a % 4, b % 2);
                ops.push(match kind {
                    0 => Op::Metadata { size, offset },
                    1 => Op::File { mode, xattrs, size, offset },
                    2 => Op::Open { mode, xattrs, size },
                    3 => Op::Write { size, offset },
                    4 => Op::SetReadSource { offset },
                    5 => Op::UnsetReadSource,
                    6 => Op::Close,
                    _ => Op::BsPatch { offset, size },
                });
            }
            let objects: Vec<_> = kinds
                .into_iter()
                .map(|kind| ObjectKey { kind: ObjectKind::ALL[kind], checksum: Sha256([7; 32]) })
                .collect();
            let part = [&[0][..], &tables.write(&payload, &ops)].concat();
            let part = Part::read(&part, 1 << 20).unwrap();
            let mut made = 0;
            let done = apply(
                &part,
                &objects,
                30,
                |_| Ok::<_, DeltaFormatError>([9u8; 50]),
                |key, object| {
                    if let Object::File(FileObject { content: Content::Regular(content), .. }) = object {
                        assert!(key.kind == ObjectKind::File && content.len() <= 30);
                    }
                    made += 1;
                    Ok(())
                },
            );
            prop_assert!(made <= objects.len());
            prop_assert!(done.is_err() || made == objects.len());
        }
    }
}
