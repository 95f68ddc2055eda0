//! Finds similar files among those that are named by the digest of their content, as the outputs in
//! a std cache are: neither path nor name tells which file a new one was made from.
//!
//! Between two patch releases of Go, an archive of the standard library differs in a few bytes, so
//! that patches of all archives are about a hundredth of the archives' compressed size. Nearly all
//! archives have the same size as before; of those with about the same size, the content decides.

use crate::id::FileId;
use crate::repo::{Repo, RepoError};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Number of hexadecimal digits in a file name that is a SHA-256.
const DIGITS: usize = 64;
/// Number of old files, the nearest by size, whose content is compared.
const CANDIDATES: usize = 8;
/// Number of bytes at the start of a file that are compared.
const START: usize = 256 << 10;
/// Maximum difference of the sizes: a quarter of the larger one.
const MAX_RATIO: u64 = 4;
/// A fingerprint has about one value for this number of bytes, a power of two.
const SPACING: u64 = 256;
/// Number of values in a fingerprint from which a file without a common one is a different file.
const MIN_VALUES: usize = 8;

/// Returns true for a path whose last component is a SHA-256 in hexadecimal.
pub(super) fn is_named_by_content(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    name.len() == DIGITS && name.bytes().all(is_digit)
}

/// The old files that are named by their content, by size, with their fingerprints once they are
/// needed.
#[derive(Debug, Default)]
pub(super) struct Similar {
    by_size: BTreeSet<(u64, FileId)>,
    fingerprints: BTreeMap<FileId, Fingerprint>,
}

/// Hashes of content at positions that the content itself determines, so that they are found again
/// after insertions and removals.
type Fingerprint = BTreeSet<u64>;

impl Similar {
    /// Creates a search in old files with their sizes.
    pub(super) fn new(files: impl IntoIterator<Item = (u64, FileId)>) -> Self {
        Self {
            by_size: files.into_iter().collect(),
            fingerprints: BTreeMap::new(),
        }
    }

    /// Returns the old file that a new one of a given size is most similar to, if there is one of
    /// about its size. Both together have at most `limit` bytes.
    pub(super) fn find(
        &mut self,
        repo: &Repo,
        new: FileId,
        size: u64,
        limit: u64,
    ) -> Result<Option<FileId>, RepoError> {
        let mut candidates = self.nearest(size);
        candidates.retain(|(old, _)| old.saturating_add(size) <= limit);
        if candidates.is_empty() {
            return Ok(None);
        }
        let fingerprint = fingerprint_of(repo, new, size)?;
        let mut best: Option<(usize, FileId)> = None;
        for (old_size, old) in candidates {
            let other = match self.fingerprints.entry(old) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(fingerprint_of(repo, old, old_size)?),
            };
            let common = fingerprint.intersection(other).count();
            // Of equally similar files, the nearest by size comes first.
            if best.is_none_or(|(most, _)| common > most) {
                best = Some((common, old));
            }
        }
        // Small files have nothing to compare but their sizes.
        let is_small = fingerprint.len() < MIN_VALUES;
        let best = best.filter(|(common, _)| *common > 0 || is_small);
        Ok(best.map(|(_, old)| old))
    }

    /// Returns the old files nearest by size, nearest first.
    fn nearest(&self, size: u64) -> Vec<(u64, FileId)> {
        let start = (size, FileId::from([0; 32]));
        let above = self.by_size.range(start..).take(CANDIDATES);
        let below = self.by_size.range(..start).rev().take(CANDIDATES);
        let mut nearest: Vec<_> = above
            .chain(below)
            .filter(|(old, _)| old.abs_diff(size) <= size.max(*old) / MAX_RATIO)
            .copied()
            .collect();
        nearest.sort_by_key(|(old, id)| (old.abs_diff(size), *id));
        nearest.truncate(CANDIDATES);
        nearest
    }
}

fn fingerprint_of(repo: &Repo, id: FileId, size: u64) -> Result<Fingerprint, RepoError> {
    let length = usize::try_from(size).map_or(START, |size| size.min(START));
    let mut start = vec![0; length];
    repo.file(id)?.read(&mut start)?;
    Ok(fingerprint(&start))
}

/// Returns the values of a rolling hash over 64 bytes, whose bits are shifted out one by one, where
/// its lowest bits are zero.
fn fingerprint(bytes: &[u8]) -> Fingerprint {
    let mut hash = 0_u64;
    let values = bytes.iter().filter_map(|byte| {
        // SplitMix64 spreads a byte over all bits.
        let mixed = (u64::from(*byte) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash << 1).wrapping_add(mixed ^ (mixed >> 27));
        // The highest bits depend on the whole window.
        (hash >> 32).is_multiple_of(SPACING).then_some(hash)
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns bytes that repeat nowhere.
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn digests_are_recognized() {
        let digest = "0123456789abcdef".repeat(4);
        assert!(is_named_by_content(&format!("a/b/{digest}")));
        assert!(is_named_by_content(&digest));
        for other in ["", "a/b", &digest[1..], &digest.to_uppercase()] {
            assert!(!is_named_by_content(other), "{other}");
        }
    }

    #[test]
    fn a_fingerprint_survives_an_insertion() {
        let old = noise(1, 50_000);
        let new = [&b"inserted"[..], &old[..20_000], b"more", &old[20_000..]].concat();
        let (old, new) = (fingerprint(&old), fingerprint(&new));
        assert!(old.len() > 100, "{}", old.len());
        assert!(old.intersection(&new).count() + 5 > old.len());
        let other = fingerprint(&noise(2, 50_000));
        assert_eq!(old.intersection(&other).count(), 0);
    }

    #[test]
    fn the_nearest_sizes_are_compared() {
        let file = |byte: u8| FileId::from([byte; 32]);
        let sizes = [
            (1000, file(1)),
            (1010, file(2)),
            (990, file(3)),
            (5000, file(4)),
        ];
        let similar = Similar::new(sizes);
        assert_eq!(
            similar.nearest(1008)[..2],
            [(1010, file(2)), (1000, file(1))]
        );
        assert_eq!(similar.nearest(1000)[0], (1000, file(1)));
        assert_eq!(similar.nearest(1000).len(), 3);
        assert!(similar.nearest(100_000).is_empty());
    }
}
