//! `checkout`: linked or copied, whole or in part, alone or into what is there.

use ostree_go_tests::bench::{Bench, source};
use ostree_go_tests::cli::run;
use ostree_go_tests::host::read;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

fn bench(mode: &str) -> Bench {
    let bench = Bench::new();
    Toy::new(ostree_go_sdk::Arch::X86_64).tar_gz(&bench.path("go.tar.gz"));
    bench.treefile(
        "1.99.1",
        &format!("arches: [x86_64]\n{}", source(&bench.path("go.tar.gz"))),
    );
    bench.run(["init", "--mode", mode]).ok();
    bench.compose([]);
    bench
}

const REF: &str = "go-sdk/x86_64/1.99.1";
const PRINT: &str = "usr/lib/sdk/go-1.99/src/fmt/print.go";

#[test]
fn a_kill_leaves_nothing_at_the_destination() {
    let bench = bench("bare-user");
    let mut command = bench.ostree_go(["checkout", REF, "tree"]);
    let out = run(command.env("OSTREE_GO_FAILPOINT", "checkout.synced"));
    assert_eq!(out.status.signal(), Some(9), "{}", out.stderr);
    assert!(!bench.path("tree").exists());
    bench.run(["checkout", REF, "tree"]).ok();
    bench.fsck();
}

#[test]
fn links_or_copies_and_says_so() {
    for (mode, links) in [
        ("bare-user", true),
        ("bare-user-only", true),
        ("archive", false),
    ] {
        let bench = bench(mode);
        let out = bench
            .run(["checkout", REF, "linked", "--format", "json"])
            .ok();
        let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(json["copied_files"] == 0, links, "{mode}: {json:#}");
        assert_eq!(json["other_file_system"], false);
        let nlink = |path: &str| bench.path(path).join(PRINT).metadata().unwrap().nlink();
        assert_eq!(nlink("linked") > 1, links, "{mode}");
        bench.run(["checkout", REF, "copied", "--copy"]).ok();
        assert_eq!(nlink("copied"), 1, "{mode}");
        // Writing to a copy does the repository no harm.
        fs::write(bench.path("copied").join(PRINT), "changed").unwrap();
        bench.fsck();
        let out = bench.run(["checkout", REF, "copied"]).exits(1);
        assert!(
            out.stderr.contains("copied exists already"),
            "{}",
            out.stderr
        );
        // The stock command makes the same tree.
        let stock = bench.checkout(REF, "stock");
        // It links what it has unpacked of an archive to a cache.
        assert_eq!(
            look(&bench.path("linked"), links),
            look(&stock, links),
            "{mode}"
        );
        let mut diff = Command::new("diff");
        let diff = diff.arg("-r").arg(stock).arg(bench.path("linked"));
        run(diff).ok();
    }
}

/// Everything below a folder: type, mode and size; the time of directories, the target of
/// symlinks, and where asked the number of links.
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
    let bench = Bench::new();
    let file = bench.write("tree/usr/file", "content");
    let names = ["security.ostree-go-test", "user.test"];
    for name in names {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&file, name, b"value", flags).expect("xattrs on the file system");
    }
    bench.run(["init", "--mode", "bare-user"]).ok();
    let tree = bench.path("tree");
    ostree(
        &bench.repo(),
        ["commit", "-b", "labelled", tree.to_str().unwrap()],
    );
    // The commit has them.
    let listed = ostree(&bench.repo(), ["ls", "-X", "labelled", "/usr/file"]);
    assert!(listed.contains("security.ostree-go-test"), "{listed}");
    for (dest, how) in [("linked", None), ("copied", Some("--copy"))] {
        bench
            .run(["checkout", "labelled", dest].into_iter().chain(how))
            .ok();
        let made = bench.path(dest).join("usr/file");
        assert_eq!(read(&made), "content");
        let mut list = vec![0; 1000];
        let length = rustix::fs::listxattr(&made, &mut list[..]).unwrap();
        let list = String::from_utf8(list[..length].to_vec()).unwrap();
        let carried: Vec<&str> = names.into_iter().filter(|n| list.contains(n)).collect();
        assert!(carried.is_empty(), "{dest} has {list:?}");
    }
}

#[test]
fn takes_a_part_of_the_tree() {
    let bench = bench("bare-user");
    let goroot = "/usr/lib/sdk/go-1.99";
    bench
        .run(["checkout", REF, "part", "--subpath", goroot])
        .ok();
    assert_eq!(read(&bench.path("part/src/fmt/print.go")), "package fmt\n");
    let out = bench
        .run(["checkout", REF, "none", "--subpath", "/usr/none"])
        .exits(1);
    assert!(out.stderr.contains("usr/none"), "{}", out.stderr);
    bench
        .run(["checkout", REF, "none", "--subpath", "../x"])
        .exits(2);
    let left: Vec<_> = fs::read_dir(bench.path("")).unwrap().flatten().collect();
    assert!(
        left.iter()
            .all(|e| !e.file_name().to_string_lossy().contains("none"))
    );
}

#[test]
fn unites_with_what_is_there() {
    let bench = bench("bare-user");
    fs::create_dir_all(bench.path("there/usr/bin")).unwrap();
    bench.write("there/usr/bin/other", "kept");
    bench.write(&format!("there/{PRINT}"), "mine");
    bench
        .run(["checkout", REF, "there", "--union", "identical"])
        .exits(1);
    bench.run(["checkout", REF, "there", "--union", "add"]).ok();
    assert_eq!(read(&bench.path("there").join(PRINT)), "mine");
    assert_eq!(read(&bench.path("there/usr/bin/other")), "kept");
    assert!(bench.path("there/usr/bin/go").is_symlink());
    bench.run(["checkout", REF, "same"]).ok();
    bench
        .run(["checkout", REF, "same", "--union", "identical"])
        .ok();
    let copy = ["checkout", REF, "same", "--union", "identical", "--copy"];
    let out = bench.run(copy).exits(1);
    assert!(out.stderr.contains("it needs hard links"), "{}", out.stderr);
    bench.fsck();
}

#[test]
fn copies_across_file_systems() {
    let Some(tmpfs) = Tmpfs::mount(16 << 20) else {
        return;
    };
    let bench = bench("bare-user");
    let dest = tmpfs.path().join("dest");
    let out = bench.run(["checkout", REF, dest.to_str().unwrap()]).ok();
    assert!(
        out.stderr.contains("is on another file system"),
        "{}",
        out.stderr
    );
    assert_eq!(read(&dest.join(PRINT)), "package fmt\n");

    // A root whose deployments are elsewhere than its repository.
    let root = tmpfs.path().join("root");
    fs::create_dir(&root).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere"), root.join("repo")).unwrap();
    ostree(&bench.path("elsewhere"), ["init", "--mode", "bare-user"]);
    let root = root.to_str().unwrap();
    let out = bench
        .run(["install", REF, "--from-repo", "repo", "--root", root])
        .ok();
    assert!(
        out.stderr
            .contains("is on another file system than its deployments"),
        "{}",
        out.stderr
    );
    bench.run(["status", "--root", root]).ok();
    fs::remove_dir_all(bench.path("repo")).unwrap();
}
