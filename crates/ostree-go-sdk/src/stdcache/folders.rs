//! The folders for Go's caches on a host whose root file system is read-only.

use super::error::StdCacheError;
use crate::fs::context::IoContext;
use rustix::fs::{Access, FsWord, StatVfsMountFlags};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The size that a file system for caches should have, in bytes.
///
/// Measured with Go 1.26.5 on amd64, without a std cache: the build of a program that uses net/http stores
/// 87 MB, its build, test and vet 105 MB, and build and vet of the whole standard library 950 MB.
/// Temporary files of the linker and modules are not counted.
const NEEDED: u64 = 1_000_000_000;
/// The types of file systems in memory. Source: `linux/magic.h`.
const IN_MEMORY: [FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// Where folders for caches are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderKind {
    /// In memory: empty after each boot.
    Tmpfs,
    /// On a disk.
    Persistent,
}

/// Something about the folders that builds can suffer from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FolderWarning {
    /// The file system is small.
    TooSmall {
        /// The folder.
        path: PathBuf,
        /// The size of its file system in bytes.
        size: u64,
        /// The size that it should have, in bytes.
        needed: u64,
    },
    /// Programs cannot be run from the folder for temporary files, in which `go run` and `go test` make
    /// them.
    NoExec {
        /// The folder.
        path: PathBuf,
    },
    /// The folder should be in memory, and is on a disk.
    NotInMemory {
        /// The folder.
        path: PathBuf,
    },
}

impl fmt::Display for FolderWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { path, size, needed } => write!(
                f,
                "the file system of {} has {}; builds, tests and modules need about {}",
                path.display(),
                crate::units::format_bytes(*size),
                crate::units::format_bytes(*needed)
            ),
            Self::NoExec { path } => write!(
                f,
                "{} is mounted with noexec, so that `go run` and `go test` cannot run programs",
                path.display()
            ),
            Self::NotInMemory { path } => write!(
                f,
                "{} is on a disk, not on a tmpfs: it is kept after a boot",
                path.display()
            ),
        }
    }
}

/// The folders for Go's caches. They exist, and nobody else can write to them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildFolders {
    /// The build cache, for `GOCACHE`.
    pub build: PathBuf,
    /// The modules, for `GOMODCACHE`.
    pub modules: PathBuf,
    /// The folder for temporary files, for `GOTMPDIR`; `None` if the usual one can be used.
    pub temporary: Option<PathBuf>,
    /// What builds can suffer from.
    pub warnings: Vec<FolderWarning>,
}

impl BuildFolders {
    /// Creates the folders `build` and `modules` of the first candidate that can be used, and that is
    /// large enough if others are. Missing directories get the mode 0700. `temporary` is the folder that the go
    /// command uses for temporary files by default.
    ///
    /// # Errors
    /// Returns the error of the first candidate if none can be used: a folder cannot be created or
    /// written, belongs to another user, or can be written by others.
    pub fn prepare(
        kind: FolderKind,
        candidates: &[(PathBuf, PathBuf)],
        temporary: &Path,
    ) -> Result<Self, StdCacheError> {
        let mut first_error = None;
        let mut best: Option<(u64, &(PathBuf, PathBuf))> = None;
        for candidate in candidates {
            let size = make_private(&candidate.0)
                .and_then(|()| make_private(&candidate.1))
                .and_then(|()| size(&candidate.0));
            match size {
                Ok(size) => {
                    if best.is_none_or(|(other, _)| size > other) {
                        best = Some((size, candidate));
                    }
                    if size >= NEEDED {
                        break;
                    }
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let Some((size, (build, modules))) = best else {
            return Err(first_error.unwrap_or_else(|| StdCacheError::Io {
                action: "find a folder for",
                path: PathBuf::from("GOCACHE"),
                source: io::ErrorKind::NotFound.into(),
            }));
        };
        let mut folders = Self {
            build: build.clone(),
            modules: modules.clone(),
            temporary: None,
            warnings: Vec::new(),
        };
        if size < NEEDED {
            folders.warnings.push(FolderWarning::TooSmall {
                path: build.clone(),
                size,
                needed: NEEDED,
            });
        }
        let in_memory =
            rustix::fs::statfs(build).is_ok_and(|found| IN_MEMORY.contains(&found.f_type));
        if kind == FolderKind::Tmpfs && !in_memory {
            let path = build.clone();
            folders.warnings.push(FolderWarning::NotInMemory { path });
        }
        folders.find_temporary(temporary)?;
        Ok(folders)
    }

    /// Makes a folder for temporary files beside the build cache if the usual one cannot be used.
    fn find_temporary(&mut self, usual: &Path) -> Result<(), StdCacheError> {
        let is_writable = rustix::fs::access(usual, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        if is_writable && !is_noexec(usual) {
            return Ok(());
        }
        if is_noexec(&self.build) {
            let path = match is_writable {
                true => usual.to_owned(),
                false => self.build.clone(),
            };
            self.warnings.push(FolderWarning::NoExec { path });
            if is_writable {
                return Ok(());
            }
        }
        let path = self.build.with_file_name("go-tmp");
        make_private(&path)?;
        self.temporary = Some(path);
        Ok(())
    }
}

/// Creates a directory if it does not exist, and requires that only this user can write to it.
fn make_private(path: &Path) -> Result<(), StdCacheError> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.context("make directory", path)?;
    let user = rustix::process::geteuid().as_raw();
    let refused = |path: &Path, owner, mode: u32| StdCacheError::NotPrivate {
        path: path.to_owned(),
        user,
        owner,
        mode: mode & 0o7777,
    };
    // Not through a link, which somebody else may have planted.
    let found = path.symlink_metadata().context("examine", path)?;
    // Many distributions give each user a group with the number of the user, and a umask of 002.
    let is_own_group = found.gid() == user;
    let others = if is_own_group { 0o002 } else { 0o022 };
    if !found.is_dir() || found.uid() != user || found.mode() & others != 0 {
        return Err(refused(path, found.uid(), found.mode()));
    }
    // Whoever can rename the folder can replace it.
    let parent = path.parent().unwrap_or(path);
    let found = parent.metadata().context("examine", parent)?;
    let is_owner_trusted = [user, 0].contains(&found.uid());
    let (is_open, is_sticky) = (found.mode() & 0o002 != 0, found.mode() & 0o1000 != 0);
    if !is_owner_trusted || (is_open && !is_sticky) {
        return Err(refused(parent, found.uid(), found.mode()));
    }
    let access = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::access(path, access).context("write to", path)?;
    let found = rustix::fs::statvfs(path).context("look at the file system of", path)?;
    match found.f_flag.contains(StatVfsMountFlags::RDONLY) {
        true => Err(StdCacheError::Io {
            action: "write to",
            path: path.to_owned(),
            source: io::ErrorKind::ReadOnlyFilesystem.into(),
        }),
        false => Ok(()),
    }
}

/// Returns a warning if a folder for a build cache is in memory, on a file system that is too small for builds.
/// Folders on disks are not examined: what they need is known only in relation to what else is stored there.
///
/// # Errors
/// Returns an error if the file system of the folder, which must exist, cannot be examined.
pub(crate) fn check_size_in_memory(path: &Path) -> Result<Option<FolderWarning>, StdCacheError> {
    let found = rustix::fs::statfs(path).context("look at the file system of", path)?;
    if !IN_MEMORY.contains(&found.f_type) {
        return Ok(None);
    }
    let size = size(path)?;
    Ok((size < NEEDED).then(|| FolderWarning::TooSmall {
        path: path.to_owned(),
        size,
        needed: NEEDED,
    }))
}

/// Returns the size of the file system that contains a folder, in bytes.
fn size(path: &Path) -> Result<u64, StdCacheError> {
    let found = rustix::fs::statvfs(path).context("look at the file system of", path)?;
    // A tmpfs without a limit has no size.
    Ok(match found.f_blocks {
        0 => u64::MAX,
        blocks => blocks.saturating_mul(found.f_frsize),
    })
}

fn is_noexec(path: &Path) -> bool {
    let found = rustix::fs::statvfs(path);
    found.is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

/// Returns the value of `GOCACHEPROG` that runs a program with arguments. Returns `None` if one of them
/// contains both kinds of quotes: there is no form for it. Source:
/// `src/cmd/internal/quoted/quoted.go`.
#[must_use]
pub fn cacheprog_variable<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> Option<OsString> {
    let mut value = Vec::new();
    for word in words {
        if !value.is_empty() {
            value.push(b' ');
        }
        let word = word.as_bytes();
        let has = |byte| word.contains(&byte);
        let has_space = word.iter().any(|byte| b" \t\n\r".contains(byte));
        let quote = match (has(b'\''), has(b'"')) {
            (false, false) if !has_space && !word.is_empty() => None,
            (false, _) => Some(b'\''),
            (true, false) => Some(b'"'),
            (true, true) => return None,
        };
        value.extend(quote);
        value.extend_from_slice(word);
        value.extend(quote);
    }
    Some(OsString::from_vec(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn folders_that_others_can_write_to_are_refused() {
        let top = tempfile::tempdir().unwrap();
        let path = |name: &str| top.path().join(name);
        let pair = |name: &str| (path(name).join("go-build"), path(name).join("go-mod"));
        let prepare = |candidates: &[(PathBuf, PathBuf)]| {
            BuildFolders::prepare(FolderKind::Persistent, candidates, top.path())
        };
        let folders = prepare(&[pair("a")]).unwrap();
        assert_eq!(folders.build, path("a/go-build"));
        assert_eq!(path("a").metadata().unwrap().mode() & 0o7777, 0o700);
        fs::create_dir_all(path("open/go-build")).unwrap();
        let open = |name: &str, mode| {
            fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
        };
        open("open/go-build", 0o702);
        let refused = |name: &str, refused: &str| match prepare(&[pair(name)]) {
            Err(StdCacheError::NotPrivate { path: found, .. }) => assert_eq!(found, path(refused)),
            other => panic!("{other:?}"),
        };
        refused("open", "open/go-build");
        open("open/go-build", 0o700);
        open("open", 0o777);
        refused("open", "open");
        open("open", 0o1777);
        prepare(&[pair("open")]).unwrap();
        fs::create_dir(path("link")).unwrap();
        symlink(path("a/go-build"), path("link/go-build")).unwrap();
        refused("link", "link/go-build");
        // The next candidate is used.
        let folders = prepare(&[pair("link"), pair("b")]).unwrap();
        assert_eq!(folders.build, path("b/go-build"));
    }

    #[test]
    fn a_folder_for_temporary_files_replaces_one_that_does_not_exist() {
        let top = tempfile::tempdir().unwrap();
        let pair = (top.path().join("go-build"), top.path().join("go-mod"));
        let missing = top.path().join("missing");
        let folders = BuildFolders::prepare(FolderKind::Persistent, &[pair], &missing).unwrap();
        assert_eq!(folders.temporary, Some(top.path().join("go-tmp")));
    }

    #[test]
    fn words_are_quoted_as_the_go_command_reads_them() {
        let join = |words: &[&str]| cacheprog_variable(words.iter().map(OsStr::new));
        let text = |words: &[&str]| join(words).unwrap().into_string().unwrap();
        assert_eq!(text(&["/bin/x", "cacheprog", ""]), "/bin/x cacheprog ''");
        assert_eq!(text(&["/a b", "it's", "\"x\""]), "'/a b' \"it's\" '\"x\"'");
        assert_eq!(join(&["'\""]), None);
    }
}
