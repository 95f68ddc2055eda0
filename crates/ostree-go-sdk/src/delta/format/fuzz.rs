//! The entry point of the fuzz target `delta`.

use super::{DeltaFormatError, Part, Superblock, apply, unwrap_signed, wrap_signed};
use crate::id::FileId;
use crate::sign;

/// Splits a signed superblock, verifies the signatures and wraps it again; parses the superblock,
/// serializes it and parses it again; then parses the remaining bytes as a part, and applies it
/// with the first list of objects in the superblock.
pub fn delta(bytes: &[u8]) {
    let Some((length, bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let middle = usize::from(u16::from_le_bytes(*length)).min(bytes.len());
    let (superblock, part) = bytes.split_at(middle);
    let Ok((superblock, signatures)) = unwrap_signed(superblock) else {
        return;
    };
    // The base point of Ed25519, for which no secret key is known.
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
