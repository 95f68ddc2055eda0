//! Compression of exported files.

use flate2::write::GzEncoder;
use std::io::{self, Write};
use std::path::Path;

/// A compression of exported files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip, RFC 1952, without name and time.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Compression {
    /// Detects the compression from a file name: `.gz` and `.tgz`, `.zst`, else none.
    #[must_use]
    pub fn of_name(path: &Path) -> Self {
        match path.extension().and_then(|end| end.to_str()) {
            Some("gz" | "tgz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Compresses everything that `write` writes into `out`.
    pub(super) fn through<T, E: From<io::Error>>(
        self,
        out: &mut dyn Write,
        write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
    ) -> Result<T, E> {
        match self {
            Self::None => write(out),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(out, flate2::Compression::default());
                let written = write(&mut encoder)?;
                encoder.finish()?;
                Ok(written)
            }
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                let written = write(&mut encoder)?;
                encoder.finish()?;
                Ok(written)
            }
        }
    }
}
