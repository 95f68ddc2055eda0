//! Verifies all objects of a repository.

use crate::id::{CommitId, DirTreeId};
use crate::parallel;
use crate::progress::Progress;
use crate::repo::{Repo, RepoError};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The result of a check of a repository.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FsckReport {
    /// The number of objects whose checksum was computed.
    pub checked: u64,
    /// The objects that do not match their checksum, and those that a commit needs but that do not
    /// exist.
    pub damaged: Vec<DamagedObject>,
}

/// An object that is damaged or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedObject {
    /// The checksum and type, as in the name of its file: `00ff….dirtree`.
    pub object: String,
    /// A description of the damage.
    pub problem: String,
    /// The commits of this repository that need the object.
    pub needed_by: Vec<CommitId>,
}

/// The checksum and type of an object.
type Object = (String, &'static str);

impl Repo {
    /// Reads all objects and verifies their checksums, on all cores. Then checks that each commit has
    /// all its objects, except commits that were pulled partially. Changes nothing.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be read, or the operation is cancelled. Damaged
    /// objects are not an error; they are part of the report.
    pub fn fsck(&self, progress: &dyn Progress) -> Result<FsckReport, RepoError> {
        let present = objects(self)?;
        let mut problems = check_all(self, &present, progress)?;
        let mut needs = BTreeMap::new();
        for (checksum, kind) in &present {
            if *kind == "commit"
                && let Ok(id) = checksum.parse()
                && is_complete(self, checksum)
            {
                needs.insert(id, reachable(self, id, &present));
            }
        }
        for object in needs.values().flatten() {
            if !present.contains(object) {
                problems.insert(object.clone(), "missing".to_owned());
            }
        }
        let damaged = problems.into_iter().map(|(object, problem)| DamagedObject {
            needed_by: needs
                .iter()
                .filter(|(_, objects)| objects.contains(&object))
                .map(|(commit, _)| *commit)
                .collect(),
            object: format!("{}.{}", object.0, object.1),
            problem,
        });
        Ok(FsckReport {
            checked: present.len() as u64,
            damaged: damaged.collect(),
        })
    }
}

/// Returns all objects that have a checksum; detached metadata and tombstones have none.
fn objects(repo: &Repo) -> Result<BTreeSet<Object>, RepoError> {
    let listed = repo
        .as_ostree()
        .list_objects(
            ostree::ffi::OSTREE_REPO_LIST_OBJECTS_ALL,
            gio::Cancellable::NONE,
        )
        .map_err(|source| repo.failed("list objects", source))?;
    Ok(listed
        .keys()
        .filter_map(|name| {
            let kind = match name.object_type() {
                ostree::ObjectType::File => "file",
                ostree::ObjectType::DirTree => "dirtree",
                ostree::ObjectType::DirMeta => "dirmeta",
                ostree::ObjectType::Commit => "commit",
                _ => return None,
            };
            Some((name.checksum().to_owned(), kind))
        })
        .collect())
}

fn check_all(
    repo: &Repo,
    objects: &BTreeSet<Object>,
    progress: &dyn Progress,
) -> Result<BTreeMap<Object, String>, RepoError> {
    let objects: Vec<&Object> = objects.iter().collect();
    let about = repo.path().to_string_lossy();
    let problem = |repo: &mut Repo, object: &&Object| {
        let problem = check_one(repo, object).transpose()?;
        Some(problem.map(|problem| ((*object).clone(), problem)))
    };
    let problems = parallel::find_problems(&objects, &about, progress, || repo.clone(), problem);
    problems.ok_or(RepoError::Cancelled)?.into_iter().collect()
}

/// Returns a description of the damage of an object; `None` if it is intact.
fn check_one(repo: &Repo, (checksum, kind): &Object) -> Result<Option<String>, RepoError> {
    let kind = match *kind {
        "file" => ostree::ObjectType::File,
        "dirtree" => ostree::ObjectType::DirTree,
        "dirmeta" => ostree::ObjectType::DirMeta,
        _ => ostree::ObjectType::Commit,
    };
    let check = || {
        let repo = repo.as_ostree();
        repo.fsck_object(kind, checksum, gio::Cancellable::NONE)
    };
    Ok(repo
        .check_object(kind, checksum, check)?
        .err()
        .map(|error| {
            // libostree's message begins with the name of the object.
            let message = error.message();
            let problem = message.split_once(&format!("{checksum}: "));
            problem.map_or(message, |(_, problem)| problem).to_owned()
        }))
}

/// Returns true if a commit was written or pulled completely. This includes commits that were found
/// to be damaged later.
fn is_complete(repo: &Repo, checksum: &str) -> bool {
    use ostree::RepoCommitState as State;
    repo.as_ostree()
        .load_commit(checksum)
        .is_ok_and(|(_, state)| {
            !state.contains(State::PARTIAL) || state.contains(State::FSCK_PARTIAL)
        })
}

/// Returns all objects that a commit needs, including itself, as far as its directories can be
/// read.
fn reachable(repo: &Repo, commit: CommitId, present: &BTreeSet<Object>) -> HashSet<Object> {
    let mut needed = HashSet::from([(commit.to_string(), "commit")]);
    if let Ok(commit) = repo.commit(commit) {
        needed.insert((commit.meta.to_string(), "dirmeta"));
        directory(repo, commit.tree, present, &mut needed);
    }
    needed
}

fn directory(repo: &Repo, id: DirTreeId, present: &BTreeSet<Object>, needed: &mut HashSet<Object>) {
    let object = (id.to_string(), "dirtree");
    let exists = present.contains(&object);
    if !needed.insert(object) || !exists {
        return;
    }
    let Ok(entries) = repo.dirtree(id) else {
        return;
    };
    needed.extend(entries.files.iter().map(|(_, id)| (id.to_string(), "file")));
    for (_, tree, meta) in entries.dirs {
        needed.insert((meta.to_string(), "dirmeta"));
        directory(repo, tree, present, needed);
    }
}
