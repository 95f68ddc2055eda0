//! Compiles the programs of a release from its own source code, and compares their bytes.

use super::build::{Program, ToolchainBuilder, tool_dir};
use super::error::RebuildError;
use super::release::{folder, prefix, release};
use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind};
use crate::checkout::CheckoutOptions;
use crate::fs::context::IoContext;
use crate::fs::digest;
use crate::id::{CommitId, Sha256};
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::version::GoVersion;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of compiling the programs of a release.
#[derive(Clone)]
#[non_exhaustive]
pub struct RebuildToolchain {
    programs: Vec<String>,
    temporary: PathBuf,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for RebuildToolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RebuildToolchain")
            .field("programs", &self.programs)
            .finish_non_exhaustive()
    }
}

impl Default for RebuildToolchain {
    fn default() -> Self {
        Self::new()
    }
}

/// The programs of a release, compiled from its source code.
#[derive(Debug)]
#[non_exhaustive]
pub struct RebuiltToolchain {
    /// The release.
    pub release: CommitId,
    /// The version of Go.
    pub version: GoVersion,
    /// The architecture of the programs.
    pub arch: Arch,
    /// The release whose compiler was used: the same one, or that for this machine.
    pub compiler: CommitId,
    /// The architecture of the compiler.
    pub compiler_arch: Arch,
    /// The programs that were compiled, by path.
    pub programs: Vec<RebuiltProgram>,
    /// The paths in the SDK of programs that were not selected.
    pub skipped: Vec<String>,
}

impl RebuiltToolchain {
    /// Returns true if all programs that were compiled are the same.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.programs.iter().all(RebuiltProgram::is_identical)
    }
}

/// A program that was compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuiltProgram {
    /// The path in the SDK: `pkg/tool/linux_amd64/compile`.
    pub path: String,
    /// The package: `cmd/compile`.
    pub package: String,
    /// The digest of the program in the release.
    pub expected: Sha256,
    /// The digest of the program that was compiled.
    pub found: Sha256,
    /// The size of the program in the release, in bytes.
    pub bytes: u64,
}

impl RebuiltProgram {
    /// Returns true if the program is the same.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.expected == self.found
    }
}

impl RebuildToolchain {
    /// Creates the options.
    #[must_use]
    pub fn new() -> Self {
        Self {
            programs: Vec::new(),
            temporary: PathBuf::from("/tmp"),
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Sets the names of the programs to compile, such as `gofmt`. Default: none, which stands for all
        /// programs of the SDK.
        programs: Vec<String>;
        /// Sets the directory in which a directory for temporary files is created. Default: `/tmp`.
        temporary: PathBuf;
        /// Sets the receiver of progress events, which may cancel the operation. Default:
        /// [`NoProgress`].
        progress;
    }

    /// Compiles the programs of the release of a commit in a sandbox, and compares their bytes. A release
    /// for another architecture is compiled by the release of the same version for this machine. The
    /// repository is only read.
    ///
    /// # Errors
    /// Returns an error if the commit is not a release, the repository has none of its version for this
    /// machine, a program does not exist or cannot be compiled, or the operation is cancelled.
    pub fn execute(&self, repo: &Repo, commit: CommitId) -> Result<RebuiltToolchain, RebuildError> {
        let info = release(repo, commit)?;
        let not_a_release = || RebuildError::NotARelease {
            commit: info.id,
            kind: info.kind,
        };
        let arch = info.arch.ok_or_else(not_a_release)?;
        let version = go_version(&info).ok_or_else(not_a_release)?;
        let host = Arch::host().ok_or(RebuildError::UnknownHost)?;
        let compiler = match arch == host {
            true => info.id,
            false => compiler(repo, &info, &version, host)?,
        };
        let folder = folder(&self.temporary)?;
        let goroot = self.checkout(repo, info.id, &folder.path().join("sdk"))?;
        let all = Program::list(&goroot, &version, arch)?;
        let (programs, skipped) = self.select(all)?;
        let mut expected = Vec::new();
        for program in &programs {
            expected.push(read(&goroot.join(&program.path))?);
        }
        if compiler != info.id {
            let from = self.checkout(repo, compiler, &folder.path().join("compiler"))?;
            use_programs(&from, &goroot, host)?;
        }
        let builder = ToolchainBuilder {
            goroot: &goroot,
            arch: host,
            version: &version,
            scratch: folder.path(),
            progress: self.progress.as_ref(),
        };
        let item = info.subject.as_str();
        let built = builder.build(&programs, arch, item)?;
        let mut compared = Vec::new();
        for (program, (expected, bytes)) in programs.into_iter().zip(expected) {
            let (found, _) = read(&built.join(&program.name))?;
            compared.push(RebuiltProgram {
                package: program.package(),
                path: program.path,
                expected,
                found,
                bytes,
            });
        }
        Ok(RebuiltToolchain {
            release: info.id,
            version,
            arch,
            compiler,
            compiler_arch: host,
            programs: compared,
            skipped,
        })
    }

    /// Checks a release out, and returns the directory of its SDK.
    fn checkout(&self, repo: &Repo, id: CommitId, to: &Path) -> Result<PathBuf, RebuildError> {
        let prefix = prefix(repo, id)?;
        let options = CheckoutOptions::default()
            .sync(false)
            .progress(self.progress.clone());
        repo.checkout(id, to, &options)?;
        Ok(to.join(prefix.as_str()))
    }

    /// Splits the programs of an SDK into those to compile, and the paths of the others.
    fn select(&self, all: Vec<Program>) -> Result<(Vec<Program>, Vec<String>), RebuildError> {
        let mut names = self.programs.iter();
        if let Some(name) = names.find(|name| !all.iter().any(|one| one.name == **name)) {
            return Err(RebuildError::NoProgram {
                name: name.clone(),
                programs: all.into_iter().map(|program| program.name).collect(),
            });
        }
        let is_selected =
            |program: &Program| self.programs.is_empty() || self.programs.contains(&program.name);
        let (selected, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_selected);
        let skipped = others.into_iter().map(|program| program.path).collect();
        Ok((selected, skipped))
    }
}

/// Returns the version of Go without the name of a variant.
fn go_version(info: &CommitInfo) -> Option<GoVersion> {
    let version = info.version.as_deref()?;
    let variant = info.variant.as_deref().unwrap_or_default();
    let version = version.strip_suffix(variant).unwrap_or(version);
    version.trim_end_matches('-').parse().ok()
}

/// Returns the release of a version for this machine. One with the same variant is preferred.
fn compiler(
    repo: &Repo,
    release: &CommitInfo,
    version: &GoVersion,
    host: Arch,
) -> Result<CommitId, RebuildError> {
    let listed = repo.list()?.into_iter().map(|(_, info)| info);
    let candidates = listed.filter(|info| {
        info.kind == CommitKind::Release
            && info.arch == Some(host)
            && go_version(info).as_ref() == Some(version)
    });
    let best = candidates.max_by_key(|info| info.version == release.version);
    best.map(|info| info.id)
        .ok_or_else(|| RebuildError::NoCompiler {
            version: version.clone(),
            arch: host,
        })
}

/// Replaces the programs of an SDK by those of another one that run on this machine.
fn use_programs(from: &Path, goroot: &Path, host: Arch) -> Result<(), RebuildError> {
    let (bin, tools) = (goroot.join("bin"), goroot.join(tool_dir(host)));
    fs::remove_dir_all(&bin).context("remove", &bin)?;
    fs::rename(from.join("bin"), &bin).context("move", &bin)?;
    fs::rename(from.join(tool_dir(host)), &tools).context("move", &tools)?;
    Ok(())
}

/// Returns the digest and the size of a file.
fn read(path: &Path) -> Result<(Sha256, u64), RebuildError> {
    let bytes = fs::read(path).context("read", path)?;
    Ok((digest::of(&bytes), bytes.len() as u64))
}
