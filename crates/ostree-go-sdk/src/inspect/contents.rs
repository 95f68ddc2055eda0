//! Reading parts of a file.

use object::read::ReadCacheOps;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The content of a file, of which only the parts that are asked for are read.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    source: Source<'a>,
    length: u64,
    failure: RefCell<Option<io::Error>>,
}

#[derive(Debug)]
enum Source<'a> {
    File(&'a File),
    Bytes(&'a [u8]),
}

impl<'a> Contents<'a> {
    /// Reads from an open file, which must be a regular one.
    ///
    /// # Errors
    /// Returns an error if the size of the file cannot be determined.
    pub(crate) fn of_file(file: &'a File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::new(Source::File(file), length))
    }

    /// Reads from memory.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Self {
        Self::new(Source::Bytes(bytes), bytes.len() as u64)
    }

    fn new(source: Source<'a>, length: u64) -> Self {
        Self {
            source,
            length,
            failure: RefCell::new(None),
        }
    }

    /// Returns the size in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the error of the system that was the reason why something could not be read.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Fills a buffer from an offset; returns `None` if the file ends before, or if the system fails.
    pub(crate) fn fill(&self, offset: u64, buffer: &mut [u8]) -> Option<()> {
        let end = offset.checked_add(buffer.len() as u64)?;
        if end > self.length {
            return None;
        }
        match self.source {
            Source::File(file) => match file.read_exact_at(buffer, offset) {
                Ok(()) => Some(()),
                Err(error) => {
                    self.failure.replace(Some(error));
                    None
                }
            },
            Source::Bytes(bytes) => {
                let start = usize::try_from(offset).ok()?;
                let part = bytes.get(start..)?.get(..buffer.len())?;
                buffer.copy_from_slice(part);
                Some(())
            }
        }
    }

    /// Returns `size` bytes from an offset; `None` under the conditions of [`fill`](Self::fill). Memory
    /// is allocated only for bytes that the file has.
    pub(crate) fn read(&self, offset: u64, size: u64) -> Option<Vec<u8>> {
        if offset.checked_add(size)? > self.length {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        self.fill(offset, &mut bytes)?;
        Some(bytes)
    }

    /// Returns the bytes from an offset up to the next zero byte, which must be among the next `limit`
    /// bytes.
    pub(crate) fn read_string(&self, offset: u64, limit: u64) -> Option<String> {
        let size = limit.min(self.length.checked_sub(offset)?);
        let bytes = self.read(offset, size)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}

/// A position in the content, from which the crate `object` reads.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    contents: &'a Contents<'a>,
    position: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(contents: &'a Contents<'a>) -> Self {
        Self {
            contents,
            position: 0,
        }
    }
}

impl ReadCacheOps for Cursor<'_> {
    fn len(&mut self) -> Result<u64, ()> {
        Ok(self.contents.length)
    }

    fn seek(&mut self, position: u64) -> Result<u64, ()> {
        self.position = position;
        Ok(position)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        let left = self.contents.length.saturating_sub(self.position);
        let size = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        self.read_exact(&mut buffer[..size])?;
        Ok(size)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ()> {
        self.contents.fill(self.position, buffer).ok_or(())?;
        self.position += buffer.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_and_memory_give_the_same_bytes() {
        let bytes = b"0123\0ab";
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let of_file = Contents::of_file(&file).unwrap();
        for contents in [of_file, Contents::of_bytes(bytes)] {
            assert_eq!(contents.length(), 7);
            assert_eq!(contents.read(1, 2).unwrap(), b"12");
            assert_eq!(contents.read(7, 0).unwrap(), b"");
            assert_eq!(contents.read(6, 2), None);
            assert_eq!(contents.read(u64::MAX, 2), None);
            assert_eq!(contents.read(0, u64::MAX), None);
            assert_eq!(contents.read_string(2, 100).unwrap(), "23");
            assert_eq!(contents.read_string(2, 2), None);
            assert_eq!(contents.read_string(5, 100), None);
            assert_eq!(contents.read_string(8, 100), None);
            assert!(contents.failure().is_none());
        }
    }

    #[test]
    fn an_error_of_the_system_is_kept() {
        let folder = File::open("/").unwrap();
        let contents = Contents::new(Source::File(&folder), 100);
        assert_eq!(contents.read(0, 10), None);
        let failure = contents.failure().unwrap();
        assert_eq!(failure.kind(), io::ErrorKind::IsADirectory);
    }
}
