//! The identity of everything that determines a std cache.

use crate::fs::path::TreePath;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, Sha256};
use crate::object::DirTree;
use crate::repo::{Repo, RepoError};
use crate::version::GoVersion;
use serde_json::{Value, json};
use sha2::Digest;

/// The version of what a build does. It is incremented when a build with the same SDK keeps other
/// entries.
const RECIPE: u32 = 1;

/// The parts of an SDK that determine its std caches: the sources, and the settings of the go
/// command. They are the same for all architectures, so that it does not matter on which one a
/// std cache is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SdkInput(Value);

impl SdkInput {
    /// Reads the identity of the SDK in a release.
    ///
    /// # Errors
    /// Returns an error if a directory cannot be read.
    pub(crate) fn read(
        repo: &Repo,
        release: CommitId,
        prefix: &TreePath,
        version: &GoVersion,
    ) -> Result<Self, RepoError> {
        let commit = repo.commit(release)?;
        let mut folder = repo.dirtree(commit.tree)?;
        for name in prefix.components() {
            folder = below(repo, &folder, name)?;
        }
        let packages = below(repo, &folder, "pkg")?;
        Ok(Self(json!({
            "recipe": RECIPE,
            "version": version.as_str(),
            "timestamp": commit.timestamp,
            "src": directory(&folder, "src"),
            "include": directory(&packages, "include"),
            "go.env": file(&folder, "go.env"),
            "VERSION": file(&folder, "VERSION"),
        })))
    }

    /// Returns the input hash of a std cache.
    pub(crate) fn hash(&self, id: StdCacheId) -> String {
        let text = json!({ "sdk": self.0, "stdcache": id.to_string() }).to_string();
        Sha256(sha2::Sha256::digest(text).into()).to_string()
    }
}

/// Reads a directory in another one; a missing one counts as empty.
fn below(repo: &Repo, folder: &DirTree, name: &str) -> Result<DirTree, RepoError> {
    match folder.dirs.iter().find(|(found, ..)| found == name) {
        Some((_, id, _)) => repo.dirtree(*id),
        None => Ok(DirTree {
            files: Vec::new(),
            dirs: Vec::new(),
        }),
    }
}

fn directory(folder: &DirTree, name: &str) -> Option<String> {
    let found = folder.dirs.iter().find(|(found, ..)| found == name);
    found.map(|(_, id, _)| id.to_string())
}

fn file(folder: &DirTree, name: &str) -> Option<String> {
    let found = folder.files.iter().find(|(found, _)| found == name);
    found.map(|(_, id)| id.to_string())
}
