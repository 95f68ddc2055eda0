//! Invalid treefiles, which are refused before any source is opened.

use super::Bad;
use insta::assert_snapshot;

/// Composes a treefile with this text, and returns the error message.
#[track_caller]
fn error(text: &str) -> String {
    let bad = Bad::new();
    bad.sandbox.write("go.yaml", text);
    // The filters end with `bad`, so the folder is taken out here.
    let folder = bad.sandbox.path("");
    bad.compose([], 1).replace(folder.to_str().unwrap(), "")
}

#[test]
fn no_such_treefile() {
    let bad = Bad::new();
    let mut command = bad.sandbox.ostree_go(["compose", "missing.yaml"]);
    assert_snapshot!(bad.refuse(&mut command, 1), @"
    error: missing.yaml: cannot read the treefile
      No such file or directory (os error 2)
    ");
}

#[test]
fn a_syntax_error() {
    assert_snapshot!(error("version: 1.99.1\nlayers: [a, b\nprefix: /usr\n"), @"error: go.yaml:3: layers: not well-formed YAML: illegal placement of ':' indicator");
}

#[test]
fn an_unknown_key() {
    assert_snapshot!(error("version: 1.99.1\nlayers:\n  all: { inclued: [src] }\n"), @"
    error: go.yaml:3: layers.all: unknown key `inclued`
    hint: did you mean `include`?
    ");
    assert_snapshot!(error("version: 1.99.1\nchanels: []\nlayers: {}\n"), @"
    error: go.yaml:2: unknown key `chanels`
    hint: did you mean `channels`?
    ");
}

#[test]
fn an_unknown_variable() {
    assert_snapshot!(error("version: 1.99.1\nref: go-sdk/${basarch}/x\nlayers: {}\n"), @"
    error: go.yaml:2: ref: unknown variable `${basarch}`
    hint: did you mean `${basearch}`?
    ");
}

#[test]
fn a_duplicate_key() {
    assert_snapshot!(error("version: 1.99.1\nprefix: /a\nprefix: /b\n"), @"error: go.yaml:3: the key `prefix` is already set on line 2");
}

#[test]
fn a_reserved_metadata_key() {
    let text = "version: 1.99.1\nlayers: { all: { include: [src] } }\nadd-commit-metadata: { sdk.version: x }\n";
    assert_snapshot!(error(text), @"error: go.yaml:3: add-commit-metadata: `sdk.version` is not a key that can be added, expected none of `version`, `sdk.…` and `ostree.…`");
}

#[test]
fn an_arch_that_the_treefile_does_not_have() {
    let bad = Bad::new();
    bad.treefile(super::TOY, &bad.sandbox.path("x86_64.tar.gz"), "");
    assert_snapshot!(bad.compose(["--arch", "aarch64"], 1), @"error: go.yaml: no release for aarch64, expected one of the treefile's arches: x86_64");
}

#[test]
fn no_source() {
    let bad = Bad::new();
    bad.sandbox.treefile("1.99.2", "source: []");
    assert_snapshot!(bad.compose([], 1), @"
    error: no source of go-sdk/x86_64/1.99.2 can be used
      the treefile names none
    ");
}
