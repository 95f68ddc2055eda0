//! A layer's bytes as they come: digested, decoded, bounded.

use super::manifest::{Compression, Layer};
use crate::id::Sha256;
use crate::oci::tar::LayerReadError;
use crate::progress::Progress;
use crate::pull::PullError;
use crate::registry::RegistryError;
use flate2::bufread::MultiGzDecoder;
use sha2::Digest;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How much is decoded at once.
const PIECE: usize = 256 << 10;
/// The largest window of zstd, 8 MiB: what a decoder should support (RFC 8878, 3.1.1.1.2). The
/// decoder has it in memory, once for each layer that comes.
const WINDOW_LOG: u32 = 23;
/// How often a stop is looked for while nothing comes.
const TICK: Duration = Duration::from_millis(50);

/// A blob that is being read.
pub(super) struct Blob<'a> {
    input: BufReader<Digested<'a>>,
    remote: String,
    /// What errors call it.
    place: String,
    expected: Sha256,
    size: u64,
}

/// Digests what is read.
struct Digested<'a> {
    input: Input<'a>,
    sha256: sha2::Sha256,
    read: u64,
    /// Hears of bytes that have come, and says whether to go on.
    counts: Box<dyn Fn(u64) -> bool + 'a>,
    /// Why there is no going on.
    failed: Option<PullError>,
}

/// Where the bytes come from.
pub(super) enum Input<'a> {
    /// A thread that has a request.
    Arriving(Arriving),
    /// A file.
    File(Box<dyn Read + 'a>),
}

impl<'a> Blob<'a> {
    pub(super) fn new(
        input: Input<'a>,
        (remote, place): (&str, String),
        layer: &Layer,
        counts: impl Fn(u64) -> bool + 'a,
    ) -> Self {
        let input = Digested {
            input,
            sha256: sha2::Sha256::new(),
            read: 0,
            counts: Box::new(counts),
            failed: None,
        };
        Self {
            input: BufReader::with_capacity(PIECE, input),
            remote: remote.to_owned(),
            place,
            expected: layer.digest,
            size: layer.size,
        }
    }

    /// The archive in it: exactly as many bytes as the layer says.
    /// `is_stopped` is asked often, and ends it with an error.
    pub(super) fn decoded<'b>(
        &'b mut self,
        layer: &Layer,
        is_stopped: &'b dyn Fn() -> bool,
    ) -> io::Result<impl Read + use<'a, 'b>> {
        let decoder: Box<dyn Read + '_> = match layer.compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(&mut self.input)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(&mut self.input)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        // Decoding in large pieces is faster than in as many bytes as a header has.
        Ok(BufReader::with_capacity(
            PIECE,
            Sized {
                input: decoder,
                left: layer.unpacked,
                is_stopped,
            },
        ))
    }

    /// Checks the digest, when everything has been read.
    pub(super) fn finish(&mut self) -> Result<(), PullError> {
        self.drain().map_err(|error| self.failed(error))?;
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

    /// Why reading it ended. A blob that is not the one that was asked for is that first of all,
    /// whatever was wrong in it.
    pub(super) fn explain(&mut self, stop: LayerReadError) -> PullError {
        let stop = match stop {
            LayerReadError::Read(error) if self.is_failure_of_input(&error) => {
                return self.failed(error);
            }
            stop => stop,
        };
        if let Err(error) = self.finish() {
            return error;
        }
        let problem = match stop {
            LayerReadError::Refused(problem) => problem,
            LayerReadError::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "its archive is cut short".to_owned()
            }
            LayerReadError::Read(error) => {
                match error.get_ref().and_then(|e| e.downcast_ref::<TooMuch>()) {
                    Some(_) => "its archive is larger than it says".to_owned(),
                    None => format!("it cannot be decompressed: {error}"),
                }
            }
        };
        self.refused(problem)
    }

    fn is_failure_of_input(&self, error: &io::Error) -> bool {
        // A decoder hands the error of what it reads on.
        error.raw_os_error().is_some() || self.input.get_ref().failed.is_some()
    }

    fn failed(&mut self, error: io::Error) -> PullError {
        if let Some(error) = self.input.get_mut().failed.take() {
            return error;
        }
        PullError::Read {
            place: self.place.clone(),
            source: error,
        }
    }

    fn refused(&self, problem: String) -> PullError {
        PullError::Refused {
            remote: self.remote.clone(),
            url: self.place.clone(),
            problem,
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        loop {
            let filled = self.input.fill_buf()?.len();
            // One byte more than there should be shows that there is more.
            if filled == 0 || self.input.get_ref().read > self.size {
                return Ok(());
            }
            self.input.consume(filled);
        }
    }
}

impl Read for Digested<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.input {
            Input::Arriving(arriving) => arriving.read(buffer),
            Input::File(file) => Ok(file.read(buffer)?),
        };
        let counted = read.and_then(|read| match (self.counts)(read as u64) {
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
                self.failed = Some(error);
                Err(io::Error::other(Failed))
            }
        }
    }
}

/// Lets so many bytes through, neither more nor less.
struct Sized<'b, R> {
    input: R,
    left: u64,
    is_stopped: &'b dyn Fn() -> bool,
}

/// Says that there were more.
#[derive(Debug, thiserror::Error)]
#[error("there is more than expected")]
struct TooMuch;

impl<R: Read> Read for Sized<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Few bytes that come may become very many.
        if (self.is_stopped)() {
            return Err(io::Error::other("stopped"));
        }
        let read = self.input.read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooMuch)),
        }
        Ok(read)
    }
}

/// Says that there is no going on; why is kept beside.
#[derive(Debug, thiserror::Error)]
#[error("the download failed")]
struct Failed;

/// Bytes that another thread fetches, which a caller who wants to stop leaves behind.
pub(super) struct Arriving {
    pieces: Receiver<Result<Vec<u8>, RegistryError>>,
    progress: Arc<dyn Progress>,
    explain: Box<dyn Fn(RegistryError) -> PullError + Send>,
    current: io::Cursor<Vec<u8>>,
}

impl Arriving {
    pub(super) fn new(
        pieces: Receiver<Result<Vec<u8>, RegistryError>>,
        progress: Arc<dyn Progress>,
        explain: impl Fn(RegistryError) -> PullError + Send + 'static,
    ) -> Self {
        Self {
            pieces,
            progress,
            explain: Box::new(explain),
            current: io::Cursor::default(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PullError> {
        loop {
            if let Ok(read @ 1..) = self.current.read(buffer) {
                return Ok(read);
            }
            if self.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
            match self.pieces.recv_timeout(TICK) {
                Ok(Ok(piece)) => self.current = io::Cursor::new(piece),
                Ok(Err(error)) => return Err((self.explain)(error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}
