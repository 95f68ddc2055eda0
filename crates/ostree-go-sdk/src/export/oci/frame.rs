//! How the tar of a layer is compressed, a frame at a time.

use super::super::Compression;
use flate2::Crc;
use flate2::write::DeflateEncoder;
use std::io::{self, Write};

/// Zstandard's level. It decides the digests: a change is a change of every image. A layer is
/// compressed once and fetched often; above this the time grows faster than the size falls.
const ZSTD_LEVEL: i32 = 7;
/// libdeflate's level, and zlib's, which decide digests too.
const GZIP_LEVEL: i32 = 6;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    /// A frame each.
    Zstd,
    /// A member each.
    GzipMembers,
    /// One member for all of them: ostree-ext reads no further than the first
    /// (`container/unencapsulate.rs`, `decompressor`).
    Gzip,
}

impl Coding {
    /// That of an image.
    pub(super) fn of(compression: Compression, encapsulated: bool) -> Self {
        match (compression, encapsulated) {
            (Compression::None, _) => Self::Plain,
            (Compression::Zstd, _) => Self::Zstd,
            (Compression::Gzip, false) => Self::GzipMembers,
            (Compression::Gzip, true) => Self::Gzip,
        }
    }

    /// A frame, which follows from its bytes alone.
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
                // Ends at a byte, and not the stream.
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }
}

/// What is before and behind all frames.
#[derive(Debug)]
pub(super) struct Stream {
    coding: Coding,
    sum: Crc,
}

/// gzip with neither name nor time, of no particular system. Source: RFC 1952, 2.3.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last block with nothing in it. Source: RFC 1951, 3.2.6.
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

    /// The next bytes before they are compressed.
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
    fn one_member_holds_all_frames() {
        let frames: [&[u8]; 3] = [&[7; 300_000], b"", b"the end"];
        let mut stream = Stream::new(Coding::Gzip);
        let mut bytes = stream.head().to_vec();
        for frame in frames {
            stream.update(frame);
            bytes.extend(Coding::Gzip.frame(frame).unwrap());
        }
        bytes.extend(stream.tail());
        bytes.extend(b"behind it");
        // Reads one member, and checks its sum and its size.
        let mut decoder = GzDecoder::new(&*bytes);
        let mut found = Vec::new();
        decoder.read_to_end(&mut found).unwrap();
        assert!(found == frames.concat());
        assert_eq!(decoder.into_inner(), b"behind it");
    }
}
