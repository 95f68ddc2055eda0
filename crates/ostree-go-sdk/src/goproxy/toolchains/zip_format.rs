//! The records of a zip file.
//!
//! The crate `zip` writes only what it compresses itself, and would compress again what a repository has compressed.
//!
//! Source: APPNOTE.TXT 6.3.10: 4.3.7 (local file header), 4.3.12 (central directory header), 4.3.16 (end of central
//! directory record), 4.4.2 to 4.4.5 (versions, flags, methods).

/// The size of a local file header without the name.
pub(super) const LOCAL: u64 = 30;
/// The size of a header in the central directory without the name.
pub(super) const CENTRAL: u64 = 46;
/// The size of the end of central directory record.
pub(super) const END: u64 = 22;
/// The largest number of files without the extension Zip64.
pub(super) const MAX_FILES: usize = 0xfffe;

/// Version 2.0, the first one with deflated files; the high byte of "made by" says that modes are those of Unix.
const VERSION: u16 = 20;
const MADE_BY_UNIX: u16 = 3 << 8;
/// Bit 11: the name is UTF-8.
const UTF8: u16 = 1 << 11;
/// 1 January 1980, the earliest time: the year since 1980 from bit 9, the month from bit 5, the day from bit 0.
const DATE: u16 = (1 << 5) | 1;
const TIME: u16 = 0;

/// The fields that both headers of a file contain.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) name: &'a str,
    /// The `st_mode` with file type.
    pub(super) mode: u32,
    pub(super) is_deflated: bool,
    pub(super) crc32: u32,
    pub(super) packed: u32,
    pub(super) size: u32,
}

impl Header<'_> {
    /// Returns the fields that both headers have, from the version to the lengths of the name and the extra field.
    fn common(&self) -> [u8; 26] {
        let mut fields = [0; 26];
        let flags = if self.name.is_ascii() { 0 } else { UTF8 };
        let method = if self.is_deflated { 8 } else { 0 };
        let length = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        let shorts = [VERSION, flags, method, TIME, DATE].map(u16::to_le_bytes);
        let longs = [self.crc32, self.packed, self.size].map(u32::to_le_bytes);
        fields[..10].copy_from_slice(shorts.as_flattened());
        fields[10..22].copy_from_slice(longs.as_flattened());
        fields[22..24].copy_from_slice(&length.to_le_bytes());
        fields
    }

    /// Returns the header that precedes the content.
    pub(super) fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04", &self.common()[..], self.name.as_bytes()].concat()
    }

    /// Returns the header in the directory, of a file whose local header is at `offset`.
    pub(super) fn central(&self, offset: u32) -> Vec<u8> {
        let made_by = (MADE_BY_UNIX | VERSION).to_le_bytes();
        // The length of the comment, the number of the disk, and the internal attributes are zero.
        let zeros = [0; 6];
        let attributes = (self.mode << 16).to_le_bytes();
        [
            b"PK\x01\x02",
            &made_by[..],
            &self.common(),
            &zeros,
            &attributes,
            &offset.to_le_bytes(),
            self.name.as_bytes(),
        ]
        .concat()
    }
}

/// Returns the record at the end of the file.
pub(super) fn end(files: u16, directory: u32, offset: u32) -> Vec<u8> {
    let files = files.to_le_bytes();
    [
        b"PK\x05\x06",
        &[0; 4][..],
        &files,
        &files,
        &directory.to_le_bytes(),
        &offset.to_le_bytes(),
        &[0; 2],
    ]
    .concat()
}
