//! File contents that can be read later and on any thread.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use zip::ZipArchive;

use super::content::read_whole;
use super::error::SourceError;

/// The content of a file that is not open yet.
pub(crate) struct DeferredContent {
    location: String,
    name: String,
    size: u64,
    content: ContentLocation,
}

enum ContentLocation {
    Zip(ZipArchive<SharedFile>, usize),
    Disk(PathBuf),
}

impl DeferredContent {
    /// Creates the content of an archive's entry, whose headers have been checked.
    pub fn from_zip(
        (location, name): (&str, String),
        size: u64,
        archive: &ZipArchive<SharedFile>,
        index: usize,
    ) -> Self {
        Self {
            location: location.to_owned(),
            name,
            size,
            content: ContentLocation::Zip(archive.clone(), index),
        }
    }

    /// Creates the content of a file in a directory.
    pub fn from_file((location, name): (&str, String), size: u64, path: PathBuf) -> Self {
        Self {
            location: location.to_owned(),
            name,
            size,
            content: ContentLocation::Disk(path),
        }
    }

    /// Passes the content to `use_bytes` and verifies that it was complete.
    pub(crate) fn read<R, E: From<SourceError>>(
        self,
        use_bytes: impl FnOnce(&mut dyn Read) -> Result<R, E>,
    ) -> Result<R, E> {
        let names = (self.location.as_str(), self.name.as_str());
        match self.content {
            ContentLocation::Zip(mut archive, index) => {
                let mut content = archive.by_index(index).map_err(|error| {
                    SourceError::of_read(&self.location, Some(&self.name), error.into())
                })?;
                read_whole(names, self.size, &mut content, use_bytes)
            }
            ContentLocation::Disk(path) => {
                let mut file = open(&path)?;
                read_whole(names, self.size, &mut file, use_bytes)
            }
        }
    }
}

/// Opens a regular file, without following a link or blocking on a pipe that replaced it.
fn open(path: &Path) -> Result<File, SourceError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|source| SourceError::Io {
            path: path.to_owned(),
            source,
        })
}

/// A shared file with its own read position. Clones, each for one content, are unbuffered because
/// the decoder has a buffer.
pub struct SharedFile(BufReader<Cursor>);

impl SharedFile {
    /// Creates a reader at the start of a file.
    pub fn new(file: File) -> Self {
        Self(BufReader::new(Cursor {
            file: Arc::new(file),
            offset: 0,
        }))
    }
}

impl Clone for SharedFile {
    fn clone(&self) -> Self {
        Self(BufReader::with_capacity(0, self.0.get_ref().clone()))
    }
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[derive(Clone)]
struct Cursor {
    file: Arc<File>,
    offset: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.offset = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}
