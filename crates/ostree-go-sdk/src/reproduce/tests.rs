//! Comparisons of small programs, which are made here.

use super::cause::{Cause, Evidence};
use super::compare::Difference;
use super::require_flags;
use proptest::prelude::*;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A section of a program: name, address and content.
type Section<'a> = (&'a str, u64, &'a [u8]);
/// A symbol: name, index of the section from 1, address and size.
type Symbol<'a> = (&'a str, u16, u64, u64);

/// Returns a 64-bit little-endian ELF file. Source: System V ABI, chapter 4.
fn elf(sections: &[Section<'_>], symbols: &[Symbol<'_>]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut name = |text: &str| {
        let at = u32::try_from(strings.len()).unwrap();
        strings.extend(text.bytes().chain([0]));
        at
    };
    let mut table = vec![0; 24];
    for (symbol, section, address, size) in symbols {
        table.extend(name(symbol).to_le_bytes());
        // st_info: STB_GLOBAL, STT_OBJECT.
        table.extend([0x11, 0]);
        table.extend(section.to_le_bytes());
        table.extend(address.to_le_bytes());
        table.extend(size.to_le_bytes());
    }
    // Name, sh_type, sh_addr, content, sh_link, sh_entsize.
    let mut all: Vec<(u32, u32, u64, Vec<u8>, u32, u64)> = Vec::new();
    for (text, address, content) in sections {
        all.push((name(text), 1, *address, content.to_vec(), 0, 0));
    }
    let strtab = u32::try_from(sections.len() + 2).unwrap();
    let (symtab_name, strtab_name) = (name(".symtab"), name(".strtab"));
    all.push((symtab_name, 2, 0, table, strtab, 24));
    all.push((strtab_name, 3, 0, strings.clone(), 0, 0));
    let mut file = vec![0; 64];
    let (mut headers, mut segments) = (vec![0; 64], Vec::new());
    for (name, kind, address, content, link, entry) in &all {
        file.resize(file.len().next_multiple_of(8), 0);
        let offset = file.len() as u64;
        file.extend(content);
        headers.extend(name.to_le_bytes());
        headers.extend(kind.to_le_bytes());
        headers.extend(2_u64.to_le_bytes());
        headers.extend(address.to_le_bytes());
        headers.extend(offset.to_le_bytes());
        headers.extend((content.len() as u64).to_le_bytes());
        headers.extend(link.to_le_bytes());
        headers.extend(1_u32.to_le_bytes());
        headers.extend(1_u64.to_le_bytes());
        headers.extend(entry.to_le_bytes());
        if *address > 0 {
            // PT_LOAD, PF_R; the offset, both addresses, both sizes, and the alignment.
            segments.extend([1_u32, 4].map(u32::to_le_bytes).as_flattened());
            let size = content.len() as u64;
            let words = [offset, *address, *address, size, size, 1];
            segments.extend(words.map(u64::to_le_bytes).as_flattened());
        }
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let table = file.len() as u64;
    file.extend(headers);
    let segments_at = file.len() as u64;
    file.extend(&segments);
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16] = 2;
    file[18] = 62;
    file[20] = 1;
    file[32..40].copy_from_slice(&segments_at.to_le_bytes());
    file[40..48].copy_from_slice(&table.to_le_bytes());
    file[52] = 64;
    file[54] = 56;
    file[56] = u8::try_from(segments.len() / 56).unwrap();
    file[58] = 64;
    let count = u16::try_from(all.len() + 1).unwrap();
    file[60..62].copy_from_slice(&count.to_le_bytes());
    file[62..64].copy_from_slice(&(count - 1).to_le_bytes());
    file
}

/// Returns the content of `.go.buildinfo`, with both strings shorter than 128 bytes.
fn build_info(version: &str, text: &str) -> Vec<u8> {
    let mut data = b"\xff Go buildinf:\x08\x02".to_vec();
    data.resize(32, 0);
    let framed = format!("{}{text}{}", "m".repeat(16), "m".repeat(16));
    for part in [version, &framed] {
        data.push(u8::try_from(part.len()).unwrap());
        data.extend(part.bytes());
    }
    data
}

/// Returns a program with build settings, one a line, and constants.
fn program(settings: &str, constants: &str) -> Vec<u8> {
    let text: String = settings
        .lines()
        .map(|line| format!("build\t{line}\n"))
        .collect();
    let info = build_info("go1.26.5", &text);
    let sections = [
        (".text", 0x1000, &b"code"[..]),
        (".rodata", 0x2000, constants.as_bytes()),
        (".go.buildinfo", 0x3000, &info),
    ];
    elf(
        &sections,
        &[("main.name", 2, 0x2000, 4), ("main.other", 2, 0x2004, 60)],
    )
}

/// Returns the words of the causes of a difference; the sources of the first program are in `/home/me/app`.
fn causes(first: &[u8], second: &[u8], flags: &[&str], is_rebuilt: bool) -> Vec<Cause> {
    let difference = Difference::of(first, second).unwrap();
    let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
    let evidence = Evidence {
        first,
        second,
        difference: &difference,
        project: Path::new("/home/me/app"),
        paths: &[PathBuf::from("/home/me/app"), PathBuf::from("/sdk/go")],
        flags: &flags,
        is_rebuilt,
    };
    evidence.causes()
}

#[test]
fn the_section_and_the_symbol_of_a_difference_are_named() {
    let (one, other) = (program("", "aaaabbbb"), program("", "aaaabxbb"));
    let difference = Difference::of(&one, &other).unwrap();
    assert_eq!(one[usize::try_from(difference.offset).unwrap()], b'b');
    let [section] = &difference.sections[..] else {
        panic!("{difference:?}");
    };
    assert_eq!(
        (section.name.as_str(), section.offset),
        (".rodata", Some(5))
    );
    assert_eq!(section.symbol.as_deref(), Some("main.other"));
    assert_eq!(
        (section.first_bytes, section.second_bytes),
        (Some(8), Some(8))
    );
    assert_eq!(Difference::of(&one, &one), None);
    let longer = [&one[..], b"x"].concat();
    let difference = Difference::of(&one, &longer).unwrap();
    assert_eq!(
        (difference.offset, difference.sections.len()),
        (one.len() as u64, 0)
    );
}

#[test]
fn a_section_of_only_one_program_has_no_offset() {
    let one = elf(&[(".text", 0x1000, b"x"), (".debug_info", 0, b"y")], &[]);
    let other = elf(&[(".text", 0x1000, b"x")], &[]);
    let difference = Difference::of(&one, &other).unwrap();
    let section = difference.section(".debug_info").unwrap();
    assert_eq!((section.offset, section.second_bytes), (None, None));
    let section = ".debug_info".to_owned();
    let expected = Cause::Stripped {
        section,
        in_first: true,
    };
    assert_eq!(causes(&one, &other, &[], false), [expected]);
}

#[test]
fn paths_are_a_cause_without_trimpath_only() {
    let (one, other) = ("x /home/me/app/main.go y", "x /reproduce/src/main.go y");
    let found = causes(&program("", one), &program("", other), &[], true);
    assert_eq!(
        found,
        [Cause::Paths {
            paths: vec!["/home/me/app".into()]
        }]
    );
    insta::assert_snapshot!(found[0], @"the program is built without -trimpath and contains /home/me/app");
    let trimmed = "-trimpath=true";
    let found = causes(&program(trimmed, one), &program(trimmed, other), &[], true);
    assert_eq!(found, [Cause::Unknown]);
    let flags = ["-trimpath", "-ldflags", "-X main.dir=/home/me/app"];
    let found = causes(
        &program(trimmed, one),
        &program(trimmed, other),
        &flags,
        true,
    );
    insta::assert_snapshot!(found[0], @"the build flag -ldflags puts the path of the sources, /home/me/app, into the program");
}

#[test]
fn stamps_and_settings_are_compared() {
    let one = program("-trimpath=true\nGOARCH=amd64", "");
    let other = program(
        "-trimpath=true\nGOARCH=arm64\nvcs=git\nvcs.modified=true",
        "",
    );
    let found = causes(&one, &other, &[], false);
    let texts: Vec<String> = found.iter().map(Cause::to_string).collect();
    assert_eq!(
        texts,
        [
            "only the second program has a VCS stamp: vcs=git vcs.modified=true",
            "the setting GOARCH differs: the first program has amd64, the second one arm64",
        ]
    );
}

#[test]
fn times_and_other_constants_are_distinguished() {
    let of = |one: &str, other: &str| {
        let trimmed = "-trimpath=true";
        causes(&program(trimmed, one), &program(trimmed, other), &[], false)
    };
    let found = of("v\x002026-01-02T03:04:05Z\0", "v\x002026-01-02T03:04:59Z\0");
    insta::assert_snapshot!(found[0], @"a text differs in its digits only: `2026-01-02T03:04:05Z` in the first program, `2026-01-02T03:04:59Z` in the second one");
    assert_eq!(
        of("hello", "world"),
        [Cause::Sources { embeds: Vec::new() }]
    );
    assert_eq!(
        of("a 12 b", "a 13 b"),
        [Cause::Sources { embeds: Vec::new() }]
    );
}

#[test]
fn files_that_are_no_programs_have_an_unknown_cause() {
    assert_eq!(causes(b"a", b"b", &[], false), [Cause::Unknown]);
}

/// Returns the message about the first flag that is refused.
fn first_refused(flags: &[&str]) -> Option<String> {
    let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
    require_flags(&flags).err().map(|error| error.to_string())
}

#[test]
fn flags_that_write_elsewhere_are_refused() {
    assert_eq!(
        first_refused(&["-trimpath", "-ldflags=-s", "-tags", "o"]),
        None
    );
    for flag in ["-o", "-o=x", "--o", "-C", "-n"] {
        let message = first_refused(&["-trimpath", flag]).unwrap();
        assert!(
            message.starts_with(&format!("the build flag {flag} ")),
            "{message}"
        );
    }
}

proptest! {
    #[test]
    fn damaged_programs_are_compared_without_panic(
        changes in proptest::collection::vec((0usize..1000, any::<u8>()), 1..8),
        cut in 0usize..1000,
    ) {
        let one = program("-trimpath=true\nCGO_ENABLED=1", "2026-01-02T03:04:05Z");
        let mut other = one.clone();
        for (at, byte) in changes {
            let at = at % other.len();
            other[at] = byte;
        }
        other.truncate(other.len().saturating_sub(cut / 10));
        for (first, second) in [(&one, &other), (&other, &one)] {
            if let Some(difference) = Difference::of(first, second) {
                prop_assert!(difference.offset <= first.len() as u64);
                prop_assert!(!causes(first, second, &["-trimpath"], true).is_empty());
            }
        }
    }
}
