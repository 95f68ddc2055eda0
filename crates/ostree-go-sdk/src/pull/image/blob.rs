//! Reads a layer's blob while it is received, and checks its digest and size.

use super::manifest::{Compression, Layer};
use super::store::Input;
use crate::id::Sha256;
use crate::oci::tar::LayerReadError;
use crate::pull::PullError;
use crate::pull::monitor::Monitor;
use flate2::bufread::MultiGzDecoder;
use sha2::Digest;
use std::io::{self, BufRead, BufReader, Read};

/// The size of buffers in bytes.
const BUFFER_SIZE: usize = 256 << 10;
/// Maximum window size of zstd: 32 MiB, which skopeo's and podman's encoder uses at its best level,
/// as for `zstd:chunked` (`klauspost/compress`, `zstd/encoder_options.go`).
/// Each decoder, one per layer in progress, keeps its window in memory.
const WINDOW_LOG: u32 = 25;

/// A blob that is being read.
pub(super) struct Blob<'a> {
    monitor: &'a Monitor,
    input: BufReader<HashingReader<'a>>,
    /// The location for errors.
    location: String,
    expected: Sha256,
    size: u64,
}

/// A reader that hashes the bytes that are read.
struct HashingReader<'a> {
    input: Input<'a>,
    sha256: sha2::Sha256,
    read: u64,
    /// Called with the number of bytes read; returns false to stop.
    on_read: Box<dyn Fn(u64) -> bool + 'a>,
    /// The error that ended reading.
    error: Option<PullError>,
}

impl<'a> Blob<'a> {
    pub(super) fn new(
        monitor: &'a Monitor,
        input: Input<'a>,
        location: String,
        layer: &Layer,
        on_read: impl Fn(u64) -> bool + 'a,
    ) -> Self {
        let input = HashingReader {
            input,
            sha256: sha2::Sha256::new(),
            read: 0,
            on_read: Box::new(on_read),
            error: None,
        };
        Self {
            monitor,
            input: BufReader::with_capacity(BUFFER_SIZE, input),
            location,
            expected: layer.digest,
            size: layer.size,
        }
    }

    /// Returns a reader of the uncompressed archive, which must have exactly the size that the
    /// layer declares. `is_stopped` is called often; if it returns true, reading fails.
    pub(super) fn decode<'b>(
        &'b mut self,
        layer: &Layer,
        is_stopped: &'b dyn Fn() -> bool,
    ) -> io::Result<impl Read + use<'a, 'b>> {
        let decoder: Box<dyn Read + '_> = match layer.compression {
            Compression::None => Box::new(&mut self.input),
            Compression::Gzip => Box::new(MultiGzDecoder::new(&mut self.input)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(&mut self.input)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        // Decoding in large pieces is faster than in pieces of the size of a tar header.
        Ok(BufReader::with_capacity(
            BUFFER_SIZE,
            ExactSize {
                input: decoder,
                left: layer.unpacked,
                is_stopped,
            },
        ))
    }

    /// Reads the rest of the blob, and checks its size and digest.
    pub(super) fn finish(&mut self) -> Result<(), PullError> {
        self.drain().map_err(|error| self.input_error(error))?;
        let found = Sha256(self.input.get_ref().sha256.clone().finalize().into());
        let read = self.input.get_ref().read;
        if read != self.size {
            let problem = format!("it has {read} bytes, expected {}", self.size);
            return Err(self.refused(problem));
        }
        if found != self.expected {
            let problem = format!("it has the SHA-256 {found}, expected {}", self.expected);
            return Err(self.refused(problem));
        }
        Ok(())
    }

    /// Returns the error for a failed read. If the blob itself does not have the expected digest,
    /// this takes precedence over errors in its content.
    pub(super) fn read_failure(&mut self, error: LayerReadError) -> PullError {
        let error = match error {
            LayerReadError::Read(error) if self.is_failure_of_input(&error) => {
                return self.input_error(error);
            }
            error => error,
        };
        if let Err(error) = self.finish() {
            return error;
        }
        let problem = match error {
            LayerReadError::Refused(problem) => problem,
            LayerReadError::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "its archive is cut short".to_owned()
            }
            LayerReadError::Read(error) => {
                match error.get_ref().and_then(|e| e.downcast_ref::<TooLarge>()) {
                    Some(_) => "its archive is larger than declared".to_owned(),
                    None => format!("it cannot be decompressed: {error}"),
                }
            }
        };
        self.refused(problem)
    }

    fn is_failure_of_input(&self, error: &io::Error) -> bool {
        // Decoders pass on the errors of their input.
        error.raw_os_error().is_some() || self.input.get_ref().error.is_some()
    }

    fn input_error(&mut self, error: io::Error) -> PullError {
        if let Some(error) = self.input.get_mut().error.take() {
            return error;
        }
        PullError::Read {
            location: self.location.clone(),
            source: error,
        }
    }

    fn refused(&self, problem: String) -> PullError {
        self.monitor.refused(&self.location, problem)
    }

    fn drain(&mut self) -> io::Result<()> {
        loop {
            let filled = self.input.fill_buf()?.len();
            // Reading one byte more than expected detects a blob that is too large.
            if filled == 0 || self.input.get_ref().read > self.size {
                return Ok(());
            }
            self.input.consume(filled);
        }
    }
}

impl Read for HashingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.input {
            Input::Stream(stream) => stream.read(buffer),
            Input::File(file) => Ok(file.read(buffer)?),
        };
        let counted = read.and_then(|read| match (self.on_read)(read as u64) {
            true => Ok(read),
            false => Err(PullError::Cancelled),
        });
        match counted {
            Ok(read) => {
                self.sha256.update(&buffer[..read]);
                self.read += read as u64;
                Ok(read)
            }
            Err(error) => {
                self.error = Some(error);
                Err(io::Error::other(InputFailed))
            }
        }
    }
}

/// A reader that fails unless its input has exactly the expected size.
struct ExactSize<'b, R> {
    input: R,
    left: u64,
    is_stopped: &'b dyn Fn() -> bool,
}

/// Marks an input that is larger than expected.
#[derive(Debug, thiserror::Error)]
#[error("there is more than expected")]
struct TooLarge;

impl<R: Read> Read for ExactSize<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A few compressed bytes may decompress to very many.
        if (self.is_stopped)() {
            return Err(io::Error::other("stopped"));
        }
        let read = self.input.read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooLarge)),
        }
        Ok(read)
    }
}

/// Marks a failed input; the error itself is in [`HashingReader::error`].
#[derive(Debug, thiserror::Error)]
#[error("the download failed")]
struct InputFailed;
