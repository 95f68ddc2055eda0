//! The lock file: everything that decides what the units of a workspace are built from.

use super::error::WorkspaceError;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::fs::digest;
use crate::id::Sha256;
use crate::sign::{TrustedKeys, verify_file};
use crate::toolchains::project::read as read_file;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The name of the lock file, which is beside `go.work` or `go.mod`.
pub const LOCK_FILE_NAME: &str = "ostree-go.lock";

/// The schema that is written. A lock with a higher one is refused.
const SCHEMA: u32 = 1;

/// The lock of a workspace, as JSON in [`LOCK_FILE_NAME`]. It has neither times nor absolute paths, so that the
/// same state gives the same bytes on every machine. Fields and lists are sorted; all paths use `/` and are
/// relative to the directory of the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lock {
    /// The projects, sorted by directory.
    pub projects: Vec<LockedProject>,
    /// The number of the schema: 1.
    pub schema: u32,
    /// The SDK that builds all units.
    pub sdk: LockedSdk,
    /// The variables that decide what is built, and are set in the environment or in the file of `go env -w`.
    pub settings: BTreeMap<String, String>,
}

/// The SDK that builds all units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedSdk {
    /// The installed release of each architecture, by the name of the architecture, such as `x86_64`.
    pub deployments: BTreeMap<String, LockedDeployment>,
    /// The `h1:` hash of the upstream content, if the commit declares it.
    pub h1: Option<String>,
    /// The Go version, without the prefix `go`.
    pub version: String,
}

/// An installed release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedDeployment {
    /// The checksum of the commit.
    pub commit: String,
    /// The ref that it was installed from.
    #[serde(rename = "ref")]
    pub ref_name: String,
}

/// A project: a `go.work` file with the modules that it uses, or a `go.mod` file that no `go.work` file uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedProject {
    /// The directory.
    pub directory: String,
    /// The name of the file that decides: `go.work` or `go.mod`.
    pub file: String,
    /// The modules that the units are built from, without the units themselves, sorted by path.
    pub modules: Vec<LockedModule>,
    /// The units, sorted by directory: the modules that `go.work` uses, or the only module.
    pub units: Vec<LockedUnit>,
    /// The content of `go.work`.
    pub work: Option<LockedWork>,
}

/// The content of a `go.work` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedWork {
    /// The version in the `go` line.
    pub go: Option<String>,
    /// The `godebug` settings.
    pub godebug: BTreeMap<String, String>,
    /// The replacements, sorted.
    pub replace: Vec<LockedReplace>,
    /// The SHA-256 digest of the file.
    pub sha256: String,
    /// The name in the `toolchain` line.
    pub toolchain: Option<String>,
    /// The directories of the `use` lines, sorted.
    #[serde(rename = "use")]
    pub uses: Vec<String>,
    /// The vendored modules of the workspace.
    pub vendor: Option<LockedVendor>,
}

/// A unit: a module that is built and deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedUnit {
    /// The directory.
    pub directory: String,
    /// The version in the `go` line.
    pub go: Option<String>,
    /// The `godebug` settings.
    pub godebug: BTreeMap<String, String>,
    /// The path of the module.
    pub module: Option<String>,
    /// The SHA-256 digest of `go.mod`.
    pub sha256: String,
    /// The name in the `toolchain` line.
    pub toolchain: Option<String>,
    /// The vendored modules of the unit.
    pub vendor: Option<LockedVendor>,
}

/// A line of a `go.work` file that replaces a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedReplace {
    /// The path of the module, and the version behind `@` if only that one is replaced.
    pub module: String,
    /// The replacement: a path and a version, or a directory.
    pub with: String,
}

/// A module that units are built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedModule {
    /// The hash of `go.mod` in `go.sum`, of the replacement if that is a module.
    pub go_mod_h1: Option<String>,
    /// The hash of the content in `go.sum`, of the replacement if that is a module.
    pub h1: Option<String>,
    /// The path.
    pub path: String,
    /// The replacement of the module; `None` if it is not replaced.
    pub replacement: Option<LockedReplacement>,
    /// The version that was selected.
    pub version: Option<String>,
}

/// The replacement of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedReplacement {
    /// The commit of the git checkout that contains the directory, if it is not the checkout of the lock.
    pub commit: Option<String>,
    /// The hash of the files in the directory; `None` for a module.
    pub h1: Option<String>,
    /// The path of the module, or the directory.
    pub path: String,
    /// The version of the module; `None` for a directory.
    pub version: Option<String>,
}

/// A directory `vendor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedVendor {
    /// The number of files.
    pub files: usize,
    /// The hash of all files.
    pub h1: String,
    /// The modules, sorted by path and version.
    pub modules: Vec<LockedVendoredModule>,
    /// The SHA-256 digest of `modules.txt`.
    pub modules_txt: String,
}

/// The files of a vendored module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedVendoredModule {
    /// The number of files.
    pub files: usize,
    /// The hash of the files.
    pub h1: String,
    /// The path of the module.
    pub path: String,
    /// The version.
    pub version: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    schema: u32,
}

impl Lock {
    pub(super) fn new(
        sdk: LockedSdk,
        settings: BTreeMap<String, String>,
        projects: Vec<LockedProject>,
    ) -> Self {
        Self {
            projects,
            schema: SCHEMA,
            sdk,
            settings,
        }
    }

    /// Reads a lock file.
    ///
    /// # Errors
    /// Returns an error if there is no file, it cannot be read or is malformed, or has a newer schema.
    pub fn read(path: &Path) -> Result<Self, WorkspaceError> {
        Self::parse(path, &Self::read_bytes(path)?)
    }

    /// Reads a lock file whose signature is verified if keys are given, before anything in it is used.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read), and those of [`verify_file`].
    pub fn read_verified(path: &Path, keys: Option<&TrustedKeys>) -> Result<Self, WorkspaceError> {
        let bytes = Self::read_bytes(path)?;
        if let Some(keys) = keys {
            verify_file(path, &bytes, keys)?;
        }
        Self::parse(path, &bytes)
    }

    fn read_bytes(path: &Path) -> Result<Vec<u8>, WorkspaceError> {
        if !path.try_exists().context("look at", path)? {
            let path = path.to_owned();
            return Err(WorkspaceError::NoLock { path });
        }
        Ok(read_file(path)?)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, WorkspaceError> {
        let damaged = |source| WorkspaceError::DamagedLock {
            path: path.to_owned(),
            source,
        };
        let header: Header = serde_json::from_slice(bytes).map_err(damaged)?;
        if header.schema > SCHEMA {
            return Err(WorkspaceError::NewerLock {
                path: path.to_owned(),
                found: header.schema,
                expected: SCHEMA,
            });
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }

    /// Returns the content of the file. The same state gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A lock has only text, numbers and lists, which can always be written.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Writes the file atomically and durably. Its mode is that of other new files.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), WorkspaceError> {
        Ok(atomic::write(path, self.to_json().as_bytes()).context("write", path)?)
    }

    /// Returns the SHA-256 digest of [`to_json`](Self::to_json).
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        digest::of(self.to_json().as_bytes())
    }
}
