//! The payload of an RPM: compressed, with a digest over the compressed bytes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use sha2::Digest;

use super::RpmProblem;
use crate::fs::digest;
use crate::id::Sha256;

/// Memory limit for xz, in bytes. Its best preset needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// Buffer size for reading and decoding, in bytes.
const PIECE: usize = 1 << 17;

/// The compression of a payload (`PAYLOADCOMPRESSOR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// Parses the tag, which is missing without compression (rpm, `build/pack.c`).
    pub fn of(tag: Option<&str>) -> Result<Self, RpmProblem> {
        match tag {
            None => Ok(Self::None),
            Some("gzip") => Ok(Self::Gzip),
            Some("xz") => Ok(Self::Xz),
            Some("zstd") => Ok(Self::Zstd),
            Some(other) => Err(RpmProblem::Compression {
                method: other.to_owned(),
            }),
        }
    }

    /// Returns a reader of the decompressed bytes.
    pub fn decoded<'a>(self, raw: &'a mut Raw<'_>) -> io::Result<Box<dyn Read + 'a>> {
        let raw = BufReader::with_capacity(PIECE, raw);
        let decoder: Box<dyn Read> = match self {
            Self::None => return Ok(Box::new(raw)),
            Self::Gzip => Box::new(GzDecoder::new(raw)),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                Box::new(XzDecoder::new_stream(raw, stream))
            }
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(raw)?),
        };
        Ok(Box::new(BufReader::with_capacity(PIECE, decoder)))
    }
}

/// The compressed bytes up to the file's end, and the digest of those that were read.
pub struct Raw<'a> {
    file: &'a File,
    offset: u64,
    hasher: sha2::Sha256,
}

impl<'a> Raw<'a> {
    pub fn new(file: &'a File, offset: u64) -> Self {
        Self {
            file,
            offset,
            hasher: sha2::Sha256::new(),
        }
    }

    /// Reads the rest and returns the digest of the whole payload.
    pub fn digest(mut self) -> io::Result<Sha256> {
        io::copy(
            &mut BufReader::with_capacity(PIECE, &mut self),
            &mut io::sink(),
        )?;
        Ok(digest::finish(self.hasher))
    }
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
