//! Checks out a commit as hard links to the objects of a `bare-user` repository, on every core.
//!
//! The result equals libostree's in user mode (`ostree-repo-checkout.c`): directories with the
//! mode of their `dirmeta` and a modification time of 0, links to the objects of regular files,
//! symlinks whose targets are the contents of their objects, and new files for empty ones.

use super::listing::{Directory, Listing};
use crate::fs::tree;
use crate::id::FileId;
use crate::parallel;
use crate::progress::Progress;
use crate::repo::{Repo, RepoMode};
use rustix::fs::{self as sys, AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the xattr with a file's owner, mode and xattrs: `(uuua(ayay))`, big-endian numbers
/// (`ostree-repo-commit.c`, `OSTREE_FILEMETA_GVARIANT_FORMAT`).
const METADATA: &str = "user.ostreemeta";
/// Buffer size for the xattr; larger ones are left to libostree. The kernel clears this much for
/// every file.
const METADATA_SIZE: usize = 1024;

/// Creates the tree at `dest`, which must not exist; returns the number of links. If `sealed`,
/// write permissions are removed from the tree, including the objects that it links to.
///
/// # Errors
/// Returns an error for everything that is not handled here, for example if the repository is on
/// another file system, in another mode, or damaged, and if the operation is cancelled. `dest` may
/// exist then.
pub(super) fn tree(
    repo: &Repo,
    listing: &Listing,
    dest: &Path,
    sealed: bool,
    progress: &dyn Progress,
) -> io::Result<u64> {
    if repo.mode() != RepoMode::BareUser {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if !listing.damaged.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    sys::mkdir(dest, Mode::RWXU)?;
    let top = open(CWD, dest, OFlags::DIRECTORY)?;
    for dir in listing.dirs.iter().skip(1) {
        sys::mkdirat(&top, &dir.path, Mode::RWXU)?;
    }
    let objects = repo.path().join("objects");
    let folder = Arc::new(open(CWD, &objects, OFlags::DIRECTORY)?);
    let linker = || Linker {
        repo: repo.clone(),
        path: objects.clone(),
        objects: folder.clone(),
        xattr: [0; METADATA_SIZE],
        sealed,
    };
    let fill = |linker: &mut Linker, dir: &Directory| {
        if progress.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let into = match dir.path.as_os_str().is_empty() {
            true => top.try_clone()?,
            false => open(top.as_fd(), &dir.path, OFlags::DIRECTORY)?,
        };
        let mut links = 0;
        for (name, id) in &dir.files {
            links += u64::from(linker.put(*id, into.as_fd(), name)?);
        }
        Ok::<_, io::Error>(links)
    };
    let links = parallel::map(&listing.dirs, linker, fill)?;
    let kept = if sealed { !tree::WRITE } else { !0 };
    // Subdirectories come first: a parent's mode may deny access, and its time would change.
    for dir in listing.dirs.iter().skip(1).rev() {
        finish(top.as_fd(), &dir.path, dir.mode & kept)?;
    }
    if let Some(first) = listing.dirs.first() {
        finish(CWD, dest, first.mode & kept)?;
    }
    Ok(links.into_iter().sum())
}

/// Sets the mode and time of a directory.
fn finish(at: BorrowedFd<'_>, path: &Path, mode: u32) -> io::Result<()> {
    sys::chmodat(at, path, Mode::from_raw_mode(mode), AtFlags::empty())?;
    let (epoch, same) = (
        Timespec::default(),
        Timespec {
            tv_sec: 0,
            tv_nsec: sys::UTIME_OMIT,
        },
    );
    let times = Timestamps {
        last_access: same,
        last_modification: epoch,
    };
    Ok(sys::utimensat(at, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn open(at: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(sys::openat(at, path, flags, Mode::empty())?)
}

/// Links the files of objects into directories.
struct Linker {
    repo: Repo,
    path: PathBuf,
    objects: Arc<OwnedFd>,
    xattr: [u8; METADATA_SIZE],
    /// True if write permissions are removed.
    sealed: bool,
}

impl Linker {
    /// Adds an object's file to a directory; returns whether it is a link to the object.
    fn put(&mut self, id: FileId, into: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
        let checksum = id.to_string();
        let object = format!("{}/{}.file", &checksum[..2], &checksum[2..]);
        let found = sys::statat(&self.objects, &object, AtFlags::SYMLINK_NOFOLLOW)?;
        // A file whose hash was verified is none of the special cases below.
        if found.st_size == 0 || !self.repo.known_files().contains(&found, id) {
            let mode = self.mode(&object)?;
            match FileType::from_raw_mode(mode) {
                FileType::Symlink => {
                    // libostree reads up to the first NUL byte.
                    let target = std::fs::read(self.path.join(object))?;
                    let target = target.split(|byte| *byte == 0).next().unwrap_or_default();
                    sys::symlinkat(target, into, name)?;
                    return Ok(false);
                }
                // libostree makes a readable copy of a file that its owner may not read.
                FileType::RegularFile if mode & 0o400 != 0 => {}
                _ => return Err(io::ErrorKind::Unsupported.into()),
            }
            if found.st_size == 0 {
                // Empty files share one object, and the number of links to an inode is limited.
                self.create(mode, into, name)?;
                return Ok(false);
            }
        }
        sys::linkat(&self.objects, &object, into, name, AtFlags::empty())?;
        if self.sealed && found.st_mode & tree::WRITE != 0 {
            let mode = Mode::from_raw_mode(found.st_mode & 0o7777 & !tree::WRITE);
            sys::chmodat(into, name, mode, AtFlags::empty())?;
        }
        Ok(true)
    }

    /// Returns the complete `st_mode` of an object.
    fn mode(&mut self, object: &str) -> io::Result<u32> {
        let length = sys::lgetxattr(self.path.join(object), METADATA, &mut self.xattr[..])?;
        match self.xattr[..length] {
            [_, _, _, _, _, _, _, _, a, b, c, d, ..] => Ok(u32::from_be_bytes([a, b, c, d])),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn create(&self, mode: u32, into: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = sys::openat(into, name, flags, Mode::RUSR)?;
        let mut mode = Mode::from_raw_mode(mode).difference(Mode::SUID | Mode::SGID);
        if self.sealed {
            mode = mode.difference(Mode::from_raw_mode(tree::WRITE));
        }
        Ok(sys::fchmod(file, mode)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CheckoutOptions, write};
    use super::*;
    use crate::id::CommitId;
    use crate::progress::NoProgress;
    use glib::prelude::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[derive(Debug, Clone)]
    enum Entry {
        File(Vec<u8>, u32),
        Symlink(String),
        Directory(u32),
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let content = proptest::collection::vec(any::<u8>(), 0..40);
        let mode = proptest::sample::select(vec![0o644, 0o755, 0o600, 0o444, 0o4755, 0o711]);
        let dir = proptest::sample::select(vec![0o755, 0o700, 0o555, 0o775]);
        prop_oneof![
            3 => (content, mode).prop_map(|(content, mode)| Entry::File(content, mode)),
            1 => "[a-z./]{1,80}".prop_map(Entry::Symlink),
            1 => dir.prop_map(Entry::Directory),
        ]
    }

    /// Generates paths and their entries; files have no entries below them.
    fn tree() -> impl Strategy<Value = BTreeMap<String, Entry>> {
        proptest::collection::btree_map("(d[0-2]/){0,3}(\\.wh\\.)?[a-cä ]{1,3}", entry(), 0..25)
    }

    fn put(top: &Path, tree: &BTreeMap<String, Entry>) {
        let mut modes = Vec::new();
        for (path, entry) in tree {
            let path = top.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match entry {
                Entry::File(content, mode) => {
                    fs::write(&path, content).unwrap();
                    modes.push((path, *mode));
                }
                Entry::Symlink(target) => symlink(target, path).unwrap(),
                Entry::Directory(mode) => {
                    fs::create_dir(&path).unwrap();
                    modes.push((path, *mode));
                }
            }
        }
        for (path, mode) in modes {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    fn commit(repo: &Repo, top: &Path) -> CommitId {
        let (ostree, none) = (repo.as_ostree(), gio::Cancellable::NONE);
        let transaction = ostree.auto_transaction(none).unwrap();
        let tree = ostree::MutableTree::new();
        let folder = gio::File::for_path(top);
        ostree
            .write_directory_to_mtree(&folder, &tree, None, none)
            .unwrap();
        let root = ostree.write_mtree(&tree, none).unwrap();
        let root = root.downcast_ref::<ostree::RepoFile>().unwrap();
        let id = ostree
            .write_commit(None, None, None, None, root, none)
            .unwrap();
        transaction.commit(none).unwrap();
        id.parse().unwrap()
    }

    /// Describes everything about a tree that a checkout determines.
    fn look(top: &Path) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut ahead = vec![top.to_owned()];
        while let Some(path) = ahead.pop() {
            let found = path.symlink_metadata().unwrap();
            let what = if found.is_dir() {
                ahead.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
                format!("directory of {}", found.mtime())
            } else if found.is_symlink() {
                format!("link to {:?}", fs::read_link(&path).unwrap())
            } else if found.len() == 0 {
                format!("empty, {} links", found.nlink())
            } else {
                format!("inode {} of {}", found.ino(), found.mtime())
            };
            let mode = found.mode();
            let path = path.strip_prefix(top).unwrap();
            seen.insert(format!("{path:?} {mode:o} {what}"));
        }
        seen
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_tree_equals_the_one_of_libostree(tree in tree()) {
            let folder = tempfile::tempdir().unwrap();
            let repo = Repo::create(folder.path().join("repo"), RepoMode::BareUser).unwrap();
            let source = folder.path().join("source");
            fs::create_dir(&source).unwrap();
            put(&source, &tree);
            let commit = commit(&repo, &source);
            let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
            super::tree(&repo, &Listing::read(&repo, commit).unwrap(), &ours, false, &NoProgress).unwrap();
            write(&repo, commit, &Listing::read(&repo, commit).unwrap(), &theirs, &CheckoutOptions::default(), &NoProgress).unwrap();
            prop_assert_eq!(look(&ours), look(&theirs));
        }
    }

    #[test]
    fn unsupported_cases_are_left_to_libostree() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [RepoMode::Archive, RepoMode::BareUserOnly] {
            let repo = Repo::create(folder.path().join(mode.as_str()), mode).unwrap();
            let dest = folder.path().join("dest");
            let error = super::tree(&repo, &Listing::default(), &dest, false, &NoProgress);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::Unsupported);
        }
        let repo = Repo::create(folder.path().join("bare-user"), RepoMode::BareUser).unwrap();
        let listing = Listing::read(&repo, [0; 32].into()).unwrap();
        let error = super::tree(
            &repo,
            &listing,
            &folder.path().join("dest"),
            false,
            &NoProgress,
        );
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(!folder.path().join("dest").exists());
    }
}
