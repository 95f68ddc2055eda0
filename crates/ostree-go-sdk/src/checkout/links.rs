//! A commit's tree as hard links to the objects of a `bare-user` repository, on every core.
//!
//! It makes what libostree makes in user mode (`ostree-repo-checkout.c`): directories with the
//! mode of their `dirmeta` and a modification time of 0, links to the objects of regular files,
//! symlinks, whose targets are the contents of their objects, and new files for empty ones.

use super::listing::{Directory, Listing};
use crate::id::{CommitId, FileId};
use crate::parallel;
use crate::repo::{Repo, RepoMode};
use rustix::fs::{self as sys, AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The xattr with a file's owner, mode and xattrs: `(uuua(ayay))`, the numbers big-endian
/// (`ostree-repo-commit.c`, `OSTREE_FILEMETA_GVARIANT_FORMAT`).
const METADATA: &str = "user.ostreemeta";
/// The most that an xattr holds (`XATTR_SIZE_MAX`, `linux/limits.h`).
const XATTR_SIZE_MAX: usize = 65_536;

/// Makes the tree at `dest`, where nothing is; returns the number of links.
///
/// # Errors
/// Whatever stands in the way, be it that the repository is on another file system, in another
/// mode, or damaged. Something may be at `dest` then.
pub(super) fn tree(repo: &Repo, commit: CommitId, dest: &Path) -> io::Result<u64> {
    if repo.mode() != RepoMode::BareUser {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let listing = Listing::read(repo, commit);
    if !listing.damaged.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    sys::mkdir(dest, Mode::RWXU)?;
    let top = open(CWD, dest, OFlags::DIRECTORY)?;
    for dir in listing.dirs.iter().skip(1) {
        sys::mkdirat(&top, &dir.path, Mode::RWXU)?;
    }
    let objects = repo.path().join("objects");
    let fill = |reader: &mut Reader, dir: &Directory| {
        let into = match dir.path.as_os_str().is_empty() {
            true => top.try_clone()?,
            false => open(top.as_fd(), &dir.path, OFlags::DIRECTORY)?,
        };
        let mut links = 0;
        for (name, id) in &dir.files {
            links += u64::from(reader.put(*id, into.as_fd(), name)?);
        }
        Ok::<_, io::Error>(links)
    };
    let links = parallel::each(&listing.dirs, || Reader::new(objects.clone()), fill)?;
    // What is in a directory comes before it: its mode may lock it, and its time would change.
    for dir in listing.dirs.iter().skip(1).rev() {
        finish(top.as_fd(), &dir.path, dir.mode)?;
    }
    if let Some(first) = listing.dirs.first() {
        finish(CWD, dest, first.mode)?;
    }
    Ok(links.into_iter().sum())
}

/// Gives a directory its mode and time.
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

/// Reads what an object is.
struct Reader {
    objects: PathBuf,
    xattr: Vec<u8>,
}

impl Reader {
    fn new(objects: PathBuf) -> Self {
        Self {
            objects,
            xattr: vec![0; XATTR_SIZE_MAX],
        }
    }

    /// Puts an object's file into a directory; says whether that is a link to it.
    fn put(&mut self, id: FileId, into: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
        let checksum = id.to_string();
        let (folder, rest) = checksum.split_at(2);
        let object = self.objects.join(folder).join(format!("{rest}.file"));
        let length = sys::lgetxattr(&object, METADATA, &mut self.xattr[..])?;
        let mode = match self.xattr[..length] {
            [_, _, _, _, _, _, _, _, a, b, c, d, ..] => u32::from_be_bytes([a, b, c, d]),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        match FileType::from_raw_mode(mode) {
            FileType::Symlink => {
                // Up to the first zero byte, as libostree reads it.
                let target = std::fs::read(&object)?;
                let target = target.split(|byte| *byte == 0).next().unwrap_or_default();
                sys::symlinkat(target, into, name)?;
                Ok(false)
            }
            // Many empty files are one object, and an inode has only so many links.
            FileType::RegularFile if object.metadata()?.len() == 0 => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = sys::openat(into, name, flags, Mode::RUSR)?;
                let mode = Mode::from_raw_mode(mode).difference(Mode::SUID | Mode::SGID);
                sys::fchmod(file, mode)?;
                Ok(false)
            }
            // Of a file that its owner may not read libostree makes a readable copy.
            FileType::RegularFile if mode & 0o400 != 0 => {
                sys::linkat(CWD, &object, into, name, AtFlags::empty())?;
                Ok(true)
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
