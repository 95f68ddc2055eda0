//! Limits for reading a tar archive.

use std::cell::Cell;
use std::io::{self, Read};

use super::tree::Tree;

/// Maximum size of the headers between the contents of two entries, like long names, in bytes.
/// The decoder holds them in memory.
pub const HEADERS: u64 = 1 << 20;

/// Allowance per entry for everything but its content: header, long name, padding.
const ENTRY: u64 = 4096;

/// Counts the bytes that may still be read.
pub struct Meter {
    /// Remaining bytes for the whole archive.
    left: Cell<u64>,
    /// Remaining bytes up to the next entry's content, while between two entries.
    pub headers_left: Cell<Option<u64>>,
    /// The limit that was exceeded.
    pub exceeded: Cell<Option<u64>>,
    /// True if the stream has ended.
    pub ended: Cell<bool>,
}

impl Meter {
    /// Creates a meter for headers and padding; [`Tree`] limits the content.
    pub fn new(tree: &Tree<'_>) -> Self {
        let headers = tree.limits.entries.saturating_mul(ENTRY);
        let total = tree.limits.bytes.saturating_add(headers);
        Self {
            left: Cell::new(total.saturating_add(HEADERS)),
            headers_left: Cell::new(None),
            exceeded: Cell::new(None),
            ended: Cell::new(false),
        }
    }

    /// Replaces the decoder's error if the stream ended too early, which the decoder hides.
    pub fn explain(&self, error: io::Error) -> io::Error {
        if self.ended.get() {
            io::ErrorKind::UnexpectedEof.into()
        } else {
            error
        }
    }
}

pub struct Metered<'a, R> {
    pub inner: R,
    pub meter: &'a Meter,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let meter = self.meter;
        let allowed = meter
            .left
            .get()
            .min(meter.headers_left.get().unwrap_or(u64::MAX));
        if allowed == 0 && !buffer.is_empty() {
            meter.exceeded.set(Some(HEADERS));
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the archive is larger than allowed",
            ));
        }
        let wanted = usize::try_from(allowed).map_or(buffer.len(), |n| n.min(buffer.len()));
        let read = loop {
            match self.inner.read(&mut buffer[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        meter.ended.set(read == 0 && wanted > 0);
        meter.left.set(meter.left.get() - read as u64);
        if let Some(left) = meter.headers_left.get() {
            meter.headers_left.set(Some(left - read as u64));
        }
        Ok(read)
    }
}
