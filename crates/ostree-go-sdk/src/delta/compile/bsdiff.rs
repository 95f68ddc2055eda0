//! Generates patches in the variant of bsdiff that libostree can apply.
//!
//! Like bsdiff, this searches for positions in the old file that continue like the new one,
//! extends the matches as long as more than half of the bytes agree, and writes the differences:
//! between two builds of a program nearly all are zero, and the others are relocated addresses.
//! While bsdiff finds matches by sorting all suffixes of the old file, here a hash table of words
//! is used. It finds no matches shorter than [`WORD`] + [`STRIDE`] bytes, which bsdiff rarely
//! benefits from.
//!
//! Source: `bsdiff` of <https://github.com/mendsley/bsdiff>; C. Percival, "Naive differences of
//! executable code".

use crate::delta::format::write_number;

/// Number of bytes hashed to find candidate matches.
const WORD: usize = 16;
/// Distance of the positions of the old file in the table; smaller distances need more memory.
const STRIDE: usize = 4;
/// Number of additional bytes that a new match must agree in to replace the current alignment.
const GAIN: usize = 16;
/// Maximum number of candidates examined per word.
const TRIES: usize = 16;

/// Appends to `out` a patch that creates `new` from `old`. The patch has about the size of `new`;
/// in addition, about twice the size of `old` is allocated.
pub(super) fn diff(old: &[u8], new: &[u8], out: &mut Vec<u8>) {
    let words = Words::of(old);
    // The patch so far ends at `last` in the new file, which corresponds to `from` in the old one.
    let (mut last, mut from) = (0usize, 0usize);
    let mut scan = 0;
    while scan < new.len() {
        let (at, candidate) = next_match(old, new, &words, scan, from.wrapping_sub(last));
        let forward = forward(&old[from..], &new[last..at]);
        let backward = match candidate {
            Some(candidate) => backward(&old[..candidate], &new[last..at]),
            None => 0,
        };
        let (mut forward, mut backward) = (forward, backward);
        let candidate = candidate.unwrap_or(from + forward);
        let overlap = (last + forward + backward).saturating_sub(at);
        if overlap > 0 {
            let first_length = split(
                &new[at - backward..][..overlap],
                &old[from + forward - overlap..][..overlap],
                &old[candidate - backward..][..overlap],
            );
            forward = forward + first_length - overlap;
            backward -= first_length;
        }
        let insert = &new[last + forward..at - backward];
        let seek = (candidate - backward) as i64 - (from + forward) as i64;
        for number in [forward as i64, insert.len() as i64, seek] {
            write_number(out, number);
        }
        let pairs = new[last..last + forward].iter().zip(&old[from..]);
        out.extend(pairs.map(|(new, old)| new.wrapping_sub(*old)));
        out.extend_from_slice(insert);
        (last, from, scan) = (at - backward, candidate - backward, at);
    }
}

/// Finds the next position in the new file, from `scan` on, that matches another position of the
/// old file clearly better than the current alignment `shift`.
fn next_match(
    old: &[u8],
    new: &[u8],
    words: &Words,
    mut scan: usize,
    shift: usize,
) -> (usize, Option<usize>) {
    while scan + WORD <= new.len() {
        let aligned = old.get(scan.wrapping_add(shift)..).unwrap_or_default();
        let common_length = common(aligned, &new[scan..]);
        if common_length >= WORD {
            scan += common_length;
            continue;
        }
        let best = words.best(old, &new[scan..]);
        if let Some((candidate, len)) = best {
            let score = agreeing(aligned, &new[scan..scan + len]);
            if len > score + GAIN {
                return (scan, Some(candidate));
            }
        }
        scan += 1;
    }
    (new.len(), None)
}

/// A hash table of the words of a file, with chains of positions of equal hash.
struct Words {
    heads: Vec<u32>,
    next: Vec<u32>,
    shift: u32,
}

const NONE: u32 = u32::MAX;

impl Words {
    fn of(file: &[u8]) -> Self {
        let count = file.len().saturating_sub(WORD - 1).div_ceil(STRIDE);
        let bits = (count.max(1) as u64).ilog2().clamp(8, 24);
        let mut words = Self {
            heads: vec![NONE; 1 << bits],
            next: vec![NONE; count],
            shift: 64 - bits,
        };
        // Backwards, so that a chain starts with the lowest position.
        for entry in (0..count).rev() {
            let at = entry * STRIDE;
            let slot = words.slot(&file[at..]);
            words.next[entry] = std::mem::replace(&mut words.heads[slot], entry as u32);
        }
        words
    }

    fn slot(&self, bytes: &[u8]) -> usize {
        let half = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
        let mixed = half(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ half(8).rotate_left(32);
        (mixed.wrapping_mul(0xff51_afd7_ed55_8ccd) >> self.shift) as usize
    }

    /// Returns the position in the old file with the longest match, and its length.
    fn best(&self, old: &[u8], new: &[u8]) -> Option<(usize, usize)> {
        let mut entry = self.heads[self.slot(new)];
        let mut best = None;
        for _ in 0..TRIES {
            if entry == NONE {
                break;
            }
            let at = entry as usize * STRIDE;
            let len = common(&old[at..], new);
            if len >= WORD && best.is_none_or(|(_, max_score)| len > max_score) {
                best = Some((at, len));
            }
            entry = self.next[entry as usize];
        }
        best
    }
}

/// Returns the length of the common prefix.
fn common(a: &[u8], b: &[u8]) -> usize {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let (chunks_a, _) = a.as_chunks::<8>();
    let (chunks_b, _) = b.as_chunks::<8>();
    let mut at = 0;
    for (x, y) in chunks_a.iter().zip(chunks_b) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return at + differ.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + a[at..]
        .iter()
        .zip(&b[at..])
        .take_while(|(x, y)| x == y)
        .count()
}

/// Returns the number of positions with equal bytes.
fn agreeing(old: &[u8], new: &[u8]) -> usize {
    old.iter().zip(new).filter(|(a, b)| a == b).count()
}

/// Returns how far to extend a match: to the length that maximizes twice the number of equal
/// bytes minus the length.
fn forward(old: &[u8], new: &[u8]) -> usize {
    longest(old.iter().zip(new))
}

/// Returns how far to extend a match backwards, as in [`forward`].
fn backward(old: &[u8], new: &[u8]) -> usize {
    longest(old.iter().rev().zip(new.iter().rev()))
}

fn longest<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut score, mut max_score, mut length) = (0i64, 0, 0);
    for (at, (old, new)) in pairs.enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > max_score {
            (max_score, length) = (score, at + 1);
        }
    }
    length
}

/// Divides bytes that both neighbouring matches cover; returns the length for the first.
fn split(new: &[u8], first: &[u8], second: &[u8]) -> usize {
    let (mut score, mut max_score, mut first_length) = (0i64, 0, 0);
    for (at, ((new, first), second)) in new.iter().zip(first).zip(second).enumerate() {
        score += i64::from(new == first) - i64::from(new == second);
        if score > max_score {
            (max_score, first_length) = (score, at + 1);
        }
    }
    first_length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::format::{CONTROL, patch};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn round_trip(old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut patch_bytes = Vec::new();
        diff(old, new, &mut patch_bytes);
        let mut out = Vec::new();
        patch(old, &patch_bytes, new.len(), &mut out).unwrap();
        assert!(out == new, "the patch creates another file");
        patch_bytes
    }

    /// Generates sequences of a few words, so that there are repetitions.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        vec((any::<u8>(), 1usize..60), 0..30).prop_map(|words| {
            let word =
                |(kind, len)| (0..len).map(move |at| (kind % 5) ^ (at as u8).wrapping_mul(7));
            words.into_iter().flat_map(word).collect()
        })
    }

    proptest! {
        #[test]
        fn a_patch_creates_the_new_file(
            old in text(),
            new in text(),
            edits in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            round_trip(&old, &new);
            let mut edited = old.clone();
            for (at, byte) in &edits {
                edited.insert(at.index(edited.len() + 1), *byte);
            }
            round_trip(&old, &edited);
            round_trip(&edited, &old);
        }
    }

    #[test]
    fn moved_and_relocated_code_is_found() {
        // Functions of 40 bytes with an address in each; all addresses are incremented by one, and two
        // halves are swapped.
        let function = |n: u32, shift: u32| {
            let code = (0..9)
                .flat_map(move |word: u32| (n ^ word).wrapping_mul(0x9e37_79b9).to_le_bytes());
            code.chain((n * 977 + shift).to_le_bytes())
        };
        let program = |shift| (0..4000).flat_map(move |n| function(n, shift));
        let old: Vec<u8> = program(0).collect();
        let mut new: Vec<u8> = program(1).collect();
        new.rotate_left(80_000);
        let patch = round_trip(&old, &new);
        let nonzero = patch.iter().filter(|byte| **byte != 0).count();
        assert!(
            (4000..4200).contains(&nonzero),
            "{nonzero} bytes, for 4000 addresses"
        );
        assert!(patch.len() < new.len() + 20 * CONTROL);
    }
}
