//! What the fuzz target `delta` does.

use super::{DeltaFormatError, Part, Superblock, apply, unwrap_signed, wrap_signed};
use crate::id::FileId;
use crate::sign;

/// Takes signatures off a superblock, checks them and puts them on again; reads it, writes it
/// and reads it again; then takes the same bytes for a part and runs it with the superblock's first list of objects, or its own.
pub fn delta(bytes: &[u8]) {
    let Some((length, bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let middle = usize::from(u16::from_le_bytes(*length)).min(bytes.len());
    let (superblock, part) = bytes.split_at(middle);
    let Ok((superblock, signatures)) = unwrap_signed(superblock) else {
        return;
    };
    // The point that stands for a key that nobody has.
    let key = "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=".to_owned();
    let _ = sign::superblock_signatures(&superblock, &signatures, &[key]);
    if !signatures.is_empty() {
        let wrapped = wrap_signed(&superblock, &signatures);
        assert_eq!(
            unwrap_signed(&wrapped),
            Ok((superblock.clone(), signatures))
        );
    }
    let Ok(superblock) = Superblock::read(&superblock) else {
        return;
    };
    let again = Superblock::read(&superblock.write()).map(|again| (again.parts, again.fallbacks));
    assert_eq!(again, Ok((superblock.parts.clone(), superblock.fallbacks)));
    let (Some(header), Ok(part)) = (superblock.parts.first(), Part::read(part, 1 << 20)) else {
        return;
    };
    let _ = apply(
        &part,
        &header.objects,
        1 << 20,
        |_: FileId| Ok::<_, DeltaFormatError>(b"an old file"),
        |_, _| Ok(()),
    );
}
