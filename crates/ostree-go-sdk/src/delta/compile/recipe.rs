//! Compression of parts: effort, filters of xz, and their memory.

use crate::arch::Arch;
use liblzma::stream::{Error, Filters, LzmaOptions};

/// Maximum size of the dictionary in bytes.
const MAX_DICTIONARY: u32 = 32 << 20;
/// Memory of xz per byte of the dictionary, in half bytes. Source: xz(1), `--lzma2`, `mf` (hc4,
/// bt4).
const HALVES_FAST: u64 = 15;
const HALVES_THOROUGH: u64 = 23;

/// The compression effort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeltaPreset {
    /// Compresses large content fast and small content well.
    #[default]
    Fast,
    /// Compresses all content well: a tenth smaller, at several times the CPU time.
    Best,
}

/// The compression parameters of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) content: Kind,
    pub(super) effort: Effort,
}

/// The kind of the majority of bytes in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Programs(Arch),
    Patches,
    Other,
}

/// The effort of searching for repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// For large content.
    Fast,
    /// For small content, and for patches, which are mostly zeros and therefore fast to compress.
    Thorough,
    /// Only on request.
    Best,
}

impl Recipe {
    /// Returns the dictionary size for a part of `size` bytes. A dictionary larger than the part
    /// only wastes memory.
    fn dictionary(self, size: u64) -> u32 {
        let far = match (self.content, self.effort) {
            // Programs have distant repetitions.
            (Kind::Programs(_), Effort::Fast | Effort::Best) | (Kind::Patches, Effort::Best) => {
                MAX_DICTIONARY
            }
            (Kind::Other, Effort::Fast) => 4 << 20,
            _ => 8 << 20,
        };
        u32::try_from(size).map_or(far, |size| size.clamp(4 << 10, far))
    }

    /// Returns the memory for compressing a part of `size` bytes, in bytes.
    pub(super) fn compressor_memory(self, size: u64) -> u64 {
        let halves = match self.effort {
            Effort::Fast => HALVES_FAST,
            Effort::Thorough | Effort::Best => HALVES_THOROUGH,
        };
        u64::from(self.dictionary(size)) * halves / 2
    }

    /// Returns xz's filters for a part of `size` bytes. Every xz decoder since 2009 supports them;
    /// current libostree limits decoders to 100 MB, enough for a dictionary of 64 MB and more.
    /// xz's filter for Arm code is from 2023 (liblzma 5.4): older hosts would reject the part.
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
                // Instructions have four bytes and are aligned.
                lzma.literal_context_bits(2).literal_position_bits(2);
            }
            Kind::Patches if self.effort == Effort::Best => {
                // The maximum length: changes in a patch recur after long runs of zeros.
                lzma.nice_len(273);
            }
            Kind::Patches | Kind::Other => {}
        }
        if matches!(self.content, Kind::Programs(_)) && self.effort == Effort::Best {
            // Of the preset's 64, half saves a fifth of the time and costs one percent of size.
            lzma.nice_len(32);
        }
        filters.lzma2(&lzma);
        Ok(filters)
    }
}
