//! A std cache in a directory.

use super::error::StdCacheError;
use crate::fs::context::IoContext;
use crate::golang::std_cache::{STD_CACHE_DIR, StdCacheEntry, StdCacheIndex};
use crate::id::Sha256;
use std::fs;
use std::path::{Path, PathBuf};

/// A std cache in a directory. Its outputs are read only when they are used.
#[derive(Debug, Clone)]
pub struct StdCache {
    dir: PathBuf,
    index: StdCacheIndex,
}

impl StdCache {
    /// Opens the std cache in a directory, and reads its index.
    ///
    /// # Errors
    /// Returns an error if the index cannot be read, or is malformed.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StdCacheError> {
        let dir = dir.as_ref();
        let dir = std::path::absolute(dir).context("find", dir)?;
        let path = dir.join(StdCacheIndex::FILE_NAME);
        let bytes = fs::read(&path).context("read", &path)?;
        let index = String::from_utf8_lossy(&bytes).parse();
        let index = index.map_err(|source| StdCacheError::Index { path, source })?;
        Ok(Self { dir, index })
    }

    /// Returns the directory, as an absolute path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the index.
    #[must_use]
    pub fn index(&self) -> &StdCacheIndex {
        &self.index
    }

    /// Returns the entry of an action, and the path of its output. The output may be missing or damaged.
    #[must_use]
    pub fn lookup(&self, action: Sha256) -> Option<(StdCacheEntry, PathBuf)> {
        let entry = *self.index.0.get(&action)?;
        Some((entry, self.output(entry.output)))
    }

    /// Returns the path of an output.
    pub(super) fn output(&self, output: Sha256) -> PathBuf {
        self.dir.join(StdCacheIndex::output_path(output))
    }
}

/// Returns the directories of the std caches on this machine: those that are deployed below the root
/// directories `roots`, and those that are a part of the running OS. Directories that cannot be read
/// contain none. The locks of the roots are not needed.
#[must_use]
pub fn std_cache_dirs(roots: &[PathBuf]) -> Vec<PathBuf> {
    let trees = roots
        .iter()
        .flat_map(|root| sorted(&root.join("deployments")));
    let trees = trees.chain([PathBuf::from("/")]);
    let versions = trees.flat_map(|tree| sorted(&tree.join(STD_CACHE_DIR)));
    let dirs = versions.flat_map(|version| sorted(&version));
    dirs.filter(|dir| dir.join(StdCacheIndex::FILE_NAME).is_file())
        .collect()
}

/// Returns the paths in a directory, without hidden names, which are trees that are being made.
pub(super) fn sorted(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let visible = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let mut paths: Vec<PathBuf> = visible.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fs::digest;

    /// Writes a std cache with an entry for each content. Returns the actions.
    pub(in crate::stdcache) fn write(dir: &Path, contents: &[&[u8]]) -> Vec<Sha256> {
        let mut index = StdCacheIndex::default();
        let mut actions = Vec::new();
        for (number, content) in (0u8..).zip(contents) {
            let (action, output) = (Sha256::new([number + 1; 32]), digest::of(content));
            let size = content.len().try_into().unwrap();
            index.0.insert(action, StdCacheEntry { output, size });
            let path = dir.join(StdCacheIndex::output_path(output));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            actions.push(action);
        }
        fs::write(dir.join(StdCacheIndex::FILE_NAME), index.to_string()).unwrap();
        actions
    }

    #[test]
    fn entries_are_found_and_bad_indexes_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let actions = write(dir.path(), &[b"one", b""]);
        let cache = StdCache::open(dir.path()).unwrap();
        let (entry, path) = cache.lookup(actions[0]).unwrap();
        assert_eq!((entry.size, fs::read(path).unwrap()), (3, b"one".to_vec()));
        assert!(cache.lookup(Sha256::new([99; 32])).is_none());
        let index = dir.path().join(StdCacheIndex::FILE_NAME);
        fs::write(&index, "other 1\n").unwrap();
        let message = StdCache::open(dir.path()).unwrap_err().to_string();
        assert!(
            message.ends_with("index is not the index of a std cache"),
            "{message}"
        );
        fs::remove_file(index).unwrap();
        assert!(matches!(
            StdCache::open(dir.path()),
            Err(StdCacheError::Io { .. })
        ));
    }

    #[test]
    fn deployed_caches_are_found_without_hidden_deployments() {
        let root = tempfile::tempdir().unwrap();
        let cache = |deployment: &str, name: &str| {
            let dir = root.path().join("deployments").join(deployment);
            let dir = dir.join(STD_CACHE_DIR).join("go-1.26").join(name);
            fs::create_dir_all(&dir).unwrap();
            write(&dir, &[]);
            dir
        };
        let expected = [cache("aa", "x86_64-plain"), cache("bb", "x86_64-trimpath")];
        cache(".cc.1-0", "x86_64-plain");
        fs::create_dir_all(root.path().join("deployments/dd/usr/lib/sdk/go-1.26")).unwrap();
        let found = std_cache_dirs(&[root.path().to_owned()]);
        assert_eq!(found[..2], expected);
        assert!(
            found[2..].iter().all(|dir| dir.starts_with("/usr")),
            "{found:?}"
        );
    }
}
