use super::binary::PPROF;
use super::contents::Contents;
use super::image::Image;
use super::toy::{BASE, Toy};
use super::*;
use crate::arch::Arch;
use crate::version::GoVersion;
use proptest::prelude::*;
use std::fs::File;

fn read(toy: &Toy<'_>) -> Binary {
    Binary::from_bytes("toy", &toy.bytes()).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    Binary::from_bytes("toy", bytes).unwrap_err().to_string()
}

/// Returns the unmet requirements of a list, with what was found.
fn unmet(binary: &Binary, list: &str) -> Vec<String> {
    let list = list.split(',').map(|word| word.parse().unwrap());
    let unmet = binary.unmet(&list.collect::<Vec<_>>());
    let lines = unmet
        .iter()
        .map(|one| format!("{}: {} but {}", one.requirement, one.expected, one.found));
    lines.collect()
}

#[test]
fn a_program_tells_how_it_was_built() {
    let toy = Toy::default();
    let binary = read(&toy);
    assert_eq!(binary.bytes, toy.bytes().len() as u64);
    assert_eq!((binary.arch, binary.machine), (Some(Arch::X86_64), 62));
    assert_eq!(binary.build.go_version, "go1.99.1-X:toy");
    assert_eq!(binary.build.package.as_deref(), Some("example.com/toy"));
    assert_eq!(binary.build.dependencies.len(), 1);
    assert_eq!(binary.build.setting("-ldflags"), Some("-s -w"));
    assert_eq!(binary.has_pprof, Some(false));
    assert!(!binary.has_symbols && !binary.has_debug_info);
    let loading = &binary.loading;
    assert_eq!(loading.kind, BinaryKind::Executable);
    assert!(loading.is_static());
    assert_eq!(loading.executable_stack, Some(false));
    assert_eq!(loading.relro, Relro::None);
}

/// Without section headers, the parts are found by their content; Go 1.17 has pointers.
#[test]
fn all_forms_give_the_same() {
    let expected = read(&Toy::default());
    for has_pointers in [false, true] {
        for has_sections in [false, true] {
            for magic in [0xffff_fff1, 0xffff_fff0, 0xffff_fffa] {
                let toy = Toy {
                    has_pointers,
                    has_sections,
                    magic,
                    ..Toy::default()
                };
                let found = read(&toy);
                let what = format!("{has_pointers} {has_sections} {magic:x}");
                assert_eq!(found.build, expected.build, "{what}");
                assert_eq!(found.has_pprof, Some(false), "{what}");
            }
        }
    }
}

#[test]
fn a_function_is_found_by_its_whole_name() {
    let has = |functions: &[&str], has_sections| {
        let toy = Toy {
            functions,
            has_sections,
            ..Toy::default()
        };
        read(&toy).has_pprof
    };
    let long = "x".repeat(3 << 20);
    for has_sections in [true, false] {
        let near = [
            "net/http/pprof.Index.func1",
            "example.com/net/http/pprof.Index",
            "net/http/pprof.Inde",
        ];
        assert_eq!(has(&near, has_sections), Some(false));
        assert_eq!(has(&["main.main", PPROF], has_sections), Some(true));
        assert_eq!(has(&[PPROF, "main.main"], has_sections), Some(true));
        // In the third and fourth MiB.
        assert_eq!(has(&[&long, PPROF], has_sections), Some(true));
        assert_eq!(has(&[&long, "main.main"], has_sections), Some(false));
    }
    let across = "x".repeat((1 << 20) - 5);
    assert_eq!(has(&[&across, PPROF, "main.main"], true), Some(true));
    let unknown = Toy {
        magic: 0xffff_fffb,
        ..Toy::default()
    };
    assert_eq!(read(&unknown).has_pprof, None);
}

#[test]
fn a_string_in_the_data_is_not_a_function() {
    let lines = format!("path\t\0{PPROF}\0\n");
    let toy = Toy {
        lines: &lines,
        ..Toy::default()
    };
    assert_eq!(read(&toy).has_pprof, Some(false));
}

#[test]
fn requirements_are_compared_with_the_program() {
    const ALL: &str =
        "static,stripped,no-wx,trimpath,cgo-off,no-pprof,clean-vcs,sdk=1.99.1,sdk=go1.99.1";
    assert_eq!(unmet(&read(&Toy::default()), ALL), [""; 0]);
    let bad = Toy {
        lines: "build\t-compiler=gc\nbuild\tCGO_ENABLED=1\nbuild\tvcs.revision=abc\n\
                build\tvcs.modified=true\n",
        functions: &[PPROF],
        data_flags: 7,
        stack_flags: Some(7),
        version: "go1.98.3",
        ..Toy::default()
    };
    insta::assert_snapshot!(unmet(&read(&bad), &format!("{ALL},pie")).join("\n"), @"
    no-wx: no memory that is writable and executable but the segment at 0x400270, the stack
    trimpath: -trimpath=true but no -trimpath
    cgo-off: CGO_ENABLED=0 but CGO_ENABLED=1
    no-pprof: a program without net/http/pprof but net/http/pprof
    clean-vcs: a revision without changes but abc with changes
    sdk=1.99.1: go1.99.1 but go1.98.3
    sdk=1.99.1: go1.99.1 but go1.98.3
    pie: a position-independent program but a program at a fixed address
    ");
}

#[test]
fn what_is_unknown_is_unmet() {
    let silent = Toy {
        lines: "",
        stack_flags: None,
        magic: 0,
        version: "devel go1.100-0123 Thu",
        ..Toy::default()
    };
    let list = "no-wx,trimpath,cgo-off,no-pprof,clean-vcs,sdk=1.99.1";
    insta::assert_snapshot!(unmet(&read(&silent), list).join("\n"), @"
    no-wx: no memory that is writable and executable but the stack: unknown, it has no PT_GNU_STACK
    trimpath: -trimpath=true but unknown
    cgo-off: CGO_ENABLED=0 but unknown
    no-pprof: a program without net/http/pprof but unknown
    clean-vcs: a revision without changes but unknown: no vcs.revision
    sdk=1.99.1: go1.99.1 but devel go1.100-0123 Thu
    ");
}

#[test]
fn the_words_of_requirements_are_read_and_written() {
    let words = [
        "static",
        "pie",
        "stripped",
        "no-wx",
        "trimpath",
        "cgo-off",
        "no-pprof",
        "clean-vcs",
        "sdk=1.26.5-acme1",
    ];
    for word in words {
        assert_eq!(word.parse::<Requirement>().unwrap().to_string(), word);
    }
    let version: GoVersion = "1.26.5".parse().unwrap();
    let parsed = "sdk=go1.26.5".parse::<Requirement>();
    assert_eq!(parsed, Ok(Requirement::Sdk(version)));
    for word in ["", "Static", "sdk", "sdk=", "sdk=stable", "static "] {
        assert!(word.parse::<Requirement>().is_err(), "{word}");
    }
    let error = "small".parse::<Requirement>().unwrap_err();
    insta::assert_snapshot!(error, @"`small` is not a requirement, expected static, pie, stripped, no-wx, trimpath, cgo-off, no-pprof, clean-vcs, or sdk=VERSION");
}

#[test]
fn a_program_that_is_writable_and_executable_is_told() {
    // The kernel maps this segment as it is; Go would not search it for its build information.
    let toy = Toy {
        data_flags: 7,
        ..Toy::default()
    };
    let code = read(&toy).loading.writable_code;
    assert_eq!(code.len(), 1);
    assert!(code[0].address > BASE);
}

/// The test program itself is dynamic, and not from Go.
#[test]
fn the_loader_and_the_libraries_are_read() {
    let path = std::env::current_exe().unwrap();
    let error = Binary::open(&path).unwrap_err();
    assert!(matches!(error, InspectError::NotGo { .. }), "{error}");
    let file = File::open(&path).unwrap();
    let contents = Contents::of_file(&file).unwrap();
    let image = Image::read(&contents).unwrap();
    let loading = Loading::of(BinaryKind::Pie, &image, &contents).unwrap();
    assert!(!loading.is_static());
    assert!(loading.interpreter.unwrap().starts_with("/lib"));
    assert!(
        loading.needed.contains(&"libc.so.6".to_owned()),
        "{:?}",
        loading.needed
    );
    assert_eq!(loading.executable_stack, Some(false));
    assert!(loading::has_symbols(&image));
}

#[test]
fn other_files_are_refused() {
    insta::assert_snapshot!(refused(b""), @"toy is not a program: it is not an ELF file");
    insta::assert_snapshot!(refused(b"#!/bin/sh\n"), @"toy is not a program: it is not an ELF file");
    insta::assert_snapshot!(refused(b"\x7fELF"), @"toy is damaged: the ELF header is truncated");
    insta::assert_snapshot!(refused(b"\x7fELF\x09"), @"toy is damaged: the ELF header has an unknown class");
    insta::assert_snapshot!(refused(b"\x7fELF\x02\x01\x01"), @"toy is damaged: the ELF header is damaged");
    let with = |at: usize, value: u8| {
        let mut bytes = Toy::default().bytes();
        bytes[at] = value;
        bytes
    };
    // `e_type`: an object file.
    insta::assert_snapshot!(refused(&with(16, 1)), @"toy is not a program: it is an object file or a memory image");
    // `e_phnum`.
    insta::assert_snapshot!(refused(&with(57, 5)), @"toy is damaged: it has more than 1170 segments");
    insta::assert_snapshot!(refused(&with(56, 200)), @"toy is damaged: the segment headers are truncated or damaged");
    insta::assert_snapshot!(Binary::open("/").unwrap_err(), @"/ is not a program: it is not a regular file");
    let folder = tempfile::tempdir().unwrap();
    let missing = Binary::open(folder.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind(), crate::ErrorKind::NotFound);
}

#[test]
fn truncated_build_information_is_an_error() {
    let toy = Toy {
        has_sections: false,
        ..Toy::default()
    };
    let bytes = toy.bytes();
    insta::assert_snapshot!(refused(&bytes[..bytes.len() - 1]), @"toy is damaged: the file ends before its last segment");
    let magic = b"\xff Go buildinf:";
    let at = bytes
        .windows(magic.len())
        .position(|part| part == magic)
        .unwrap();
    let mut long = bytes.clone();
    // The length of the version, which continues in the next byte.
    long[at + 32] = 0xff;
    insta::assert_snapshot!(refused(&long), @"toy is damaged: its build information is truncated");
    let mut none = bytes.clone();
    none[at] = 0;
    insta::assert_snapshot!(refused(&none), @"toy is not a Go program: it has no build information");
    let lines = Toy {
        lines: "mod\ta\n",
        ..toy
    };
    insta::assert_snapshot!(refused(&lines.bytes()), @"toy is damaged: line 1 of the build information is a module, but has not two or three columns");
    let pointers = Toy {
        has_pointers: true,
        ..Toy::default()
    };
    pointers.with_image(|image, contents| {
        let found = build_info::find(image, contents).unwrap().unwrap();
        assert_eq!(found.version, "go1.99.1-X:toy");
    });
}

proptest! {
    #[test]
    fn any_changed_bytes_are_read_without_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
        has_pointers in any::<bool>(),
    ) {
        let toy = Toy { has_pointers, ..Toy::default() };
        let mut bytes = toy.bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = Binary::from_bytes("toy", &bytes);
        let _ = Binary::from_bytes("toy", &bytes[..length.index(bytes.len())]);
    }
}
