use std::io::Cursor;

use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;
use proptest::prelude::*;

use super::super::zip;
use super::*;
use crate::kind::ErrorKind;

fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Replaces text of the same length, everywhere or only at the last occurrence.
fn patch(mut bytes: Vec<u8>, from: &[u8], to: &[u8], only_last: bool) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut places: Vec<usize> = (0..=bytes.len() - from.len())
        .filter(|at| bytes[*at..].starts_with(from))
        .collect();
    assert!(!places.is_empty());
    if only_last {
        places.drain(..places.len() - 1);
    }
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

fn read(bytes: &[u8]) -> Shown {
    shown(|visit| zip::read(file_of(bytes), tree(), visit))
}

fn error(bytes: &[u8]) -> String {
    chain(&read(bytes).unwrap_err())
}

/// Builds a zip with one entry whose Unix mode is `mode`.
fn with_mode(name: &str, content: &str, mode: u32) -> Vec<u8> {
    let zip = zip_of(&[(name, content)]);
    // The external attributes are at offset 38 of the central header.
    let central = (0..zip.len())
        .find(|at| zip[*at..].starts_with(b"PK\x01\x02"))
        .unwrap();
    let mut zip = zip;
    zip[central + 5] = 3; // made by Unix
    zip[central + 38..central + 42].copy_from_slice(&(mode << 16).to_le_bytes());
    zip
}

#[test]
fn names_of_the_module_form_are_restored() {
    let name = |rest: &str| format!("{MODULE}/{rest}");
    let files = ["VERSION", "bin/go", "src/_go.mod", "src/a_go.mod"].map(name);
    let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "x")).collect();
    insta::assert_snapshot!(read(&zip_of(&files)).unwrap().join("\n"), @"
    VERSION [1] x
    bin/go [1] x
    src/go.mod [1] x
    src/a_go.mod [1] x
    ");
    let plain = zip_of(&[("go/VERSION", ""), ("go/src/_go.mod", "")]);
    assert_eq!(read(&plain).unwrap(), ["VERSION [0] ", "src/_go.mod [0] "]);
}

#[test]
fn another_module_is_refused() {
    let other = MODULE.replace("amd64", "arm64") + "/VERSION";
    let error = read(&zip_of(&[(&other, "")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    insta::assert_snapshot!(error, @"go.tar.gz: entry `golang.org/toolchain@v0.0.1-go1.26.5.linux-arm64/VERSION` belongs to another module, expected golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64");
    let both = format!("{MODULE}/src/go.mod");
    let renamed = format!("{MODULE}/src/_go.mod");
    let twice = zip_of(&[(&both, ""), (&renamed, "")]);
    assert!(self::error(&twice).contains("is a duplicate"));
}

#[test]
fn hostile_entries_are_refused_by_name() {
    insta::assert_snapshot!(error(&zip_of(&[("/etc/passwd", "")])), @"go.tar.gz: entry `/etc/passwd` is absolute");
    insta::assert_snapshot!(error(&zip_of(&[("go/../../x", "")])), @"go.tar.gz: entry `go/../../x` leaves the tree");
    insta::assert_snapshot!(error(&zip_of(&[("go/a", ""), ("b/c", "")])), @"go.tar.gz: entry `b/c` is outside the top folder `go`");
    insta::assert_snapshot!(error(&zip_of(&[("go/a", ""), ("go/a/b", "")])), @"go.tar.gz: entry `go/a/b` needs `a` to be both a folder and something else");
    let twice = patch(
        zip_of(&[("go/aa", ""), ("go/ab", "")]),
        b"go/ab",
        b"go/aa",
        false,
    );
    insta::assert_snapshot!(error(&twice), @"go.tar.gz: entry `go/aa` is a duplicate");
    insta::assert_snapshot!(error(&with_mode("go/su", "", 0o104_755)), @"go.tar.gz: entry `go/su` has the mode 4755, expected no setuid, setgid or sticky bit");
    insta::assert_snapshot!(error(&with_mode("go/null", "", 0o020_644)), @"go.tar.gz: entry `go/null` is neither a file, a folder nor a link");
    insta::assert_snapshot!(error(&with_mode("go/dir", "", 0o040_755)), @"go.tar.gz: entry `go/dir` is neither a file, a folder nor a link");
    assert_eq!(
        read(&with_mode("go/l", "a", 0o120_777)).unwrap(),
        ["l -> a"]
    );
    insta::assert_snapshot!(error(&with_mode("go/l", "../x", 0o120_777)), @"go.tar.gz: entry `go/l` links to `../x`, which leads out of the tree");
}

#[test]
fn the_central_directory_must_match_the_entries() {
    let zip = zip_of(&[("go/aa", "x")]);
    let renamed = patch(zip.clone(), b"go/aa", b"go/ab", true);
    insta::assert_snapshot!(error(&renamed), @"go.tar.gz cannot be read, in or after entry `go/ab`: invalid Zip archive: header inconsistency detected: Local file header filename mismatch (does not match central directory)");
    let mut encrypted = zip.clone();
    encrypted[6] |= 1;
    let central = zip.len() - 22 - 46 - 5;
    encrypted[central + 8] |= 1;
    insta::assert_snapshot!(error(&encrypted), @"go.tar.gz: entry `go/aa` is encrypted");
    let mut bzip2 = zip.clone();
    bzip2[8] = 12;
    bzip2[central + 10] = 12;
    insta::assert_snapshot!(error(&bzip2), @"go.tar.gz: entry `go/aa` is compressed by Bzip2, expected stored or deflate");
}

#[test]
fn damage_truncation_and_garbage_are_found() {
    let zip = zip_of(&[("go/aa", "some content"), ("go/bb", "more")]);
    let mut bad = zip.clone();
    bad[14] ^= 1;
    bad[zip.len() - 22 - 2 * 51 + 16] ^= 1;
    insta::assert_snapshot!(error(&bad), @"go.tar.gz cannot be read, in or after entry `go/aa`: Invalid checksum");
    for cut in 0..zip.len() {
        let error = read(&zip[..cut]).unwrap_err();
        assert!(
            matches!(error, SourceError::Truncated { .. }),
            "{cut}: {error}"
        );
    }
    let error = read(&[&zip[..], b"x"].concat()).unwrap_err();
    insta::assert_snapshot!(error, @"go.tar.gz has bytes after its end");
    let hidden = [&zip_of(&[("go/hidden", "")])[..], &zip[..]].concat();
    assert_eq!(read(&hidden).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn bombs_are_refused() {
    let zip = zip_of(&[("go/aa", &"x".repeat(100_000)), ("go/bb", "")]);
    let limited = |limits| {
        let tree = Tree::new("go.zip", limits, MODULE);
        let read = shown(|visit| zip::read(file_of(&zip), tree, visit));
        read.unwrap_err().to_string()
    };
    insta::assert_snapshot!(limited(Limits::default().bytes(99_999)), @"go.zip: entry `go/aa` makes the total size exceed 99999 bytes");
    insta::assert_snapshot!(limited(Limits::default().entries(1)), @"go.zip: entry `go/bb` exceeds the limit of 1 files and folders");
    // The declared size is too small: reading stops there, which is an error.
    let mut understated = zip.clone();
    let central = zip.len() - 22 - 2 * 51;
    understated[22..26].copy_from_slice(&10u32.to_le_bytes());
    understated[central + 24..central + 28].copy_from_slice(&10u32.to_le_bytes());
    assert_eq!(read(&understated).unwrap_err().kind(), ErrorKind::Corrupt);
}

proptest! {
    #[test]
    fn any_bytes_are_an_archive_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        changes in proptest::collection::vec((0usize..4000, any::<u8>()), 1..6),
    ) {
        let _ = read(&bytes);
        let mut zip = zip_of(&[("go/aa", "some content"), ("go/b/c", "more")]);
        for (at, byte) in changes {
            let at = at % zip.len();
            zip[at] = byte;
        }
        let _ = read(&zip);
    }
}

#[test]
fn the_size_of_all_files_is_known_before_they_are_read() {
    let zip = zip_of(&[("go/VERSION", "go1.26.5"), ("go/src/a.go", "package a")]);
    assert_eq!(zip::uncompressed_size(&file_of(&zip)), Some(17));
    assert_eq!(zip::uncompressed_size(&file_of(b"no zip")), None);
}
