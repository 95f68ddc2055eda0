//! Tests with hand-made RPMs whose digests are valid, so that hostile content is reached.

use insta::assert_snapshot;
use proptest::prelude::*;
use sha2::Digest;
use std::fmt::Write as _;

use super::{chain, file_of, shown};
use crate::arch::Arch;
use crate::source::rpm::{Packages, read};
use crate::source::{Limits, SourceError};

/// A file of a package: path, mode, content or target, and the inode if it has several names.
#[derive(Clone)]
struct Item {
    path: String,
    mode: u32,
    content: Vec<u8>,
    inode: u32,
    links: u32,
}

fn item(path: &str, mode: u32, content: &str) -> Item {
    Item {
        path: path.to_owned(),
        mode,
        content: content.into(),
        inode: 0,
        links: 1,
    }
}

fn file(path: &str, content: &str) -> Item {
    item(path, 0o100_644, content)
}

fn link(path: &str, target: &str) -> Item {
    item(path, 0o120_777, target)
}

/// A minimal SDK.
fn sdk() -> Vec<Item> {
    vec![
        item("/usr/lib/golang", 0o040_755, ""),
        file("/usr/lib/golang/VERSION", "go1.26.5\n"),
        file("/usr/lib/golang/bin/go", "ELF"),
        file("/usr/share/doc/golang/README", "read me"),
    ]
}

fn with(items: &[Item]) -> Vec<Item> {
    [sdk(), items.to_vec()].concat()
}

fn hex(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Encodes a header from values: tag, type, count, bytes.
fn header(values: &[(u32, u32, usize, Vec<u8>)]) -> Vec<u8> {
    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, kind, count, bytes) in values {
        let fields = [*tag, *kind, store.len() as u32, *count as u32];
        index.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
        store.extend(bytes);
    }
    let mut header = b"\x8e\xad\xe8\x01\0\0\0\0".to_vec();
    header.extend((values.len() as u32).to_be_bytes());
    header.extend((store.len() as u32).to_be_bytes());
    [header, index, store].concat()
}

fn text(tag: u32, text: &str) -> (u32, u32, usize, Vec<u8>) {
    (tag, 6, 1, format!("{text}\0").into_bytes())
}

fn texts(tag: u32, all: &[&str]) -> (u32, u32, usize, Vec<u8>) {
    let bytes = all.iter().flat_map(|text| format!("{text}\0").into_bytes());
    (tag, 8, all.len(), bytes.collect())
}

fn cpio(items: &[Item]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut put = |name: &str, item: Option<&Item>| {
        let (mode, size) = item.map_or((0, 0), |item| (item.mode, item.content.len()));
        let (inode, links) = item.map_or((0, 1), |item| (item.inode, item.links));
        let name_size = name.len() + 1;
        let head = format!(
            "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{links:08x}{0:08x}{size:08x}{0:08x}{0:08x}{0:08x}{0:08x}{name_size:08x}{0:08x}{name}\0",
            0
        );
        archive.extend(head.into_bytes());
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(item.map(|item| item.content.clone()).unwrap_or_default());
        archive.resize(archive.len().next_multiple_of(4), 0);
    };
    for item in items {
        put(&format!(".{}", item.path), Some(item));
    }
    put("TRAILER!!!", None);
    archive
}

/// An uncompressed RPM.
struct Rpm {
    listed: Vec<Item>,
    payload: Vec<u8>,
    version: &'static str,
    arch: &'static str,
    compressor: Option<&'static str>,
}

impl Rpm {
    fn of(items: &[Item]) -> Self {
        Self {
            listed: items.to_vec(),
            payload: cpio(items),
            version: "1.26.5",
            arch: "x86_64",
            compressor: None,
        }
    }

    fn main(&self) -> Vec<u8> {
        let items = &self.listed;
        let split: Vec<(&str, &str)> = items
            .iter()
            .map(|item| item.path.rsplit_once('/').unwrap())
            .collect();
        let folders: Vec<String> = split
            .iter()
            .map(|(folder, _)| format!("{folder}/"))
            .collect();
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        let names: Vec<&str> = split.iter().map(|(_, name)| *name).collect();
        let indexes = (0..items.len() as u32).flat_map(u32::to_be_bytes).collect();
        let modes = items
            .iter()
            .flat_map(|item| (item.mode as u16).to_be_bytes());
        let targets: Vec<String> = items
            .iter()
            .map(|item| match item.mode & 0o170_000 {
                0o120_000 => String::from_utf8_lossy(&item.content).into_owned(),
                _ => String::new(),
            })
            .collect();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let mut values = vec![
            text(1001, self.version),
            text(1002, "1"),
            text(1022, self.arch),
            (1030, 3, items.len(), modes.collect()),
            texts(1036, &targets),
            text(1044, "golang.src.rpm"),
            (1116, 4, items.len(), indexes),
            texts(1117, &names),
            texts(1118, &folders),
            text(1124, "cpio"),
            texts(5092, &[&hex(&self.payload)]),
            (5093, 4, 1, 8_u32.to_be_bytes().to_vec()),
        ];
        values.extend(self.compressor.map(|method| text(1125, method)));
        header(&values)
    }

    fn bytes(&self) -> Vec<u8> {
        assembled(&self.main(), &self.payload)
    }
}

/// Assembles a file with this main header and its digest.
fn assembled(main: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut file = b"\xed\xab\xee\xdb\x03".to_vec();
    file.resize(96, 0);
    let size = (main.len() + payload.len()) as u32;
    file.extend(header(&[
        text(273, &hex(main)),
        (1000, 4, 1, size.to_be_bytes().to_vec()),
    ]));
    file.resize(file.len().next_multiple_of(8), 0);
    [&file, main, payload].concat()
}

fn read_bytes(files: &[(&str, Vec<u8>)], limits: Limits) -> Result<Vec<String>, SourceError> {
    let files = files
        .iter()
        .map(|(name, bytes)| (*name, file_of(bytes), bytes.len() as u64));
    let packages = Packages::of(files.collect(), Arch::X86_64)?;
    shown(|visit| read(&packages, &limits, visit))
}

fn read_all(rpms: &[Rpm]) -> Result<Vec<String>, SourceError> {
    const NAMES: [&str; 2] = ["a.rpm", "b.rpm"];
    let files: Vec<(&str, Vec<u8>)> = NAMES
        .into_iter()
        .zip(rpms)
        .map(|(name, rpm)| (name, rpm.bytes()))
        .collect();
    read_bytes(&files, Limits::default())
}

fn tree(items: &[Item]) -> String {
    read_all(&[Rpm::of(items)]).unwrap().join("\n")
}

fn error(rpms: &[Rpm]) -> String {
    chain(&read_all(rpms).unwrap_err())
}

fn refused(items: &[Item]) -> String {
    error(&[Rpm::of(items)])
}

#[test]
fn the_sdk_is_what_lies_below_goroot() {
    assert_snapshot!(tree(&with(&[
        link("/usr/bin/go", "/usr/lib/golang/bin/go"),
        link("/usr/lib/golang/bin/linux_amd64/go", "/usr/lib/golang/bin/go"),
        link("/usr/lib/golang/bin/linux_amd64/gofmt", "../go"),
        item("/etc/alternatives/go", 0o060_644, ""),
    ])), @r"
    VERSION [9] go1.26.5

    bin/go [3] ELF
    bin/linux_amd64/go -> ../go
    bin/linux_amd64/gofmt -> ../go
    ");
}

#[test]
fn a_linked_folder_replaces_its_link() {
    assert_snapshot!(tree(&with(&[
        link("/usr/lib/golang/src", "../../share/golang/src"),
        file("/usr/share/golang/src/fmt/print.go", "package fmt"),
        link("/usr/share/golang/src/fmt/a.go", "print.go"),
    ])), @r"
    VERSION [9] go1.26.5

    bin/go [3] ELF
    src/fmt/print.go [11] package fmt
    src/fmt/a.go -> print.go
    ");
}

/// rpm stores the content of a file with several names at the last name.
#[test]
fn a_file_with_hard_links_is_visited_once() {
    let names = |paths: &[&str]| -> Vec<Item> {
        let one = |(index, path): (usize, &&str)| Item {
            inode: 7,
            links: paths.len() as u32,
            ..file(path, if index + 1 == paths.len() { "x" } else { "" })
        };
        paths.iter().enumerate().map(one).collect()
    };
    let pkg = "/usr/lib/golang/pkg/";
    let inside = [
        &*format!("{pkg}a"),
        &*format!("{pkg}b"),
        &*format!("{pkg}c"),
    ];
    assert_snapshot!(tree(&with(&names(&inside))).replace('\n', " "), @"VERSION [9] go1.26.5  bin/go [3] ELF pkg/a [1] x pkg/b = pkg/a pkg/c = pkg/a");
    let outside = [inside[0], "/usr/share/x"];
    assert_snapshot!(tree(&with(&names(&outside))).replace('\n', " "), @"VERSION [9] go1.26.5  bin/go [3] ELF pkg/a [1] x");
    let mut lacking = names(&inside);
    lacking.pop();
    assert_snapshot!(refused(&with(&lacking)), @"a.rpm cannot be read, in or after entry `/usr/lib/golang/pkg/b`: a file with several names has no content");
}

#[test]
fn unsupported_entries_are_refused() {
    let entry = |entry: Item| refused(&with(&[entry]));
    let all = [
        entry(item("/usr/lib/golang/bin/su", 0o104_755, "")),
        entry(item("/usr/lib/golang/pipe", 0o010_644, "")),
        entry(file("/usr/lib/golang/../../../etc/passwd", "")),
        entry(file("/usr/lib/golang/a\\b", "")),
        entry(file("/usr/lib/golang/VERSION/x", "")),
        entry(file("/usr/lib/golang/bin/go", "again")),
        entry(link("/usr/lib/golang/bin/gofmt", "/etc/alternatives/gofmt")),
        entry(link("/usr/lib/golang/usr", "../../../usr")),
    ];
    assert_snapshot!(all.join("\n"), @r"
    a.rpm: entry `/usr/lib/golang/bin/su` has the mode 4755, expected no setuid, setgid or sticky bit
    a.rpm: entry `/usr/lib/golang/pipe` is neither a file, a folder nor a link
    a.rpm: entry `/usr/lib/golang/../../../etc/passwd` leaves the tree
    a.rpm: entry `/usr/lib/golang/a\\b` has characters that are not allowed
    a.rpm: entry `/usr/lib/golang/VERSION/x` needs `VERSION` to be both a folder and something else
    a.rpm: entry `/usr/lib/golang/bin/go` is a duplicate
    a.rpm: entry `/usr/lib/golang/bin/gofmt` links to `/etc/alternatives/gofmt`, which leads out of the tree
    a.rpm: entry `/usr/lib/golang/usr` links to `../../../usr`, which leads out of the tree
    ");
}

#[test]
fn header_and_payload_list_the_same() {
    let mut more = Rpm::of(&with(&[file("/usr/lib/golang/x", "")]));
    more.listed = sdk();
    let mut less = Rpm::of(&sdk());
    less.listed = with(&[file("/usr/lib/golang/x", "")]);
    let mut other = Rpm::of(&with(&[file("/usr/lib/golang/x", "")]));
    other.listed = with(&[link("/usr/lib/golang/x", "y")]);
    assert_snapshot!([error(&[more]), error(&[less]), error(&[other])].join("\n"), @"
    a.rpm has `/usr/lib/golang/x` in its payload, but not in its header
    a.rpm has `/usr/lib/golang/x` in its header, but not in its payload
    a.rpm has `/usr/lib/golang/x` in its payload, but not in its header
    ");
}

#[test]
fn packages_belong_together() {
    let second = |items: &[Item]| error(&[Rpm::of(&sdk()), Rpm::of(items)]);
    let same = [Rpm::of(&sdk()), Rpm::of(&sdk()[1..2])];
    assert_eq!(read_all(&same).unwrap().len(), 2, "once each");
    let mut old = Rpm::of(&[file("/usr/lib/golang/src/x", "")]);
    old.version = "1.26.4";
    let mut doc = Rpm::of(&[file("/usr/share/doc/x", "")]);
    doc.version = "1.26.4";
    assert_eq!(read_all(&[Rpm::of(&sdk()), doc]).unwrap().len(), 2);
    let mut arm = Rpm::of(&sdk());
    arm.arch = "aarch64";
    let mut bzip2 = Rpm::of(&sdk());
    bzip2.compressor = Some("bzip2");
    let all = [
        second(&[file("/usr/lib/golang/VERSION", "go1.26.4\n")]),
        second(&[link("/usr/lib/golang/VERSION", "x")]),
        second(&[file("/usr/lib/golang/VERSION/x", "")]),
        error(&[Rpm::of(&sdk()), old]),
        error(&[arm]),
        error(&[bzip2]),
        refused(&sdk()[..2]),
    ];
    assert_snapshot!(all.join("\n"), @"
    b.rpm has other content at `/usr/lib/golang/VERSION` than a.rpm
    b.rpm has other content at `/usr/lib/golang/VERSION` than a.rpm
    b.rpm: entry `/usr/lib/golang/VERSION/x` needs `VERSION` to be both a folder and something else
    b.rpm is of version 1.26.4-1, expected that of a.rpm, 1.26.5-1
    a.rpm is for aarch64, expected x86_64 or noarch
    a.rpm has a payload compressed by bzip2, expected gzip, xz or zstd
    a.rpm: no folder has both VERSION and bin/go; VERSION is in /usr/lib/golang
    ");
}

#[test]
fn limits_hold() {
    let bytes = Rpm::of(&sdk()).bytes();
    let refused = |limits| {
        let files = [("a.rpm", bytes.clone())];
        chain(&read_bytes(&files, limits).unwrap_err())
    };
    assert_snapshot!([
        refused(Limits::default().bytes(10)),
        refused(Limits::default().entries(2)),
    ].join("\n"), @"
    a.rpm: entry `/usr/lib/golang/bin/go` makes the total size exceed 10 bytes
    a.rpm: entry `/usr/lib/golang/bin/go` exceeds the limit of 2 files and folders
    ");
    let mut long = Rpm::of(&sdk());
    long.payload.resize(2 << 20, 0);
    assert_snapshot!(error(&[long]), @"a.rpm has bytes after its end, in or after entry `/usr/share/doc/golang/README`");
}

#[test]
fn errors_locate_the_damage() {
    let rpm = Rpm::of(&sdk());
    let read = |bytes: Vec<u8>| {
        let text = chain(&read_bytes(&[("a.rpm", bytes)], Limits::default()).unwrap_err());
        let words = text.split(' ').map(|word| {
            if word.trim_end_matches(',').len() == 64 {
                "[sha256]"
            } else {
                word
            }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let whole = rpm.bytes();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        read(bytes)
    };
    let main = whole.len() - rpm.payload.len() - 1;
    assert_snapshot!([
        read(Vec::new()),
        read(b"<html>".to_vec()),
        read(whole[..50].to_vec()),
        read(whole[..200].to_vec()),
        read(whole[..whole.len() - 1].to_vec()),
        read([&*whole, b"x"].concat()),
        flipped(96),
        flipped(main),
        flipped(whole.len() - 1),
        flipped(main + 20),
    ].join("\n"), @"
    a.rpm is not an RPM
    a.rpm is not an RPM
    a.rpm is truncated
    a.rpm is truncated
    a.rpm is truncated
    a.rpm has bytes after its end
    a.rpm has a header that cannot be read: it does not start with the magic number
    a.rpm has a header with the SHA-256 [sha256] expected [sha256]
    a.rpm has a payload with the SHA-256 [sha256] expected [sha256]
    a.rpm has a payload with the SHA-256 [sha256] expected [sha256]
    ");
}

proptest! {
    /// The digests are computed for the modified RPM, as an attacker would.
    #[test]
    fn any_header_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let rpm = Rpm::of(&with(&[link("/usr/lib/golang/src", "../../share/golang/src")]));
        let mut main = rpm.main();
        for (at, byte) in &changes {
            let at = at.index(main.len());
            main[at] = *byte;
        }
        let bytes = assembled(&main, &rpm.payload);
        let _ = read_bytes(&[("a.rpm", bytes)], Limits::default());
    }

    #[test]
    fn any_payload_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut rpm = Rpm::of(&with(&[
            link("/usr/lib/golang/bin/gofmt", "go"),
            Item { inode: 1, links: 2, ..file("/usr/lib/golang/x", "") },
            Item { inode: 1, links: 2, ..file("/usr/lib/golang/y", "both") },
        ]));
        for (at, byte) in &changes {
            let at = at.index(rpm.payload.len());
            rpm.payload[at] = *byte;
        }
        let _ = read_all(&[rpm]);
    }

    #[test]
    fn any_signature_header_is_read_or_refused(
        at in 96..300_usize, byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Rpm::of(&sdk()).bytes();
        bytes[at] = byte;
        let _ = read_bytes(&[("a.rpm", bytes.clone())], Limits::default());
        bytes.truncate(cut.index(bytes.len()));
        let _ = read_bytes(&[("a.rpm", bytes)], Limits::default());
    }
}
