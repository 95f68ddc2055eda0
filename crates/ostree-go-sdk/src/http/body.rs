//! The body of a response, in memory or in a temporary file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Maximum size of a body in memory, in bytes, if a folder for temporary files is given.
const MAX_IN_MEMORY: u64 = 1 << 20;

/// The bytes of one body.
#[derive(Debug, Default)]
pub(crate) struct Body {
    memory: Vec<u8>,
    file: Option<File>,
    length: u64,
    /// The folder for the temporary file; `None` keeps everything in memory.
    spool_in: Option<PathBuf>,
}

impl Body {
    /// Creates an empty body. If a folder is given, at most 1 MiB is held in memory; a larger body
    /// is stored in an unnamed temporary file, which disappears when the body is dropped.
    pub(super) fn new(spool_in: Option<&Path>) -> Self {
        Self {
            spool_in: spool_in.map(Path::to_owned),
            ..Self::default()
        }
    }

    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    pub(super) fn clear(&mut self) {
        self.memory = Vec::new();
        self.file = None;
        self.length = 0;
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = self.length + bytes.len() as u64;
        match (&mut self.file, &self.spool_in) {
            (Some(file), _) => file.write_all(bytes)?,
            (None, Some(folder)) if length > MAX_IN_MEMORY => {
                let mut file = tempfile::tempfile_in(folder)?;
                file.write_all(&self.memory)?;
                file.write_all(bytes)?;
                self.memory = Vec::new();
                self.file = Some(file);
            }
            _ => self.memory.extend_from_slice(bytes),
        }
        self.length = length;
        Ok(())
    }

    /// Returns a reader from the start of the body.
    pub(crate) fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &mut self.file {
            Some(file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
            None => Box::new(self.memory.as_slice()),
        })
    }

    /// Reads the whole body into memory.
    pub(crate) fn into_bytes(mut self) -> io::Result<Vec<u8>> {
        if self.file.is_none() {
            return Ok(self.memory);
        }
        let mut bytes = Vec::new();
        bytes.reserve_exact(usize::try_from(self.length).unwrap_or(0));
        self.reader()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns the bytes if they are in memory.
    #[cfg(test)]
    pub(crate) fn in_memory(&self) -> Option<&[u8]> {
        self.file.is_none().then_some(&self.memory)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            length: bytes.len() as u64,
            memory: bytes,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_bodies_read_back() {
        let folder = tempfile::tempdir().unwrap();
        for (pieces, spools) in [(0, false), (16, false), (17, true), (40, true)] {
            let mut body = Body::new(Some(folder.path()));
            let piece: Vec<u8> = (0..1u32 << 16).map(|n| (n % 251) as u8).collect();
            for _ in 0..pieces {
                body.append(&piece).unwrap();
            }
            assert_eq!(body.in_memory().is_none(), spools, "{pieces}");
            let mut read = Vec::new();
            body.reader().unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, piece.repeat(pieces));
            assert_eq!(body.len(), read.len() as u64);
            assert_eq!(body.into_bytes().unwrap(), read);
        }
        let mut unspooled = Body::new(None);
        unspooled.append(&vec![0; 3 << 20]).unwrap();
        assert!(unspooled.in_memory().is_some());
    }
}
