use proptest::prelude::*;

use super::super::targz;
use super::*;
use crate::kind::ErrorKind;

/// Encodes a header block and padded content; fields are not validated.
fn entry(kind: u8, name: &str, mode: u32, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut header);
    header.extend(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// Sets the checksum of a header.
fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header[..512].iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn file(name: &str, content: &str) -> Vec<u8> {
    entry(b'0', name, 0o644, "", content.as_bytes())
}

fn pax(kind: u8, key: &str, value: &str) -> Vec<u8> {
    let body = format!(" {key}={value}\n");
    let digits = |n: usize| n.to_string().len();
    let mut length = body.len() + 1;
    while length != body.len() + digits(length) {
        length = body.len() + digits(length);
    }
    entry(kind, "pax", 0o644, "", format!("{length}{body}").as_bytes())
}

fn end(mut entries: Vec<Vec<u8>>) -> Vec<u8> {
    entries.push(vec![0; 1024]);
    entries.concat()
}

fn read_gz(bytes: &[u8]) -> Shown {
    shown(|visit| targz::read(bytes, tree(), visit))
}

fn read(entries: Vec<Vec<u8>>) -> Shown {
    read_gz(&gzip(&end(entries)))
}

fn error(entries: Vec<Vec<u8>>) -> String {
    let error = read(entries).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeContent, "{error}");
    chain(&error)
}

fn small() -> Vec<Vec<u8>> {
    vec![
        entry(b'5', "go/", 0o755, "", b""),
        file("go/VERSION", "go1.26.5\n"),
        entry(b'5', "go/bin/", 0o755, "", b""),
        file("go/bin/go", "ELF"),
        entry(b'2', "go/bin/link", 0o777, "../bin/go", b""),
        entry(b'1', "go/bin/hard", 0o755, "go/bin/go", b""),
        file("go/src/_go.mod", "module std\n"),
    ]
}

#[test]
fn an_archive_is_read_without_its_top_folder() {
    insta::assert_snapshot!(read(small()).unwrap().join("\n"), @"
    VERSION [9] go1.26.5

    bin/go [3] ELF
    bin/link -> ../bin/go
    bin/hard = bin/go
    src/_go.mod [11] module std
    ");
}

#[test]
fn a_leading_dot_and_slash_is_ignored() {
    let dotted = vec![
        entry(b'5', "./", 0o755, "", b""),
        entry(b'5', "./go/", 0o755, "", b""),
        file("./go/VERSION", "go1.26.5\n"),
        entry(b'5', "././go/bin/", 0o755, "", b""),
        file("./go/bin/go", "ELF"),
        entry(b'2', "./go/bin/link", 0o777, "../bin/go", b""),
        entry(b'1', "./go/bin/hard", 0o755, "./go/bin/go", b""),
        file("go/src/_go.mod", "module std\n"),
    ];
    assert_eq!(read(dotted).unwrap(), read(small()).unwrap());
    insta::assert_snapshot!(error(vec![file("./../x", "")]), @"go.tar.gz: entry `./../x` leaves the tree");
    insta::assert_snapshot!(error(vec![file("./go/../../x", "")]), @"go.tar.gz: entry `./go/../../x` leaves the tree");
    insta::assert_snapshot!(error(vec![file(".//x", "")]), @"go.tar.gz: entry `.//x` is absolute");
    insta::assert_snapshot!(error(vec![file("./go/a", ""), file("go/a", "")]), @"go.tar.gz: entry `go/a` is a duplicate");
    insta::assert_snapshot!(error(vec![file("./VERSION", "")]), @"go.tar.gz: entry `./VERSION` is a file, expected one top folder that contains everything");
    insta::assert_snapshot!(error(vec![file(".", "")]), @"go.tar.gz: entry `.` is a file, expected one top folder that contains everything");
}

#[test]
fn long_names_and_global_comments_are_read() {
    let deep = format!("go/{}/x", "d".repeat(200));
    let shown = read(vec![
        pax(b'g', "comment", "0123"),
        pax(b'x', "path", &deep),
        file("go/short", "1"),
        entry(
            b'L',
            "././@LongLink",
            0,
            "",
            format!("{deep}2\0").as_bytes(),
        ),
        file("go/short", "2"),
    ]);
    let deep = &deep[3..];
    assert_eq!(
        shown.unwrap(),
        [format!("{deep} [1] 1"), format!("{deep}2 [1] 2")]
    );
}

#[test]
fn hostile_entries_are_refused_by_name() {
    insta::assert_snapshot!(error(vec![file("/etc/passwd", "")]), @"go.tar.gz: entry `/etc/passwd` is absolute");
    insta::assert_snapshot!(error(vec![file("go/../../x", "")]), @"go.tar.gz: entry `go/../../x` leaves the tree");
    insta::assert_snapshot!(error(vec![file("go/a\nb", "")]), @r"go.tar.gz: entry `go/a\nb` has characters that are not allowed");
    insta::assert_snapshot!(error(vec![file("go/./a", "")]), @"go.tar.gz: entry `go/./a` has an empty or `.` component");
    insta::assert_snapshot!(error(vec![file("VERSION", "")]), @"go.tar.gz: entry `VERSION` is a file, expected one top folder that contains everything");
    insta::assert_snapshot!(error(vec![file("go/a", ""), file("src/b", "")]), @"go.tar.gz: entry `src/b` is outside the top folder `go`");
    insta::assert_snapshot!(error(vec![file("go/a", ""), file("go/a", "")]), @"go.tar.gz: entry `go/a` is a duplicate");
    insta::assert_snapshot!(error(vec![file("go/a", ""), file("go/a/b", "")]), @"go.tar.gz: entry `go/a/b` needs `a` to be both a folder and something else");
    insta::assert_snapshot!(error(vec![file("go/a/b", ""), file("go/a", "")]), @"go.tar.gz: entry `go/a` needs `a` to be both a folder and something else");
    let folder = || entry(b'5', "go/a/", 0o755, "", b"");
    insta::assert_snapshot!(error(vec![file("go/a", ""), folder()]), @"go.tar.gz: entry `go/a/` needs `a` to be both a folder and something else");
    insta::assert_snapshot!(error(vec![folder(), folder()]), @"go.tar.gz: entry `go/a/` is a duplicate");
    insta::assert_snapshot!(error(vec![entry(b'0', "go/su", 0o4755, "", b"")]), @"go.tar.gz: entry `go/su` has the mode 4755, expected no setuid, setgid or sticky bit");
    insta::assert_snapshot!(error(vec![entry(b'5', "go/tmp/", 0o1777, "", b"")]), @"go.tar.gz: entry `go/tmp/` has the mode 1777, expected no setuid, setgid or sticky bit");
    insta::assert_snapshot!(error(vec![entry(b'0', "go/sg", 0o2755, "", b"")]), @"go.tar.gz: entry `go/sg` has the mode 2755, expected no setuid, setgid or sticky bit");
    insta::assert_snapshot!(error(vec![entry(b'5', "go/a/", 0o755, "", b"x")]), @"go.tar.gz: entry `go/a/` is a folder or a link and has content");
    for special in [b'3', b'4', b'6', b'7', b'V'] {
        let entry = entry(special, "go/null", 0o644, "", b"");
        assert_eq!(
            error(vec![entry]),
            "go.tar.gz: entry `go/null` is neither a file, a folder nor a link"
        );
    }
}

#[test]
fn links_out_of_the_tree_are_refused() {
    let link = |target: &str| entry(b'2', "go/bin/go", 0o777, target, b"");
    insta::assert_snapshot!(error(vec![link("/usr/bin/go")]), @"go.tar.gz: entry `go/bin/go` links to `/usr/bin/go`, which leads out of the tree");
    insta::assert_snapshot!(error(vec![link("../../go")]), @"go.tar.gz: entry `go/bin/go` links to `../../go`, which leads out of the tree");
    // Harmless to read, but not if `x` is a link to a folder further up.
    insta::assert_snapshot!(error(vec![link("x/../../y")]), @"go.tar.gz: entry `go/bin/go` links to `x/../../y`, which leads out of the tree");
    insta::assert_snapshot!(error(vec![link("..")]), @"go.tar.gz: entry `go/bin/go` links to `..`, which leads out of the tree");
    assert!(error(vec![link("")]).contains("leads out"));
    insta::assert_snapshot!(error(vec![link("go2"), file("go/bin/go/x", "")]), @"go.tar.gz: entry `go/bin/go/x` needs `bin/go` to be both a folder and something else");
    let hard = |target: &str| entry(b'1', "go/hard", 0o755, target, b"");
    insta::assert_snapshot!(error(vec![hard("go/later"), file("go/later", "")]), @"go.tar.gz: entry `go/hard` is a hard link to `go/later`, expected an earlier file");
    for target in ["/etc/shadow", "go/../../x", "go", "go/bin/go", "bin/go", ""] {
        let text = error(vec![link("go2"), hard(target)]);
        assert!(text.contains("expected an earlier file"), "{text}");
    }
}

#[test]
fn ambiguous_entries_are_refused() {
    insta::assert_snapshot!(error(vec![pax(b'x', "GNU.sparse.major", "1"), file("go/a", "x")]), @"go.tar.gz: entry `go/a` is stored as a sparse file");
    insta::assert_snapshot!(error(vec![pax(b'g', "path", "go/b"), file("go/a", "x")]), @"go.tar.gz: entry `pax` changes the names or sizes of all entries");
    let mut sparse = entry(b'S', "go/a", 0o644, "", b"");
    sparse[257..265].copy_from_slice(b"ustar  \0");
    sparse[483..495].copy_from_slice(b"00000000000\0");
    seal(&mut sparse);
    insta::assert_snapshot!(error(vec![sparse]), @"go.tar.gz: entry `go/a` is stored as a sparse file");
    // The name in the pax header takes precedence and is checked.
    insta::assert_snapshot!(error(vec![pax(b'x', "path", "/x"), file("go/a", "x")]), @"go.tar.gz: entry `/x` is absolute");
}

#[test]
fn bombs_are_refused() {
    let limited = |limits: Limits, entries: Vec<Vec<u8>>| {
        let archive = gzip(&end(entries));
        let tree = Tree::new("go.tar.gz", limits, MODULE);
        chain(&shown(|visit| targz::read(&archive[..], tree, visit)).unwrap_err())
    };
    let limits = Limits::default();
    insta::assert_snapshot!(limited(limits.bytes(10), small()), @"go.tar.gz: entry `go/bin/go` makes the total size exceed 10 bytes");
    insta::assert_snapshot!(limited(limits.entries(3), small()), @"go.tar.gz: entry `go/bin/link` exceeds the limit of 3 files and folders");
    let deep = format!("go/{}x", "a/".repeat(2000));
    let deep = vec![pax(b'x', "path", &deep), file("go/x", "")];
    assert!(limited(limits.entries(1000), deep).contains("exceeds the limit of 1000 files"));
    let long = entry(b'L', "././@LongLink", 0, "", &vec![b'x'; 2 << 20]);
    insta::assert_snapshot!(limited(limits, vec![file("go/a", ""), long, file("go/b", "")]), @"go.tar.gz: entry `go/a` is followed by headers of more than 1048576 bytes");
    let zeros = vec![file("go/a", ""), vec![0; 8 << 20]];
    insta::assert_snapshot!(limited(limits.bytes(10).entries(10), zeros), @"go.tar.gz cannot be read, in or after entry `go/a`: the archive is larger than allowed");
    // A declared size without content costs nothing.
    let mut huge = file("go/a", "");
    huge[124..136].copy_from_slice(b"77777777777\0");
    seal(&mut huge);
    insta::assert_snapshot!(limited(limits, vec![huge]), @"go.tar.gz: entry `go/a` makes the total size exceed 4294967296 bytes");
}

#[test]
fn the_size_of_the_archive_is_estimated_before_it_is_read() {
    let estimated = |bytes: &[u8]| targz::uncompressed_size(&file_of(bytes));
    assert_eq!(estimated(&gzip(&[0; 10_240])), Some(10_240));
    // The last of two members has less than the file; the size of the first is not known.
    let first: Vec<u8> = (0..2000_u32).map(|n| (n * n).to_le_bytes()[1]).collect();
    assert_eq!(estimated(&[gzip(&first), gzip(b"x")].concat()), None);
    assert_eq!(estimated(b""), None);
    assert_eq!(estimated(b"abc"), None);
}

#[test]
fn truncation_is_found_wherever_it_is() {
    let tar = end(small());
    for cut in 0..tar.len() {
        // Up to the second closing block, every byte is needed.
        let error = read_gz(&gzip(&tar[..cut])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{cut}: {error}");
        assert!(
            matches!(error, SourceError::Truncated { .. }),
            "{cut}: {error}"
        );
    }
    let whole = gzip(&tar);
    for cut in 0..whole.len() {
        let error = read_gz(&whole[..cut]).unwrap_err();
        assert!(
            matches!(error, SourceError::Truncated { .. }),
            "{cut}: {error}"
        );
    }
    let error = read_gz(&gzip(&tar[..512 * 6 + 2])).unwrap_err();
    insta::assert_snapshot!(chain(&error), @"go.tar.gz is truncated, in or after entry `go/bin/go`");
}

#[test]
fn damage_is_found_wherever_it_is() {
    let whole = gzip(&end(small()));
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        // Some bits have no meaning: the time in the header, or unused codes. The content has a
        // checksum.
        if let Ok(shown) = read_gz(&damaged) {
            assert_eq!(shown, read(small()).unwrap(), "{at}");
        }
    }
    let mut bad_crc = whole.clone();
    let crc = bad_crc.len() - 8;
    bad_crc[crc] ^= 1;
    insta::assert_snapshot!(chain(&read_gz(&bad_crc).unwrap_err()), @"go.tar.gz cannot be read, in or after entry `go/src/_go.mod`: corrupt gzip stream does not have a matching checksum");
}

#[test]
fn bytes_after_the_end_are_refused() {
    let whole = gzip(&end(small()));
    let garbage = |bytes: Vec<u8>| {
        let error = read_gz(&bytes).unwrap_err();
        assert!(
            matches!(error, SourceError::TrailingGarbage { .. }),
            "{error}"
        );
        chain(&error)
    };
    insta::assert_snapshot!(garbage([&whole[..], b"x"].concat()), @"go.tar.gz has bytes after its end, in or after entry `go/src/_go.mod`");
    garbage([&whole[..], &[0; 512]].concat());
    garbage([whole.clone(), whole.clone()].concat());
    garbage(gzip(&[end(small()), vec![1]].concat()));
    garbage(gzip(&[end(small()), file("go/late", "")].concat()));
    // Padding is allowed, and the archive may be compressed in several members.
    let padded = gzip(&[end(small()), vec![0; 8704]].concat());
    assert_eq!(read_gz(&padded).unwrap(), read(small()).unwrap());
    let tar = end(small());
    let pieces = [gzip(&tar[..700]), gzip(b""), gzip(&tar[700..])].concat();
    assert_eq!(read_gz(&pieces).unwrap(), read(small()).unwrap());
}

proptest! {
    #[test]
    fn any_bytes_are_an_archive_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read_gz(&bytes);
        let _ = read_gz(&gzip(&bytes));
    }

    #[test]
    fn any_damage_to_headers_is_survived(
        changes in proptest::collection::vec((0usize..9000, any::<u8>()), 1..6),
        kind in any::<u8>(),
        name in "[a-z/.]{0,20}",
        link in "[a-z/.]{0,20}",
    ) {
        let mut tar = end([small(), vec![entry(kind, &name, 0o644, &link, b"")]].concat());
        let _ = read_gz(&gzip(&tar));
        for (at, byte) in changes {
            let at = at % tar.len();
            tar[at] = byte;
            let block = at / 512 * 512;
            if tar[block + 257..].starts_with(b"ustar") {
                seal(&mut tar[block..block + 512]);
            }
        }
        let _ = read_gz(&gzip(&tar));
    }
}
