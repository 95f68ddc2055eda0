//! Roots on file systems that lack something: renames with flags, xattrs, or permission to run programs.

use ostree_go_tests::bindfs::Bindfs;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::{Host, read};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::tmpfs::Tmpfs;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

const PRINT: &str = "current/usr/lib/sdk/go-1.99/src/fmt/print.go";

/// Runs a command with another root than that of the host.
#[track_caller]
fn at(host: &Host, root: &Path, args: &[&str]) -> Output {
    run(host
        .command(args.iter().copied())
        .env("OSTREE_GO_ROOT", root))
}

/// Writes to a deployed file, which damages the object too.
fn damage(root: &Path) {
    let file = root.join(PRINT);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "package damaged\n").unwrap();
}

/// Returns the names of all deployments and leftovers.
fn in_deployments(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("deployments")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

const INSTALL: [&str; 4] = ["install", "1.99", "--from-repo", "repo"];

#[test]
fn everything_works_without_renames_with_flags() {
    let Some(fuse) = Bindfs::mount() else { return };
    let host = Host::new();
    let root = fuse.path("root");
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
        host.release(version, seconds);
        at(&host, &root, &INSTALL).ok();
    }
    at(&host, &root, &["rollback"]).ok();
    at(&host, &root, &["use", "1.99.2"]).ok();
    damage(&root);
    let out = at(&host, &root, &INSTALL).ok();
    assert!(out.stderr.contains("is repaired and active"), "{out}");
    assert_eq!(read(&root.join(PRINT)), "package fmt\n");
    // The other SDK has the same file, as a hard link to the damaged object.
    at(&host, &root, &["uninstall", "1.99.1"]).ok();
    at(&host, &root, &["status", "--verify", "all"]).ok();
    at(&host, &root, &["gc"]).ok();
    assert_eq!(in_deployments(&root).len(), 1);
    ostree(&root.join("repo"), ["fsck", "--quiet"]);

    let path = |name: &str| fuse.path(name).to_str().unwrap().to_owned();
    let archive = path("archive");
    host.run(["compose", "go.yaml", "--repo", &archive]).ok();
    host.run(["publish", "--repo", &archive]).ok();
    let name = format!("go-sdk/{}/1.99.2", host.arch());
    let (tree, extension) = (path("tree"), path("extension"));
    for args in [
        &["checkout", &name, &tree][..],
        &["export", "sysext", &name, &extension],
    ] {
        let args = [args, &["--repo", &archive]].concat();
        host.run(args.iter().copied()).ok();
        let out = host.run(args).exits(1);
        assert!(out.stderr.contains("exists already"), "{out}");
    }
    let image = format!("oci:{}:x", path("image"));
    let export = ["export", "oci", "1.99.2", &image, "--repo", &archive];
    host.run(export).ok();
    ostree(Path::new(&archive), ["fsck", "--quiet"]);
}

#[test]
fn a_kill_while_a_tree_is_replaced_in_two_steps() {
    let Some(fuse) = Bindfs::mount() else { return };
    let host = Host::new();
    let root = fuse.path("root");
    host.release("1.99.1", 100);
    at(&host, &root, &INSTALL).ok();
    let tree = in_deployments(&root);
    damage(&root);
    let mut command = host.command(INSTALL);
    command.env("OSTREE_GO_ROOT", &root);
    let out = run(command.env("OSTREE_GO_FAILPOINT", "rename.moved-aside"));
    assert_eq!(out.status.signal(), Some(9), "{out}");
    assert!(!root.join(PRINT).exists());
    // The next process that takes the lock puts the old tree back.
    at(&host, &root, &["gc"]).ok();
    assert_eq!(in_deployments(&root), tree);
    assert_eq!(read(&root.join(PRINT)), "package damaged\n");
    let out = at(&host, &root, &["status", "--format", "json"]).exits(4);
    let status: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(status["deployments"][0]["active"], true);
    let out = at(&host, &root, &INSTALL).ok();
    assert!(out.stderr.contains("is repaired and active"), "{out}");
    assert_eq!(in_deployments(&root), tree);
    // A kill after the second step leaves the old tree.
    fs::create_dir(root.join("deployments").join(format!(".old-{}", tree[0]))).unwrap();
    at(&host, &root, &["gc"]).ok();
    assert_eq!(in_deployments(&root), tree);
    at(&host, &root, &["status", "--verify", "all"]).ok();
}

#[test]
fn a_file_system_without_xattrs() {
    let Some(ramfs) = Tmpfs::ramfs() else { return };
    let host = Host::new();
    host.release("1.99.1", 100);
    let root = ramfs.path().join("root");
    let repo = root.join("repo").display().to_string();
    let out = at(&host, &root, &INSTALL).exits(1);
    let message = format!("error: the file system of {repo} has no user xattrs");
    assert!(out.stderr.contains(&message), "{out}");
    assert!(
        out.stderr.contains("on another file system with --root"),
        "{out}"
    );
    let init = format!("ostree-go init --mode bare-user-only --repo {repo}");
    assert!(out.stderr.contains(&init), "{out}");
    let bare_user = ["init", "--mode", "bare-user", "--repo", &repo];
    let out = host.run(bare_user).exits(1);
    assert!(out.stderr.contains("--mode bare-user-only"), "{out}");
    // What the hint says works.
    host.run(["init", "--mode", "bare-user-only", "--repo", &repo])
        .ok();
    // A ramfs does not say how much space is free.
    ostree(
        Path::new(&repo),
        ["config", "set", "core.min-free-space-percent", "0"],
    );
    at(&host, &root, &INSTALL).ok();
    at(&host, &root, &["status", "--verify", "all"]).ok();
    assert_eq!(read(&root.join(PRINT)), "package fmt\n");
}

#[test]
fn a_root_where_no_program_can_run() {
    let Some(tmpfs) = Tmpfs::mount(64 << 20) else {
        return;
    };
    let host = Host::new();
    host.release("1.99.1", 100);
    let root = tmpfs.path().join("root");
    let warning = format!(
        "warning: {} is on a file system mounted with noexec",
        root.display()
    );
    for noexec in [false, true] {
        if noexec {
            tmpfs.remount("noexec");
        }
        for args in [&INSTALL[..], &["status"]] {
            let out = at(&host, &root, args).ok();
            assert_eq!(out.stderr.contains(&warning), noexec, "{out}");
            let json = [args, &["--format", "json"]].concat();
            let out = at(&host, &root, &json).ok();
            let document: Value = serde_json::from_str(&out.stdout).unwrap();
            assert_eq!(document["noexec"], noexec, "{out}");
        }
    }
}
