//! The folder that new entries are written to. It has the layout of a `GOCACHE`, so that a go command
//! without this program can use it as well.

use crate::fs::context::{IoContext, IoFailure};
use crate::fs::lock::{Lock, LockError};
use crate::golang::std_cache::StdCacheEntry;
use crate::id::Sha256;
use crate::progress::NoProgress;
use crate::stdcache::gocache;
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;

/// The lock that processes hold as shared while they use the folder, and that a trim takes exclusively to
/// find out whether there are any.
pub(super) const LOCK_NAME: &str = "ostree-go.lock";
/// The prefix of files that are being written. Go's own trim leaves them, and `go clean -cache` removes
/// them.
pub(super) const TEMPORARY_PREFIX: &str = ".ostree-go-";
/// The age at which the time of a used file is set again, as in `cache.go` (`mtimeInterval`).
const TOUCH_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// A writable build cache.
#[derive(Debug)]
pub(super) struct WriteFolder {
    path: PathBuf,
    /// Seconds since 1970.
    now: u64,
    _lock: Option<Lock>,
}

/// An entry of the folder.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) entry: StdCacheEntry,
    pub(super) path: PathBuf,
    /// The time of the entry in nanoseconds since 1970.
    pub(super) time: u64,
}

impl WriteFolder {
    /// Opens a folder, creates it if necessary, and takes its lock.
    pub(super) fn open(path: &Path, now: u64) -> Result<Self, IoFailure> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(path);
        made.context("make directory", path)?;
        let lock = path.join(LOCK_NAME);
        let lock = Lock::shared(&lock, &NoProgress).map_err(|error| match error {
            LockError::Io(failure) => failure,
            LockError::Cancelled => IoFailure::new("lock", lock, io::ErrorKind::Interrupted),
        })?;
        Ok(Self {
            path: path.to_owned(),
            now,
            _lock: Some(lock),
        })
    }

    /// Uses a folder without its lock: one that belongs to this process alone, or that cannot be written.
    pub(super) fn without_lock(path: &Path, now: u64) -> Self {
        Self {
            path: path.to_owned(),
            now,
            _lock: None,
        }
    }

    /// Returns the entry of an action. Entries whose output is missing or has another size are not
    /// found. The content is trusted, as the go command trusts its own cache: whoever could change it
    /// could change the source as well.
    pub(super) fn get(&self, action: Sha256) -> Option<Stored> {
        let action_path = self.path.join(gocache::action_path(action));
        let mut file = File::open(&action_path).ok()?;
        let mut bytes = Vec::with_capacity(gocache::ACTION_SIZE + 1);
        let limit = u64::try_from(gocache::ACTION_SIZE + 1).ok()?;
        Read::by_ref(&mut file)
            .take(limit)
            .read_to_end(&mut bytes)
            .ok()?;
        let (entry, time) = gocache::parse_action_file(action, &bytes)?;
        let path = self.path.join(gocache::output_path(entry.output));
        let found = path.metadata().ok()?;
        if !found.is_file() || found.len() != entry.size {
            return None;
        }
        self.touch(&file, &file.metadata().ok()?);
        if self.is_old(&found) {
            let output = File::open(&path).ok()?;
            self.touch(&output, &found);
        }
        Some(Stored { entry, path, time })
    }

    /// Creates a file for an output, which is removed again if it is not passed to [`Self::put`].
    pub(super) fn create(&self, output: Sha256) -> io::Result<NamedTempFile> {
        let path = self.path.join(gocache::output_path(output));
        temporary(&path)
    }

    /// Adds an entry with the content of a file from [`Self::create`], and returns the path of the
    /// output. What another process has written for the same action is replaced.
    pub(super) fn put(
        &self,
        file: NamedTempFile,
        action: Sha256,
        entry: StdCacheEntry,
    ) -> io::Result<PathBuf> {
        let path = self.path.join(gocache::output_path(entry.output));
        let modified = file.as_file().metadata()?.modified()?;
        file.persist(&path)?;
        let time = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = u64::try_from(time.as_nanos()).unwrap_or_default();
        let action_path = self.path.join(gocache::action_path(action));
        let mut file = temporary(&action_path)?;
        file.write_all(gocache::action_file(action, entry, time).as_bytes())?;
        file.persist(&action_path)?;
        Ok(path)
    }

    fn touch(&self, file: &File, found: &Metadata) {
        if self.is_old(found) {
            // Only the order of removals depends on it.
            let _ = file.set_modified(UNIX_EPOCH + Duration::from_secs(self.now));
        }
    }

    fn is_old(&self, found: &Metadata) -> bool {
        let now = UNIX_EPOCH + Duration::from_secs(self.now);
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        now.duration_since(modified)
            .is_ok_and(|age| age >= TOUCH_INTERVAL)
    }
}

/// Creates a file in the directory of `path`, and the directory if it is missing.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut builder = tempfile::Builder::new();
    // As the go command creates them; the umask applies.
    let builder = builder.prefix(TEMPORARY_PREFIX);
    let builder = builder.permissions(Permissions::from_mode(0o666));
    match builder.tempfile_in(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir(dir).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
            builder.tempfile_in(dir)
        }
        created => created,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::digest;

    #[test]
    fn entries_are_found_until_their_output_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/cache");
        let folder = WriteFolder::open(&path, 5_000_000_000).unwrap();
        let action = Sha256::new([3; 32]);
        assert!(folder.get(action).is_none());
        let output = digest::of(b"content");
        let mut file = folder.create(output).unwrap();
        file.write_all(b"content").unwrap();
        let entry = StdCacheEntry { output, size: 7 };
        let written = folder.put(file, action, entry).unwrap();
        let found = folder.get(action).unwrap();
        assert_eq!((&found.path, found.entry), (&written, entry));
        // It was used at the time of the folder's clock.
        let modified = written.metadata().unwrap().modified().unwrap();
        let expected = UNIX_EPOCH + Duration::from_secs(5_000_000_000);
        assert_eq!(modified, expected);
        // A file that is not completed leaves nothing.
        drop(folder.create(output).unwrap());
        assert_eq!(fs::read_dir(written.parent().unwrap()).unwrap().count(), 1);
        fs::write(&written, "conten").unwrap();
        assert!(folder.get(action).is_none());
        fs::remove_file(&written).unwrap();
        assert!(folder.get(action).is_none());
        fs::create_dir(&written).unwrap();
        assert!(folder.get(action).is_none());
    }
}
