//! A writer that counts and hashes, used by all exports.

use super::ExportError;
use crate::fs::context::IoFailure;
use crate::id::Sha256;
use sha2::Digest;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Buffer size in bytes.
const PIECE: usize = 256 << 10;

/// An error of the writer, or of the export that produces the content.
pub(super) enum Failure<E = ExportError> {
    Write(io::Error),
    Export(E),
}

impl<E: From<ExportError>> Failure<E> {
    /// Converts this to the error of an export to `name`.
    pub(super) fn at(self, name: &Path) -> E {
        match self {
            Self::Write(source) => ExportError::from(IoFailure::new("write", name, source)).into(),
            Self::Export(error) => error,
        }
    }
}

impl<E> From<io::Error> for Failure<E> {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl<E: From<ExportError>> From<ExportError> for Failure<E> {
    fn from(error: ExportError) -> Self {
        Self::Export(error.into())
    }
}

/// Writes to `out` through a buffer; returns the size in bytes and the digest.
pub(super) fn counted<E: From<io::Error>>(
    out: &mut dyn Write,
    make: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(u64, Sha256), E> {
    let mut counted = Counted::new(out);
    let mut buffered = BufWriter::with_capacity(PIECE, &mut counted);
    make(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    Ok((counted.bytes, counted.finish()))
}

/// Counts and hashes the bytes written.
pub(super) struct Counted<'a> {
    out: &'a mut dyn Write,
    pub(super) bytes: u64,
    sha256: sha2::Sha256,
}

impl<'a> Counted<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            bytes: 0,
            sha256: sha2::Sha256::new(),
        }
    }

    /// Returns the digest of all bytes written.
    pub(super) fn finish(self) -> Sha256 {
        Sha256(self.sha256.finalize().into())
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
