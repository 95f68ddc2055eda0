use super::*;
use std::error::Error as _;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const TOP: &str = "example.com/a@v1.0.0/";

/// Returns a zip file with these entries; names that end in `/` are directories.
fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        match name.ends_with('/') {
            true => writer
                .add_directory(*name, SimpleFileOptions::default())
                .unwrap(),
            false => writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap(),
        }
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<ModuleZip, ModuleZipError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    fs::write(&path, bytes).unwrap();
    ModuleZip::open(&path, "example.com/a", "v1.0.0")
}

fn below_top(entries: &[(&str, &str)]) -> Vec<u8> {
    let named: Vec<_> = entries
        .iter()
        .map(|(name, content)| (format!("{TOP}{name}"), *content))
        .collect();
    let named: Vec<_> = named
        .iter()
        .map(|(name, content)| (name.as_str(), *content))
        .collect();
    zip(&named)
}

#[track_caller]
fn said(bytes: &[u8]) -> String {
    let error = open(bytes).unwrap_err();
    let text = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let start = text.find("a.zip").unwrap_or_default();
    text[start..].to_owned()
}

/// The test of dirhash's `HashZip` and `HashDir`: both have the files of one module, and one hash.
#[test]
fn a_directory_has_the_hash_of_its_zip_file() {
    let files = [
        ("go.mod", "module example.com/a\n"),
        ("a/b.go", "package a\n"),
        ("a-b.go", ""),
        ("a.go", "x"),
    ];
    let bytes = below_top(&files);
    let read = open(&bytes).unwrap();
    let names: Vec<&str> = read.files().keys().map(String::as_str).collect();
    assert_eq!(names, ["a-b.go", "a.go", "a/b.go", "go.mod"]);
    assert_eq!(read.files()["a.go"], digest::of(b"x"));
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    // An empty directory does not count in a directory, and is an entry in a zip file.
    fs::create_dir(folder.path().join("empty")).unwrap();
    let hash = |prefix| hash_directory(folder.path(), prefix).unwrap();
    assert_eq!(hash("example.com/a@v1.0.0"), read.h1());
    assert_ne!(hash("example.com/a@v1.0.1"), read.h1());
    let with_directory = below_top(&[files.as_slice(), &[("empty/", "")]].concat());
    let with_directory = open(&with_directory).unwrap();
    assert_eq!(with_directory.files(), read.files());
    assert_ne!(with_directory.h1(), read.h1());
}

/// The line of go.sum for the go.mod file of golang.org/x/text v0.3.0.
#[test]
fn a_go_mod_file_has_the_hash_in_go_sum() {
    let h1 = hash_go_mod(b"module golang.org/x/text\n");
    assert_eq!(
        h1.to_string(),
        "h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ="
    );
}

#[test]
fn entries_that_the_go_command_refuses_are_refused() {
    insta::assert_snapshot!(said(&zip(&[("example.com/a@v1.0.1/a", "")])), @"a.zip: the entry `example.com/a@v1.0.1/a` is refused: expected a name that begins with `example.com/a@v1.0.0/`");
    insta::assert_snapshot!(said(&below_top(&[("../a", "")])), @"a.zip: the entry `example.com/a@v1.0.0/../a` is refused: its name is not a valid file name on all systems");
    insta::assert_snapshot!(said(&below_top(&[("a/con.go", "")])), @"a.zip: the entry `example.com/a@v1.0.0/a/con.go` is refused: its name is not a valid file name on all systems");
    insta::assert_snapshot!(said(&below_top(&[("a\nb", "")])), @r"a.zip: the entry `example.com/a@v1.0.0/a\nb` is refused: its name is not a valid file name on all systems");
    insta::assert_snapshot!(said(&below_top(&[("a/B.go", ""), ("a/b.go", "")])), @"a.zip: the entry `example.com/a@v1.0.0/a/b.go` is refused: its name differs only in case from `a/B.go`");
    insta::assert_snapshot!(said(&below_top(&[("a", ""), ("a/b", "")])), @"a.zip: the entry `example.com/a@v1.0.0/a/b` is refused: it is both a file and a directory");
    insta::assert_snapshot!(said(&below_top(&[("b/go.mod", "")])), @"a.zip: the entry `example.com/a@v1.0.0/b/go.mod` is refused: a go.mod file must be in the top directory and have a name in lower case");
    insta::assert_snapshot!(said(&below_top(&[("GO.mod", "")])), @"a.zip: the entry `example.com/a@v1.0.0/GO.mod` is refused: a go.mod file must be in the top directory and have a name in lower case");
    let mut twice = below_top(&[("aa", ""), ("ab", "")]);
    replace(&mut twice, b"/ab", b"/aa");
    insta::assert_snapshot!(said(&twice), @"a.zip: the entry `example.com/a@v1.0.0/aa` is refused: it occurs twice");
    let mut no_utf8 = below_top(&[("aa", "")]);
    replace(&mut no_utf8, b"/aa", b"/\xffa");
    insta::assert_snapshot!(said(&no_utf8), @"a.zip: the entry `example.com/a@v1.0.0/\u{fffd}a` is refused: its name is not a valid file name on all systems");
    let mut link = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    link.add_symlink(format!("{TOP}a"), "b", SimpleFileOptions::default())
        .unwrap();
    let link = link.finish().unwrap().into_inner();
    insta::assert_snapshot!(said(&link), @"a.zip: the entry `example.com/a@v1.0.0/a` is refused: it is neither a regular file nor a directory");
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}

/// Returns the offset of the size of the first file in the central directory. Source: APPNOTE.TXT 4.3.12.
fn declared_size(bytes: &[u8]) -> usize {
    let header = bytes
        .windows(4)
        .position(|part| part == b"PK\x01\x02")
        .unwrap();
    header + 24
}

#[test]
fn the_content_has_the_size_in_the_header_and_is_limited() {
    let good = below_top(&[("go.mod", "module example.com/a\n")]);
    let with_size = |size: u32| {
        let mut bytes = good.clone();
        let at = declared_size(&bytes);
        bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
        bytes
    };
    insta::assert_snapshot!(said(&with_size((16 << 20) + 1)), @"a.zip: the entry `example.com/a@v1.0.0/go.mod` is refused: there is too much content, expected at most 16777216 bytes");
    insta::assert_snapshot!(said(&with_size((500 << 20) + 1)), @"a.zip: the entry `example.com/a@v1.0.0/go.mod` is refused: there is too much content, expected at most 524288000 bytes");
    for size in [20, 22, 16 << 20] {
        let error = open(&with_size(size)).unwrap_err();
        let is_refused = matches!(
            error,
            ModuleZipError::Entry {
                problem: ModuleZipProblem::Size { .. },
                ..
            } | ModuleZipError::Damaged { .. }
        );
        assert!(is_refused, "{size}: {error}");
    }
    assert!(matches!(
        open(&good[..good.len() / 2]),
        Err(ModuleZipError::Damaged { entry: None, .. })
    ));
    assert!(matches!(open(b""), Err(ModuleZipError::Damaged { .. })));
    // A bit of the compressed content. The decoder fails, or the size or the checksum is another one.
    let mut flipped = good.clone();
    let at = good.windows(6).position(|part| part == b"go.mod").unwrap() + 8;
    flipped[at] ^= 4;
    let error = open(&flipped).unwrap_err();
    let is_refused = matches!(
        error,
        ModuleZipError::Damaged { entry: Some(_), .. }
            | ModuleZipError::Entry {
                problem: ModuleZipProblem::Size { .. },
                ..
            }
    );
    assert!(is_refused, "{error}");
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.zip");
    File::create(&large).unwrap().set_len(MAX_ZIP + 1).unwrap();
    let error = ModuleZip::open(&large, "example.com/a", "v1.0.0").unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("large.zip has 524288001 bytes, expected at most 524288000")
    );
}

#[test]
fn only_a_valid_module_has_a_zip_file() {
    for (module, version) in [
        ("example.com/a", "v1.0"),
        ("example.com/a", "master"),
        ("example.com/a", "v2.0.0"),
        ("example.com/a/v2", "v1.0.0"),
        ("../a.b", "v1.0.0"),
        ("a", "v1.0.0"),
    ] {
        let error = ModuleZip::open(Path::new("/dev/null"), module, version).unwrap_err();
        assert!(matches!(error, ModuleZipError::Module { .. }), "{module}");
        assert!(error.to_string().contains(&format!("`{module}@{version}`")));
    }
    let missing = ModuleZip::open(Path::new("/none"), "example.com/a", "v1.0.0").unwrap_err();
    assert_eq!(missing.kind(), crate::ErrorKind::NotFound);
}

#[test]
fn a_directory_with_other_files_than_regular_ones_is_refused() {
    let said = |make: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let error = hash_directory(folder.path(), "a@v1.0.0").unwrap_err();
        error
            .to_string()
            .replace(folder.path().to_str().unwrap(), "[dir]")
    };
    insta::assert_snapshot!(said(&|dir| symlink("/etc/passwd", dir.join("a")).unwrap()), @"[dir]/a is not a regular file");
    insta::assert_snapshot!(said(&|dir| fs::write(dir.join("a\nb"), "").unwrap()), @r"
    [dir]/a
    b: the name is not UTF-8 or has a line break
    ");
    let error = hash_directory(Path::new("/dev/null"), "a@v1.0.0").unwrap_err();
    insta::assert_snapshot!(error, @"/dev/null is not a directory");
}
