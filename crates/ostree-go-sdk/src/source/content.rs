//! The content of one file of a source.

use std::io::{self, Read};

use super::SourceError;

/// A reader of exactly the announced number of bytes that records errors.
struct Content<'a> {
    inner: &'a mut dyn Read,
    left: u64,
    failure: Option<io::Error>,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        match self.inner.read(&mut buffer[..wanted]) {
            Ok(0) => Err(self.fail(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => {
                self.left -= read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.fail(error)),
        }
    }
}

impl Content<'_> {
    /// Records an error and returns one of the same kind for the reader.
    fn fail(&mut self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.failure = Some(error);
        kind.into()
    }

    /// Reads the remaining bytes up to the end, because decoders verify checksums only there.
    fn finish(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink())?;
        match self.inner.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.fail(io::Error::new(
                io::ErrorKind::InvalidData,
                "it has more bytes than its size says",
            ))),
            Err(error) => Err(self.fail(error)),
        }
    }
}

/// Passes a file's content to `use_bytes` and verifies that it was complete. If it was not,
/// returns that error, whatever `use_bytes` returned.
pub fn read_whole<R, E: From<SourceError>>(
    (location, name): (&str, &str),
    size: u64,
    inner: &mut dyn Read,
    use_bytes: impl FnOnce(&mut dyn Read) -> Result<R, E>,
) -> Result<R, E> {
    let mut content = Content {
        inner,
        left: size,
        failure: None,
    };
    let used = use_bytes(&mut content);
    if used.is_ok() && content.failure.is_none() {
        // Errors are recorded in `failure`.
        let _ = content.finish();
    }
    match content.failure {
        Some(error) => Err(SourceError::of_read(location, Some(name), error).into()),
        None => used,
    }
}
