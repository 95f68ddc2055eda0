//! ELF headers.

use super::contents::{Contents, Cursor};
use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64, ProgramFlags};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::read::{ReadCache, ReadRef};
use std::ops::Range;

/// The maximum numbers of headers. Programs have about 15 segments and 40 sections; Linux starts none
/// with segment headers of more than 64 KiB, which are 1170 (`load_elf_phdrs` in `fs/binfmt_elf.c`).
const MAX_SEGMENTS: u32 = 1170;
const MAX_SECTIONS: u32 = 65_536;
/// The maximum number of entries in the dynamic section. Programs with many libraries have about 100.
const MAX_DYNAMIC: u64 = 4096;
/// The maximum size of the names of sections, in bytes, and the length to which a name is cut.
const MAX_SECTION_NAMES: u64 = 1 << 20;
const MAX_SECTION_NAME: usize = 64;
/// The maximum length of a path or of the name of a library, in bytes: `PATH_MAX` of Linux.
const MAX_STRING: u64 = 4096;

/// A problem of the headers of a file.
pub(crate) type Problem = &'static str;

/// A segment: a part of the file, and where the loader puts it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) kind: elf::ProgramType,
    pub(crate) flags: ProgramFlags,
    pub(crate) address: u64,
    pub(crate) size_in_memory: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Segment {
    /// Returns true if the segment has all of these flags.
    pub(crate) fn has(&self, flags: ProgramFlags) -> bool {
        self.flags.0 & flags.0 == flags.0
    }
}

/// A section.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// The name, cut to 64 bytes; empty if the file has no names.
    pub(crate) name: String,
    pub(crate) kind: elf::SectionType,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Section {
    /// Returns true if the content of the section is in the file.
    pub(crate) fn is_in_file(&self) -> bool {
        self.kind != elf::SHT_NOBITS && self.kind != elf::SHT_NULL
    }
}

/// The headers of an ELF file of any machine, class and byte order.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) kind: elf::FileType,
    pub(crate) machine: u16,
    pub(crate) endian: Endianness,
    /// The size of a pointer in bytes: 4 or 8.
    pub(crate) pointer: u8,
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<Section>,
    /// The entries of the dynamic segment; `None` if there is no such segment.
    pub(crate) dynamic: Option<Vec<(elf::DynamicTag, u64)>>,
}

impl Image {
    /// Returns true if this is the start of an ELF file.
    pub(crate) fn is_elf(contents: &Contents<'_>) -> bool {
        contents.read(0, 4).as_deref() == Some(b"\x7fELF")
    }

    /// Reads the headers.
    pub(crate) fn read(contents: &Contents<'_>) -> Result<Self, Problem> {
        let cache = ReadCache::new(Cursor::new(contents));
        // Byte 4 is `EI_CLASS`.
        let ident = contents.read(0, 5).ok_or("the ELF header is truncated")?;
        let image = match elf::FileClass(ident[4]) {
            elf::ELFCLASS32 => headers::<FileHeader32<Endianness>>(&cache, contents, 4),
            elf::ELFCLASS64 => headers::<FileHeader64<Endianness>>(&cache, contents, 8),
            _ => Err("the ELF header has an unknown class"),
        }?;
        let end = contents.length();
        let is_cut = image.loaded().any(|segment| {
            let last = segment.offset.checked_add(segment.size);
            last.is_none_or(|last| last > end)
        });
        match is_cut {
            true => Err("the file ends before its last segment"),
            false => Ok(image),
        }
    }

    /// Returns the segments that are loaded into memory.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = &Segment> {
        let segments = self.segments.iter();
        segments.filter(|segment| segment.kind == elf::PT_LOAD)
    }

    /// Returns the first segment of a kind.
    pub(crate) fn segment(&self, kind: elf::ProgramType) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// Returns the first section with a name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Returns the part of the file from an address up to the end of its segment; `None` if no segment
    /// has the address, or only as memory that is zero at the start.
    pub(crate) fn at(&self, address: u64) -> Option<Range<u64>> {
        self.loaded().find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            let is_within = within < segment.size;
            is_within.then(|| segment.offset + within..segment.offset + segment.size)
        })
    }

    /// Returns up to `size` bytes from an address, fewer if the segment ends before.
    pub(crate) fn bytes_at(
        &self,
        contents: &Contents<'_>,
        address: u64,
        size: u64,
    ) -> Option<Vec<u8>> {
        let range = self.at(address)?;
        contents.read(range.start, size.min(range.end - range.start))
    }

    /// Returns the path of the loader; `None` if the kernel starts the program itself.
    pub(crate) fn interpreter(&self, contents: &Contents<'_>) -> Result<Option<String>, Problem> {
        let Some(segment) = self.segment(elf::PT_INTERP) else {
            return Ok(None);
        };
        let path = contents.read_string(segment.offset, segment.size.min(MAX_STRING));
        path.map(Some).ok_or("the path of its loader is damaged")
    }

    /// Returns the values of a tag of the dynamic segment.
    pub(crate) fn values(&self, tag: elf::DynamicTag) -> impl Iterator<Item = u64> {
        let entries = self.dynamic.iter().flatten();
        entries
            .filter(move |(found, _)| *found == tag)
            .map(|(_, value)| *value)
    }

    /// Returns the texts of a tag of the dynamic segment.
    pub(crate) fn texts(
        &self,
        contents: &Contents<'_>,
        tag: elf::DynamicTag,
    ) -> Result<Vec<String>, Problem> {
        let damaged = "the strings of its dynamic segment are damaged";
        let table = self.values(elf::DT_STRTAB).next();
        let text = |offset: u64| {
            let address = table?.checked_add(offset)?;
            let range = self.at(address)?;
            let limit = (range.end - range.start).min(MAX_STRING);
            contents.read_string(range.start, limit)
        };
        let texts = self.values(tag).map(|offset| text(offset).ok_or(damaged));
        texts.collect()
    }
}

/// Reads the headers of a class.
fn headers<'d, H: FileHeader<Endian = Endianness>>(
    data: impl ReadRef<'d>,
    contents: &Contents<'_>,
    pointer: u8,
) -> Result<Image, Problem> {
    let header = H::parse(data).map_err(|_| "the ELF header is damaged")?;
    let damaged = |_| "the ELF headers are damaged";
    let endian = header.endian().map_err(damaged)?;
    if header.phnum(endian, data).map_err(damaged)? > MAX_SEGMENTS {
        return Err("it has more than 1170 segments");
    }
    if header.shnum(endian, data).map_err(damaged)? > MAX_SECTIONS {
        return Err("it has more than 65536 sections");
    }
    let mut segments = Vec::new();
    let mut dynamic = None;
    let truncated = |_| "the segment headers are truncated or damaged";
    for segment in header.program_headers(endian, data).map_err(truncated)? {
        let (offset, size) = segment.file_range(endian);
        segments.push(Segment {
            kind: segment.p_type(endian),
            flags: segment.p_flags(endian),
            address: segment.p_vaddr(endian).into(),
            size_in_memory: segment.p_memsz(endian).into(),
            offset,
            size,
        });
        if segment.p_type(endian) == elf::PT_DYNAMIC {
            dynamic = Some(entries::<H>(segment, endian, data)?);
        }
    }
    Ok(Image {
        kind: header.e_type(endian),
        machine: header.e_machine(endian).0,
        endian,
        pointer,
        segments,
        sections: sections(header, endian, data, contents)?,
        dynamic,
    })
}

/// Reads the entries of the dynamic segment.
fn entries<'d, H: FileHeader<Endian = Endianness>>(
    segment: &H::ProgramHeader,
    endian: Endianness,
    data: impl ReadRef<'d>,
) -> Result<Vec<(elf::DynamicTag, u64)>, Problem> {
    let (_, size) = segment.file_range(endian);
    if size / size_of::<H::Dyn>() as u64 > MAX_DYNAMIC {
        return Err("its dynamic segment has more than 4096 entries");
    }
    let damaged = |_| "its dynamic segment is damaged";
    let entries = segment.dynamic(endian, data).map_err(damaged)?;
    let entries = entries.unwrap_or_default().iter();
    let entries = entries.map(|entry| (entry.tag(endian), entry.val(endian)));
    Ok(entries
        .take_while(|(tag, _)| *tag != elf::DT_NULL)
        .collect())
}

/// Reads the section headers and the names of sections.
fn sections<'d, H: FileHeader<Endian = Endianness>>(
    header: &H,
    endian: Endianness,
    data: impl ReadRef<'d>,
    contents: &Contents<'_>,
) -> Result<Vec<Section>, Problem> {
    let truncated = |_| "the section headers are truncated or damaged";
    let headers = header.section_headers(endian, data).map_err(truncated)?;
    let names = match header.section_strings_index(endian, data) {
        Ok(index) => headers.get(index.0),
        Err(_) => None,
    };
    let names = match names {
        Some(section) => {
            let (offset, size): (u64, u64) = (
                section.sh_offset(endian).into(),
                section.sh_size(endian).into(),
            );
            let names = contents.read(offset, size.min(MAX_SECTION_NAMES));
            names.ok_or("the names of its sections are truncated")?
        }
        None => Vec::new(),
    };
    let name = |section: &H::SectionHeader| {
        let start = usize::try_from(section.sh_name(endian)).unwrap_or(usize::MAX);
        let rest = names.get(start..).unwrap_or_default();
        let rest = &rest[..rest.len().min(MAX_SECTION_NAME)];
        let end = rest.iter().position(|byte| *byte == 0);
        String::from_utf8_lossy(&rest[..end.unwrap_or(rest.len())]).into_owned()
    };
    let sections = headers.iter().map(|section| Section {
        name: name(section),
        kind: section.sh_type(endian),
        address: section.sh_addr(endian).into(),
        offset: section.sh_offset(endian).into(),
        size: section.sh_size(endian).into(),
    });
    Ok(sections.collect())
}
