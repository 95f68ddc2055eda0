//! Contents that are read when and where it suits.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use zip::ZipArchive;

use super::content::whole;
use super::{SourceError, directory};

/// The content of a file, not yet opened.
pub(crate) struct Later {
    location: String,
    name: String,
    size: u64,
    place: Place,
}

enum Place {
    Zip(ZipArchive<Positioned>, usize),
    Disk(PathBuf),
}

impl Later {
    /// An entry of an archive, whose headers have been checked.
    pub fn zipped(
        (location, name): (&str, String),
        size: u64,
        archive: &ZipArchive<Positioned>,
        index: usize,
    ) -> Self {
        Self {
            location: location.to_owned(),
            name,
            size,
            place: Place::Zip(archive.clone(), index),
        }
    }

    /// A file of a directory.
    pub fn on_disk((location, name): (&str, String), size: u64, path: PathBuf) -> Self {
        Self {
            location: location.to_owned(),
            name,
            size,
            place: Place::Disk(path),
        }
    }

    /// Hands the content to `use_bytes`, and makes sure that it was whole.
    pub(crate) fn read<R, E: From<SourceError>>(
        self,
        use_bytes: impl FnOnce(&mut dyn Read) -> Result<R, E>,
    ) -> Result<R, E> {
        let names = (self.location.as_str(), self.name.as_str());
        match self.place {
            Place::Zip(mut archive, index) => {
                let mut content = archive.by_index(index).map_err(|error| {
                    SourceError::of_read(&self.location, Some(&self.name), error.into())
                })?;
                whole(names, self.size, &mut content, use_bytes)
            }
            Place::Disk(path) => {
                let mut file = directory::open(&path)?;
                whole(names, self.size, &mut file, use_bytes)
            }
        }
    }
}

/// A file that is shared, at a place of one's own. A clone, which is for one content, leaves
/// buffering to the decoder.
pub struct Positioned(BufReader<At>);

impl Positioned {
    /// The start of a file.
    pub fn new(file: File) -> Self {
        Self(BufReader::new(At {
            file: Arc::new(file),
            offset: 0,
        }))
    }
}

impl Clone for Positioned {
    fn clone(&self) -> Self {
        Self(BufReader::with_capacity(0, self.0.get_ref().clone()))
    }
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[derive(Clone)]
struct At {
    file: Arc<File>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for At {
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
