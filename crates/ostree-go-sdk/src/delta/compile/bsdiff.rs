//! Making patches of the bsdiff variant that libostree applies.
//!
//! As bsdiff does, this looks for places of the old file that go on like the new one, takes
//! them as far as more than half of the bytes agree, and writes the differences: between two
//! builds of a program nearly all are zero, and the rest are addresses that moved. bsdiff
//! finds the places by sorting all suffixes of the old file; here a table of its words does.
//! It finds no match below [`WORD`] + [`STRIDE`] bytes, which bsdiff seldom profits from.
//!
//! Source: `bsdiff` of <https://github.com/mendsley/bsdiff>; C. Percival, "Naive differences of
//! executable code".

use crate::delta::format::write_number;

/// Bytes that have to agree before a place is looked at.
const WORD: usize = 16;
/// The table has every such place of the old file. More places take more memory.
const STRIDE: usize = 4;
/// A new place has to agree in so many bytes more than going on where we are.
const GAIN: usize = 16;
/// Places with the same word that are looked at, at most.
const TRIES: usize = 16;

/// Appends to `out` a patch that makes `new` out of `old`: about the size of `new`. Memory
/// beside that: about twice `old`.
pub(super) fn diff(old: &[u8], new: &[u8], out: &mut Vec<u8>) {
    let words = Words::of(old);
    // What is written so far ends at `last` of the new file, where `from` of the old one is.
    let (mut last, mut from) = (0usize, 0usize);
    let mut scan = 0;
    while scan < new.len() {
        let (at, place) = next_place(old, new, &words, scan, from.wrapping_sub(last));
        let forward = forward(&old[from..], &new[last..at]);
        let backward = match place {
            Some(place) => backward(&old[..place], &new[last..at]),
            None => 0,
        };
        let (mut forward, mut backward) = (forward, backward);
        let place = place.unwrap_or(from + forward);
        let overlap = (last + forward + backward).saturating_sub(at);
        if overlap > 0 {
            let keep = split(
                &new[at - backward..][..overlap],
                &old[from + forward - overlap..][..overlap],
                &old[place - backward..][..overlap],
            );
            forward = forward + keep - overlap;
            backward -= keep;
        }
        let insert = &new[last + forward..at - backward];
        let seek = (place - backward) as i64 - (from + forward) as i64;
        for number in [forward as i64, insert.len() as i64, seek] {
            write_number(out, number);
        }
        let pairs = new[last..last + forward].iter().zip(&old[from..]);
        out.extend(pairs.map(|(new, old)| new.wrapping_sub(*old)));
        out.extend_from_slice(insert);
        (last, from, scan) = (at - backward, place - backward, at);
    }
}

/// From `scan` on, the next place of the new file at which another place of the old one agrees
/// clearly better than going on at `shift` from it.
fn next_place(
    old: &[u8],
    new: &[u8],
    words: &Words,
    mut scan: usize,
    shift: usize,
) -> (usize, Option<usize>) {
    while scan + WORD <= new.len() {
        let here = old.get(scan.wrapping_add(shift)..).unwrap_or_default();
        let agree = common(here, &new[scan..]);
        if agree >= WORD {
            scan += agree;
            continue;
        }
        let best = words.best(old, &new[scan..]);
        if let Some((place, len)) = best {
            let score = agreeing(here, &new[scan..scan + len]);
            if len > score + GAIN {
                return (scan, Some(place));
            }
        }
        scan += 1;
    }
    (new.len(), None)
}

/// The words of a file: chains of places with the same hash.
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
        // From the end, so that a chain starts with the first place.
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

    /// The place of the old file that agrees with the most bytes, and how many.
    fn best(&self, old: &[u8], new: &[u8]) -> Option<(usize, usize)> {
        let mut entry = self.heads[self.slot(new)];
        let mut best = None;
        for _ in 0..TRIES {
            if entry == NONE {
                break;
            }
            let at = entry as usize * STRIDE;
            let len = common(&old[at..], new);
            if len >= WORD && best.is_none_or(|(_, most)| len > most) {
                best = Some((at, len));
            }
            entry = self.next[entry as usize];
        }
        best
    }
}

/// How many bytes agree from the start without a break.
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

/// How many bytes agree in all.
fn agreeing(old: &[u8], new: &[u8]) -> usize {
    old.iter().zip(new).filter(|(a, b)| a == b).count()
}

/// How far to take the old file on: to where twice the bytes that agree, less all, is most.
fn forward(old: &[u8], new: &[u8]) -> usize {
    longest(old.iter().zip(new))
}

/// The same backwards.
fn backward(old: &[u8], new: &[u8]) -> usize {
    longest(old.iter().rev().zip(new.iter().rev()))
}

fn longest<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut score, mut most, mut length) = (0i64, 0, 0);
    for (at, (old, new)) in pairs.enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > most {
            (most, length) = (score, at + 1);
        }
    }
    length
}

/// Where both sides would take the same bytes: how many go to the first.
fn split(new: &[u8], first: &[u8], second: &[u8]) -> usize {
    let (mut score, mut most, mut keep) = (0i64, 0, 0);
    for (at, ((new, first), second)) in new.iter().zip(first).zip(second).enumerate() {
        score += i64::from(new == first) - i64::from(new == second);
        if score > most {
            (most, keep) = (score, at + 1);
        }
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::format::{CONTROL, patch};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn round_trip(old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut made = Vec::new();
        diff(old, new, &mut made);
        let mut out = Vec::new();
        patch(old, &made, new.len(), &mut out).unwrap();
        assert!(out == new, "a patch makes something else");
        made
    }

    /// Words of few kinds, so that the same ones come again.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        vec((any::<u8>(), 1usize..60), 0..30).prop_map(|words| {
            let word =
                |(kind, len)| (0..len).map(move |at| (kind % 5) ^ (at as u8).wrapping_mul(7));
            words.into_iter().flat_map(word).collect()
        })
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_new_file(
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
    fn what_moved_and_what_shifted_is_found() {
        // Functions of 40 bytes with an address in each; all addresses moved by one, and two
        // halves changed places.
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
