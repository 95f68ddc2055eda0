//! Compression of a layer's tar, one frame at a time.

use super::super::Compression;
use flate2::Crc;
use flate2::write::DeflateEncoder;
use std::io::{self, Write};

/// Zstandard level. It determines the digests, so that changing it changes every image. A layer is
/// compressed once and fetched often; above this level, time grows faster than size shrinks.
const ZSTD_LEVEL: i32 = 7;
/// Level of libdeflate and zlib, which determines digests as well.
const GZIP_LEVEL: i32 = 6;

/// The encoding of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    /// Zstandard, one frame per piece.
    Zstd,
    /// gzip, one member per piece.
    GzipMembers,
    /// gzip, one member in total, because ostree-ext reads only the first member
    /// (`container/unencapsulate.rs`, `decompressor`).
    Gzip,
}

impl Coding {
    /// Returns the encoding for an image.
    pub(super) fn of(compression: Compression, encapsulated: bool) -> Self {
        match (compression, encapsulated) {
            (Compression::None, _) => Self::Plain,
            (Compression::Zstd, _) => Self::Zstd,
            (Compression::Gzip, false) => Self::GzipMembers,
            (Compression::Gzip, true) => Self::Gzip,
        }
    }

    /// Compresses a frame, independently of all others.
    pub(super) fn frame(self, tar: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(tar.to_vec()),
            Self::Zstd => zstd::bulk::compress(tar, ZSTD_LEVEL),
            Self::GzipMembers => {
                let level = libdeflater::CompressionLvl::new(GZIP_LEVEL);
                let mut compressor = libdeflater::Compressor::new(level.unwrap_or_default());
                let mut member = vec![0; compressor.gzip_compress_bound(tar.len())];
                let written = compressor
                    .gzip_compress(tar, &mut member)
                    .map_err(io::Error::other)?;
                member.truncate(written);
                Ok(member)
            }
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL.cast_unsigned());
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(tar)?;
                // A flush ends at a byte boundary without ending the stream.
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }
}

/// The bytes before and after all frames.
#[derive(Debug)]
pub(super) struct Stream {
    coding: Coding,
    sum: Crc,
}

/// gzip header without name and time, for an unknown system. Source: RFC 1952, 2.3.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block. Source: RFC 1951, 3.2.6.
const LAST_BLOCK: [u8; 2] = [3, 0];

impl Stream {
    pub(super) fn new(coding: Coding) -> Self {
        let sum = Crc::new();
        Self { coding, sum }
    }

    pub(super) fn head(&self) -> &'static [u8] {
        match self.coding {
            Coding::Gzip => &GZIP_HEAD,
            _ => &[],
        }
    }

    /// Adds the next uncompressed bytes to the checksum.
    pub(super) fn update(&mut self, tar: &[u8]) {
        if self.coding == Coding::Gzip {
            self.sum.update(tar);
        }
    }

    pub(super) fn tail(&self) -> Vec<u8> {
        match self.coding {
            Coding::Gzip => {
                let mut tail = LAST_BLOCK.to_vec();
                tail.extend(self.sum.sum().to_le_bytes());
                tail.extend(self.sum.amount().to_le_bytes());
                tail
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::bufread::GzDecoder;
    use std::io::Read;

    #[test]
    fn gzip_frames_form_one_member() {
        let frames: [&[u8]; 3] = [&[7; 300_000], b"", b"the end"];
        let mut stream = Stream::new(Coding::Gzip);
        let mut bytes = stream.head().to_vec();
        for frame in frames {
            stream.update(frame);
            bytes.extend(Coding::Gzip.frame(frame).unwrap());
        }
        bytes.extend(stream.tail());
        bytes.extend(b"behind it");
        // The decoder reads one member, and checks its checksum and size.
        let mut decoder = GzDecoder::new(&*bytes);
        let mut found = Vec::new();
        decoder.read_to_end(&mut found).unwrap();
        assert!(found == frames.concat());
        assert_eq!(decoder.into_inner(), b"behind it");
    }
}
