//! Examines the file system of a root directory.

use super::finding::Finding;
use rustix::fs::{StatVfsMountFlags, XattrFlags};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The space that one SDK and its download need, in bytes: about 250 MB of files, and the objects
/// that are received before they are moved into place.
const NEEDED: u64 = 1_000_000_000;

/// Examines the file system that contains `path`, or its nearest existing parent.
pub(super) fn examine(path: &Path) -> Vec<Finding> {
    let path = existing(path);
    let not_examined = |source: io::Error| {
        let path = path.clone();
        Finding::NotExamined { path, source }
    };
    let mut findings = Vec::new();
    let stat = match rustix::fs::statvfs(&path) {
        Ok(stat) => stat,
        Err(error) => return vec![not_examined(error.into())],
    };
    if stat.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        findings.push(Finding::NoExec { path: path.clone() });
    }
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        findings.push(Finding::ReadOnly { path });
        return findings;
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < NEEDED {
        findings.push(Finding::LittleSpace {
            path: path.clone(),
            free,
            needed: NEEDED,
        });
    }
    match Features::probe(&path) {
        Err(source) => findings.push(not_examined(source)),
        Ok(features) => {
            if !features.user_xattrs {
                findings.push(Finding::NoUserXattrs { path: path.clone() });
            }
            if !features.hard_links {
                findings.push(Finding::NoHardLinks { path: path.clone() });
            }
            if findings.is_empty() {
                let reflinks = features.reflinks;
                findings.push(Finding::FileSystemGood {
                    path,
                    reflinks,
                    free,
                });
            }
        }
    }
    findings
}

fn existing(path: &Path) -> PathBuf {
    let mut all = path.ancestors().filter(|path| path.is_dir());
    all.next().unwrap_or(path).to_owned()
}

struct Features {
    user_xattrs: bool,
    hard_links: bool,
    reflinks: bool,
}

impl Features {
    /// Tries each feature in a temporary directory, which is removed again.
    fn probe(path: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new();
        let folder = { folder }.prefix(".ostree-go-doctor-").tempdir_in(path)?;
        let file = folder.path().join("file");
        std::fs::write(&file, b"content")?;
        let xattr = rustix::fs::setxattr(&file, "user.ostree-go", b"1", XattrFlags::empty());
        let clone = File::create(folder.path().join("clone"))?;
        Ok(Self {
            user_xattrs: xattr.is_ok(),
            hard_links: std::fs::hard_link(&file, folder.path().join("link")).is_ok(),
            reflinks: rustix::fs::ioctl_ficlone(&clone, File::open(&file)?).is_ok(),
        })
    }
}
