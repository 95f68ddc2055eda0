//! Tests of incomplete commits, pruning, and atomic moves of refs.

use super::objects::{Object, Objects};
use super::*;
use gio::prelude::*;
use std::fs;

struct Fixture {
    folder: tempfile::TempDir,
    repo: Repo,
}

impl Fixture {
    fn new(mode: RepoMode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo::create(folder.path().join("repo"), mode).unwrap();
        Self { folder, repo }
    }

    /// Commits files with libostree, without a ref.
    fn commit(&self, files: &[(&str, &str)]) -> CommitId {
        let top = self.folder.path().join("tree");
        for (name, content) in files {
            let path = top.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let (inner, none) = (self.repo.as_ostree(), gio::Cancellable::NONE);
        inner.prepare_transaction(none).unwrap();
        let tree = ostree::MutableTree::new();
        let file = gio::File::for_path(&top);
        inner
            .write_directory_to_mtree(&file, &tree, None, none)
            .unwrap();
        let root = inner.write_mtree(&tree, none).unwrap();
        let root = root.downcast_ref::<ostree::RepoFile>().unwrap();
        let id = inner.write_commit(None, None, None, None, root, none);
        inner.commit_transaction(none).unwrap();
        fs::remove_dir_all(top).unwrap();
        id.unwrap().parse().unwrap()
    }

    fn path(&self, object: Object) -> PathBuf {
        let path = object.loose_path(self.repo.as_ostree().mode());
        self.repo.path().join("objects").join(path)
    }

    /// Returns all objects of a commit except the commit object.
    fn parts(&self, commit: CommitId) -> Vec<Object> {
        let mut parts = Vec::new();
        let objects = Objects::of(&self.repo).unwrap();
        let walked = objects.walk(commit, &mut |object| {
            parts.push(object);
            Ok(objects::Next::Enter)
        });
        assert!(walked.unwrap());
        parts
    }
}

const MODES: [RepoMode; 2] = [RepoMode::Archive, RepoMode::BareUser];

fn name(text: &str) -> RefName {
    text.parse().unwrap()
}

fn local(text: &str, to: Option<CommitId>) -> RefMove {
    RefMove::local(&name(text), to)
}

#[test]
fn a_commit_that_lacks_any_object_is_not_complete() {
    for mode in MODES {
        let fixture = Fixture::new(mode);
        let commit = fixture.commit(&[("a", "1"), ("d/b", "2"), ("d/e/c", "3")]);
        let complete = || fixture.repo.is_complete(commit).unwrap();
        assert!(complete());
        for part in fixture.parts(commit) {
            let path = fixture.path(part);
            let away = fixture.folder.path().join("away");
            fs::rename(&path, &away).unwrap();
            assert!(!complete(), "{part:?}");
            fs::rename(&away, &path).unwrap();
        }
        assert!(complete());
        fixture
            .repo
            .mark_partial([commit], Partial::Unfinished)
            .unwrap();
        assert!(!complete());
    }
}

#[test]
fn a_directory_that_is_not_well_formed_makes_a_commit_incomplete() {
    let fixture = Fixture::new(RepoMode::Archive);
    let commit = fixture.commit(&[("d/a", "1")]);
    let tree = fixture.repo.commit(commit).unwrap().tree;
    fs::write(fixture.path(Object::tree(tree)), "no directory").unwrap();
    assert!(!fixture.repo.is_complete(commit).unwrap());
}

#[test]
fn completeness_of_shared_directories_is_cached() {
    let fixture = Fixture::new(RepoMode::Archive);
    let one = fixture.commit(&[("d/a", "1"), ("e/b", "2")]);
    let other = fixture.commit(&[("d/a", "1"), ("e/b", "3")]);
    let complete = Completeness::of(&fixture.repo).unwrap();
    assert!(complete.is_complete(one).unwrap());
    let parts = fixture.parts(other).into_iter();
    let old = fixture.parts(one);
    for part in parts.filter(|part| !old.contains(part)) {
        fs::remove_file(fixture.path(part)).unwrap();
    }
    assert!(!complete.is_complete(other).unwrap());
    assert!(complete.is_complete(one).unwrap());
}

#[test]
fn damage_marks_every_commit_that_needs_the_object() {
    let fixture = Fixture::new(RepoMode::Archive);
    let one = fixture.commit(&[("a", "same"), ("b", "1")]);
    let two = fixture.commit(&[("a", "same"), ("b", "2")]);
    let three = fixture.commit(&[("b", "2")]);
    let old = fixture.parts(three);
    let of_two = fixture.parts(two);
    let mut shared = fixture.parts(one);
    shared.retain(|part| of_two.contains(part) && !old.contains(part));
    let [file] = shared.as_slice() else {
        panic!("one object is shared: {shared:?}")
    };
    let named = format!("{}.file", file.checksum);
    fixture.repo.delete_damaged([named.as_str()]).unwrap();
    assert!(!fixture.path(*file).exists());
    for (commit, mark) in [
        (one, Some(Partial::Damaged)),
        (two, Some(Partial::Damaged)),
        (three, None),
    ] {
        assert_eq!(fixture.repo.partial(commit).unwrap(), mark);
    }
}

#[test]
fn a_prune_deletes_the_same_objects_as_libostree() {
    for (mode, depth) in MODES.into_iter().zip([0, 1]) {
        let fixture = Fixture::new(mode);
        let kept = fixture.commit(&[("a", "same"), ("d/b", "1")]);
        fixture.commit(&[("a", "same"), ("d/b", "2"), ("d/c", "3")]);
        fixture.repo.move_ref(&local("kept", Some(kept))).unwrap();
        fixture
            .repo
            .mark_partial([CommitId::from([7; 32])], Partial::Unfinished)
            .unwrap();
        let flags = ostree::RepoPruneFlags::REFS_ONLY | ostree::RepoPruneFlags::NO_PRUNE;
        let none = gio::Cancellable::NONE;
        let stock = fixture.repo.as_ostree();
        let stock = stock.prune(flags, depth, none).unwrap();
        let depth = usize::try_from(depth).unwrap();
        let deleted = fixture.repo.prune_objects(depth).unwrap();
        assert_eq!(deleted.objects, u64::try_from(stock.1).unwrap());
        assert_eq!(deleted.bytes, stock.2);
        assert!(deleted.objects > 4);
        assert!(fixture.repo.is_complete(kept).unwrap());
        assert_eq!(fixture.repo.marked_partial().unwrap(), []);
        let again = fixture.repo.prune_objects(depth).unwrap();
        assert_eq!(again, Deleted::default());
    }
}

#[test]
fn a_prune_deletes_nothing_when_a_ref_cannot_be_read() {
    let fixture = Fixture::new(RepoMode::Archive);
    let commit = fixture.commit(&[("a", "1")]);
    let mirrors = fixture.repo.path().join("refs/mirrors/org.example");
    fs::create_dir_all(&mirrors).unwrap();
    fs::write(mirrors.join("main"), "no checksum\n").unwrap();
    assert!(fixture.repo.prune_objects(0).is_err());
    fs::write(mirrors.join("main"), format!("{commit}\n")).unwrap();
    assert_eq!(fixture.repo.prune_objects(0).unwrap(), Deleted::default());
    assert!(fixture.repo.is_complete(commit).unwrap());
}

#[test]
fn refs_move_all_or_none() {
    let fixture = Fixture::new(RepoMode::Archive);
    let repo = &fixture.repo;
    let (old, new) = (fixture.commit(&[("a", "1")]), fixture.commit(&[("a", "2")]));
    repo.move_ref(&local("one", Some(old))).unwrap();
    let before = repo.refs().unwrap();
    // The last move fails, because its folder has the name of an existing ref.
    let moves = [
        local("one", Some(new)),
        local("new/two", Some(new)),
        local("one/three", Some(new)),
    ];
    assert!(repo.move_refs(&moves).is_err());
    assert_eq!(repo.refs().unwrap(), before);
    assert!(!repo.path().join("state/ostree-go.refs").exists());
    let twice = [
        &moves[..2],
        &moves[..1],
        &[local("new/two", Some(old))],
        &moves[1..2],
    ];
    repo.move_refs(&twice.concat()).unwrap();
    assert_eq!(repo.find(&name("one")).unwrap(), Some(new));
    assert_eq!(repo.find(&name("new/two")).unwrap(), Some(new));
    assert!(!repo.path().join("state/ostree-go.refs").exists());
}

#[test]
fn interrupted_moves_are_completed_by_the_next_lock() {
    let fixture = Fixture::new(RepoMode::Archive);
    let repo = &fixture.repo;
    let (old, new) = (fixture.commit(&[("a", "1")]), fixture.commit(&[("a", "2")]));
    let gone = CommitId::from([7; 32]);
    for existing in ["removed", "moved-since", "to-nothing"] {
        repo.move_ref(&local(existing, Some(old))).unwrap();
    }
    repo.move_ref(&local("moved-since", Some(new))).unwrap();
    let record = format!(
        "ostree-go refs 1\n- {new} acme:made\n- {new} here\n{old} - removed\n\
         {old} - moved-since\n{old} {gone} to-nothing\n"
    );
    let path = repo.path().join("state/ostree-go.refs");
    fs::write(&path, record).unwrap();
    drop(repo.lock(&NoProgress).unwrap());
    assert!(!path.exists());
    let refs = repo.refs().unwrap();
    let expected = [("here", new), ("moved-since", new), ("to-nothing", old)];
    assert_eq!(refs, expected.map(|(at, id)| (name(at), id)).into());
    let made = repo.as_ostree().resolve_rev("acme:made", false).unwrap();
    assert_eq!(made.unwrap(), new.to_string());
    // A record with an unknown version is not ignored.
    fs::write(&path, "ostree-go refs 2\n").unwrap();
    let error = repo.lock(&NoProgress).unwrap_err().to_string();
    assert!(error.contains("state/ostree-go.refs"), "{error}");
}

#[test]
fn a_transaction_drops_commits_that_a_killed_process_staged() {
    let fixture = Fixture::new(RepoMode::Archive);
    let commit = fixture.commit(&[("a", "1")]);
    let transaction = fixture.repo.begin().unwrap();
    let staged = transaction.staging().unwrap().path().to_owned();
    let hex = commit.to_string();
    let folder = staged.join(&hex[..2]);
    fs::create_dir_all(&folder).unwrap();
    let object = folder.join(format!("{}.commit", &hex[2..]));
    fs::rename(fixture.path(Object::commit(commit)), &object).unwrap();
    transaction.keep_staged_objects();
    drop(transaction);
    assert!(object.exists(), "what a killed process has left");
    let next = fixture.repo.begin().unwrap();
    assert_eq!(next.staging().unwrap().path(), staged);
    next.commit().unwrap();
    assert!(!fixture.repo.has_commit(commit).unwrap());
}

#[test]
fn an_outdated_mark_is_removed_when_the_commit_is_written_again() {
    for reason in [Partial::Unfinished, Partial::Damaged] {
        let fixture = Fixture::new(RepoMode::Archive);
        let repo = &fixture.repo;
        let commit = fixture.commit(&[("d/a", "1")]);
        let object = repo.commit(commit).unwrap().object();
        let write = || {
            let transaction = repo.begin().unwrap();
            let kind = ostree::ObjectType::Commit;
            transaction.write(kind, &object).unwrap();
            transaction.commit().unwrap();
        };
        repo.mark_partial([commit], reason).unwrap();
        write();
        assert!(repo.is_complete(commit).unwrap(), "{reason:?}");
        // The mark stays if an object is missing or known to be damaged.
        repo.mark_partial([commit], reason).unwrap();
        let parts = fixture.parts(commit);
        let file = parts
            .iter()
            .find(|part| part.kind == objects::ObjectKind::File);
        let file = fixture.path(*file.unwrap());
        match reason {
            Partial::Unfinished => fs::remove_file(file).unwrap(),
            Partial::Damaged => fs::write(file, "rotten").unwrap(),
        }
        write();
        assert_eq!(repo.partial(commit).unwrap(), Some(reason));
    }
}

#[test]
fn detached_metadata_that_a_power_cut_has_damaged_counts_as_absent() {
    let fixture = Fixture::new(RepoMode::Archive);
    let commit = fixture.commit(&[("a", "1")]);
    let described =
        crate::object::sorted_dict(&BTreeMap::from([("key".to_owned(), "value".to_variant())]));
    let path = fixture.path(Object::commit(commit));
    let path = path.with_extension("commitmeta");
    for damaged in [&b""[..], &[0; 40], b"\xff\xff\xff\xff not a dictionary"] {
        fs::write(&path, damaged).unwrap();
        assert!(fixture.repo.detached(commit).unwrap().is_empty());
        fixture.repo.write_detached(commit, &described).unwrap();
        assert_eq!(fixture.repo.detached(commit).unwrap().len(), 1);
    }
}
