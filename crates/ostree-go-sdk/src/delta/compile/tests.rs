//! Deltas that are made here, applied by libostree and by the executor.

use super::*;
use crate::delta::testing::{Shelf, check, commit, shelf};
use crate::delta::{folder, keep_smaller, read_superblock, remove, retarget};
use crate::id::CommitId;
use crate::progress::Silent;
use crate::repo::RepoMode;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::path::Path;

fn making(threads: usize, progress: &dyn Progress) -> Making<'_> {
    Making {
        preset: DeltaPreset::Fast,
        time: 1_234_567,
        threads,
        label: "test",
        progress,
    }
}

fn make(repo: &Repo, from: Option<CommitId>, to: CommitId, threads: usize) -> DeltaName {
    let name = DeltaName { from, to };
    generate(repo, &name, &making(threads, &Silent)).unwrap();
    name
}

/// Has libostree apply a delta, which it checks, and checks that all objects are there.
fn apply_by_libostree(repo: &Repo, name: &DeltaName, client: &Repo) {
    let none = gio::Cancellable::NONE;
    let folder = gio::File::for_path(folder(repo, name));
    let client = client.as_ostree();
    client.prepare_transaction(none).unwrap();
    client
        .static_delta_execute_offline(&folder, false, none)
        .unwrap();
    client.commit_transaction(none).unwrap();
    let to = name.to.to_string();
    let reached = client.traverse_commit(&to, 0, none).unwrap();
    for object in reached {
        client
            .fsck_object(object.object_type(), object.checksum(), none)
            .unwrap();
    }
}

fn client(folder: &Path) -> Repo {
    Repo::create(folder.join("client"), RepoMode::BareUser).unwrap()
}

#[test]
fn libostree_and_the_executor_apply_every_kind_of_change() {
    let shelf = shelf();
    let client = client(shelf.folder.path());
    let repo = &shelf.repo;
    let first = make(repo, None, shelf.old, 2);
    let codes = check(&shelf, &first, &folder(repo, &first));
    assert!(
        !codes.contains_key("bspatch") && codes["fallback"] == 0,
        "{codes:?}"
    );
    apply_by_libostree(repo, &first, &client);

    let second = make(repo, Some(shelf.old), shelf.new, 2);
    let codes = check(&shelf, &second, &folder(repo, &second));
    assert_eq!(
        codes["bspatch"], 2,
        "the two that changed in part: {codes:?}"
    );
    apply_by_libostree(repo, &second, &client);
    let (superblock, signatures) = read_superblock(repo, &second).unwrap();
    assert_eq!(superblock.timestamp, 1_234_567);
    assert!(signatures.is_empty() && superblock.fallbacks.is_empty());
    assert_eq!(
        superblock.commit.data(),
        &repo.commit_bytes(shelf.new).unwrap()[..]
    );
    // Nothing is left over.
    let tmp = repo.path().join("tmp").read_dir().unwrap();
    assert!(
        tmp.flatten()
            .all(|e| !e.file_name().to_string_lossy().starts_with("delta-"))
    );
}

#[test]
fn threads_change_nothing_and_a_renamed_file_is_found() {
    let mut shelf = shelf();
    let tree = shelf.folder.path().join("tree");
    std::fs::create_dir(tree.join("moved")).unwrap();
    let mut program = std::fs::read(tree.join("lib/program")).unwrap();
    program[100] ^= 1;
    std::fs::remove_file(tree.join("lib/program")).unwrap();
    std::fs::write(tree.join("moved/program"), program).unwrap();
    shelf.old = shelf.new;
    shelf.new = commit(&shelf.repo, &tree);

    let repo = &shelf.repo;
    let name = make(repo, Some(shelf.old), shelf.new, 1);
    let files = || {
        let entries = folder(repo, &name).read_dir().unwrap().flatten();
        let read = |path: std::path::PathBuf| (std::fs::read(&path).unwrap(), path);
        let mut files: Vec<_> = entries.map(|entry| read(entry.path())).collect();
        files.sort();
        files
    };
    let first = files();
    assert_eq!(check(&shelf, &name, &folder(repo, &name))["bspatch"], 1);
    remove(repo, &name).unwrap();
    make(repo, Some(shelf.old), shelf.new, 3);
    assert!(first == files());
    // Making it again replaces it.
    make(repo, Some(shelf.old), shelf.new, 2);
    assert!(first == files());
}

#[test]
fn a_delta_of_the_same_tree_shares_the_parts() {
    let shelf = shelf();
    let repo = &shelf.repo;
    let model = make(repo, None, shelf.new, 2);
    let tree = shelf.folder.path().join("tree");
    let other = DeltaName {
        from: None,
        to: commit(repo, &tree),
    };
    assert_ne!(model, other);
    retarget(repo, &model, &other).unwrap();
    check(&shelf, &other, &folder(repo, &other));
    apply_by_libostree(repo, &other, &client(shelf.folder.path()));
    let inode = |name| {
        let part = folder(repo, name).join("0");
        std::os::unix::fs::MetadataExt::ino(&part.metadata().unwrap())
    };
    assert_eq!(inode(&model), inode(&other));
}

#[test]
fn the_best_preset_is_applied_alike() {
    let shelf = shelf();
    let repo = &shelf.repo;
    let client = client(shelf.folder.path());
    for from in [None, Some(shelf.old)] {
        let to = from.map_or(shelf.old, |_| shelf.new);
        let name = make(repo, from, to, 2);
        let fast = read_superblock(repo, &name).unwrap().0.download();
        let best = Making {
            preset: DeltaPreset::Best,
            ..making(2, &Silent)
        };
        generate(repo, &name, &best).unwrap();
        assert!(read_superblock(repo, &name).unwrap().0.download() <= fast);
        check(&shelf, &name, &folder(repo, &name));
        apply_by_libostree(repo, &name, &client);
    }
}

#[test]
fn libostrees_own_is_kept_where_it_is_smaller() {
    let shelf = shelf();
    let repo = &shelf.repo;
    let all = make(repo, None, shelf.new, 2);
    let name = DeltaName {
        from: Some(shelf.old),
        to: shelf.new,
    };
    // With the parts of one from nothing: far larger than it has to be.
    retarget(repo, &all, &name).unwrap();
    let large = read_superblock(repo, &name).unwrap().0.download();
    let compared = keep_smaller(repo, &name, 1_234_567).unwrap();
    let (kept, _) = read_superblock(repo, &name).unwrap();
    assert_eq!(compared.ours, large);
    assert_eq!(compared.libostree, kept.download());
    assert!(compared.libostree < compared.ours, "{compared:?}");
    assert_eq!((kept.name, kept.timestamp), (name, 1_234_567));
    check(&shelf, &name, &folder(repo, &name));
    let client = client(shelf.folder.path());
    let first = make(repo, None, shelf.old, 2);
    apply_by_libostree(repo, &first, &client);
    apply_by_libostree(repo, &name, &client);

    // Ours is kept where it is not.
    make(repo, Some(shelf.old), shelf.new, 2);
    let (ours, _) = read_superblock(repo, &name).unwrap();
    let compared = keep_smaller(repo, &name, 7).unwrap();
    assert_eq!(compared.ours, ours.download());
    assert!(compared.ours <= compared.libostree, "{compared:?}");
    assert_eq!(read_superblock(repo, &name).unwrap().0.timestamp, 1_234_567);
    let tmp = repo.path().join("tmp").read_dir().unwrap();
    assert!(
        tmp.flatten()
            .all(|e| !e.file_name().to_string_lossy().starts_with("delta-"))
    );
}

#[test]
fn a_stop_leaves_nothing() {
    struct Stop;
    impl Progress for Stop {
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let shelf = shelf();
    let name = DeltaName {
        from: None,
        to: shelf.new,
    };
    let stopped = generate(&shelf.repo, &name, &making(2, &Stop)).unwrap_err();
    assert_eq!(stopped.kind(), crate::kind::ErrorKind::Cancelled);
    assert!(crate::delta::deltas(&shelf.repo).unwrap().is_empty());
    assert!(matches!(
        read_superblock(&shelf.repo, &name).unwrap_err(),
        DeltaError::NotFound { .. }
    ));
    let tmp = shelf.repo.path().join("tmp").read_dir().unwrap();
    assert!(
        tmp.flatten()
            .all(|e| !e.file_name().to_string_lossy().starts_with("delta-"))
    );
}

/// Content of few pieces, so that files have much in common.
fn content() -> impl Strategy<Value = Vec<u8>> {
    vec((0u64..6, 1usize..900), 0..6).prop_map(|pieces| {
        let piece = |(seed, len)| crate::delta::testing::noise(seed, len);
        pieces.into_iter().flat_map(piece).collect()
    })
}

fn tree() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    btree_map("[a-c](/[a-c]){0,2}\\.(go|txt)", content(), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_trees(old in tree(), new in tree()) {
        let folder_of = tempfile::tempdir().unwrap();
        let repo = Repo::create(folder_of.path().join("repo"), RepoMode::Archive).unwrap();
        let write = |files: &BTreeMap<String, Vec<u8>>, name: &str| {
            let root = folder_of.path().join(name);
            std::fs::create_dir(&root).unwrap();
            for (path, content) in files {
                let path = root.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            commit(&repo, &root)
        };
        let (old, new) = (write(&old, "old"), write(&new, "new"));
        let client = client(folder_of.path());
        let first = make(&repo, None, old, 2);
        apply_by_libostree(&repo, &first, &client);
        let second = make(&repo, Some(old), new, 2);
        apply_by_libostree(&repo, &second, &client);
        let shelf = Shelf { folder: folder_of, repo, old, new };
        for name in [first, second] {
            check(&shelf, &name, &folder(&shelf.repo, &name));
        }
    }
}
