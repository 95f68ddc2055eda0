//! Our own object writer: the same objects as libostree's, hashed once and compressed faster.
//!
//! It knows regular files, with xattrs where the repository does not keep these in the file system's
//! own; symlinks, of which an SDK has a handful, are left to libostree.
//! Source of everything here: libostree `src/libostree/ostree-repo-commit.c`,
//! `write_content_object` and `commit_loose_regfile_object`, the same from 2022.7 to 2026.4.

use super::{Content, LibostreeWriter, ObjectWriter, StoreError};
use crate::id::FileId;
use crate::object::{AnyHeader, FILE_MODE, FileHeader, ROOT};
use crate::repo::{NoRoom, Repo, Staging, Transaction};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use libdeflater::{CompressionLvl, Compressor};
use ostree::RepoMode;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use tempfile::NamedTempFile;

/// libdeflate's level. Over all files of Go 1.26, level 5 comes to the size of libostree's zlib
/// at level 6 (67.8 against 67.9 MB) in a third of the time; level 4 is 2.1 % larger.
const LEVEL: i32 = 5;

/// The level for files too large to be compressed in one piece; libostree's default.
const STREAMED_LEVEL: u32 = 6;

/// Every bare file has this time of change. Source: `OSTREE_TIMESTAMP`.
const MTIME: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// What in a repository's configuration makes libostree write objects in another way, or look
/// for them at another place.
const OPTIONS: &[(&str, &str)] = &[
    ("core", "parent"),
    ("core", "per-object-fsync"),
    ("core", "disable-xattrs"),
    ("core", "payload-link-threshold"),
    ("archive", "zlib-level"),
];

/// The groups of options that ask for fs-verity.
const VERITY: &[&str] = &["ex-integrity", "ex-fsverity"];

/// Writes regular files itself.
pub(super) struct LooseWriter {
    repo: Repo,
    staging: Arc<Staging>,
    mode: RepoMode,
    compressor: Compressor,
    others: LibostreeWriter,
    /// Whether the file system is first asked for a file without a name.
    nameless: bool,
    /// Whether such a file is first asked to be linked by its descriptor.
    by_descriptor: bool,
    /// Which of the staging folder's folders are there, by the first byte of the checksums.
    folders: [bool; 256],
}

impl LooseWriter {
    /// `None` where only libostree knows how.
    pub(super) fn new(transaction: &Transaction<'_>) -> Option<Self> {
        let repo = transaction.repo();
        let mode = repo.as_ostree().mode();
        let known = matches!(
            mode,
            RepoMode::Archive | RepoMode::BareUser | RepoMode::BareUserOnly | RepoMode::Bare
        );
        let config = repo.as_ostree().config();
        let has = |(group, key): &(&str, &str)| config.has_key(group, key).unwrap_or(false);
        let special = OPTIONS.iter().any(has) || VERITY.iter().any(|group| config.has_group(group));
        if !known || special {
            return None;
        }
        Some(Self {
            repo: repo.clone(),
            staging: transaction.staging()?.clone(),
            mode,
            compressor: Compressor::new(CompressionLvl::new(LEVEL).ok()?),
            others: LibostreeWriter::new(transaction),
            nameless: true,
            by_descriptor: true,
            folders: [false; 256],
        })
    }

    #[cfg(test)]
    pub(super) fn without_nameless_files(mut self) -> Self {
        self.nameless = false;
        self
    }

    fn failed(&self, action: &'static str, id: FileId, source: io::Error) -> StoreError {
        StoreError::Io {
            action,
            id,
            path: self.repo.path().to_owned(),
            source,
        }
    }

    /// Where an object lies below `objects/`. Source: `_ostree_loose_path`.
    fn loose_path(&self, id: FileId) -> String {
        let extension = match self.mode {
            RepoMode::Archive => "filez",
            _ => "file",
        };
        let id = id.to_string();
        format!("{}/{}.{extension}", &id[..2], &id[2..])
    }

    fn put(
        &mut self,
        id: FileId,
        mode: u32,
        metadata: Vec<u8>,
        content: &Content,
    ) -> io::Result<()> {
        let path = self.loose_path(id);
        let new = NewFile::create(&self.staging, self.nameless)?;
        match self.mode {
            RepoMode::Archive => self.write_archived(new.file(), metadata, content)?,
            _ => self.write_bare(new.file(), mode, &metadata, content)?,
        }
        if self.mode == RepoMode::BareUser {
            self.repo.seen().add(&rustix::fs::fstat(new.file())?, id);
        }
        let folder = &mut self.folders[usize::from(id.as_bytes()[0])];
        if !*folder {
            let mode = Mode::from_raw_mode(0o777);
            match rustix::fs::mkdirat(self.staging.folder(), &path[..2], mode) {
                Err(error) if error != Errno::EXIST => return Err(error.into()),
                _ => *folder = true,
            }
        }
        new.show_as(&self.staging, &path, &mut self.by_descriptor)
    }

    /// A framed header, then raw deflate. The level counts for no checksum.
    fn write_archived(
        &mut self,
        mut file: &File,
        mut object: Vec<u8>,
        content: &Content,
    ) -> io::Result<()> {
        if let Content::Memory(bytes) = content {
            let start = object.len();
            // Zeros straight from the system: only those that are written over take memory.
            let mut whole = vec![0; start + self.compressor.deflate_compress_bound(bytes.len())];
            whole[..start].copy_from_slice(&object);
            let compressed = self.compressor.deflate_compress(bytes, &mut whole[start..]);
            whole.truncate(start + compressed.map_err(io::Error::other)?);
            object = whole;
            file.write_all(&object)?;
        } else {
            file.write_all(&object)?;
            let mut encoder = DeflateEncoder::new(file, Compression::new(STREAMED_LEVEL));
            content.for_each(|bytes| encoder.write_all(bytes))?;
            encoder.finish()?;
        }
        Ok(rustix::fs::fchmod(file, permissions(FILE_MODE))?)
    }

    /// The bytes themselves; what the mode knows of owner and permissions.
    fn write_bare(
        &self,
        mut file: &File,
        mode: u32,
        metadata: &[u8],
        content: &Content,
    ) -> io::Result<()> {
        content.for_each(|bytes| file.write_all(bytes))?;
        match self.mode {
            RepoMode::Bare => {
                let (owner, group) = (Uid::from_raw(ROOT), Gid::from_raw(ROOT));
                rustix::fs::fchown(file, Some(owner), Some(group))?;
            }
            RepoMode::BareUser => {
                rustix::fs::fsetxattr(file, "user.ostreemeta", metadata, XattrFlags::empty())?;
            }
            _ => {}
        }
        rustix::fs::fchmod(file, permissions(mode))?;
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: rustix::fs::UTIME_OMIT,
            },
            last_modification: MTIME,
        };
        Ok(rustix::fs::futimens(file, &times)?)
    }
}

fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}

impl ObjectWriter for LooseWriter {
    fn has(&self, id: FileId) -> Result<bool, StoreError> {
        let path = self.loose_path(id);
        for folder in [self.staging.folder(), self.staging.objects()] {
            match rustix::fs::statat(folder, &path, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => return Ok(true),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(self.failed("look for", id, error.into())),
            }
        }
        Ok(false)
    }

    fn write(
        &mut self,
        id: FileId,
        header: &FileHeader,
        content: &Content,
    ) -> Result<(), StoreError> {
        if let FileHeader::Symlink { .. } = header {
            return self.others.write(id, header, content);
        }
        let metadata = match self.mode {
            RepoMode::Archive => header.framed_with_size(content.len()),
            RepoMode::BareUser => header.user_metadata(),
            _ => Vec::new(),
        };
        self.write_regular(id, header.mode(), metadata, content)
    }

    fn write_any(
        &mut self,
        id: FileId,
        header: &AnyHeader,
        content: &Content,
    ) -> Result<(), StoreError> {
        let metadata = match (self.mode, header.without_xattrs()) {
            (RepoMode::Archive, Some(FileHeader::Regular { .. })) => {
                header.framed_with_size(content.len())
            }
            (RepoMode::BareUser, Some(FileHeader::Regular { .. })) => header.user_metadata(),
            _ => return self.others.write_any(id, header, content),
        };
        self.write_regular(id, header.mode, metadata, content)
    }
}

impl LooseWriter {
    /// Writes a regular file with what the repository's mode keeps of its header.
    fn write_regular(
        &mut self,
        id: FileId,
        mode: u32,
        metadata: Vec<u8>,
        content: &Content,
    ) -> Result<(), StoreError> {
        self.staging.take_room(content.len()).map_err(
            |NoRoom {
                 needed,
                 free,
                 reserve,
             }| StoreError::NoRoom {
                id,
                path: self.repo.path().to_owned(),
                needed,
                free,
                reserve,
            },
        )?;
        self.put(id, mode, metadata, content)
            .map_err(|error| self.failed("write", id, error))
    }
}

/// A file in the staging folder that is no object yet. Dropped, or after a crash, it never
/// becomes one.
enum NewFile {
    Nameless(File),
    /// With a name that is no object's, where the file system knows no nameless files.
    Named(NamedTempFile),
}

impl NewFile {
    fn create(staging: &Staging, nameless: bool) -> io::Result<Self> {
        if nameless {
            let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
            match rustix::fs::openat(staging.folder(), ".", flags, Mode::RUSR | Mode::WUSR) {
                // Source: open(2) and `glnx_open_tmpfile_linkable_at`.
                Err(Errno::NOSYS | Errno::ISDIR | Errno::OPNOTSUPP) => {}
                file => return Ok(Self::Nameless(file?.into())),
            }
        }
        NamedTempFile::new_in(staging.path()).map(Self::Named)
    }

    fn file(&self) -> &File {
        match self {
            Self::Nameless(file) => file,
            Self::Named(file) => file.as_file(),
        }
    }

    /// Gives it an object's place in the staging folder. If the object is there already, it
    /// stays.
    fn show_as(self, staging: &Staging, path: &str, by_descriptor: &mut bool) -> io::Result<()> {
        let shown = match self {
            Self::Nameless(file) => link(&file, staging, path, by_descriptor),
            Self::Named(file) => file
                .persist_noclobber(staging.path().join(path))
                .map(drop)
                .map_err(|failed| failed.error),
        };
        match shown {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            shown => shown,
        }
    }
}

/// Gives a nameless file its name. By the descriptor that takes half the time, and privileges
/// before Linux 6.10 (linkat(2), `AT_EMPTY_PATH`): without them it is "not found".
fn link(file: &File, staging: &Staging, path: &str, by_descriptor: &mut bool) -> io::Result<()> {
    let folder = staging.folder();
    if *by_descriptor {
        match rustix::fs::linkat(file, "", folder, path, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => *by_descriptor = false,
            linked => return Ok(linked?),
        }
    }
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = AtFlags::SYMLINK_FOLLOW;
    Ok(rustix::fs::linkat(CWD, from, folder, path, flags)?)
}
