//! The module `golang.org/toolchain`, served from the releases in an OSTree repository.
//!
//! The go command downloads other versions of itself as versions of this module, with `GOTOOLCHAIN=go1.26.5` or because
//! a `go.mod` asks for one, and compares the zip file with Go's checksum database. The zip file is written from the
//! objects of a release while it is sent; nothing is unpacked to disk. It has the files of Go's own module zip, but
//! not its bytes, which the checksum does not depend on: an `h1:` hash covers the names and contents of files.
//!
//! Source of the paths and formats: `src/cmd/go/internal/modfetch/proxy.go`, `src/cmd/distpack/pack.go`.

mod error;
mod layout;
mod object;
#[cfg(test)]
mod tests;
mod zip_format;

pub use error::ToolchainModuleError;

use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind};
use crate::golang::h1::H1;
use crate::golang::toolchain::{MODULE, module_version, parse_module_folder};
use crate::id::{CommitId, RefName};
use crate::repo::{Repo, RepoError};
use crate::version::GoVersion;
use layout::Layout;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of releases whose lists of files are kept in memory; each needs about 5 MB.
const KEPT_LAYOUTS: usize = 16;

/// The versions of the module `golang.org/toolchain` that the releases of an OSTree repository have.
///
/// A release is served if its metadata has the `h1:` hash of its source, as releases of `compose` have. A repository
/// of a host, which keeps what is installed there, is served in the same way.
///
/// It is `Sync`: several threads may share one.
pub struct Toolchains {
    repo: Mutex<Repo>,
    index: Mutex<Index>,
    layouts: Mutex<BTreeMap<CommitId, Arc<Layout>>>,
    /// Held while the files of a release are hashed, so that parallel requests hash them once.
    hashing: Mutex<()>,
}

/// The releases of a repository whose refs were `refs`.
#[derive(Default)]
struct Index {
    refs: BTreeMap<RefName, CommitId>,
    releases: BTreeMap<(GoVersion, Arch), Release>,
}

/// A release that can be served.
#[derive(Debug, Clone)]
struct Release {
    commit: CommitId,
    /// The hash in the commit's metadata.
    h1: H1,
    /// The time of the commit in seconds since 1970, which is that of `VERSION` unless a treefile sets another one.
    time: u64,
    /// Releases with a lower rank are preferred: those that are not a site's variant, then releases over channels.
    rank: (bool, bool),
}

impl fmt::Debug for Toolchains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolchains").finish_non_exhaustive()
    }
}

impl Toolchains {
    /// Creates the modules of a repository. Refs that are added or moved later are seen by the next request.
    #[must_use]
    pub fn of_repo(repo: &Repo) -> Self {
        Self {
            repo: Mutex::new(repo.clone()),
            index: Mutex::default(),
            layouts: Mutex::default(),
            hashing: Mutex::default(),
        }
    }

    /// Returns the versions of the module, such as `v0.0.1-go1.26.5.linux-amd64`, in the order of Go's versions.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be read.
    pub fn list(&self) -> Result<Vec<String>, ToolchainModuleError> {
        let repo = self.repo();
        let mut versions = Vec::new();
        for ((version, arch), release) in self.releases(&repo)? {
            if repo.partial(release.commit)?.is_none() {
                versions.push(module_version(&version, arch));
            }
        }
        Ok(versions)
    }

    /// Returns the content of `@v/VERSION.info`: the version and its time, as JSON; `None` if the repository does not
    /// have the version.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be read.
    pub fn info(&self, version: &str) -> Result<Option<Vec<u8>>, ToolchainModuleError> {
        let found = self.find(&self.repo(), version)?;
        Ok(found.map(|release| {
            let time = i64::try_from(release.time).unwrap_or_default();
            let time = jiff::Timestamp::from_second(time).unwrap_or_default();
            format!("{{\"Version\":\"{version}\",\"Time\":\"{time}\"}}\n").into_bytes()
        }))
    }

    /// Returns the content of `@v/VERSION.mod`, which is the same for all versions; `None` if the repository does not
    /// have the version.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be read.
    pub fn go_mod(&self, version: &str) -> Result<Option<Vec<u8>>, ToolchainModuleError> {
        let found = self.find(&self.repo(), version)?;
        Ok(found.map(|_| format!("module {MODULE}\n").into_bytes()))
    }

    /// Returns the zip file `@v/VERSION.zip`; `None` if the repository does not have the version.
    ///
    /// The first request for a release reads all of its files, verifies the checksums of their objects, and compares
    /// the `h1:` hash with the one in the commit.
    ///
    /// # Errors
    /// Returns [`ToolchainModuleError::Differs`] if the content of the release has another hash than its metadata, and
    /// another error if the release is damaged or cannot be read.
    pub fn zip(&self, version: &str) -> Result<Option<ToolchainZip>, ToolchainModuleError> {
        let repo = self.repo();
        let Some(release) = self.find(&repo, version)? else {
            return Ok(None);
        };
        let layout = self.layout(&repo, &release, version)?;
        let (commit, h1) = (release.commit, release.h1);
        Ok(Some(ToolchainZip {
            commit,
            h1,
            size: layout.size(),
            repo,
            layout,
        }))
    }

    /// Returns the list of files of a release, from memory if it was requested before.
    fn layout(
        &self,
        repo: &Repo,
        release: &Release,
        version: &str,
    ) -> Result<Arc<Layout>, ToolchainModuleError> {
        let kept = || lock(&self.layouts).get(&release.commit).cloned();
        if let Some(layout) = kept() {
            return Ok(layout);
        }
        let _hashing = lock(&self.hashing);
        if let Some(layout) = kept() {
            return Ok(layout);
        }
        let folder = format!("{MODULE}@{version}");
        let layout = Arc::new(Layout::read(repo, release.commit, &folder, release.h1)?);
        let mut layouts = lock(&self.layouts);
        if layouts.len() >= KEPT_LAYOUTS {
            layouts.clear();
        }
        layouts.insert(release.commit, Arc::clone(&layout));
        Ok(layout)
    }

    fn find(&self, repo: &Repo, version: &str) -> Result<Option<Release>, ToolchainModuleError> {
        let Some(key) = parse_module_folder(&format!("{MODULE}@{version}")) else {
            return Ok(None);
        };
        // Another spelling of the version would be another module.
        if module_version(&key.0, key.1) != version {
            return Ok(None);
        }
        let release = self.releases(repo)?.remove(&key);
        Ok(match release {
            Some(release) if repo.partial(release.commit)?.is_none() => Some(release),
            _ => None,
        })
    }

    /// Returns all releases, from memory if no ref has moved.
    fn releases(&self, repo: &Repo) -> Result<BTreeMap<(GoVersion, Arch), Release>, RepoError> {
        let refs = repo.refs()?;
        let mut index = lock(&self.index);
        if index.refs != refs {
            let releases = read_releases(repo, &refs)?;
            *index = Index { refs, releases };
        }
        Ok(index.releases.clone())
    }

    fn repo(&self) -> Repo {
        lock(&self.repo).clone()
    }
}

/// Locks what no panic can leave in an invalid state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_releases(
    repo: &Repo,
    refs: &BTreeMap<RefName, CommitId>,
) -> Result<BTreeMap<(GoVersion, Arch), Release>, RepoError> {
    let mut releases = BTreeMap::<_, Release>::new();
    for commit in refs.values() {
        let info = CommitInfo::read(repo, *commit)?;
        let Some((key, release)) = release(&info) else {
            continue;
        };
        match releases.get(&key) {
            Some(other) if other.rank <= release.rank => {}
            _ => drop(releases.insert(key, release)),
        }
    }
    Ok(releases)
}

/// Returns what a commit is a release of; `None` if it is no release, or has no hash.
fn release(info: &CommitInfo) -> Option<((GoVersion, Arch), Release)> {
    if !matches!(info.kind, CommitKind::Release | CommitKind::Channel) {
        return None;
    }
    let version: GoVersion = info.version.as_deref()?.parse().ok()?;
    // A site's variant has to be Go's release apart from `go.env` and files outside of the SDK.
    let base = info.variant.as_deref();
    let base = base.and_then(|variant| version.without_variant(variant));
    let release = Release {
        commit: info.id,
        h1: info.h1.as_deref()?.parse().ok()?,
        time: info.timestamp,
        rank: (base.is_some(), info.kind != CommitKind::Release),
    };
    Some(((base.unwrap_or(version), info.arch?), release))
}

/// The zip file of a toolchain, which has been checked and is read from the repository while it is written.
///
/// Its bytes depend only on the content of the release and on how the repository stores it: files that an `archive`
/// repository has compressed are sent as they are, and those of other repositories are not compressed.
#[derive(Debug)]
pub struct ToolchainZip {
    commit: CommitId,
    h1: H1,
    size: u64,
    repo: Repo,
    layout: Arc<Layout>,
}

impl ToolchainZip {
    /// Returns the commit that the files come from.
    #[must_use]
    pub const fn commit(&self) -> CommitId {
        self.commit
    }

    /// Returns the hash of the files, to be compared with the one in the checksum database.
    #[must_use]
    pub const fn h1(&self) -> H1 {
        self.h1
    }

    /// Returns the size of the zip file in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Writes the zip file. Each file is compared with its checksum again while it is written.
    ///
    /// # Errors
    /// Returns [`ToolchainModuleError::Write`] if `out` fails, and another error if the repository was changed or
    /// damaged in the meantime. What was written until then is not a valid zip file, because its directory is missing.
    pub fn write_to(&self, out: &mut dyn Write) -> Result<(), ToolchainModuleError> {
        self.layout.write(&self.repo, out)
    }
}

const _: () = {
    const fn assert_send<T: Send>() {}
    const fn assert_sync<T: Sync>() {}
    assert_send::<ToolchainZip>();
    assert_send::<Toolchains>();
    assert_sync::<Toolchains>();
};
