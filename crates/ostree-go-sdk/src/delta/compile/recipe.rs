//! How a part is compressed: xz's filters, and what they take.

use crate::arch::Arch;
use liblzma::stream::{Error, Filters, LzmaOptions};

/// The largest dictionary.
const FAR: u32 = 32 << 20;
/// Bytes that xz takes for each byte of the dictionary, in halves. Source: xz(1), `--lzma2`,
/// `mf` (hc4, bt4).
const HALVES_FAST: u64 = 15;
const HALVES_WELL: u64 = 23;

/// How a part is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) content: Kind,
    pub(super) effort: Effort,
}

/// What most bytes of a part are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Programs(Arch),
    Patches,
    Other,
}

/// How hard to look for repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// For much content.
    Fast,
    /// For little content, and for patches: nearly all of a patch is zeros, which cost nothing.
    Thorough,
    /// On request.
    Best,
}

impl Recipe {
    /// Bytes that xz looks back in a part of `size` bytes. What is beyond the part's own bytes
    /// would only take memory.
    fn dictionary(self, size: u64) -> u32 {
        let far = match (self.content, self.effort) {
            // Programs have much in common that is far apart.
            (Kind::Programs(_), Effort::Fast | Effort::Best) | (Kind::Patches, Effort::Best) => FAR,
            (Kind::Other, Effort::Fast) => 4 << 20,
            _ => 8 << 20,
        };
        u32::try_from(size).map_or(far, |size| size.clamp(4 << 10, far))
    }

    /// Bytes of memory that compressing a part of `size` bytes takes.
    pub(super) fn compressor_memory(self, size: u64) -> u64 {
        let halves = match self.effort {
            Effort::Fast => HALVES_FAST,
            Effort::Thorough | Effort::Best => HALVES_WELL,
        };
        u64::from(self.dictionary(size)) * halves / 2
    }

    /// xz's filters for a part of `size` bytes. Every reader of xz has them all since 2009;
    /// libostree's newest allows 100 MB for reading, which is a dictionary of 64 MB and more.
    /// xz's filter for Arm code is from 2023 (liblzma 5.4): older hosts would refuse the part.
    pub(super) fn filters(self, size: u64) -> Result<Filters, Error> {
        let mut lzma = match self.effort {
            Effort::Fast => LzmaOptions::new_preset(1)?,
            Effort::Thorough | Effort::Best => LzmaOptions::new_preset(6)?,
        };
        lzma.dict_size(self.dictionary(size));
        let mut filters = Filters::new();
        match self.content {
            Kind::Programs(Arch::X86_64) => {
                filters.x86();
            }
            Kind::Programs(Arch::Aarch64) => {
                // Instructions are four bytes and stand at fours.
                lzma.literal_context_bits(2).literal_position_bits(2);
            }
            Kind::Patches if self.effort == Effort::Best => {
                // The longest match there is: what changes in a patch comes again after many
                // zeros.
                lzma.nice_len(273);
            }
            Kind::Patches | Kind::Other => {}
        }
        if matches!(self.content, Kind::Programs(_)) && self.effort == Effort::Best {
            // Of the preset's 64, the longer half takes a fifth of the time for one in a hundred
            // of the bytes.
            lzma.nice_len(32);
        }
        filters.lzma2(&lzma);
        Ok(filters)
    }
}
