//! RPMs that are damaged, untrusted or not the expected ones.

use super::{Bad, TOY};
use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::rpm::{Golang, Rpms, rpmbuild, run, sign};
use ostree_go_tests::toy::Toy;
use std::fs;
use std::path::Path;

/// Builds packages of the toy SDK 1.99.1, next to a repository that contains it from another source.
fn packages(golang: Golang) -> Option<(Bad, Rpms)> {
    let bad = Bad::new();
    let toy = bad.sandbox.path("toy");
    Toy::new(Arch::X86_64).dir(&toy);
    let rpms = golang.build(&toy, &bad.sandbox.path("rpms"))?;
    Some((bad, rpms))
}

fn golang() -> Golang {
    Golang::new(TOY, Arch::X86_64).payload("w6.gzdio")
}

/// Asserts that a compose for x86_64 from a `source:` line fails.
#[track_caller]
fn refused(bad: &Bad, lines: &str, code: i32) -> String {
    let lines = format!("arches: [x86_64]\n{lines}");
    bad.sandbox.treefile(TOY, &lines);
    bad.compose([], code)
}

/// Returns a source with one RPM.
fn one(rpm: &Path) -> String {
    format!("source: [{{ rpm: [\"{}\"] }}]", rpm.display())
}

#[test]
fn a_damaged_package() {
    let Some((bad, rpms)) = packages(golang()) else {
        return;
    };
    let whole = fs::read(&rpms.bin).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&rpms.bin, bytes).unwrap();
    };
    let last = whole.len() - 30;
    with(&|bytes| bytes[last] ^= 1);
    assert_snapshot!(refused(&bad, &rpms.source(""), 1), @"error: [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm has a payload with the SHA-256 [sha256], expected [sha256]");
    with(&|bytes| bytes.truncate(last));
    assert_snapshot!(refused(&bad, &rpms.source(""), 1), @"error: [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm is truncated");
    with(&|bytes| bytes.push(0));
    assert_snapshot!(refused(&bad, &rpms.source(""), 1), @"error: [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm has bytes after its end");
    let name = whole
        .windows(10)
        .rposition(|bytes| bytes == b"golang-bin")
        .unwrap();
    with(&|bytes| bytes[name] = b'G');
    assert_snapshot!(refused(&bad, &rpms.source(""), 1), @"error: [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm has a header with the SHA-256 [sha256], expected [sha256]");
    with(&|bytes| *bytes = b"<html>Not found</html>".to_vec());
    assert_snapshot!(refused(&bad, &rpms.source(""), 1), @"error: [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm is not an RPM");
    fs::remove_file(&rpms.bin).unwrap();
    assert_snapshot!(refused(&bad, &rpms.source(""), 1), @"
    error: cannot read [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm
      No such file or directory (os error 2)
    ");
    fs::create_dir(&rpms.bin).unwrap();
    assert_snapshot!(refused(&bad, &rpms.source(""), 1), @"
    error: cannot read [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm
      Is a directory (os error 21)
    ");
}

#[test]
fn a_package_that_does_not_match_its_pin() {
    let Some((bad, rpms)) = packages(golang()) else {
        return;
    };
    let zeros = "0".repeat(64);
    let pinned = format!(
        "source: [{{ rpm: [{{ path: \"{}\", sha256: {zeros} }}] }}]",
        rpms.bin.display()
    );
    assert_snapshot!(refused(&bad, &pinned, 3), @"error: [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm has the SHA-256 [sha256], expected [sha256]");
    let pin = |pin: &str| format!("{}\npin: {{ x86_64: {{ {pin} }} }}", rpms.source(""));
    assert_snapshot!(refused(&bad, &pin(&format!("sha256: {zeros}")), 1), @"
    error: [dir]/rpms/golang-1.99.1-1.test.x86_64.rpm, [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm, [dir]/rpms/golang-src-1.99.1-1.test.noarch.rpm cannot be checked against a SHA-256 of an archive, expected an h1 pin
    hint: pin an h1 as well, or give each RPM a `sha256` instead
    ");
    let h1 = "h1: \"h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
    assert_snapshot!(refused(&bad, &pin(h1), 3), @"error: content of golang-1.99.1-1.test.x86_64.rpm, golang-bin-1.99.1-1.test.x86_64.rpm, golang-src-1.99.1-1.test.noarch.rpm has h1:xGI+m+Uc7vajBXD/JaMTeNnXlrDUUb3g6cuMNz/bzMY=, expected h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let url = "source: [{ rpm: [\"https://example.com/golang.rpm\"] }]";
    assert_snapshot!(refused(&bad, url, 1), @"error: go.yaml:4: source: `https://example.com/golang.rpm` has neither `sha256` nor `gpgkey` nor an h1 pin for x86_64");
}

#[test]
fn a_package_signed_by_another_key() {
    let Some((bad, rpms)) = packages(golang()) else {
        return;
    };
    let (vendor, thief) = (Gpg::new(), Gpg::new());
    let (vendor_key, thief_key) = (vendor.key("vendor"), thief.key("thief"));
    fs::copy(vendor.export(&vendor_key), bad.sandbox.path("vendor.asc")).unwrap();
    let source = rpms.source(", gpgkey: [vendor.asc]");
    assert_snapshot!(refused(&bad, &source, 3), @"error: [dir]/rpms/golang-1.99.1-1.test.x86_64.rpm is not signed, expected a signature by a key of the treefile");
    for rpm in [&rpms.golang, &rpms.bin, &rpms.src] {
        sign(rpm, thief.home(), &thief_key);
    }
    let said = refused(&bad, &source, 3).replace(&thief_key, "[thief]");
    assert_snapshot!(said, @"
    error: [dir]/rpms/golang-1.99.1-1.test.x86_64.rpm has no valid signature by a key of the treefile: gpg [thief] made by an unknown key
    hint: `rpmkeys -Kv` shows who signed a package
    ");
    // A signature of another header. Leading zero bytes of its numbers are left out, so the lengths
    // can differ. `rpmsign` skips a package that is signed by the same key, and the signatures of
    // EdDSA depend on the key, the content and the second only: every attempt has a key of its own.
    let (vendor_key, golang, mut bin) = (0..20)
        .find_map(|attempt| {
            let key = vendor.key(&format!("vendor{attempt}"));
            for rpm in [&rpms.golang, &rpms.bin, &rpms.src] {
                sign(rpm, vendor.home(), &key);
            }
            let [golang, bin] = [&rpms.golang, &rpms.bin].map(|rpm| fs::read(rpm).unwrap());
            (packet(&golang).len() == packet(&bin).len()).then_some((key, golang, bin))
        })
        .expect("two signatures of one length");
    fs::copy(vendor.export(&vendor_key), bad.sandbox.path("vendor.asc")).unwrap();
    let (from, to) = (packet(&golang), packet(&bin));
    bin[to].copy_from_slice(&golang[from]);
    fs::write(&rpms.bin, bin).unwrap();
    let said = refused(&bad, &source, 3).replace(&vendor_key, "[vendor]");
    assert_snapshot!(said, @"
    error: [dir]/rpms/golang-bin-1.99.1-1.test.x86_64.rpm has no valid signature by a key of the treefile: gpg [vendor] made for other content
    hint: `rpmkeys -Kv` shows who signed a package
    ");
    assert_snapshot!(refused(&bad, &rpms.source(", gpgkey: [nobody.asc]"), 1), @"
    error: the signatures of [dir]/rpms/golang-1.99.1-1.test.x86_64.rpm cannot be checked
      cannot read public keys from nobody.asc: No such file or directory (os error 2)
    ");
    bad.sandbox.write("empty.asc", "no key");
    assert_snapshot!(refused(&bad, &rpms.source(", gpgkey: [empty.asc]"), 1), @"
    error: the signatures of [dir]/rpms/golang-1.99.1-1.test.x86_64.rpm cannot be checked
      there are no public GPG keys in empty.asc
    ");
}

/// Returns the position of the OpenPGP signature of the header: the value of the tag DSAHEADER (267).
fn packet(rpm: &[u8]) -> std::ops::Range<usize> {
    let number = |at: usize| u32::from_be_bytes(rpm[at..at + 4].try_into().unwrap()) as usize;
    let entries = number(96 + 8);
    let index = 96 + 16;
    let entry = (0..entries)
        .map(|n| index + 16 * n)
        .find(|at| number(*at) == 267);
    let entry = entry.expect("an EdDSA signature");
    let begin = index + 16 * entries + number(entry + 8);
    begin..begin + number(entry + 12)
}

#[test]
fn packages_of_another_kind() {
    let Some((bad, rpms)) = packages(golang()) else {
        return;
    };
    let arm = bad.sandbox.path("toy-arm");
    Toy::new(Arch::Aarch64).dir(&arm);
    let Some(arm) = Golang::new(TOY, Arch::Aarch64).build(&arm, &bad.sandbox.path("arm")) else {
        return;
    };
    assert_snapshot!(refused(&bad, &arm.source(""), 3), @"error: [dir]/arm/golang-1.99.1-1.test.aarch64.rpm is for aarch64, expected x86_64 or noarch");
    let spec = bad.sandbox.path("rpms/golang.spec");
    run(rpmbuild(&bad.sandbox.path("rpms"), "w6.gzdio")
        .arg("-bs")
        .arg(spec));
    let source = bad
        .sandbox
        .path("rpms")
        .join(format!("golang-{TOY}-1.test.src.rpm"));
    assert_snapshot!(refused(&bad, &one(&source), 1), @"
    error: [dir]/rpms/golang-1.99.1-1.test.src.rpm is a source RPM, expected a binary one
    hint: use the binary packages that are built from it
    ");
    assert_snapshot!(refused(&bad, &one(&rpms.golang), 1), @"
    error: [dir]/rpms/golang-1.99.1-1.test.x86_64.rpm: no folder has both VERSION and bin/go; VERSION is in /usr/lib/golang
    hint: list all packages of the SDK under `rpm`: golang, golang-bin and golang-src
    ");
    assert_snapshot!(refused(&bad, &one(&rpms.src), 1), @"
    error: [dir]/rpms/golang-src-1.99.1-1.test.noarch.rpm: no folder has both VERSION and bin/go, and none has VERSION
    hint: list all packages of the SDK under `rpm`: golang, golang-bin and golang-src
    ");
}

#[test]
fn a_compression_that_is_not_known() {
    let Some((bad, rpms)) = packages(golang().payload("w9.bzdio")) else {
        return;
    };
    assert_snapshot!(refused(&bad, &rpms.source(""), 1), @"error: [dir]/rpms/golang-1.99.1-1.test.x86_64.rpm has a payload compressed by bzip2, expected gzip, xz or zstd");
}

#[test]
fn packages_that_do_not_fit_together() {
    let Some((bad, rpms)) = packages(golang()) else {
        return;
    };
    let build = |name: &str, version: &str, toy: Toy, golang: Golang| {
        let dir = bad.sandbox.path(&format!("toy-{name}"));
        toy.version(version).dir(&dir);
        golang
            .build(&dir, &bad.sandbox.path(name))
            .expect("rpmbuild is here")
    };
    let other = Golang::new("1.99.2", Arch::X86_64);
    let mut mixed = rpms.clone();
    mixed.src = build("next", "1.99.2", Toy::new(Arch::X86_64), other).src;
    assert_snapshot!(refused(&bad, &mixed.source(""), 3), @"
    error: [dir]/next/golang-src-1.99.2-1.test.noarch.rpm is of version 1.99.2-1.test, expected that of [dir]/rpms/golang-1.99.1-1.test.x86_64.rpm, 1.99.1-1.test
    hint: use packages from the same build
    ");
    let patched = Toy::new(Arch::X86_64).with("src/fmt/print.go", "package other\n");
    let twice = build("patched", TOY, patched, golang());
    let all = rpms
        .source("")
        .replace("] }]", &format!(", \"{}\"] }}]", twice.src.display()));
    assert_snapshot!(refused(&bad, &all, 1), @"error: [dir]/patched/golang-src-1.99.1-1.test.noarch.rpm has other content at `/usr/lib/golang/src/fmt/print.go` than [dir]/rpms/golang-src-1.99.1-1.test.noarch.rpm");
    let away = golang().install("ln -s /etc/alternatives/go $root/usr/lib/golang/bin/alt");
    let away = build("away", TOY, Toy::new(Arch::X86_64), away);
    assert_snapshot!(refused(&bad, &away.source(""), 1), @"error: [dir]/away/golang-bin-1.99.1-1.test.x86_64.rpm: entry `/usr/lib/golang/bin/alt` links to `/etc/alternatives/go`, which leads out of the tree");
}

/// Changes bytes at many positions: either the package is refused, or the byte has no meaning and the result is the same.
#[test]
fn a_change_of_any_byte_is_handled() {
    let Some((bad, rpms)) = packages(golang()) else {
        return;
    };
    let whole = fs::read(&rpms.bin).unwrap();
    bad.sandbox
        .treefile(TOY, &format!("arches: [x86_64]\n{}", rpms.source("")));
    // Every seventh byte of the headers, and some of the payload.
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let mut bytes = whole.clone();
        bytes[at] = bytes[at].wrapping_add(0x41);
        fs::write(&rpms.bin, bytes).unwrap();
        let mut command = bad
            .sandbox
            .ostree_go(["compose", "go.yaml", "--repo=mutated"]);
        let out = ostree_go_tests::cli::run(&mut command);
        assert!(!out.stderr.contains("panicked"), "{at}: {}", out.stderr);
    }
}
