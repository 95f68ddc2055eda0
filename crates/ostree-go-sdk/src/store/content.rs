//! The content of a file that is being written to the repository.

use crate::id::FileId;
use crate::object::{AnyHeader, FileHasher};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

/// The size in bytes from which a file is kept in an unnamed temporary file instead of memory. The
/// largest file of Go 1.26 has 25 MB.
const IN_MEMORY: u64 = 32 << 20;

/// The content of a file, which can be read any number of times.
#[derive(Debug)]
pub(crate) enum Content {
    Memory(glib::Bytes),
    Spooled(File, u64),
}

impl Content {
    /// Reads `input` to its end. `size` is the expected size in bytes, which is only a hint.
    pub(crate) fn read(input: &mut dyn Read, size: u64, spool_in: &Path) -> io::Result<Self> {
        let capacity = usize::try_from(Self::max_memory(size));
        let mut start = Vec::with_capacity(capacity.unwrap_or(0));
        input.take(IN_MEMORY).read_to_end(&mut start)?;
        if (start.len() as u64) < IN_MEMORY {
            return Ok(Self::Memory(glib::Bytes::from_owned(start)));
        }
        let mut file = unnamed_file(spool_in)?;
        io::Write::write_all(&mut file, &start)?;
        drop(start);
        let rest = io::copy(input, &mut file)?;
        Ok(Self::Spooled(file, IN_MEMORY + rest))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spooled(_, len) => *len,
        }
    }

    /// Returns the checksum of the file object with a header and this content.
    ///
    /// # Errors
    /// Returns an error if a temporary file cannot be read.
    pub(crate) fn checksum(&self, header: &AnyHeader) -> io::Result<FileId> {
        let mut hasher = match header.to_composed() {
            Some(composed) => FileHasher::new(&composed),
            None => FileHasher::framed(&header.framed()),
        };
        self.for_each(|bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok(hasher.finish())
    }

    /// Returns the maximum memory for a file of this size, in bytes.
    pub(crate) fn max_memory(size: u64) -> u64 {
        size.min(IN_MEMORY)
    }

    /// Returns the memory that the content uses, in bytes.
    pub(super) fn memory(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spooled(..) => 0,
        }
    }

    /// Passes the content to `use_bytes` in pieces.
    pub(crate) fn for_each(
        &self,
        mut use_bytes: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => use_bytes(bytes)?,
            Self::Spooled(file, _) => {
                let mut file = file;
                file.rewind()?;
                let mut piece = vec![0; 1 << 20];
                loop {
                    match file.read(&mut piece)? {
                        0 => break,
                        n => use_bytes(&piece[..n])?,
                    }
                }
            }
        }
        Ok(())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(glib::Bytes::from_owned(bytes))
    }
}

fn unnamed_file(folder: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_files_read_back() {
        let folder = tempfile::tempdir().unwrap();
        for len in [0, 1, IN_MEMORY - 1, IN_MEMORY, IN_MEMORY + 3_000_000] {
            let mut input = io::repeat(7).take(len);
            let content = Content::read(&mut input, len, folder.path()).unwrap();
            assert_eq!(content.len(), len);
            for _ in 0..2 {
                let mut read = 0;
                content
                    .for_each(|bytes| {
                        assert!(bytes.iter().all(|b| *b == 7));
                        read += bytes.len() as u64;
                        Ok(())
                    })
                    .unwrap();
                assert_eq!(read, len);
            }
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
