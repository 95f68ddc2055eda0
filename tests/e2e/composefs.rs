//! Stock `ostree` makes composefs images of our commits, where it was built with composefs.

use ostree_go_tests::cli::run;
use ostree_go_tests::ostree::{has_feature, ostree};
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use std::collections::BTreeSet;
use std::process::Command;

const REF: &str = "go-sdk/x86_64/1.99.1";

/// libostree 2022.7 has no composefs, so that this is tested where a newer version is installed
/// (`make test-libostree`).
#[test]
fn stock_ostree_makes_a_composefs_image_of_a_release() {
    if !has_feature("composefs") {
        return;
    }
    let Some(composefs_info) = tools::require("composefs-info") else {
        return;
    };
    let sandbox = Sandbox::new();
    Toy::new(ostree_go_sdk::Arch::X86_64).tar_gz(&sandbox.path("go.tar.gz"));
    sandbox.treefile(
        "1.99.1",
        &format!("arches: [x86_64]\n{}", source(&sandbox.path("go.tar.gz"))),
    );
    sandbox.run(["init", "--mode", "bare-user"]).ok();
    sandbox.compose([]);
    let image = sandbox.path("release.cfs");
    // Not every file system has fs-verity. libostree writes a temporary file into the working
    // directory, and links it to the destination.
    let mut checkout = Command::new("ostree");
    checkout.args(["checkout", "--repo=repo", "--composefs-noverity", REF]);
    run(checkout.arg(&image).current_dir(sandbox.path(""))).ok();

    let dump = run(Command::new(composefs_info).arg("dump").arg(&image)).ok();
    let in_image: BTreeSet<_> = dump
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    let listed = ostree(&sandbox.repo(), ["ls", "-R", "--nul-filenames-only", REF]);
    let in_commit: BTreeSet<_> = listed
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    assert!(in_commit.len() > 12, "{in_commit:?}");
    // libostree adds directories that a booted system mounts on.
    let added = ["/boot", "/etc", "/sysroot", "/var"].map(str::to_owned);
    let expected: BTreeSet<_> = in_commit.iter().chain(&added).cloned().collect();
    let in_image: BTreeSet<_> = in_image.iter().chain(&added).cloned().collect();
    assert_eq!(in_image, expected);
}
