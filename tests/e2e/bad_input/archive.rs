//! Archives that are damaged, malicious or not the expected ones.

use super::{Bad, TOY};
use flate2::read::GzDecoder;
use flate2::{Compression, write::GzEncoder};
use insta::assert_snapshot;
use ostree_go_sdk::compose::Compose;
use ostree_go_sdk::source::Limits;
use ostree_go_sdk::treefile::Treefile;
use ostree_go_sdk::{Arch, ErrorKind, Repo};
use ostree_go_tests::state::State;
use ostree_go_tests::toy::Toy;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

/// Composes 1.99.2 from the archive that `make` writes.
#[track_caller]
fn error(make: impl FnOnce(&Path), code: i32) -> (Bad, String) {
    let bad = Bad::new();
    let archive = bad.sandbox.path("bad.archive");
    make(&archive);
    bad.treefile("1.99.2", &archive, "");
    let said = bad.compose([], code);
    (bad, said)
}

fn toy() -> Toy {
    Toy::new(Arch::X86_64).version("1.99.2")
}

/// Returns a tar entry with exactly the given fields.
fn entry(kind: u8, name: &str, mode: u32, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// Writes the toy SDK with one additional entry.
fn toy_with(entry: &[u8], dest: &Path) {
    toy().tar_gz(dest);
    let mut tar = Vec::new();
    GzDecoder::new(&*fs::read(dest).unwrap())
        .read_to_end(&mut tar)
        .unwrap();
    let end = tar.len() - 1024;
    assert!(
        tar[end..].iter().all(|byte| *byte == 0),
        "two blocks end it"
    );
    tar.truncate(end);
    tar.extend(entry);
    tar.extend([0; 1024]);
    let mut gz = GzEncoder::new(fs::File::create(dest).unwrap(), Compression::fast());
    gz.write_all(&tar).unwrap();
    gz.finish().unwrap();
}

#[test]
fn a_wrong_version() {
    let (_bad, said) = error(|dest| Toy::new(Arch::X86_64).tar_gz(dest), 3);
    assert_snapshot!(said, @"
    error: bad.archive is Go 1.99.1, expected 1.99.2
    hint: set `version` in the treefile to the version of the source, or use another `source`
    ");
}

#[test]
fn a_wrong_architecture() {
    let (_bad, said) = error(
        |dest| Toy::new(Arch::Aarch64).version("1.99.2").tar_gz(dest),
        3,
    );
    assert_snapshot!(said, @"error: `bin/go` of bad.archive is a program for aarch64, expected a program for x86_64");
}

#[test]
fn a_missing_version_and_a_file_that_is_no_archive() {
    let (_bad, said) = error(|dest| toy().without("VERSION").tar_gz(dest), 1);
    assert_snapshot!(said, @"error: bad.archive has no VERSION file, so it is not a Go distribution");
    let (_bad, said) = error(|dest| fs::write(dest, "<html>Not found</html>").unwrap(), 1);
    assert_snapshot!(said, @"error: [dir]/bad.archive is neither a gzip-compressed tar archive nor a zip archive");
}

#[test]
fn a_wrong_sha256() {
    let bad = Bad::new();
    let archive = bad.sandbox.path("x86_64.tar.gz");
    let pin = format!("pin: {{ x86_64: {{ sha256: {} }} }}", "0".repeat(64));
    bad.treefile(TOY, &archive, &pin);
    assert_snapshot!(bad.compose([], 3), @"error: [dir]/x86_64.tar.gz has the SHA-256 [sha256], expected [sha256]");
}

#[test]
fn a_wrong_h1() {
    let bad = Bad::new();
    let archive = bad.sandbox.path("x86_64.tar.gz");
    let pin = "pin: { x86_64: { h1: \"h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" } }";
    bad.treefile(TOY, &archive, pin);
    assert_snapshot!(bad.compose([], 3), @"error: content of x86_64.tar.gz has h1:xGI+m+Uc7vajBXD/JaMTeNnXlrDUUb3g6cuMNz/bzMY=, expected h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
}

/// Truncates a file at several positions. Only the wording of the message depends on the position.
fn truncated(make: impl Fn(&Toy, &Path)) {
    let bad = Bad::new();
    let archive = bad.sandbox.path("truncated");
    make(&toy(), &archive);
    let whole = fs::read(&archive).unwrap();
    bad.treefile("1.99.2", &archive, "");
    for length in [
        0,
        3,
        10,
        100,
        whole.len() / 2,
        whole.len() - 9,
        whole.len() - 1,
    ] {
        fs::write(&archive, &whole[..length]).unwrap();
        let said = bad.compose([], 1);
        assert!(said.contains(archive.to_str().unwrap()), "{length}: {said}");
        eprintln!("{length}: {said}");
    }
}

#[test]
fn a_truncated_tar() {
    truncated(Toy::tar_gz);
    let cut = |dest: &Path| {
        toy().tar_gz(dest);
        let whole = fs::read(dest).unwrap();
        fs::write(dest, &whole[..whole.len() / 2]).unwrap();
    };
    let (_bad, said) = error(cut, 1);
    assert_snapshot!(said, @"error: [dir]/bad.archive is truncated, in or after entry `go/go.env`");
}

#[test]
fn a_truncated_zip() {
    truncated(Toy::zip);
    let cut = |dest: &Path| {
        toy().zip(dest);
        let whole = fs::read(dest).unwrap();
        fs::write(dest, &whole[..whole.len() / 2]).unwrap();
    };
    let (_bad, said) = error(cut, 1);
    assert_snapshot!(said, @"error: [dir]/bad.archive is truncated");
}

#[test]
fn a_flipped_byte() {
    let flip = |dest: &Path| {
        toy().tar_gz(dest);
        let mut bytes = fs::read(dest).unwrap();
        let crc = bytes.len() - 8;
        bytes[crc] ^= 1;
        fs::write(dest, bytes).unwrap();
    };
    let (_bad, said) = error(flip, 1);
    assert_snapshot!(said, @"
    error: [dir]/bad.archive cannot be read, in or after entry `go/test/x.go`
      corrupt gzip stream does not have a matching checksum
    ");
}

#[test]
fn paths_that_leave_the_tree() {
    let (_bad, said) = error(
        |dest| toy_with(&entry(b'0', "go/../../evil", 0o644, "", b"x"), dest),
        1,
    );
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `go/../../evil` leaves the tree");
    let (_bad, said) = error(
        |dest| toy_with(&entry(b'0', "/etc/evil", 0o644, "", b"x"), dest),
        1,
    );
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `/etc/evil` is absolute");
    let (_bad, said) = error(
        |dest| toy_with(&entry(b'0', "evil/file", 0o644, "", b"x"), dest),
        1,
    );
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `evil/file` is outside the top folder `go`");
}

#[test]
fn links_that_leave_the_tree() {
    let link = |kind, target| {
        move |dest: &Path| toy_with(&entry(kind, "go/src/evil", 0o644, target, b""), dest)
    };
    let (_bad, said) = error(link(b'2', "../../etc/passwd"), 1);
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `go/src/evil` links to `../../etc/passwd`, which leads out of the tree");
    let (_bad, said) = error(link(b'2', "/etc/passwd"), 1);
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `go/src/evil` links to `/etc/passwd`, which leads out of the tree");
    let (_bad, said) = error(link(b'1', "../../etc/passwd"), 1);
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `go/src/evil` is a hard link to `../../etc/passwd`, expected an earlier file");
    let (_bad, said) = error(link(b'1', "go/src/missing"), 1);
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `go/src/evil` is a hard link to `go/src/missing`, expected an earlier file");
}

#[test]
fn devices_and_other_special_files() {
    let (_bad, said) = error(
        |dest| toy_with(&entry(b'3', "go/src/null", 0o644, "", b""), dest),
        1,
    );
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `go/src/null` is neither a file, a folder nor a link");
    let (_bad, said) = error(
        |dest| toy_with(&entry(b'0', "go/src/su", 0o4755, "", b"x"), dest),
        1,
    );
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `go/src/su` has the mode 4755, expected no setuid, setgid or sticky bit");
}

#[test]
fn a_duplicate_path() {
    let (_bad, said) = error(
        |dest| toy_with(&entry(b'0', "go/src/go.mod", 0o644, "", b"x"), dest),
        1,
    );
    assert_snapshot!(said, @"error: [dir]/bad.archive: entry `go/src/go.mod` is a duplicate");
}

#[test]
fn a_decompression_bomb() {
    let bad = Bad::new();
    let archive = bad.sandbox.path("bomb.tar.gz");
    toy_with(
        &entry(b'0', "go/src/bomb", 0o644, "", &vec![0; 16 << 20]),
        &archive,
    );
    assert!(
        fs::metadata(&archive).unwrap().len() < 200_000,
        "it is small"
    );
    bad.treefile("1.99.2", &archive, "");
    let before = State::of(&bad.sandbox.repo());
    let compose = |limits: Limits| {
        let treefile = Treefile::load(bad.sandbox.path("go.yaml")).unwrap();
        let repo = Repo::open(bad.sandbox.repo()).unwrap();
        let compose = Compose::new(treefile).limits(limits);
        let done = compose.plan(&repo).unwrap().execute();
        done.map(drop)
    };
    let error = compose(Limits::default().bytes(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeContent);
    assert_snapshot!(error, @"[dir]/bomb.tar.gz: entry `go/src/bomb` makes the total size exceed 1048576 bytes");
    let error = compose(Limits::default().entries(10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeContent);
    assert_snapshot!(error, @"[dir]/bomb.tar.gz: entry `go/lib/time/update.bash` exceeds the limit of 10 files and folders");
    State::of(&bad.sandbox.repo()).assert_is(&before);
    compose(Limits::default()).unwrap();
}
