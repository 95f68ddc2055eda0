//! `checkout`: links and copies, complete and partial trees, new and existing directories.

use ostree_go_tests::cli::run;
use ostree_go_tests::host::read;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

fn sandbox(mode: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    Toy::new(ostree_go_sdk::Arch::X86_64).tar_gz(&sandbox.path("go.tar.gz"));
    sandbox.treefile(
        "1.99.1",
        &format!("arches: [x86_64]\n{}", source(&sandbox.path("go.tar.gz"))),
    );
    sandbox.run(["init", "--mode", mode]).ok();
    sandbox.compose([]);
    sandbox
}

const REF: &str = "go-sdk/x86_64/1.99.1";
const PRINT: &str = "usr/lib/sdk/go-1.99/src/fmt/print.go";

#[test]
fn a_kill_leaves_nothing_at_the_destination() {
    let sandbox = sandbox("bare-user");
    let mut command = sandbox.ostree_go(["checkout", REF, "tree"]);
    let out = run(command.env("OSTREE_GO_FAILPOINT", "checkout.synced"));
    assert_eq!(out.status.signal(), Some(9), "{}", out.stderr);
    assert!(!sandbox.path("tree").exists());
    let leftovers = || {
        let names = fs::read_dir(sandbox.path("")).unwrap().flatten();
        let names = names.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".tree.")).count()
    };
    assert_eq!(leftovers(), 1);
    sandbox.run(["checkout", REF, "tree"]).ok();
    assert_eq!(leftovers(), 0);
    sandbox.fsck();
}

#[test]
fn a_checkout_reports_links_and_copies() {
    for (mode, links) in [
        ("bare-user", true),
        ("bare-user-only", true),
        ("archive", false),
    ] {
        let sandbox = sandbox(mode);
        let out = sandbox
            .run(["checkout", REF, "linked", "--format", "json"])
            .ok();
        let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(json["copied_files"] == 0, links, "{mode}: {json:#}");
        assert_eq!(json["other_file_system"], false);
        let nlink = |path: &str| sandbox.path(path).join(PRINT).metadata().unwrap().nlink();
        assert_eq!(nlink("linked") > 1, links, "{mode}");
        sandbox.run(["checkout", REF, "copied", "--copy"]).ok();
        assert_eq!(nlink("copied"), 1, "{mode}");
        // Writing to a copy does the repository no harm.
        fs::write(sandbox.path("copied").join(PRINT), "changed").unwrap();
        sandbox.fsck();
        let out = sandbox.run(["checkout", REF, "copied"]).exits(1);
        assert!(
            out.stderr.contains("copied exists already"),
            "{}",
            out.stderr
        );
        // The stock command makes the same tree.
        let stock = sandbox.checkout(REF, "stock");
        // It links what it has unpacked of an archive to a cache.
        assert_eq!(
            look(&sandbox.path("linked"), links),
            look(&stock, links),
            "{mode}"
        );
        let mut diff = Command::new("diff");
        let diff = diff.arg("-r").arg(stock).arg(sandbox.path("linked"));
        run(diff).ok();
    }
}

/// Returns all entries below a directory: type, mode and size; the time of directories, the target of
/// symlinks, and optionally the number of links.
fn look(top: &Path, links: bool) -> Vec<String> {
    let mut find = Command::new("find");
    let dir = ["-type", "d", "-printf", "%P %M %T@\\n"];
    let number = if links { "%n" } else { "" };
    let other = ["-o", "-printf", &format!("%P %M %s {number} %l\\n")];
    let found = run(find.arg(top).args(dir).args(other)).ok().stdout;
    let mut lines: Vec<String> = found.lines().map(str::to_owned).collect();
    lines.sort();
    assert!(lines.len() > 20, "{lines:#?}");
    lines
}

#[test]
fn xattrs_of_a_commit_stay_in_the_repository() {
    if !tools::is_root() {
        return tools::skip("only root sets security xattrs");
    }
    let sandbox = Sandbox::new();
    let file = sandbox.write("tree/usr/file", "content");
    let names = ["security.ostree-go-test", "user.test"];
    for name in names {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&file, name, b"value", flags).expect("xattrs on the file system");
    }
    sandbox.run(["init", "--mode", "bare-user"]).ok();
    let tree = sandbox.path("tree");
    ostree(
        &sandbox.repo(),
        ["commit", "-b", "labelled", tree.to_str().unwrap()],
    );
    // The commit has them.
    let listed = ostree(&sandbox.repo(), ["ls", "-X", "labelled", "/usr/file"]);
    assert!(listed.contains("security.ostree-go-test"), "{listed}");
    for (dest, how) in [("linked", None), ("copied", Some("--copy"))] {
        sandbox
            .run(["checkout", "labelled", dest].into_iter().chain(how))
            .ok();
        let made = sandbox.path(dest).join("usr/file");
        assert_eq!(read(&made), "content");
        let mut list = vec![0; 1000];
        let length = rustix::fs::listxattr(&made, &mut list[..]).unwrap();
        let list = String::from_utf8(list[..length].to_vec()).unwrap();
        let carried: Vec<&str> = names.into_iter().filter(|n| list.contains(n)).collect();
        assert!(carried.is_empty(), "{dest} has {list:?}");
    }
}

#[test]
fn a_part_of_the_tree_is_checked_out() {
    let sandbox = sandbox("bare-user");
    let goroot = "/usr/lib/sdk/go-1.99";
    sandbox
        .run(["checkout", REF, "part", "--subpath", goroot])
        .ok();
    assert_eq!(
        read(&sandbox.path("part/src/fmt/print.go")),
        "package fmt\n"
    );
    let out = sandbox
        .run(["checkout", REF, "none", "--subpath", "/usr/none"])
        .exits(1);
    assert!(out.stderr.contains("usr/none"), "{}", out.stderr);
    sandbox
        .run(["checkout", REF, "none", "--subpath", "../x"])
        .exits(2);
    let left: Vec<_> = fs::read_dir(sandbox.path("")).unwrap().flatten().collect();
    assert!(
        left.iter()
            .all(|e| !e.file_name().to_string_lossy().contains("none"))
    );
}

#[test]
fn a_checkout_merges_with_existing_files() {
    let sandbox = sandbox("bare-user");
    fs::create_dir_all(sandbox.path("there/usr/bin")).unwrap();
    sandbox.write("there/usr/bin/other", "kept");
    sandbox.write(&format!("there/{PRINT}"), "mine");
    sandbox
        .run(["checkout", REF, "there", "--union", "identical"])
        .exits(1);
    sandbox
        .run(["checkout", REF, "there", "--union", "add"])
        .ok();
    assert_eq!(read(&sandbox.path("there").join(PRINT)), "mine");
    assert_eq!(read(&sandbox.path("there/usr/bin/other")), "kept");
    assert!(sandbox.path("there/usr/bin/go").is_symlink());
    sandbox.run(["checkout", REF, "same"]).ok();
    sandbox
        .run(["checkout", REF, "same", "--union", "identical"])
        .ok();
    let copy = ["checkout", REF, "same", "--union", "identical", "--copy"];
    let out = sandbox.run(copy).exits(1);
    assert!(out.stderr.contains("it needs hard links"), "{}", out.stderr);
    sandbox.fsck();
}

#[test]
fn a_checkout_copies_across_file_systems() {
    let Some(tmpfs) = Tmpfs::mount(16 << 20) else {
        return;
    };
    let sandbox = sandbox("bare-user");
    let dest = tmpfs.path().join("dest");
    let out = sandbox.run(["checkout", REF, dest.to_str().unwrap()]).ok();
    assert!(
        out.stderr.contains("is on another file system"),
        "{}",
        out.stderr
    );
    assert_eq!(read(&dest.join(PRINT)), "package fmt\n");

    // A root whose deployments are elsewhere than its repository.
    let root = tmpfs.path().join("root");
    fs::create_dir(&root).unwrap();
    std::os::unix::fs::symlink(sandbox.path("elsewhere"), root.join("repo")).unwrap();
    ostree(&sandbox.path("elsewhere"), ["init", "--mode", "bare-user"]);
    let root = root.to_str().unwrap();
    let out = sandbox
        .run(["install", REF, "--from-repo", "repo", "--root", root])
        .ok();
    assert!(
        out.stderr
            .contains("is on another file system than its deployments"),
        "{}",
        out.stderr
    );
    sandbox.run(["status", "--root", root]).ok();
    fs::remove_dir_all(sandbox.path("repo")).unwrap();
}
