//! Limits the size of a write folder.

use super::write_folder::{LOCK_NAME, TEMPORARY_PREFIX};
use crate::fs::lock::Lock;
use crate::stdcache::gocache::TRIM_FILE;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of the file with the size of the folder: a line for the size at the last trim, and one for
/// each process that has written since, in bytes.
const SIZE_FILE: &str = "ostree-go-size";
/// The largest size file that is read, in bytes: about 100,000 processes within a day.
const MAX_SIZE_FILE: u64 = 1 << 20;

const HOUR: u64 = 60 * 60;
/// The time between two trims that only remove unused entries, as in `cache.go` (`trimInterval`).
const INTERVAL: u64 = 24 * HOUR;
/// The time after which an entry that is not used is removed, as in `cache.go` (`trimLimit`). The time of
/// a file may be an hour older than its last use.
const UNUSED: u64 = 5 * 24 * HOUR + HOUR;
/// The age from which entries may be removed while other processes use the folder. Go's documentation
/// of its interface `Cache` asks not to remove what was used within the last day.
const IN_USE: u64 = 25 * HOUR;
/// The largest size without an option, in bytes.
const DEFAULT_LIMIT: u64 = 10_000_000_000;

/// What a trim has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trimmed {
    /// The size of the removed files in bytes.
    pub removed: u64,
    /// The number of removed files.
    pub files: u64,
    /// The size of the folder in bytes after the trim.
    pub left: u64,
}

impl Trimmed {
    /// Removes a file. Returns false if that fails.
    fn remove(&mut self, file: &CachedFile) -> bool {
        let is_removed = file.remove().is_ok();
        if is_removed {
            self.left -= file.size;
            self.removed += file.size;
            self.files += 1;
        }
        is_removed
    }
}

/// Trims a folder if a day has passed since the last trim, or if it may be larger than `limit` after
/// `written` bytes were added. Returns `None` if it is not due.
///
/// The lock of the folder must not be held by the caller. Errors are ignored: the next process tries
/// again.
pub(super) fn trim(folder: &Path, limit: Option<u64>, written: u64, now: u64) -> Option<Trimmed> {
    let limit = limit.unwrap_or_else(|| default_limit(folder));
    let size_file = folder.join(SIZE_FILE);
    // `None` if the go command has used the folder without this program until now.
    let before = size(&size_file);
    if written > 0 {
        let _ = append(&size_file, written);
    }
    let is_small = before.is_some_and(|before| before.saturating_add(written) <= limit);
    // Without new entries, the folder has not grown.
    if (is_small || written == 0) && !is_day_over(folder, now) {
        return None;
    }
    // If it cannot be taken, other processes use the folder.
    let lock = Lock::try_exclusive(&folder.join(LOCK_NAME)).ok().flatten();
    // As the go command does: first, so that no other process starts to trim.
    let _ = fs::write(folder.join(TRIM_FILE), now.to_string());
    let mut trimmed = Trimmed::default();
    let mut kept = Vec::new();
    for file in files(folder) {
        let age = now.saturating_sub(file.modified);
        let is_unused = match file.is_temporary {
            true => lock.is_some() || age > IN_USE,
            false => age > UNUSED,
        };
        trimmed.left += file.size;
        if !(is_unused && trimmed.remove(&file)) {
            kept.push(file);
        }
    }
    if trimmed.left > limit {
        // Some room, so that not every build has to trim.
        let target = limit - limit / 10;
        kept.sort_by_key(|file| file.modified);
        for file in kept {
            if trimmed.left <= target {
                break;
            }
            if lock.is_some() || now.saturating_sub(file.modified) > IN_USE {
                trimmed.remove(&file);
            }
        }
    }
    let _ = fs::write(&size_file, format!("{}\n", trimmed.left));
    Some(trimmed)
}

/// Returns the limit of a folder without an option: 10 GB, or half of a smaller file system.
fn default_limit(folder: &Path) -> u64 {
    let found = rustix::fs::statvfs(folder).ok();
    let half = found.map(|found| found.f_blocks.saturating_mul(found.f_frsize) / 2);
    half.unwrap_or(DEFAULT_LIMIT).min(DEFAULT_LIMIT)
}

fn append(path: &Path, written: u64) -> io::Result<()> {
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(format!("{written}\n").as_bytes())
}

/// Returns the size of the folder according to the size file, if that can be read.
fn size(path: &Path) -> Option<u64> {
    let is_readable = path.metadata().ok()?.len() <= MAX_SIZE_FILE;
    let text = fs::read_to_string(path).ok().filter(|_| is_readable)?;
    let sizes = text.lines().map(|line| line.parse::<u64>().ok());
    sizes.sum()
}

fn is_day_over(folder: &Path, now: u64) -> bool {
    let last = fs::read_to_string(folder.join(TRIM_FILE)).ok();
    let last: Option<u64> = last.and_then(|text| text.trim().parse().ok());
    // A time in the future comes from a clock that was wrong.
    last.is_none_or(|last| now >= last.saturating_add(INTERVAL) || last > now + HOUR)
}

/// A file of the cache, or an executable in a directory of its own.
struct CachedFile {
    path: PathBuf,
    is_dir: bool,
    is_temporary: bool,
    size: u64,
    /// Seconds since 1970.
    modified: u64,
}

impl CachedFile {
    fn remove(&self) -> io::Result<()> {
        match self.is_dir {
            true => fs::remove_dir_all(&self.path),
            false => fs::remove_file(&self.path),
        }
    }
}

fn files(folder: &Path) -> Vec<CachedFile> {
    let mut files = Vec::new();
    for byte in 0..=u8::MAX {
        let entries = fs::read_dir(folder.join(format!("{byte:02x}")));
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            let is_temporary = name.starts_with(TEMPORARY_PREFIX.as_bytes());
            if !is_temporary && !name.ends_with(b"-a") && !name.ends_with(b"-d") {
                continue;
            }
            // Not through links, which have hardly a size of their own.
            let Ok(found) = entry.metadata() else {
                continue;
            };
            let is_dir = found.is_dir();
            let size = if is_dir {
                let inner = fs::read_dir(entry.path()).into_iter().flatten().flatten();
                inner
                    .flat_map(|file| file.metadata())
                    .map(|file| file.len())
                    .sum()
            } else {
                found.len()
            };
            files.push(CachedFile {
                path: entry.path(),
                is_dir,
                is_temporary,
                size,
                modified: u64::try_from(found.mtime()).unwrap_or_default(),
            });
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: u64 = 1_800_000_000;

    /// Writes files of 100 bytes, with their age in hours.
    fn folder(files: &[(&str, u64)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, hours) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut file = File::create(path).unwrap();
            file.write_all(&[0; 100]).unwrap();
            let time = UNIX_EPOCH + Duration::from_secs(NOW - hours * HOUR);
            file.set_modified(time).unwrap();
        }
        dir
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let mut names: Vec<_> = files(dir.path())
            .iter()
            .map(|file| {
                file.path
                    .strip_prefix(dir.path())
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn unused_entries_are_removed_once_a_day() {
        let dir = folder(&[
            ("00/1-a", 122),
            ("00/1-d", 120),
            ("ff/2-d", 0),
            ("ff/other", 999),
        ]);
        let trimmed = trim(dir.path(), Some(1000), 0, NOW).unwrap();
        assert_eq!((trimmed.files, trimmed.left), (1, 200));
        assert_eq!(names(&dir), ["00/1-d", "ff/2-d"]);
        assert!(dir.path().join("ff/other").exists());
        assert_eq!(
            fs::read_to_string(dir.path().join(TRIM_FILE)).unwrap(),
            NOW.to_string()
        );
        assert_eq!(trim(dir.path(), Some(1000), 100, NOW + INTERVAL - 1), None);
        assert!(trim(dir.path(), Some(1000), 0, NOW + INTERVAL).is_some());
    }

    #[test]
    fn the_least_recently_used_entries_are_removed_if_there_are_too_many() {
        let dir = folder(&[
            ("00/1-d", 30),
            ("00/2-d", 20),
            ("00/3-d", 10),
            ("00/.ostree-go-x", 0),
        ]);
        fs::write(dir.path().join(TRIM_FILE), NOW.to_string()).unwrap();
        fs::write(dir.path().join(SIZE_FILE), "200\n").unwrap();
        assert_eq!(trim(dir.path(), Some(300), 100, NOW), None);
        // Another process uses the folder: only what is not used by it.
        let other = Lock::shared(&dir.path().join(LOCK_NAME), &crate::progress::NoProgress);
        let trimmed = trim(dir.path(), Some(300), 1, NOW).unwrap();
        assert_eq!(trimmed.files, 1);
        assert_eq!(names(&dir), ["00/.ostree-go-x", "00/2-d", "00/3-d"]);
        drop(other);
        // The size is known to be at most the limit now.
        assert_eq!(trim(dir.path(), Some(300), 0, NOW), None);
        let trimmed = trim(dir.path(), Some(150), 1, NOW).unwrap();
        assert_eq!(
            (trimmed.files, trimmed.removed, trimmed.left),
            (2, 200, 100)
        );
        assert_eq!(names(&dir), ["00/3-d"]);
    }

    #[test]
    fn a_damaged_size_file_makes_a_trim_due() {
        let dir = folder(&[("00/1-d", 0)]);
        fs::write(dir.path().join(TRIM_FILE), NOW.to_string()).unwrap();
        fs::write(dir.path().join(SIZE_FILE), "2\nx\n").unwrap();
        assert!(trim(dir.path(), None, 1, NOW).is_some());
        assert_eq!(
            fs::read_to_string(dir.path().join(SIZE_FILE)).unwrap(),
            "100\n"
        );
    }
}
