//! The folder of a root in which the go command finds all installed SDKs.
//!
//! With `GOTOOLCHAIN=local+path`, the go command runs the program `go1.26.5` in `PATH` if a `go.mod` or
//! `go.work` file asks for this version. It refuses a program that provides another version, so that a
//! link has the version in the SDK's own `VERSION` file. Source: `src/cmd/go/internal/toolchain`.

use super::error::DeployError;
use super::folder;
use super::links;
use super::locked::LockedRoot;
use super::root::Root;
use super::state::Deployment;
use crate::arch::Arch;
use crate::golang::version_file::VersionFile;
use crate::progress::Progress;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the folder.
const FOLDER: &str = "toolchains";
/// The path of the go command in a deployment.
const GO: &str = "usr/bin/go";

impl Root {
    /// Returns the folder that contains a link `go1.26.5` to the go command of each installed SDK for
    /// this machine, for `PATH`. It is updated whenever SDKs are installed and uninstalled.
    ///
    /// # Errors
    /// Returns an error if the folder does not exist, because an older version of this library made
    /// the last change to the root, and it cannot be created.
    pub fn toolchains(&self, progress: &dyn Progress) -> Result<PathBuf, DeployError> {
        let path = self.path().join(FOLDER);
        if !path.is_dir() {
            drop(self.lock(progress)?);
        }
        Ok(path)
    }

    /// Returns the GOROOT of a deployment: the directory above that of its go command.
    pub(super) fn goroot(&self, deployment: &Deployment) -> Option<PathBuf> {
        let go = self.deployment_path(deployment.commit).join(GO);
        let go = go.canonicalize().ok()?;
        Some(go.parent()?.parent()?.to_owned())
    }

    /// Returns the version that the go command of a deployment says it has.
    pub(super) fn toolchain_version(&self, deployment: &Deployment) -> String {
        let version = &deployment.version;
        if !version.contains('-') {
            return version.clone();
        }
        // The VERSION file of a site's own release may have the version that it was made of.
        let goroot = self.goroot(deployment);
        let file = goroot.and_then(|goroot| std::fs::read(goroot.join("VERSION")).ok());
        let file = file.and_then(|bytes| VersionFile::parse(&bytes).ok());
        file.map_or_else(|| version.clone(), |file| file.version.to_string())
    }
}

impl LockedRoot<'_> {
    /// Updates the links in `toolchains/` to match the deployments.
    pub(super) fn link_toolchains(&self) -> Result<(), DeployError> {
        let native = self.state.deployments.iter();
        let native = native.filter(|one| Some(one.arch) == Arch::host());
        // Later entries replace earlier ones: Go's own release comes after a site's variants of it.
        let (plain, variants): (Vec<_>, Vec<_>) = native.partition(|d| !d.version.contains('-'));
        let wanted: BTreeMap<String, PathBuf> = variants
            .into_iter()
            .chain(plain)
            .map(|one| {
                let name = format!("go{}", self.root.toolchain_version(one));
                let target = Path::new("../deployments").join(one.commit.to_string());
                (name, target.join(GO))
            })
            .collect();
        let is_ours = |target: &Path| {
            let deployment = target.ancestors().nth(Path::new(GO).iter().count());
            target.ends_with(GO) && deployment.and_then(folder::commit_of_sdk).is_some()
        };
        links::update(self.root, FOLDER, "go", wanted, is_ours)
    }
}
