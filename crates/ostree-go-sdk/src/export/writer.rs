//! What every export writes through.

use super::ExportError;
use crate::id::Sha256;
use sha2::Digest;
use std::io::{self, Write};
use std::path::Path;

/// Writing failed, or reading did.
pub(super) enum Failure {
    Write(io::Error),
    Export(ExportError),
}

impl Failure {
    /// The error of an export to `name`.
    pub(super) fn at(self, name: &Path) -> ExportError {
        match self {
            Self::Write(source) => ExportError::io("write", name)(source),
            Self::Export(error) => error,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        Self::Export(error)
    }
}

/// Counts and digests what is written.
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

    /// The digest of everything that was written.
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
