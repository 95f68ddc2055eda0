//! Fills the build cache of a sandbox from std caches.

use crate::clock::SystemClock;
use crate::stdcache::{SeedLink, StdCache, StdCacheError, seed_gocache};
use std::io;
use std::path::{Path, PathBuf};

/// Adds the entries of std caches to a build cache, as symbolic links to their outputs, which must have the
/// same paths in the sandbox. A std cache that cannot be read is left out.
///
/// # Errors
/// Returns the error of writing the build cache, or an error if no std cache can be read.
pub(super) fn seed_cache(caches: &[PathBuf], dest: &Path) -> io::Result<()> {
    let opened: Vec<StdCache> = caches
        .iter()
        .filter_map(|dir| StdCache::open(dir).ok())
        .collect();
    if opened.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let seeded = seed_gocache(&opened, dest, SeedLink::Symlink, &SystemClock);
    seeded.map_err(|error| match error {
        StdCacheError::Io { source, .. } => source,
        error => io::Error::other(error),
    })
}
