//! Finds the build information in a program.
//!
//! Source of the format: `src/debug/buildinfo/buildinfo.go`.

use super::contents::Contents;
use super::image::{Image, Problem, Segment};
use object::elf;
use std::ops::Range;

/// The section of the build information.
const SECTION: &str = ".go.buildinfo";
/// The start of the build information, which is at a multiple of [`ALIGNMENT`].
const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGNMENT: u64 = 16;
/// The size of the header that starts with the magic, in bytes. At offset 14 is the size of a pointer,
/// and at offset 15 are the flags.
const HEADER_SIZE: u64 = 32;
/// The flag of big-endian pointers.
const BIG_ENDIAN: u8 = 1;
/// The flag of the form of Go 1.18 and newer: two strings follow the header, each after its length as
/// a varint. Without it, two pointers to string headers are at offset 16.
const INLINE: u8 = 2;
/// The maximum length of a varint of 64 bits, in bytes.
const MAX_VARINT: u64 = 10;
/// The maximum length of the version and of the lines about modules, in bytes. A program with 1000
/// modules has about 100 kB.
const MAX_STRING: u64 = 16 << 20;
/// The length of the marks before and after the lines about modules, in bytes. Source: `infoStart`
/// and `infoEnd` in `src/cmd/go/internal/modload/build.go`.
const MARK: usize = 16;
/// The amount that is searched at a time, in bytes: a multiple of the alignment.
const CHUNK: usize = 1 << 20;

/// The strings of the build information.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawBuildInfo {
    /// The version of Go.
    pub(crate) version: String,
    /// The lines about modules and settings; empty if the program was built without modules.
    pub(crate) lines: String,
}

/// Returns the build information of a program in memory; `None` if the program has none, or is
/// damaged.
pub(crate) fn read(program: &[u8]) -> Option<RawBuildInfo> {
    let contents = Contents::of_bytes(program);
    let image = Image::read(&contents).ok()?;
    find(&image, &contents).ok().flatten()
}

/// Returns the build information; `None` if the program has none, as if it was not built by Go.
pub(super) fn find(
    image: &Image,
    contents: &Contents<'_>,
) -> Result<Option<RawBuildInfo>, Problem> {
    let Some(address) = search(image, contents) else {
        return Ok(None);
    };
    let truncated = "its build information is truncated";
    let header = image.bytes_at(contents, address, HEADER_SIZE);
    let header = header.filter(|header| header.len() as u64 == HEADER_SIZE);
    let header = header.ok_or(truncated)?;
    let (version, lines) = if header[15] & INLINE != 0 {
        let string = |address| inline_string(image, contents, address).ok_or(truncated);
        let (version, next) = string(address.checked_add(HEADER_SIZE).ok_or(truncated)?)?;
        let (lines, _) = string(next)?;
        (version, lines)
    } else {
        let pointers = Pointers::of(&header).ok_or("its build information has invalid pointers")?;
        let string = |at: usize| pointers.string(image, contents, pointers.read(&header, at)?);
        // The loader writes the pointers of a position-independent program when it is started.
        let version = string(16).ok_or("the version of Go in its build information is missing")?;
        let lines = string(16 + pointers.size).unwrap_or_default();
        (version, lines)
    };
    if version.is_empty() {
        return Ok(None);
    }
    let end = lines.len().saturating_sub(MARK);
    let is_marked = lines.len() > 2 * MARK && lines[end - 1] == b'\n';
    let lines = if is_marked { &lines[MARK..end] } else { &[] };
    Ok(Some(RawBuildInfo {
        version: String::from_utf8_lossy(&version).into_owned(),
        lines: String::from_utf8_lossy(lines).into_owned(),
    }))
}

/// Returns the address of the build information: in the section for it, or in the first segment with
/// data that can be written.
fn search(image: &Image, contents: &Contents<'_>) -> Option<u64> {
    let is_data = |segment: &&Segment| segment.has(elf::PF_W) && !segment.has(elf::PF_X);
    let section = image.section(SECTION);
    let (start, size) = match section {
        Some(section) => (section.address, section.size),
        None => {
            let segment = image.loaded().find(is_data)?;
            (segment.address, segment.size)
        }
    };
    let aligned = start.checked_next_multiple_of(ALIGNMENT)?;
    let end = start.checked_add(size)?;
    let file = image.at(aligned)?;
    let left = end.checked_sub(aligned)?;
    let file = file.start..file.end.min(file.start.checked_add(left)?);
    let found = first_magic(contents, file.clone())?;
    Some(aligned + (found - file.start))
}

/// Returns the offset of the magic in a part of the file, at a multiple of the alignment from its start.
fn first_magic(contents: &Contents<'_>, part: Range<u64>) -> Option<u64> {
    let mut offset = part.start;
    while offset < part.end {
        let chunk = contents.read(offset, (part.end - offset).min(CHUNK as u64))?;
        let mut blocks = chunk.chunks(ALIGNMENT as usize);
        if let Some(block) = blocks.position(|block| block.starts_with(MAGIC)) {
            return Some(offset + block as u64 * ALIGNMENT);
        }
        offset += chunk.len() as u64;
    }
    None
}

/// Returns the string at an address, and the address after it.
fn inline_string(image: &Image, contents: &Contents<'_>, address: u64) -> Option<(Vec<u8>, u64)> {
    let start = image.bytes_at(contents, address, MAX_VARINT)?;
    let (length, used) = varint(&start)?;
    let address = address.checked_add(used)?;
    let end = address.checked_add(length)?;
    Some((string(image, contents, address, length)?, end))
}

/// Returns `length` bytes at an address.
fn string(image: &Image, contents: &Contents<'_>, address: u64, length: u64) -> Option<Vec<u8>> {
    match length {
        0 => Some(Vec::new()),
        _ if length > MAX_STRING => None,
        _ => {
            let bytes = image.bytes_at(contents, address, length)?;
            (bytes.len() as u64 == length).then_some(bytes)
        }
    }
}

/// Returns the value of an unsigned varint, and its length. Source: `binary.Uvarint` in
/// `src/encoding/binary/varint.go`.
fn varint(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate() {
        let shift = u32::try_from(index * 7).ok()?;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift >= 64 || (bits << shift) >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some((value, index as u64 + 1));
        }
    }
    None
}

/// The form of the pointers in the build information of Go 1.17 and older.
struct Pointers {
    size: usize,
    is_big: bool,
}

impl Pointers {
    fn of(header: &[u8]) -> Option<Self> {
        let size = usize::from(header[14]);
        [4, 8].contains(&size).then_some(Self {
            size,
            is_big: header[15] & BIG_ENDIAN != 0,
        })
    }

    /// Returns the pointer at an offset.
    fn read(&self, bytes: &[u8], at: usize) -> Option<u64> {
        word(bytes, at, self.size, self.is_big)
    }

    /// Returns the string whose header, a pointer and a length, is at an address.
    fn string(&self, image: &Image, contents: &Contents<'_>, address: u64) -> Option<Vec<u8>> {
        let header = image.bytes_at(contents, address, self.size as u64 * 2)?;
        let (start, length) = (self.read(&header, 0)?, self.read(&header, self.size)?);
        string(image, contents, start, length)
    }
}

/// Returns the number with a size of up to 8 bytes at an offset.
pub(super) fn word(bytes: &[u8], at: usize, size: usize, is_big: bool) -> Option<u64> {
    let bytes = bytes.get(at..)?.get(..size)?;
    let append = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    Some(match is_big {
        true => bytes.iter().fold(0, append),
        false => bytes.iter().rev().fold(0, append),
    })
}
