//! Compares the bytes of two programs, and finds the sections and symbols in which they differ.
//!
//! The programs are not trusted: what is damaged in them is left out of the result.

use object::{Object, ObjectSection, ObjectSymbol, SectionIndex};
use std::collections::BTreeMap;

/// The largest number of sections that are read, and of differing sections that are described.
const MAX_SECTIONS: usize = 4096;
const MAX_DESCRIBED: usize = 64;
/// The largest number of differing sections in which symbols are searched: each is a pass through all symbols.
const MAX_SEARCHED: usize = 16;
/// The largest number of bytes of a name.
const MAX_NAME: usize = 200;

/// The difference of two programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The offset of the first differing byte, or the size of the shorter program if it is the start of the other one.
    pub offset: u64,
    /// The sections that differ, in the order of the first program; empty if one of the two is not an ELF file.
    pub sections: Vec<SectionDifference>,
}

/// A section of ELF files that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectionDifference {
    /// The name.
    pub name: String,
    /// The size in the first program in bytes; `None` if it does not have the section.
    pub first_bytes: Option<u64>,
    /// The size in the second program in bytes; `None` if it does not have the section.
    pub second_bytes: Option<u64>,
    /// The offset in the section of the first differing byte; `None` if only one program has the section.
    pub offset: Option<u64>,
    /// The symbol that contains this byte, if there is a symbol table.
    pub symbol: Option<String>,
}

/// A section of a program.
#[derive(Debug, Clone, Copy)]
struct Section<'a> {
    index: SectionIndex,
    address: u64,
    size: u64,
    data: &'a [u8],
}

/// Sections by their names. Of sections with the same name, the number counts from 0.
type Sections<'a> = BTreeMap<(String, usize), Section<'a>>;

impl Difference {
    /// Compares two programs; `None` if they are identical.
    pub(super) fn of(first: &[u8], second: &[u8]) -> Option<Self> {
        let offset = first_difference(first, second)?;
        let sections = match (parse(first), parse(second)) {
            (Some(one), Some(other)) => differing_sections(&one, &other),
            _ => Vec::new(),
        };
        Some(Self {
            offset: offset as u64,
            sections,
        })
    }

    /// Returns the difference of a section.
    pub(super) fn section(&self, name: &str) -> Option<&SectionDifference> {
        self.sections.iter().find(|section| section.name == name)
    }
}

/// Parses an ELF file; `None` if it is none, or a damaged one.
pub(super) fn parse(program: &[u8]) -> Option<object::File<'_>> {
    object::File::parse(program).ok()
}

/// Returns the content of a section, as it is in the file.
pub(super) fn content<'a>(program: &object::File<'a>, name: &str) -> &'a [u8] {
    let section = program.section_by_name(name);
    section
        .and_then(|section| section.data().ok())
        .unwrap_or_default()
}

/// Returns the position of the first byte that differs; `None` if there is none.
fn first_difference(first: &[u8], second: &[u8]) -> Option<usize> {
    let mut pairs = first.iter().zip(second);
    let found = pairs.position(|(one, other)| one != other);
    found.or_else(|| (first.len() != second.len()).then(|| first.len().min(second.len())))
}

/// Returns the sections in the order of the file.
fn sections<'a>(program: &object::File<'a>) -> (Vec<(String, usize)>, Sections<'a>) {
    let (mut order, mut sections) = (Vec::new(), Sections::new());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for section in program.sections().take(MAX_SECTIONS) {
        let name = printable(section.name_bytes().unwrap_or_default());
        let count = counts.entry(name.clone()).or_default();
        let key = (name, *count);
        *count += 1;
        order.push(key.clone());
        sections.insert(
            key,
            Section {
                index: section.index(),
                address: section.address(),
                size: section.size(),
                data: section.data().unwrap_or_default(),
            },
        );
    }
    (order, sections)
}

fn differing_sections(
    first: &object::File<'_>,
    second: &object::File<'_>,
) -> Vec<SectionDifference> {
    let (order, ours) = sections(first);
    let (other_order, theirs) = sections(second);
    let added = other_order
        .into_iter()
        .filter(|key| !ours.contains_key(key));
    let mut differing = Vec::new();
    for key in order.into_iter().chain(added) {
        let (one, other) = (ours.get(&key), theirs.get(&key));
        let offset = match (one, other) {
            (Some(one), Some(other)) => match first_difference(one.data, other.data) {
                // A section without content, such as `.bss`, has only a size.
                None if one.size == other.size => continue,
                None => Some(one.size.min(other.size)),
                Some(at) => Some(at as u64),
            },
            _ => None,
        };
        if differing.len() >= MAX_DESCRIBED {
            break;
        }
        let is_searched = differing.len() < MAX_SEARCHED;
        let symbol = offset.filter(|_| is_searched).and_then(|offset| {
            let in_first = one.and_then(|section| symbol(first, section, offset));
            in_first.or_else(|| other.and_then(|section| symbol(second, section, offset)))
        });
        differing.push(SectionDifference {
            name: key.0,
            first_bytes: one.map(|section| section.size),
            second_bytes: other.map(|section| section.size),
            offset,
            symbol,
        });
    }
    differing
}

/// Returns the symbol that contains a byte of a section.
fn symbol(program: &object::File<'_>, section: &Section<'_>, offset: u64) -> Option<String> {
    let address = section.address.checked_add(offset)?;
    let candidates = program.symbols().filter(|symbol| {
        let start = symbol.address();
        let size = symbol.size();
        let is_inside = size == 0 || address - start.min(address) < size;
        symbol.section_index() == Some(section.index) && start <= address && is_inside
    });
    // Of several, the one that starts last, and of those, one with a size.
    let found = candidates.max_by_key(|symbol| (symbol.address(), symbol.size() > 0))?;
    let name = printable(found.name_bytes().ok()?);
    (!name.is_empty()).then_some(name)
}

/// Returns a name of a program as text that can be printed on a terminal.
pub(super) fn printable(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]);
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    name.chars().map(plain).collect()
}
