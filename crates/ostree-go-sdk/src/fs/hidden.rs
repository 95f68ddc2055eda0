//! Hidden names beside a destination, under which it is written before it is renamed: `.NAME.PID-N`.
//!
//! A process that is killed leaves such a name. The next one that writes the same destination removes it.

use super::tree::{self, folder_of};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The names that this process is using. Its process ID alone does not tell them from those of a
/// killed process with the same one, which is common in containers.
static IN_USE: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// A hidden name in use. What is there is not removed when this is dropped.
#[derive(Debug)]
pub struct HiddenName(PathBuf);

impl HiddenName {
    /// Finds a free name beside `path`, for which `make` does not fail with `AlreadyExists`.
    pub fn make<T>(
        path: &Path,
        mut make: impl FnMut(&Path) -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut number = 0u32;
        loop {
            let mut hidden = prefix(name);
            hidden.push(format!("{}-{number}", std::process::id()));
            number += 1;
            // Registered before it exists, so that no other thread takes it for a leftover.
            let Some(hidden) = Self::register(path.with_file_name(hidden)) else {
                continue;
            };
            match make(&hidden.0) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return Ok((hidden, made?)),
            }
        }
    }

    /// Finds a name beside `path` at which there is nothing.
    pub fn unused(path: &Path) -> io::Result<Self> {
        let free = |path: &Path| match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        };
        Ok(Self::make(path, free)?.0)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns `None` if another thread uses the name.
    fn register(path: PathBuf) -> Option<Self> {
        let mut names = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = names.get_or_insert_default().insert(path.clone());
        // Lazily: dropping a name takes the lock again.
        is_new.then(|| Self(path))
    }

    fn is_in_use(path: &Path) -> bool {
        let names = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        names.as_ref().is_some_and(|names| names.contains(path))
    }
}

impl Drop for HiddenName {
    fn drop(&mut self) {
        let mut names = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        names.get_or_insert_default().remove(&self.0);
    }
}

/// A directory with a hidden name. It is removed when this is dropped, unless it was renamed.
#[derive(Debug)]
pub struct HiddenFolder {
    name: HiddenName,
    _lock: Option<OwnedFd>,
}

impl HiddenFolder {
    /// Creates an empty directory beside `path`, and removes those of killed processes.
    pub fn create(path: &Path) -> io::Result<Self> {
        remove_leftovers(path);
        let mode = Mode::from_raw_mode(0o755);
        let (name, ()) = HiddenName::make(path, |path| Ok(rustix::fs::mkdir(path, mode)?))?;
        let _lock = open(name.path(), OFlags::RDONLY).ok().filter(try_lock);
        Ok(Self { name, _lock })
    }

    pub fn path(&self) -> &Path {
        self.name.path()
    }
}

impl Drop for HiddenFolder {
    fn drop(&mut self) {
        // Either the folder was renamed, or an error is being reported already.
        let _ = tree::remove(self.path());
    }
}

/// Removes what killed processes left beside `path`. A name is kept if its process exists, or if
/// another process holds a lock on it: that one may run on another machine, or in another
/// container. Errors are ignored, because leftovers do no harm.
pub fn remove_leftovers(path: &Path) {
    let (folder, Some(name)) = (folder_of(path), path.file_name()) else {
        return;
    };
    let Ok(opened) = tree::open_directory(rustix::fs::CWD, folder, OFlags::empty()) else {
        return;
    };
    for hidden in tree::names(&opened).unwrap_or_default() {
        let Some(owner) = owner(name, &hidden) else {
            continue;
        };
        let full = path.with_file_name(&hidden);
        let is_used = match owner == std::process::id() {
            true => HiddenName::is_in_use(&full),
            false => exists(owner),
        };
        if !is_used && !is_locked(&full) {
            let _ = tree::remove_at(opened.as_fd(), &hidden);
        }
    }
}

fn prefix(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden
}

/// Returns the process ID in a hidden name of the file `name`.
fn owner(name: &OsStr, hidden: &OsStr) -> Option<u32> {
    let rest = hidden.as_bytes().strip_prefix(prefix(name).as_bytes())?;
    let (pid, number) = std::str::from_utf8(rest).ok()?.split_once('-')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(pid) && is_number(number) && !number.is_empty())
        .then(|| pid.parse().ok())
        .flatten()
}

/// Returns true unless the system says that there is no such process.
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok();
    let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    rustix::process::test_kill_process(pid) != Err(Errno::SRCH)
}

/// Locks an open file or directory until it is closed; returns false if another process has locked
/// it. A file system without locks counts as success.
pub fn try_lock(file: &impl AsFd) -> bool {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
}

fn is_locked(path: &Path) -> bool {
    let is_folder = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory);
    // On NFS, a file can only be locked if it is open for writing.
    let access = match is_folder {
        true => OFlags::RDONLY,
        false => OFlags::RDWR,
    };
    open(path, access).is_ok_and(|file| !try_lock(&file))
}

fn open(path: &Path, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    /// Returns the process ID of a process that has ended.
    fn dead() -> u32 {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn names_in_use_are_not_given_out_again() {
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join("dest");
        let first = HiddenName::unused(&dest).unwrap();
        let second = HiddenName::unused(&dest).unwrap();
        assert_ne!(first.path(), second.path());
        let path = first.path().to_owned();
        drop(first);
        assert_eq!(HiddenName::unused(&dest).unwrap().path(), path);
    }

    #[test]
    fn only_leftovers_of_ended_processes_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join(OsStr::from_bytes(b"d\xffest"));
        let beside = |rest: &str| {
            let mut name = prefix(dest.file_name().unwrap());
            name.push(rest);
            dest.with_file_name(name)
        };
        let (dead, own) = (dead(), std::process::id());
        let mut living = Command::new("sleep").arg("60").spawn().unwrap();
        let gone = [
            beside(&format!("{dead}-0")),
            beside(&format!("{dead}-12")),
            // A killed process had the same process ID.
            beside(&format!("{own}-7")),
        ];
        let kept = [
            beside(&format!("{}-0", living.id())),
            beside("0-x"),
            beside(&dead.to_string()),
            dir.path().join(format!(".other.{dead}-0")),
        ];
        for path in gone.iter().chain(&kept) {
            fs::create_dir_all(path.join("full")).unwrap();
        }
        let file = beside(&format!("{dead}-1"));
        fs::write(&file, "").unwrap();
        let locked = beside(&format!("{dead}-2"));
        let lock = fs::File::create(&locked).unwrap();
        assert!(try_lock(&lock));
        let used = HiddenFolder::create(&dest).unwrap();
        remove_leftovers(&dest);
        assert!(used.path().is_dir() && locked.is_file() && !file.exists());
        for path in &kept {
            assert!(path.is_dir(), "{}", path.display());
        }
        for path in &gone {
            assert!(!path.exists(), "{}", path.display());
        }
        drop(lock);
        let path = used.path().to_owned();
        drop(used);
        remove_leftovers(&dest);
        assert!(!path.exists() && !locked.exists());
        living.kill().unwrap();
        living.wait().unwrap();
    }
}
