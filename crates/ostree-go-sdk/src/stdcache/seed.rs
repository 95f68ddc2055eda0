//! Fills a new build cache with the entries of std caches.

use super::error::StdCacheError;
use super::gocache::{self, TRIM_FILE};
use super::open::StdCache;
use crate::clock::Clock;
use crate::fs::context::IoContext;
use crate::golang::std_cache::StdCacheEntry;
use crate::id::Sha256;
use crate::parallel;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The kind of links from a build cache to the outputs of std caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedLink {
    /// Symbolic links with the absolute paths of the outputs. The go command follows them.
    Symlink,
    /// Hard links. They need one file system, and the right to link the files of their owner.
    Hard,
}

/// Fills `dest`, which is created if necessary, as a `GOCACHE` that has all entries of the std caches.
/// What exists already is kept, and nothing is synced.
///
/// The go command removes entries that were not used for five days when it trims its cache, for links
/// according to the time of their target, and it trims a cache without a time of the last trim at
/// once. Therefore this also writes that time, from `clock`. Call it again for a cache that is older than
/// one day.
///
/// The go command sets the time of outputs that it uses if it may, also through links. Mount std caches
/// read-only where it runs as their owner.
///
/// # Errors
/// Returns an error if a file or a link cannot be created.
pub fn seed_gocache(
    caches: &[StdCache],
    dest: &Path,
    link: SeedLink,
    clock: &dyn Clock,
) -> Result<(), StdCacheError> {
    std::fs::create_dir_all(dest).context("make directory", dest)?;
    let mut dirs: Vec<Directory> = (0..=u8::MAX).map(Directory::new).collect();
    let mut outputs = HashSet::new();
    for cache in caches {
        for (action, entry) in &cache.index().0 {
            dirs[usize::from(action.as_bytes()[0])]
                .actions
                .push((*action, *entry));
            // Many entries have the same output.
            if outputs.insert(entry.output) {
                let target = cache.output(entry.output);
                dirs[usize::from(entry.output.as_bytes()[0])]
                    .outputs
                    .push((entry.output, target));
            }
        }
    }
    parallel::map(&dirs, || (), |(), dir| dir.fill(dest, link))?;
    let path = dest.join(TRIM_FILE);
    std::fs::write(&path, clock.now().to_string()).context("write", path)?;
    Ok(())
}

/// The entries for one directory of the cache. The directories are independent of each other, so that several threads can
/// fill them.
struct Directory {
    name: String,
    actions: Vec<(Sha256, StdCacheEntry)>,
    outputs: Vec<(Sha256, PathBuf)>,
}

impl Directory {
    fn new(byte: u8) -> Self {
        Self {
            name: format!("{byte:02x}"),
            actions: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn fill(&self, cache: &Path, link: SeedLink) -> Result<(), StdCacheError> {
        let path = cache.join(&self.name);
        let made = rustix::fs::mkdir(&path, Mode::from_raw_mode(0o777));
        ignore_existing(made).context("make directory", &path)?;
        let dir = File::open(&path).context("open", &path)?;
        for (output, target) in &self.outputs {
            let name = gocache::output_name(*output);
            let made = match link {
                SeedLink::Symlink => rustix::fs::symlinkat(target, &dir, &name),
                SeedLink::Hard => {
                    let (cwd, flags) = (rustix::fs::CWD, AtFlags::empty());
                    rustix::fs::linkat(cwd, target, &dir, &name, flags)
                }
            };
            ignore_existing(made).context("link", path.join(name))?;
        }
        for (action, entry) in &self.actions {
            let name = gocache::action_name(*action);
            // The time of an entry matters only for the results of tests.
            let text = gocache::action_file(*action, *entry, 0);
            create(&dir, &name, &text).context("write", path.join(name))?;
        }
        Ok(())
    }
}

fn ignore_existing(made: Result<(), Errno>) -> Result<(), Errno> {
    match made {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// Creates a file with a content, unless it exists.
fn create(dir: impl AsFd, name: &str, text: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o666)) {
        Err(Errno::EXIST) => Ok(()),
        opened => File::from(opened?).write_all(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FixedClock;
    use crate::stdcache::open::tests::write;
    use std::fs;

    #[test]
    fn all_entries_are_links_and_existing_files_are_kept() {
        let top = tempfile::tempdir().unwrap();
        let actions = write(&top.path().join("std"), &[b"one", b"two", b"", b""]);
        let caches = [StdCache::open(top.path().join("std")).unwrap()];
        for link in [SeedLink::Symlink, SeedLink::Hard] {
            let dest = top.path().join(format!("{link:?}"));
            for seconds in [5, 6] {
                seed_gocache(&caches, &dest, link, &FixedClock::new(seconds)).unwrap();
            }
            assert_eq!(fs::read(dest.join(TRIM_FILE)).unwrap(), b"6");
            assert_eq!(fs::read_dir(&dest).unwrap().count(), 257);
            for action in &actions {
                let bytes = fs::read(dest.join(gocache::action_path(*action))).unwrap();
                let (entry, _) = gocache::parse_action_file(*action, &bytes).unwrap();
                let output = dest.join(gocache::output_path(entry.output));
                assert_eq!(output.metadata().unwrap().len(), entry.size);
                assert_eq!(output.is_symlink(), link == SeedLink::Symlink);
            }
        }
    }
}
