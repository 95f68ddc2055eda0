//! The result of a proof.

use super::build::Build;
use super::cause::Cause;
use super::compare::Difference;
use super::variation::{NotVaried, Varied};
use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::id::{CommitId, Sha256};
use crate::sandbox::Backend;
use std::path::PathBuf;

/// The result of building a program several times.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reproduction {
    /// The directory of the sources.
    pub project: PathBuf,
    /// The backend that isolated the builds.
    pub backend: Backend,
    /// The command line without the path of the result, for people.
    pub command: String,
    /// The builds: the first, the second, and that of the other SDK if there is one.
    pub builds: Vec<Build>,
    /// The conditions that differed between the first and the second build.
    pub varied: Vec<Varied>,
    /// The conditions that were the same in both, with the reasons.
    pub not_varied: Vec<NotVaried>,
    /// The comparisons of the first build with all others.
    pub comparisons: Vec<Comparison>,
    /// The comparisons that were asked for and could not be made.
    pub skipped: Vec<Skipped>,
}

impl Reproduction {
    /// Returns true if all programs are identical. Skipped comparisons do not count.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        let mut all = self.comparisons.iter();
        all.all(|comparison| comparison.difference.is_none())
    }
}

/// A program that the first build is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// The second build.
    Rebuild,
    /// The build by the SDK for another architecture.
    OtherSdk(Arch),
    /// A given file.
    File(PathBuf),
    /// A file in a commit.
    Committed {
        /// The commit.
        commit: CommitId,
        /// The path in the commit's tree.
        path: TreePath,
    },
}

/// A comparison of the first build with another program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// The other program.
    pub with: Peer,
    /// Its digest.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub bytes: u64,
    /// The difference; `None` if the programs are identical.
    pub difference: Option<Difference>,
    /// The causes of the difference, the most likely first; empty if there is no difference.
    pub causes: Vec<Cause>,
}

/// A comparison that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The other program.
    pub with: Peer,
    /// The reason.
    pub reason: String,
}
