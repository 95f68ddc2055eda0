//! Patches in the bsdiff variant that libostree contains.
//!
//! A patch is uncompressed. It is a sequence of steps, each of which consists of three numbers
//! `add`, `insert` and `seek`; `add` bytes that are added to as many bytes of the old file; and
//! `insert` new bytes. Then the position in the old file moves by `seek`. Source: `bspatch` of
//! <https://github.com/mendsley/bsdiff>.

/// Size of the three numbers at the start of a step, in bytes.
#[cfg(test)]
pub(crate) const CONTROL: usize = 24;

/// Decodes a number: eight bytes, little-endian, with the sign in the top bit (`offtin`).
fn number(bytes: [u8; 8]) -> i64 {
    let raw = i64::from_le_bytes(bytes);
    let size = raw & i64::MAX;
    if raw < 0 { -size } else { size }
}

/// Applies a patch to `old`, and appends the resulting `size` bytes to `out`. Bytes outside of the
/// old file count as zeros. `out` grows only by bytes that are in the patch.
pub(crate) fn patch(
    old: &[u8],
    mut patch: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    const TRUNCATED: &str = "the patch is truncated";
    let start = out.len();
    let mut position = 0i64;
    while out.len() - start < size {
        let mut next = || {
            let (bytes, rest) = patch.split_first_chunk()?;
            patch = rest;
            Some(number(*bytes))
        };
        let (add, insert, seek) = (
            next().ok_or(TRUNCATED)?,
            next().ok_or(TRUNCATED)?,
            next().ok_or(TRUNCATED)?,
        );
        let room = size - (out.len() - start);
        let (add, insert) = match (usize::try_from(add), usize::try_from(insert)) {
            (Ok(add), Ok(insert)) if add <= room && insert <= room - add => (add, insert),
            _ => return Err("a step of the patch is larger than the file"),
        };
        let (sums, rest) = patch.split_at_checked(add).ok_or(TRUNCATED)?;
        let (new, rest) = rest.split_at_checked(insert).ok_or(TRUNCATED)?;
        patch = rest;
        let before = usize::try_from(position.saturating_neg())
            .unwrap_or(0)
            .min(add);
        out.extend_from_slice(&sums[..before]);
        let old = usize::try_from(position.max(0))
            .ok()
            .and_then(|at| old.get(at..))
            .unwrap_or_default();
        let overlap = old.len().min(add - before);
        let (inside, after) = sums[before..].split_at(overlap);
        out.extend(inside.iter().zip(old).map(|(a, b)| a.wrapping_add(*b)));
        out.extend_from_slice(after);
        out.extend_from_slice(new);
        position = position
            .checked_add(i64::try_from(add).map_err(|_| TRUNCATED)?)
            .and_then(|at| at.checked_add(seek))
            .ok_or("a step of the patch seeks too far")?;
    }
    Ok(())
}

/// Appends a number in the format of patches (`offtout`).
pub(crate) fn write_number(out: &mut Vec<u8>, number: i64) {
    let sign = if number < 0 { 1 << 63 } else { 0 };
    out.extend_from_slice(&(number.unsigned_abs() | sign).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(out: &mut Vec<u8>, add: &[u8], insert: &[u8], seek: i64) {
        write_number(out, i64::try_from(add.len()).unwrap());
        write_number(out, i64::try_from(insert.len()).unwrap());
        write_number(out, seek);
        out.extend_from_slice(add);
        out.extend_from_slice(insert);
    }

    #[test]
    fn steps_add_insert_and_seek() {
        let mut patch_bytes = Vec::new();
        step(&mut patch_bytes, &[0, 1, 0], b"xy", -5);
        step(&mut patch_bytes, &[b'a', b'b', 0, 0], b"", 0);
        let mut out = b"kept ".to_vec();
        patch(b"abc", &patch_bytes, 9, &mut out).unwrap();
        // The second step starts two bytes before the old file.
        assert_eq!(out, b"kept accxyabab");
        for cut in 0..patch_bytes.len() {
            assert!(patch(b"abc", &patch_bytes[..cut], 9, &mut Vec::new()).is_err());
        }
        assert!(patch(b"abc", &patch_bytes, 8, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn a_patch_never_exceeds_the_expected_size(
            old in proptest::collection::vec(any::<u8>(), 0..50),
            numbers in proptest::collection::vec((-60i64..60, -60i64..60, any::<i64>()), 0..6),
            size in 0usize..200,
        ) {
            let mut bytes = Vec::new();
            for (add, insert, seek) in numbers {
                write_number(&mut bytes, add);
                write_number(&mut bytes, insert);
                write_number(&mut bytes, seek);
                bytes.extend_from_slice(&[7; 40]);
            }
            let mut out = Vec::new();
            if patch(&old, &bytes, size, &mut out).is_ok() {
                prop_assert_eq!(out.len(), size);
            }
            prop_assert!(out.len() <= size);
        }

        #[test]
        fn numbers_round_trip(n in -i64::MAX..) {
            let mut out = Vec::new();
            write_number(&mut out, n);
            prop_assert_eq!(number(out.try_into().unwrap()), n);
        }
    }
}
