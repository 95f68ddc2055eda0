//! The entries in a directory with Go's build cache, and those that a second build used.
//!
//! The go command stores the entry of an action in the file `ab/ABCD…-a`, whose name is the action
//! id, and its output in `cd/CDEF…-d`, whose name is the SHA-256 of the content. When it uses an
//! entry whose file was modified more than an hour ago, it sets the time of the file, so that
//! `go clean` and its own trimming know what is in use. Source: `cmd/go/internal/cache/cache.go`,
//! `fileName`, `putIndexEntry` and `markUsed`.

use super::build_error::StdCacheBuildError;
use crate::fs::context::IoContext;
use crate::golang::std_cache::{StdCacheEntry, StdCacheId, StdCacheIndex};
use crate::id::Sha256;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The time by which entries are made older. The go command notices a use after an hour, and deletes
/// entries that were not used for five days.
const AGE: Duration = Duration::from_hours(48);

/// The entries of a build, which were made older.
#[derive(Debug)]
pub(super) struct AgedEntries {
    id: StdCacheId,
    gocache: PathBuf,
    entries: BTreeMap<Sha256, (StdCacheEntry, SystemTime)>,
}

impl AgedEntries {
    /// Reads the entries in a directory, and makes their files older.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or changed, or is not an entry.
    pub(super) fn make(id: StdCacheId, gocache: &Path) -> Result<Self, StdCacheBuildError> {
        let mut entries = BTreeMap::new();
        for path in entry_files(gocache)? {
            let not_an_entry = || StdCacheBuildError::NotAnEntry {
                id,
                path: path.clone(),
            };
            let text = fs::read_to_string(&path).context("read", &path)?;
            let (action, entry) = parse(&text).ok_or_else(not_an_entry)?;
            let modified = modified(&path).context("examine", &path)?;
            let aged = modified.checked_sub(AGE).ok_or_else(not_an_entry)?;
            let set = File::open(&path).and_then(|file| file.set_modified(aged));
            set.context("set the time of", &path)?;
            // A file system may store times with a lower resolution.
            let aged = self::modified(&path).context("examine", &path)?;
            entries.insert(action, (entry, aged));
        }
        Ok(Self {
            id,
            gocache: gocache.to_owned(),
            entries,
        })
    }

    /// Returns the entries that were used since, except for the lists of source files: the go
    /// command makes these again in no time.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or there is no such entry.
    pub(super) fn used(&self) -> Result<StdCacheIndex, StdCacheBuildError> {
        let mut used = StdCacheIndex::default();
        for (action, (entry, aged)) in &self.entries {
            let path = self.gocache.join(file_name(*action, "a"));
            if modified(&path).context("examine", &path)? == *aged {
                continue;
            }
            let output = output_path(&self.gocache, entry.output);
            if !is_source_list(&output).context("read", &output)? {
                used.0.insert(*action, *entry);
            }
        }
        match used.0.is_empty() {
            false => Ok(used),
            true => Err(StdCacheBuildError::NothingUsed { id: self.id }),
        }
    }
}

/// Returns the file with an output of a build cache.
pub(super) fn output_path(gocache: &Path, output: Sha256) -> PathBuf {
    gocache.join(file_name(output, "d"))
}

fn file_name(id: Sha256, suffix: &str) -> String {
    let id = id.to_string();
    format!("{}/{id}-{suffix}", &id[..2])
}

/// Returns the files with the entries of actions, in directories with names of two characters.
fn entry_files(gocache: &Path) -> Result<Vec<PathBuf>, StdCacheBuildError> {
    let mut files = Vec::new();
    for folder in fs::read_dir(gocache).context("list", gocache)? {
        let folder = folder.context("list", gocache)?;
        if folder.file_name().len() != 2 {
            continue;
        }
        let folder = folder.path();
        for file in fs::read_dir(&folder).context("list", &folder)? {
            let file = file.context("list", &folder)?;
            if file.file_name().as_encoded_bytes().ends_with(b"-a") {
                files.push(file.path());
            }
        }
    }
    Ok(files)
}

/// Parses an entry: `v1 ACTION OUTPUT SIZE TIME`, in which the numbers are padded with spaces.
fn parse(text: &str) -> Option<(Sha256, StdCacheEntry)> {
    let mut fields = text.split_ascii_whitespace();
    if fields.next() != Some("v1") {
        return None;
    }
    let (action, output, size) = (fields.next()?, fields.next()?, fields.next()?);
    let entry = StdCacheEntry {
        output: output.parse().ok()?,
        size: size.parse().ok()?,
    };
    let _time: u64 = fields.next()?.parse().ok()?;
    fields
        .next()
        .is_none()
        .then_some((action.parse().ok()?, entry))
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    path.metadata()?.modified()
}

/// Returns true if an output is the list of a package's source files, one `./NAME.go` per line.
/// Source: `cacheSrcFiles` of `cmd/go/internal/work/exec.go`.
fn is_source_list(output: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(output)?.take(2).read_to_end(&mut start)?;
    Ok(start == b"./")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::golang::std_cache::BuildMode;
    use sha2::Digest;

    const ID: StdCacheId = StdCacheId {
        target: Arch::X86_64,
        mode: BuildMode::Trimpath,
    };

    /// Writes an entry as the go command does, and returns its file.
    fn put(gocache: &Path, action: u8, content: &[u8]) -> PathBuf {
        let action = Sha256([action; 32]);
        let output = Sha256(sha2::Sha256::digest(content).into());
        let size = content.len();
        let time = 1_796_060_602_000_000_000_u64;
        let text = format!("v1 {action} {output} {size:20} {time:20}\n");
        let (file, data) = (
            gocache.join(file_name(action, "a")),
            output_path(gocache, output),
        );
        for path in [&file, &data] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        fs::write(&file, text).unwrap();
        fs::write(data, content).unwrap();
        file
    }

    fn touch(path: &Path) {
        let file = File::open(path).unwrap();
        file.set_modified(SystemTime::now()).unwrap();
    }

    #[test]
    fn only_entries_that_the_second_build_used_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let gocache = folder.path();
        fs::write(gocache.join("README"), "This directory holds…").unwrap();
        fs::write(gocache.join("trim.txt"), "1796060602").unwrap();
        let archive = put(gocache, 1, b"!<arch>\nused");
        put(gocache, 2, b"!<arch>\nunused");
        let facts = put(gocache, 3, b"\x1f\xff\x81facts");
        let empty = put(gocache, 4, b"");
        let list = put(gocache, 5, b"./print.go\n./scan.go\n");
        let aged = AgedEntries::make(ID, gocache).unwrap();
        assert!(matches!(
            aged.used(),
            Err(StdCacheBuildError::NothingUsed { id: ID })
        ));
        for path in [&archive, &facts, &empty, &list] {
            touch(path);
        }
        // The entries of the second build itself depend on its paths.
        put(gocache, 6, b"!<arch>\nof the second build");
        let used = aged.used().unwrap();
        let actions: Vec<u8> = used.0.keys().map(|action| action.0[0]).collect();
        assert_eq!(actions, [1, 3, 4]);
        let empty = used.0[&Sha256([4; 32])];
        assert_eq!(empty.size, 0);
        assert!(output_path(gocache, empty.output).is_file());
    }

    #[test]
    fn a_file_that_is_not_an_entry_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = put(folder.path(), 1, b"");
        let valid = fs::read_to_string(&path).unwrap();
        for text in ["", "v2 a b 1 2\n", &valid[..60], &format!("{valid} more")] {
            fs::write(&path, text).unwrap();
            let made = AgedEntries::make(ID, folder.path());
            assert!(
                matches!(made, Err(StdCacheBuildError::NotAnEntry { .. })),
                "{text}"
            );
        }
    }
}
