//! Patches of the bsdiff variant that libostree carries.
//!
//! A patch is uncompressed, a sequence of: three numbers `add`, `insert`, `seek`; `add` bytes
//! to be added to as many bytes of the old file; `insert` new bytes. Then the old file's
//! position moves by `seek`. Source: `bspatch` of <https://github.com/mendsley/bsdiff>.

/// The bytes of the three numbers in front of every step.
#[cfg(test)]
pub(crate) const CONTROL: usize = 24;

/// Reads a number: eight bytes, lowest first, the top bit is the sign (`offtin`).
fn number(bytes: [u8; 8]) -> i64 {
    let raw = i64::from_le_bytes(bytes);
    let size = raw & i64::MAX;
    if raw < 0 { -size } else { size }
}

/// Appends to `out` the `size` bytes that a patch makes of `old`. What is outside the old file
/// counts as zeros. `out` grows only by bytes that stand in the patch.
pub(crate) fn patch(
    old: &[u8],
    mut patch: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    const CUT: &str = "the patch is cut off";
    let start = out.len();
    let mut position = 0i64;
    while out.len() - start < size {
        let mut next = || {
            let (bytes, rest) = patch.split_first_chunk()?;
            patch = rest;
            Some(number(*bytes))
        };
        let (add, insert, seek) = (next().ok_or(CUT)?, next().ok_or(CUT)?, next().ok_or(CUT)?);
        let room = size - (out.len() - start);
        let (add, insert) = match (usize::try_from(add), usize::try_from(insert)) {
            (Ok(add), Ok(insert)) if add <= room && insert <= room - add => (add, insert),
            _ => return Err("a step of the patch is larger than the file"),
        };
        let (sums, rest) = patch.split_at_checked(add).ok_or(CUT)?;
        let (new, rest) = rest.split_at_checked(insert).ok_or(CUT)?;
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
            .checked_add(i64::try_from(add).map_err(|_| CUT)?)
            .and_then(|at| at.checked_add(seek))
            .ok_or("a step of the patch seeks too far")?;
    }
    Ok(())
}

/// The number in a patch's form (`offtout`).
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
        let mut made = Vec::new();
        step(&mut made, &[0, 1, 0], b"xy", -5);
        step(&mut made, &[b'a', b'b', 0, 0], b"", 0);
        let mut out = b"kept ".to_vec();
        patch(b"abc", &made, 9, &mut out).unwrap();
        // The second step starts two bytes before the old file.
        assert_eq!(out, b"kept accxyabab");
        for cut in 0..made.len() {
            assert!(patch(b"abc", &made[..cut], 9, &mut Vec::new()).is_err());
        }
        assert!(patch(b"abc", &made, 8, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_make_no_more_than_they_say(
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
        fn numbers_read_back(n in -i64::MAX..) {
            let mut out = Vec::new();
            write_number(&mut out, n);
            prop_assert_eq!(number(out.try_into().unwrap()), n);
        }
    }
}
