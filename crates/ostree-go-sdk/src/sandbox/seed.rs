//! Fills the build cache of a sandbox from std caches.

use std::io;
use std::path::{Path, PathBuf};

/// Adds the entries of std caches to a build cache, as symbolic links to their outputs, which must have the
/// same paths in the sandbox.
///
/// # Errors
/// Returns the error of reading a std cache or of writing the build cache.
pub(super) fn seed_cache(caches: &[PathBuf], dest: &Path) -> io::Result<()> {
    // The reader of std caches replaces this.
    let _ = (caches, dest);
    Ok(())
}
