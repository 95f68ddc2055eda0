//! Finds functions by their names in the table that Go's runtime uses for stack traces. The linker
//! writes it also with `-s -w`, which remove the symbol table and the debugging information.
//!
//! Source of the format: `src/debug/gosym/pclntab.go`, `parsePclnTab`.

use super::build_info::word;
use super::contents::Contents;
use super::image::{Image, Segment};
use object::{Endian, elf};
use std::ops::Range;

/// The names of the section, in programs at a fixed address and in position-independent ones.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// The magic numbers of the header, and the number of the word that contains the offset of the names.
/// The next word contains the offset of the table that follows the names. Source:
/// `src/internal/abi/symtab.go`.
const MAGICS: [(u64, usize); 3] = [
    // Go 1.20 and newer.
    (0xffff_fff1, 3),
    // Go 1.18 and 1.19.
    (0xffff_fff0, 3),
    // Go 1.16 and 1.17.
    (0xffff_fffa, 2),
];
/// The offset of the first word in the header, and the size of the longest header, in bytes.
const WORDS: usize = 8;
const HEADER_SIZE: u64 = 72;
/// The amount that is searched at a time, in bytes: a multiple of the size of a pointer.
const CHUNK: u64 = 1 << 20;
/// The maximum number of tables in one program. A program that contains another one as data has two.
const MAX_TABLES: usize = 4;

/// Returns whether the program contains a function, such as `net/http/pprof.Index`; `None` if the
/// table of functions cannot be found.
pub(super) fn contains(image: &Image, contents: &Contents<'_>, name: &str) -> Option<bool> {
    let tables = tables(image, contents);
    let is_unknown = tables.is_empty();
    for table in tables {
        if has_name(contents, table, name.as_bytes())? {
            return Some(true);
        }
    }
    (!is_unknown).then_some(false)
}

/// Returns the parts of the file with names of functions. If there is no section for them, as in
/// programs that a C compiler has linked, all segments are searched for headers.
fn tables(image: &Image, contents: &Contents<'_>) -> Vec<Range<u64>> {
    let sections = SECTIONS.iter().filter_map(|name| image.section(name));
    let sections = sections.filter(|section| section.is_in_file());
    let found: Vec<_> = sections
        .filter_map(|section| table(image, contents, section.offset, section.size))
        .collect();
    if !found.is_empty() {
        return found;
    }
    let (code, data): (Vec<&Segment>, Vec<&Segment>) =
        image.loaded().partition(|segment| segment.has(elf::PF_X));
    let mut found = Vec::new();
    for segment in data.into_iter().chain(code) {
        if scan(image, contents, segment, &mut found).is_none() {
            break;
        }
    }
    found
}

/// Searches a segment for headers, which are at multiples of the size of a pointer; `None` if no more
/// can be searched.
fn scan(
    image: &Image,
    contents: &Contents<'_>,
    segment: &Segment,
    found: &mut Vec<Range<u64>>,
) -> Option<()> {
    let step = usize::from(image.pointer);
    let end = segment.offset.checked_add(segment.size)?;
    let mut offset = segment.offset.checked_next_multiple_of(step as u64)?;
    while offset < end {
        let chunk = contents.read(offset, (end - offset).min(CHUNK))?;
        for (index, block) in chunk.chunks_exact(step).enumerate() {
            if magic(image, block).is_none() {
                continue;
            }
            let start = offset + (index * step) as u64;
            if let Some(table) = table(image, contents, start, end - start) {
                found.push(table);
                if found.len() == MAX_TABLES {
                    return None;
                }
            }
        }
        offset += chunk.len() as u64;
    }
    Some(())
}

/// Returns the number of the word that contains the offset of the names.
fn magic(image: &Image, header: &[u8]) -> Option<usize> {
    let found = word(header, 0, 4, image.endian.is_big_endian())?;
    let known = MAGICS.iter().find(|(magic, _)| *magic == found);
    known.map(|(_, word)| *word)
}

/// Returns the part of the file with the names of functions, if a table with at most `size` bytes is
/// at an offset.
fn table(image: &Image, contents: &Contents<'_>, offset: u64, size: u64) -> Option<Range<u64>> {
    let header = contents.read(offset, size.min(HEADER_SIZE))?;
    let first = magic(image, &header)?;
    let &[0, 0, quantum, pointer] = header.get(4..WORDS)? else {
        return None;
    };
    if ![1, 2, 4].contains(&quantum) || pointer != image.pointer {
        return None;
    }
    let pointer = usize::from(pointer);
    let read = |index: usize| {
        let at = WORDS + index * pointer;
        word(&header, at, pointer, image.endian.is_big_endian())
    };
    let (functions, start, end) = (read(0)?, read(first)?, read(first + 1)?);
    let has_names = functions > 0 && start >= WORDS as u64 && start < end && end <= size;
    if !has_names {
        return None;
    }
    Some(offset.checked_add(start)?..offset.checked_add(end)?)
}

/// Returns true if one of the names, each of which ends with a zero byte, is the given one; `None` if
/// the table cannot be read.
fn has_name(contents: &Contents<'_>, table: Range<u64>, wanted: &[u8]) -> Option<bool> {
    // The start of the name at hand, which can continue in the next chunk. What is longer than the
    // wanted name only has to stay longer.
    let mut name = Vec::with_capacity(wanted.len() + 1);
    let mut offset = table.start;
    while offset < table.end {
        let chunk = contents.read(offset, (table.end - offset).min(CHUNK))?;
        for (index, part) in chunk.split(|byte| *byte == 0).enumerate() {
            if index > 0 {
                if name == wanted {
                    return Some(true);
                }
                name.clear();
            }
            let room = (wanted.len() + 1).saturating_sub(name.len());
            name.extend_from_slice(&part[..part.len().min(room)]);
        }
        offset += chunk.len() as u64;
    }
    Some(false)
}
