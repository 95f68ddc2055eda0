//! Programs that were built elsewhere.

use super::build::{self, LIMIT};
use super::error::ReproduceError;
use super::result::Peer;
use crate::fs::context::IoContext;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId};
use crate::object::FileHasher;
use crate::repo::{Repo, RepoError};
use std::path::{Path, PathBuf};

/// The largest number of symbolic links that are followed. Source: `MAXSYMLINKS` of Linux, path_resolution(7).
const MAX_LINKS: usize = 40;

/// A program to compare with, which was built elsewhere.
#[derive(Debug)]
#[non_exhaustive]
pub enum GivenProgram {
    /// A file. A symbolic link to it is followed.
    File(PathBuf),
    /// A file in a commit. Symbolic links in the commit are followed as on a host that has booted it.
    Committed {
        /// The repository.
        repo: Repo,
        /// The commit.
        commit: CommitId,
        /// The path in the commit's tree.
        path: TreePath,
    },
}

impl GivenProgram {
    /// Returns the peer that a comparison with it names.
    pub(super) fn peer(&self) -> Peer {
        match self {
            Self::File(path) => Peer::File(path.clone()),
            Self::Committed { commit, path, .. } => Peer::Committed {
                commit: *commit,
                path: path.clone(),
            },
        }
    }

    /// Reads the program. The content of a file in a commit is verified against its checksum.
    pub(super) fn read(&self) -> Result<Vec<u8>, ReproduceError> {
        match self {
            Self::File(path) => build::read(&path.canonicalize().context("read", path)?),
            Self::Committed { repo, commit, path } => read(repo, *commit, path),
        }
    }
}

fn read(repo: &Repo, commit: CommitId, path: &TreePath) -> Result<Vec<u8>, ReproduceError> {
    let id = find(repo, commit, path)?;
    let mut file = repo.file(id)?;
    if file.size > LIMIT {
        return Err(ReproduceError::TooLarge {
            path: Path::new("/").join(path.as_str()),
            found: file.size,
            limit: LIMIT,
        });
    }
    let bytes = file.read_to_end(LIMIT)?;
    let mut hasher = FileHasher::framed(&file.header.framed());
    hasher.update(&bytes);
    let found = hasher.finish();
    match found == id {
        true => Ok(bytes),
        false => Err(ReproduceError::Object { id, found }),
    }
}

/// Finds a regular file in the tree of a commit.
fn find(repo: &Repo, commit: CommitId, path: &TreePath) -> Result<FileId, ReproduceError> {
    let top = repo.commit(commit)?.tree;
    let missing = || ReproduceError::NotInCommit {
        commit,
        path: path.clone(),
    };
    let mut wanted = path.clone();
    'links: for _ in 0..=MAX_LINKS {
        let mut tree = repo.dirtree(top)?;
        let parts: Vec<&str> = wanted.components().collect();
        for (at, part) in parts.iter().enumerate() {
            if let Some((_, id)) = tree.files.iter().find(|(name, _)| name == part) {
                let header = repo.file(*id)?.header;
                if !header.is_symlink() {
                    return match at + 1 == parts.len() {
                        true => Ok(*id),
                        false => Err(missing()),
                    };
                }
                let link = parts[..=at].join("/");
                let rest = &parts[at + 1..];
                wanted = follow(&link, &header.target, rest).ok_or_else(missing)?;
                continue 'links;
            }
            let dir = tree.dirs.iter().find(|(name, ..)| name == part);
            let (_, id, _) = dir.ok_or_else(missing)?;
            tree = repo.dirtree(*id)?;
        }
        let path = Path::new("/").join(wanted.as_str());
        return Err(ReproduceError::NotAFile { path });
    }
    Err(missing())
}

/// Returns the path that a symbolic link leads to, with the components after it; `None` if that is outside of the tree.
fn follow(link: &str, target: &str, rest: &[&str]) -> Option<TreePath> {
    let target = [&[target], rest].concat().join("/");
    match target.strip_prefix('/') {
        Some(absolute) => absolute.trim_start_matches('/').parse().ok(),
        None => {
            let link: TreePath = link.parse().ok()?;
            link.resolve_link(&target).ok()
        }
    }
}

impl From<RepoError> for ReproduceError {
    fn from(error: RepoError) -> Self {
        Self::Repo(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_tree() {
        let to = |link, target, rest: &[&str]| {
            follow(link, target, rest).map(|path| path.as_str().to_owned())
        };
        assert_eq!(to("bin", "usr/bin", &["go"]).unwrap(), "usr/bin/go");
        assert_eq!(to("usr/bin/go", "../lib/go", &[]).unwrap(), "usr/lib/go");
        assert_eq!(to("usr/bin/go", "/usr/lib/go", &[]).unwrap(), "usr/lib/go");
        assert_eq!(to("bin", "../etc", &["go"]), None);
        assert_eq!(to("bin", "", &[]), None);
    }
}
