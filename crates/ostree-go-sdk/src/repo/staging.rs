//! Where an open transaction has its objects.

use super::{Repo, RepoError, objects};
use crate::id::CommitId;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The folder `tmp/staging-…` of an open transaction. It has the layout of `objects/`;
/// libostree syncs the file system and moves into `objects/` whatever lies here in a folder of
/// two characters, no matter who wrote it (`rename_pending_loose_objects`), then removes the
/// rest. Until then it keeps the folder locked.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    folder: OwnedFd,
    objects: OwnedFd,
    room: Option<Room>,
}

/// How many folders, of 256, have to be new before it is worth another sync to move them whole.
const ENOUGH_FOLDERS: usize = 128;

/// What content objects may still take.
#[derive(Debug)]
struct Room {
    free: Mutex<u64>,
    /// Bytes that stay free whatever comes.
    reserve: u64,
    block: u64,
}

/// More was asked for than there is. All are bytes.
#[derive(Debug)]
pub(crate) struct NoRoom {
    pub(crate) needed: u64,
    pub(crate) free: u64,
    pub(crate) reserve: u64,
}

impl Staging {
    /// Begins a transaction and says where it stages its objects. Only libostree knows the
    /// folder's name, but it keeps it open: it is the one that has come.
    ///
    /// `None` if there is no telling: without `/proc`, or when somebody begins another
    /// transaction of this repository in this process, past this library, at the same time.
    pub(super) fn of(
        repo: &Repo,
        begin: impl FnOnce() -> Result<(), RepoError>,
    ) -> Result<Option<Self>, RepoError> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let (before, after) = {
            let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
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
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| RepoError::Io {
                action: "open",
                path: path.to_owned(),
                source: error.into(),
            })
        };
        let staging = Self {
            folder: open(path)?,
            objects: open(&repo.path().join("objects"))?,
            room: Room::in_repo(repo)?,
            path: path.to_owned(),
        };
        staging.drop_commits()?;
        Ok(staging)
    }

    /// The commits that are staged.
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

    /// Removes the commits of a process that was killed, whose folder libostree goes on with. What
    /// they are made of may have been pruned since.
    fn drop_commits(&self) -> Result<(), RepoError> {
        for (_, path) in objects::folders(&self.path)? {
            for name in objects::names(&path)? {
                if name.ends_with(".commit") || name.ends_with(".commitmeta") {
                    let path = path.join(name);
                    fs::remove_file(&path).map_err(|source| RepoError::Io {
                        action: "remove",
                        path,
                        source,
                    })?;
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

    /// The objects that are in the repository already.
    pub(crate) fn objects(&self) -> BorrowedFd<'_> {
        self.objects.as_fd()
    }

    /// Moves whole folders of objects into a repository that has none by their names: one rename
    /// for some fifty objects, where libostree has one for each. What stays here it moves itself.
    /// As it does it, the file system is synced first, so that no object is seen that is not
    /// whole after a crash.
    pub(super) fn move_folders(&self, syncs: bool) -> io::Result<()> {
        let has = |folder: BorrowedFd<'_>, name: &String| {
            rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        let names = (0..=u8::MAX).map(|byte| format!("{byte:02x}"));
        let new: Vec<String> = names
            .filter(|name| has(self.folder(), name) && !has(self.objects(), name))
            .collect();
        if new.len() < ENOUGH_FOLDERS {
            return Ok(());
        }
        if syncs {
            rustix::fs::syncfs(&self.folder)?;
        }
        for name in new {
            let (from, to) = (&self.folder, &self.objects);
            match rustix::fs::renameat_with(from, &name, to, &name, RenameFlags::NOREPLACE) {
                // Another process has made it, or the file system cannot tell.
                Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY | Errno::INVAL | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes the room for an object of so many bytes, as libostree does for those that it
    /// writes itself (`write_content_object`): content objects alone, by the blocks of what
    /// they hold, compressed or not.
    pub(crate) fn take_room(&self, bytes: u64) -> Result<(), NoRoom> {
        self.room.as_ref().map_or(Ok(()), |room| room.take(bytes))
    }
}

impl Room {
    /// `None` where the repository keeps nothing free.
    ///
    /// Source: `ostree_repo_prepare_transaction`: root may use what is set aside for it.
    fn in_repo(repo: &Repo) -> Result<Option<Self>, RepoError> {
        let reserve = repo.inner.min_free_space_bytes();
        let reserve = reserve.map_err(|e| repo.failed("read min-free-space", e))?;
        if reserve == 0 {
            return Ok(None);
        }
        let system = rustix::fs::statvfs(repo.path()).map_err(|error| RepoError::Io {
            action: "read the free space of",
            path: repo.path().to_owned(),
            source: error.into(),
        })?;
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

    fn take(&self, bytes: u64) -> Result<(), NoRoom> {
        let needed = (bytes / self.block + 1) * self.block;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(needed).ok_or(NoRoom {
            needed,
            free: *free,
            reserve: self.reserve,
        })?;
        Ok(())
    }
}

/// The staging folders below `tmp` that this process has open.
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
