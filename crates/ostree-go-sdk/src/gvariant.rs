//! Parses GVariants, and splits containers whose members have variable size and need no alignment.
//!
//! Source: GVariant specification, 2.3.6 "Framing Offsets", 2.5.3 "Arrays", 2.5.4 "Structures".

use std::ops::Range;

/// Parses bytes as a variant of the given type in normal form.
pub(crate) fn parse(bytes: &[u8], format: &str) -> Option<glib::Variant> {
    let format = glib::VariantTy::new(format).ok()?;
    let variant = glib::Variant::from_bytes_with_type(&glib::Bytes::from(bytes), format);
    variant.is_normal_form().then_some(variant)
}

/// Returns the ranges of a tuple's members. The ends of all but the last member are stored after the
/// last one, in reverse, each in as few bytes as the tuple's length requires.
pub(crate) fn members<const N: usize>(bytes: &[u8]) -> Option<[Range<usize>; N]> {
    let width = offset_width(bytes.len());
    let last = bytes.len().checked_sub((N - 1) * width)?;
    let mut start = 0;
    let mut found = [const { 0..0 }; N];
    for (index, member) in found.iter_mut().enumerate() {
        let end = match index + 1 == N {
            true => last,
            false => offset(bytes, bytes.len() - (index + 1) * width, width)?,
        };
        if end < start || end > last {
            return None;
        }
        *member = start..end;
        start = end;
    }
    Some(found)
}

/// Returns the elements of an array, whose ends are stored after the last one.
pub(crate) fn elements(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let width = offset_width(bytes.len());
    let Some(last) = bytes.len().checked_sub(width) else {
        return bytes.is_empty().then(Vec::new);
    };
    let ends = offset(bytes, last, width).filter(|ends| *ends <= last)?;
    let count = (bytes.len() - ends) / width;
    if ends + count * width != bytes.len() {
        return None;
    }
    let mut start = 0;
    let element = |index| {
        let end = offset(bytes, ends + index * width, width)?;
        let element = bytes[..ends].get(start..end)?;
        start = end;
        Some(element)
    };
    (0..count).map(element).collect()
}

/// Returns the size of each framing offset in a container of `len` bytes.
pub(crate) fn offset_width(len: usize) -> usize {
    match len as u64 {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn offset(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let mut number = [0; 8];
    number[..width].copy_from_slice(bytes.get(at..at + width)?);
    usize::try_from(u64::from_le_bytes(number)).ok()
}
