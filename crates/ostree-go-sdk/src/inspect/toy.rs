//! A small program for tests: an ELF file with build information and names of functions, but without
//! code.

/// The offset of the table of functions in the file.
const TABLE: usize = 0x200;
/// The address at which the start of the file is loaded.
pub(crate) const BASE: u64 = 0x40_0000;
/// The size of the ELF header and of a segment header, in bytes.
const ELF_HEADER: usize = 64;
const SEGMENT_HEADER: usize = 56;

/// A program for x86-64.
#[derive(Debug, Clone)]
pub(crate) struct Toy<'a> {
    /// The version of Go.
    pub(crate) version: &'a str,
    /// The lines about modules and settings.
    pub(crate) lines: &'a str,
    /// The names of the functions.
    pub(crate) functions: &'a [&'a str],
    /// The magic number of the table of functions.
    pub(crate) magic: u32,
    /// True for the build information of Go 1.17 and older.
    pub(crate) has_pointers: bool,
    /// True for a program with section headers.
    pub(crate) has_sections: bool,
    /// `p_flags` of the segment with data, and of the stack.
    pub(crate) data_flags: u32,
    pub(crate) stack_flags: Option<u32>,
}

impl Default for Toy<'_> {
    fn default() -> Self {
        Self {
            version: "go1.99.1-X:toy",
            lines: "path\texample.com/toy\nmod\texample.com/toy\tv1.0.0\th1:AAAA=\n\
                dep\texample.com/a\tv0.1.0\n=>\texample.com/b\tv0.2.0\th1:BBBB=\n\
                build\t-buildmode=exe\nbuild\t-compiler=gc\nbuild\t-trimpath=true\n\
                build\t-ldflags=\"-s -w\"\nbuild\tDefaultGODEBUG=madvdontneed=1\n\
                build\tCGO_ENABLED=0\nbuild\tGOARCH=amd64\nbuild\tGOOS=linux\nbuild\tGOAMD64=v1\n\
                build\tvcs=git\nbuild\tvcs.revision=0123456789abcdef0123456789abcdef01234567\n\
                build\tvcs.time=2026-07-01T21:24:27Z\nbuild\tvcs.modified=false\n",
            functions: &["runtime.main", "main.main"],
            magic: 0xffff_fff1,
            has_pointers: false,
            has_sections: true,
            data_flags: 6,
            stack_flags: Some(6),
        }
    }
}

impl Toy<'_> {
    /// Returns the content of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let table = self.table();
        let data_at = (TABLE + table.len()).next_multiple_of(16);
        let data = self.data(BASE + data_at as u64);
        let mut file = vec![0; TABLE];
        file.extend(&table);
        file.resize(data_at, 0);
        file.extend(&data);
        let sections_at = file.len().next_multiple_of(8);
        if self.has_sections {
            file.resize(sections_at, 0);
            file.extend(sections((TABLE, table.len()), (data_at, data.len())));
        }
        let mut segments = vec![
            segment(1, 5, 0, TABLE),
            segment(1, 4, TABLE, table.len()),
            segment(1, self.data_flags, data_at, data.len()),
        ];
        segments.extend(
            self.stack_flags
                .map(|flags| segment(0x6474_e551, flags, 0, 0)),
        );
        let sections_at = self.has_sections.then_some(sections_at as u64);
        let header = header(segments.len(), sections_at);
        let headers = [header, segments.concat()].concat();
        file[..headers.len()].copy_from_slice(&headers);
        file
    }

    /// Returns the headers and the content for tests of one part.
    #[cfg(test)]
    pub(crate) fn with_image<T>(
        &self,
        test: impl FnOnce(&super::image::Image, &super::contents::Contents<'_>) -> T,
    ) -> T {
        let bytes = self.bytes();
        let contents = super::contents::Contents::of_bytes(&bytes);
        let image = super::image::Image::read(&contents).unwrap();
        test(&image, &contents)
    }

    /// Returns the table of functions.
    fn table(&self) -> Vec<u8> {
        let names: Vec<u8> = self
            .functions
            .iter()
            .flat_map(|name| [name.as_bytes(), b"\0"].concat())
            .collect();
        let (start, end) = (72, 72 + names.len() as u64);
        let words = match self.magic {
            0xffff_fffa => [self.functions.len() as u64, 1, start, end, end, end, end, 0],
            _ => [self.functions.len() as u64, 1, 0, start, end, end, end, end],
        };
        let mut table = self.magic.to_le_bytes().to_vec();
        table.extend([0, 0, 1, 8]);
        table.extend(words.map(u64::to_le_bytes).as_flattened());
        table.extend(names);
        table.extend([0; 8]);
        table
    }

    /// Returns the build information at an address.
    fn data(&self, address: u64) -> Vec<u8> {
        let lines = match self.lines {
            "" => Vec::new(),
            lines => [&[b'<'; 16], lines.as_bytes(), &[b'>'; 16]].concat(),
        };
        let version = self.version.as_bytes();
        let mut data = b"\xff Go buildinf:\x08".to_vec();
        if self.has_pointers {
            // The header, two string headers, and the strings.
            let (version_at, lines_at) = (address + 64, address + 64 + version.len() as u64);
            let words = [
                address + 32,
                address + 48,
                version_at,
                version.len() as u64,
                lines_at,
                lines.len() as u64,
            ];
            data.push(0);
            data.extend(words.map(u64::to_le_bytes).as_flattened());
            data.extend(version);
            data.extend(lines);
        } else {
            data.push(2);
            data.resize(32, 0);
            for text in [version, &lines] {
                data.extend(varint(text.len()));
                data.extend(text);
            }
        }
        data
    }
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn header(segments: usize, sections_at: Option<u64>) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // `e_type`: an executable; `e_machine`: x86-64.
    header.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    let words = [BASE, ELF_HEADER as u64, sections_at.unwrap_or(0)];
    header.extend(words.map(u64::to_le_bytes).as_flattened());
    header.extend([0; 4]);
    let (sections, names) = if sections_at.is_some() {
        (4, 3)
    } else {
        (0, 0)
    };
    let halves = [ELF_HEADER, SEGMENT_HEADER, segments, 64, sections, names];
    header.extend(
        halves
            .map(|half| (half as u16).to_le_bytes())
            .as_flattened(),
    );
    header
}

fn segment(kind: u32, flags: u32, offset: usize, size: usize) -> Vec<u8> {
    let mut header = [kind, flags].map(u32::to_le_bytes).as_flattened().to_vec();
    let (offset, size) = (offset as u64, size as u64);
    let address = BASE + offset;
    let words = [offset, address, address, size, size, 16];
    header.extend(words.map(u64::to_le_bytes).as_flattened());
    header
}

/// Returns the section headers and the names of sections.
fn sections(table: (usize, usize), data: (usize, usize)) -> Vec<u8> {
    let names = b"\0.gopclntab\0.go.buildinfo\0.shstrtab\0";
    let mut headers = vec![0; 64];
    let mut add = |name: u32, (offset, size): (usize, usize), address: u64| {
        let kind = if address == 0 { 3_u32 } else { 1 };
        headers.extend([name, kind].map(u32::to_le_bytes).as_flattened());
        let words = [2, address, offset as u64, size as u64, 0, 16, 0];
        headers.extend(words.map(u64::to_le_bytes).as_flattened());
    };
    add(1, table, BASE + table.0 as u64);
    add(12, data, BASE + data.0 as u64);
    let names_at = (data.0 + data.1).next_multiple_of(8) + 4 * 64;
    add(26, (names_at, names.len()), 0);
    [headers, names.to_vec()].concat()
}
