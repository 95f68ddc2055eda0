//! Remembers which outputs of std caches have the content that the index names.
//!
//! An installation verifies the outputs that it writes, and any other output is hashed when it is used for the
//! first time. Later it is enough that no attribute of its inode has changed that a write would change.

use super::open::StdCache;
use crate::fs::atomic;
use crate::id::Sha256;
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The directory in a root for what installations have verified: a file for each std cache, named by its
/// commit.
pub(crate) const VERIFIED_DIR: &str = "verified";
/// The name of the file in the write folder.
pub(super) const FILE_NAME: &str = "ostree-go-verified";
/// The size in bytes at which the file is started again: about 7,000 outputs.
const MAX_SIZE: u64 = 1 << 20;

/// The outputs that were hashed, by this process and by earlier ones.
#[derive(Debug)]
pub(super) struct Verified {
    /// `None` if nothing can be stored.
    path: Option<PathBuf>,
    known: HashSet<String>,
    new: Mutex<HashSet<String>>,
}

impl Verified {
    /// Reads what installations have recorded, and what earlier processes have stored in a write folder. What
    /// cannot be read is forgotten. Nothing is stored if the folder is not writable.
    pub(super) fn load(records: &[PathBuf], folder: Option<&Path>, is_writable: bool) -> Self {
        let path = folder.map(|folder| folder.join(FILE_NAME));
        let mut known = HashSet::new();
        for file in records.iter().chain(&path) {
            known.extend(lines(file));
        }
        Self {
            known,
            path: path.filter(|_| is_writable),
            new: Mutex::default(),
        }
    }

    /// Returns true if a file with these attributes was found to have this content.
    pub(super) fn contains(&self, file: &Metadata, content: Sha256) -> bool {
        let line = line(file, content);
        self.known.contains(&line) || self.added().contains(&line)
    }

    /// Remembers that a file with these attributes has this content.
    pub(super) fn insert(&self, file: &Metadata, content: Sha256) {
        self.added().insert(line(file, content));
    }

    /// Stores what is new. Without success, the next process hashes the outputs again.
    pub(super) fn store(&self) {
        let new = self.added();
        let Some(path) = self.path.as_ref().filter(|_| !new.is_empty()) else {
            return;
        };
        let mut text = String::new();
        for line in new.iter() {
            text.push_str(line);
            text.push('\n');
        }
        let is_large = path.metadata().is_ok_and(|found| found.len() >= MAX_SIZE);
        if is_large {
            let _ = fs::remove_file(path);
        }
        // One write, so that the lines of several processes do not mix.
        let file = File::options().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }

    fn added(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the complete lines of a file; none if it is too large or cannot be read.
fn lines(path: &Path) -> Vec<String> {
    let is_small = path.metadata().is_ok_and(|found| found.len() < MAX_SIZE);
    let text = is_small.then(|| fs::read_to_string(path).ok()).flatten();
    // A line without its end was cut off when a process was killed.
    let text = text.unwrap_or_default();
    let complete = text
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'));
    complete.map(str::to_owned).collect()
}

/// Records in the file `dest` that the outputs of a std cache have the content that its index names. Their
/// content must have been verified just before; a later change of an attribute makes the record void.
///
/// # Errors
/// Returns an error if the status of an output cannot be read, or the file cannot be written.
pub(crate) fn record(cache: &StdCache, dest: &Path) -> io::Result<()> {
    let outputs = cache.index().0.values().map(|entry| entry.output);
    let mut text = String::new();
    for output in outputs.collect::<BTreeSet<Sha256>>() {
        text.push_str(&line(&cache.output(output).metadata()?, output));
        text.push('\n');
    }
    atomic::write_public(dest, text.as_bytes())
}

/// Returns the files below the root directories `roots` in which installations have recorded what they
/// verified, for [`CacheProg::verified`](super::CacheProg::verified). The locks of the roots are not needed.
#[must_use]
pub fn verified_records(roots: &[PathBuf]) -> Vec<PathBuf> {
    let dirs = roots.iter().map(|root| root.join(VERIFIED_DIR));
    dirs.flat_map(|dir| super::open::sorted(&dir)).collect()
}

fn line(file: &Metadata, content: Sha256) -> String {
    format!(
        "{} {} {} {}.{} {}.{} {content}",
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verified_files_are_remembered_until_they_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "one").unwrap();
        let content = Sha256::new([1; 32]);
        let verified = Verified::load(&[], Some(dir.path()), true);
        let found = file.metadata().unwrap();
        assert!(!verified.contains(&found, content));
        verified.insert(&found, content);
        assert!(verified.contains(&found, content));
        verified.store();
        let again = Verified::load(&[], Some(dir.path()), true);
        assert!(again.contains(&found, content));
        assert!(!again.contains(&found, Sha256::new([2; 32])));
        fs::write(&file, "four").unwrap();
        assert!(!again.contains(&file.metadata().unwrap(), content));
        // A line that was cut off.
        let stored = dir.path().join(FILE_NAME);
        let text = fs::read_to_string(&stored).unwrap();
        fs::write(&stored, text.trim_end()).unwrap();
        assert!(!Verified::load(&[], Some(dir.path()), true).contains(&found, content));
    }

    #[test]
    fn what_an_installation_has_verified_is_known_until_it_changes() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("std");
        let one = crate::fs::digest::of(b"one");
        crate::stdcache::open::tests::write(&dir, &[b"one", b"two", b"one"]);
        let cache = StdCache::open(&dir).unwrap();
        let root = top.path().join("root");
        fs::create_dir_all(root.join(VERIFIED_DIR)).unwrap();
        record(&cache, &root.join(VERIFIED_DIR).join("commit")).unwrap();
        fs::write(root.join(VERIFIED_DIR).join(".temporary"), "x\n").unwrap();
        let records = verified_records(&[root, top.path().join("none")]);
        assert_eq!(records.len(), 1);
        let verified = Verified::load(&records, None, false);
        assert_eq!(verified.known.len(), 2);
        let output = cache.output(one);
        assert!(verified.contains(&output.metadata().unwrap(), one));
        fs::write(&output, "two").unwrap();
        assert!(!verified.contains(&output.metadata().unwrap(), one));
        fs::remove_file(&output).unwrap();
        record(&cache, &top.path().join("missing")).unwrap_err();
    }
}
