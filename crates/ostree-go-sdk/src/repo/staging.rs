//! The staging folder of an open transaction.

use super::{Repo, RepoError, objects};
use crate::fs::context::IoContext;
use crate::fs::rename;
use crate::id::CommitId;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The folder `tmp/staging-…` of an open transaction. It has the layout of `objects/`. When the
/// transaction is committed, libostree syncs the file system, moves everything in subfolders with
/// names of two characters to `objects/`, whichever process wrote it
/// (`rename_pending_loose_objects`), and removes the rest. It keeps the folder locked until then.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    folder: OwnedFd,
    objects: OwnedFd,
    space: Option<FreeSpace>,
}

/// Minimum number of new folders (of 256) for which moving whole folders is faster, although it
/// needs another sync.
const MIN_NEW_FOLDERS: usize = 128;

/// The free space for content objects.
#[derive(Debug)]
struct FreeSpace {
    free: Mutex<u64>,
    /// The number of bytes that must stay free.
    reserve: u64,
    block: u64,
}

/// An error for an object that exceeds the free space. All values are in bytes.
#[derive(Debug)]
pub(crate) struct InsufficientSpace {
    pub(crate) needed: u64,
    pub(crate) free: u64,
    pub(crate) reserve: u64,
}

impl Staging {
    /// Begins a transaction and finds its staging folder. Only libostree knows the name of the
    /// folder, but it keeps the folder open, so it is the one folder that this process has newly
    /// opened.
    ///
    /// Returns `None` if the folder cannot be determined: if there is no `/proc`, or if other code
    /// in this process begins a transaction of this repository without this library at the same
    /// time.
    pub(super) fn of(
        repo: &Repo,
        begin: impl FnOnce() -> Result<(), RepoError>,
    ) -> Result<Option<Self>, RepoError> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let (before, after) = {
            let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            let tmp = repo.path().join("tmp");
            let before = open_folders(&tmp);
            begin()?;
            (before, open_folders(&tmp))
        };
        let mut new = after.difference(&before);
        match (new.next(), new.next()) {
            (Some(path), None) => Self::open(repo, path).map(Some),
            _ => Ok(None),
        }
    }

    fn open(repo: &Repo, path: &Path) -> Result<Self, RepoError> {
        let open = |path: &Path| {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty()).context("open", path)
        };
        let staging = Self {
            folder: open(path)?,
            objects: open(&repo.path().join("objects"))?,
            space: FreeSpace::in_repo(repo)?,
            path: path.to_owned(),
        };
        staging.drop_commits()?;
        Ok(staging)
    }

    /// Returns the commits that are staged.
    pub(super) fn commits(&self) -> Result<Vec<CommitId>, RepoError> {
        let mut commits = Vec::new();
        for (folder, path) in objects::folders(&self.path)? {
            for name in objects::names(&path)? {
                if let Some(rest) = name.strip_suffix(".commit") {
                    commits.extend(format!("{folder}{rest}").parse::<CommitId>());
                }
            }
        }
        Ok(commits)
    }

    /// Removes the commits of a killed process, whose folder libostree reuses. Objects that these
    /// commits consist of may have been pruned since.
    fn drop_commits(&self) -> Result<(), RepoError> {
        for (_, path) in objects::folders(&self.path)? {
            for name in objects::names(&path)? {
                if name.ends_with(".commit") || name.ends_with(".commitmeta") {
                    let path = path.join(name);
                    fs::remove_file(&path).context("remove", path)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Returns the folder of the objects that are already in the repository.
    pub(crate) fn objects(&self) -> BorrowedFd<'_> {
        self.objects.as_fd()
    }

    /// Moves whole folders of objects to the repository if it does not have folders with their
    /// names: one rename for about fifty objects, whereas libostree needs one per object. libostree
    /// moves the remaining objects. As libostree does, this syncs the file system first, so that no
    /// object is visible that may be incomplete after a crash.
    pub(super) fn move_folders(&self, is_sync_enabled: bool) -> io::Result<()> {
        let has = |folder: BorrowedFd<'_>, name: &String| {
            rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        let names = (0..=u8::MAX).map(|byte| format!("{byte:02x}"));
        let new: Vec<String> = names
            .filter(|name| has(self.folder(), name) && !has(self.objects(), name))
            .collect();
        if new.len() < MIN_NEW_FOLDERS {
            return Ok(());
        }
        if is_sync_enabled {
            rustix::fs::syncfs(&self.folder)?;
        }
        for name in new {
            let (from, to) = (&self.folder, &self.objects);
            match rustix::fs::renameat_with(from, &name, to, &name, RenameFlags::NOREPLACE) {
                // Another process has created the folder.
                Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY) => {}
                // libostree moves the objects one by one.
                Err(error) if rename::lacks_flags(error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reserves space for an object of the given size, as libostree does for objects that it writes
    /// itself (`write_content_object`): only for content objects, rounded up to blocks, by their
    /// uncompressed size.
    pub(crate) fn reserve_space(&self, bytes: u64) -> Result<(), InsufficientSpace> {
        self.space
            .as_ref()
            .map_or(Ok(()), |space| space.take(bytes))
    }
}

impl FreeSpace {
    /// Returns the free space; `None` if the repository has no limit on free space.
    ///
    /// Source: `ostree_repo_prepare_transaction`. Root may use the blocks that are reserved for it.
    fn in_repo(repo: &Repo) -> Result<Option<Self>, RepoError> {
        let reserve = repo.inner.min_free_space_bytes();
        let reserve = reserve.map_err(|e| repo.failed("read min-free-space", e))?;
        if reserve == 0 {
            return Ok(None);
        }
        let system =
            rustix::fs::statvfs(repo.path()).context("read the free space of", repo.path())?;
        let blocks = if rustix::process::getuid().is_root() {
            system.f_bfree
        } else {
            system.f_bavail
        };
        let free = blocks.saturating_mul(system.f_frsize);
        Ok(Some(Self {
            free: Mutex::new(free.saturating_sub(reserve)),
            reserve,
            block: system.f_bsize.max(1),
        }))
    }

    fn take(&self, bytes: u64) -> Result<(), InsufficientSpace> {
        let needed = (bytes / self.block + 1) * self.block;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(needed).ok_or(InsufficientSpace {
            needed,
            free: *free,
            reserve: self.reserve,
        })?;
        Ok(())
    }
}

/// Returns the staging folders below `tmp` that this process has open.
fn open_folders(tmp: &Path) -> HashSet<PathBuf> {
    let list = || -> io::Result<HashSet<PathBuf>> {
        let tmp = tmp.canonicalize()?;
        let open = fs::read_dir("/proc/self/fd")?.flatten();
        let paths = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        let is_staging = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("staging-") && path.parent() == Some(&tmp) && path.is_dir()
        };
        Ok(paths.filter(is_staging).collect())
    };
    list().unwrap_or_default()
}
