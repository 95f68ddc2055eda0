//! Tests that apply generated deltas with libostree and with our executor.

use super::*;
use crate::delta::testing::{TwoCommits, check, commit, two_commits};
use crate::delta::{folder, keep_smaller, read_superblock, remove, retarget};
use crate::id::CommitId;
use crate::progress::NoProgress;
use crate::repo::RepoMode;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::path::Path;

fn options(threads: usize, progress: &dyn Progress) -> GenerateOptions<'_> {
    GenerateOptions {
        preset: DeltaPreset::Fast,
        time: 1_234_567,
        threads,
        label: "test",
        progress,
    }
}

fn make(repo: &Repo, from: Option<CommitId>, to: CommitId, threads: usize) -> DeltaName {
    let name = DeltaName { from, to };
    generate(repo, &name, &options(threads, &NoProgress)).unwrap();
    name
}

/// Applies a delta with libostree, which checks it, and checks that all objects exist.
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
    let fixture = two_commits();
    let client = client(fixture.folder.path());
    let repo = &fixture.repo;
    let first = make(repo, None, fixture.old, 2);
    let codes = check(&fixture, &first, &folder(repo, &first));
    assert!(
        !codes.contains_key("bspatch") && codes["fallback"] == 0,
        "{codes:?}"
    );
    apply_by_libostree(repo, &first, &client);

    let second = make(repo, Some(fixture.old), fixture.new, 2);
    let codes = check(&fixture, &second, &folder(repo, &second));
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
        &repo.commit_bytes(fixture.new).unwrap()[..]
    );
    // No temporary files are left.
    let tmp = repo.path().join("tmp").read_dir().unwrap();
    assert!(
        tmp.flatten()
            .all(|e| !e.file_name().to_string_lossy().starts_with("delta-"))
    );
}

#[test]
fn threads_do_not_change_bytes_and_renames_are_found() {
    let mut fixture = two_commits();
    let tree = fixture.folder.path().join("tree");
    std::fs::create_dir(tree.join("moved")).unwrap();
    let mut program = std::fs::read(tree.join("lib/program")).unwrap();
    program[100] ^= 1;
    std::fs::remove_file(tree.join("lib/program")).unwrap();
    std::fs::write(tree.join("moved/program"), program).unwrap();
    fixture.old = fixture.new;
    fixture.new = commit(&fixture.repo, &tree);

    let repo = &fixture.repo;
    let name = make(repo, Some(fixture.old), fixture.new, 1);
    let files = || {
        let entries = folder(repo, &name).read_dir().unwrap().flatten();
        let read = |path: std::path::PathBuf| (std::fs::read(&path).unwrap(), path);
        let mut files: Vec<_> = entries.map(|entry| read(entry.path())).collect();
        files.sort();
        files
    };
    let first = files();
    assert_eq!(check(&fixture, &name, &folder(repo, &name))["bspatch"], 1);
    remove(repo, &name).unwrap();
    make(repo, Some(fixture.old), fixture.new, 3);
    assert!(first == files());
    // Generating it again replaces it.
    make(repo, Some(fixture.old), fixture.new, 2);
    assert!(first == files());
}

#[test]
fn a_delta_of_the_same_tree_shares_the_parts() {
    let fixture = two_commits();
    let repo = &fixture.repo;
    let model = make(repo, None, fixture.new, 2);
    let tree = fixture.folder.path().join("tree");
    let other = DeltaName {
        from: None,
        to: commit(repo, &tree),
    };
    assert_ne!(model, other);
    retarget(repo, &model, &other).unwrap();
    check(&fixture, &other, &folder(repo, &other));
    apply_by_libostree(repo, &other, &client(fixture.folder.path()));
    let inode = |name| {
        let part = folder(repo, name).join("0");
        std::os::unix::fs::MetadataExt::ino(&part.metadata().unwrap())
    };
    assert_eq!(inode(&model), inode(&other));
}

#[test]
fn deltas_of_the_best_preset_apply() {
    let fixture = two_commits();
    let repo = &fixture.repo;
    let client = client(fixture.folder.path());
    for from in [None, Some(fixture.old)] {
        let to = from.map_or(fixture.old, |_| fixture.new);
        let name = make(repo, from, to, 2);
        let fast = read_superblock(repo, &name).unwrap().0.download();
        let best = GenerateOptions {
            preset: DeltaPreset::Best,
            ..options(2, &NoProgress)
        };
        generate(repo, &name, &best).unwrap();
        assert!(read_superblock(repo, &name).unwrap().0.download() <= fast);
        check(&fixture, &name, &folder(repo, &name));
        apply_by_libostree(repo, &name, &client);
    }
}

#[test]
fn the_smaller_delta_is_kept() {
    let fixture = two_commits();
    let repo = &fixture.repo;
    let all = make(repo, None, fixture.new, 2);
    let name = DeltaName {
        from: Some(fixture.old),
        to: fixture.new,
    };
    // With the parts of a delta from nothing, it is far larger than necessary.
    retarget(repo, &all, &name).unwrap();
    let large = read_superblock(repo, &name).unwrap().0.download();
    let compared = keep_smaller(repo, &name, 1_234_567).unwrap();
    let (kept, _) = read_superblock(repo, &name).unwrap();
    assert_eq!(compared.ours, large);
    assert_eq!(compared.libostree, kept.download());
    assert!(compared.libostree < compared.ours, "{compared:?}");
    assert_eq!((kept.name, kept.timestamp), (name, 1_234_567));
    check(&fixture, &name, &folder(repo, &name));
    let client = client(fixture.folder.path());
    let first = make(repo, None, fixture.old, 2);
    apply_by_libostree(repo, &first, &client);
    apply_by_libostree(repo, &name, &client);

    // Our delta is kept if libostree's is not smaller.
    make(repo, Some(fixture.old), fixture.new, 2);
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
fn cancelling_leaves_no_files() {
    struct Stop;
    impl Progress for Stop {
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let fixture = two_commits();
    let name = DeltaName {
        from: None,
        to: fixture.new,
    };
    let stopped = generate(&fixture.repo, &name, &options(2, &Stop)).unwrap_err();
    assert_eq!(stopped.kind(), crate::kind::ErrorKind::Cancelled);
    assert!(crate::delta::deltas(&fixture.repo).unwrap().is_empty());
    assert!(matches!(
        read_superblock(&fixture.repo, &name).unwrap_err(),
        DeltaError::NotFound { .. }
    ));
    let tmp = fixture.repo.path().join("tmp").read_dir().unwrap();
    assert!(
        tmp.flatten()
            .all(|e| !e.file_name().to_string_lossy().starts_with("delta-"))
    );
}

/// Generates content from few pieces, so that files have much in common.
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
        let fixture = TwoCommits { folder: folder_of, repo, old, new };
        for name in [first, second] {
            check(&fixture, &name, &folder(&fixture.repo, &name));
        }
    }
}
