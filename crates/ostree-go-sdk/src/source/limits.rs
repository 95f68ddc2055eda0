//! Limits for the content of a source.

/// Limits for the content of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 200_000,
            bytes: 4 << 30,
        }
    }
}

impl Limits {
    /// Sets the maximum number of files and folders. Default: 200,000. Go 1.26 has 16,000.
    #[must_use]
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Sets the maximum size of all files in bytes. Default: 4 GiB. Go 1.26 has 0.25 GiB.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}
