//! The static delta that is used to fetch a commit.

use crate::delta::format::{PartHeader, Superblock};
use crate::delta::{DeltaError, DeltaName, DeltaTrust};
use crate::pull::planned::Download;

/// A static delta with its superblock, once this was read. Its data is not trusted: parts are
/// checked against the superblock, and objects against their checksums.
#[derive(Debug)]
pub(super) struct Delta {
    pub(super) name: DeltaName,
    superblock: Option<Superblock>,
    size: u64,
}

impl Delta {
    pub(super) fn named(name: DeltaName) -> Self {
        Self {
            name,
            superblock: None,
            size: 0,
        }
    }

    /// Reads the file of a superblock, and returns true if it is a valid superblock of this delta.
    /// A missing or invalid signature is an error if the trust settings require one.
    pub(super) fn read(&mut self, bytes: &[u8], trust: &DeltaTrust) -> Result<bool, DeltaError> {
        self.size = bytes.len() as u64;
        let inner = trust.unwrap(&self.name, bytes)?;
        let read = inner.and_then(|(inner, _)| Superblock::read(&inner));
        self.superblock = read.ok().filter(|read| read.name == self.name);
        Ok(self.superblock.is_some())
    }

    /// Returns the size of the superblock's file in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn superblock(&self) -> Option<&Superblock> {
        self.superblock.as_ref()
    }

    pub(super) fn parts(&self) -> &[PartHeader] {
        self.superblock()
            .map_or(&[], |superblock| &superblock.parts)
    }

    /// Returns the total size of the parts and of the fallback objects, which are not contained in
    /// parts.
    pub(super) fn download(&self) -> Download {
        let (mut bytes, mut unpacked) = (0u64, 0u64);
        let mut add = |size: u64, uncompressed: u64| {
            bytes = bytes.saturating_add(size);
            unpacked = unpacked.saturating_add(uncompressed);
        };
        for part in self.parts() {
            add(part.size, part.uncompressed);
        }
        let fallbacks = self.superblock().map(|superblock| &superblock.fallbacks);
        for fallback in fallbacks.into_iter().flatten() {
            add(fallback.size, fallback.uncompressed);
        }
        Download::Delta { bytes, unpacked }
    }
}
