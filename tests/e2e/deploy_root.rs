//! The folder of a root: what becomes one, what is left alone in it, and a state that was lost.

use ostree_go_tests::cli::Output;
use ostree_go_tests::host::{Host, read};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const VERSION: &str = "usr/lib/sdk/go-1.99/VERSION";
const ADD: [&str; 5] = [
    "remote",
    "add",
    "acme",
    "http://127.0.0.1:1/repo",
    "--no-gpg-verify",
];

/// Everything below a folder: paths, with the contents of files and the targets of links.
fn tree(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![top.to_owned()];
    while let Some(path) = ahead.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let text = if metadata.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            ahead.extend(entries.map(|entry| entry.unwrap().path()));
            String::new()
        } else if metadata.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
        };
        found.insert(path, text);
    }
    found
}

/// Runs a command about the root; no other repository is named.
fn run(host: &Host, args: &[&str]) -> Output {
    let mut command = host.command(args.iter().copied());
    ostree_go_tests::cli::run(command.env_remove("OSTREE_REPO"))
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let host = Host::new();
    host.release("1.99.1", 100);
    for part in ["deployments/notes", "sdk/mine", "src"] {
        let folder = host.root().join(part);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), "kept").unwrap();
        let before = tree(&host.root());
        let install = ["install", "1.99", "--from-repo", "repo"];
        for args in [&ADD[..], &install] {
            let out = run(&host, args).exits(1);
            let first = part.split('/').next().unwrap();
            let message = format!("is not a root of ostree-go: it contains `{first}`\n");
            assert!(out.stderr.contains(&message), "{out}");
            assert!(
                out.stderr
                    .contains("hint: specify a directory that is empty"),
                "{out}"
            );
            assert_eq!(tree(&host.root()), before);
        }
        fs::remove_dir_all(host.root()).unwrap();
    }
    // A repository with content would lose it to the next collection.
    fs::create_dir(host.root()).unwrap();
    symlink(host.sandbox.repo(), host.root().join("repo")).unwrap();
    for args in [&ADD[..], &["status"], &["gc"]] {
        let out = run(&host, args).exits(1);
        assert!(
            out.stderr.contains("it contains a `repo` with refs"),
            "{out}"
        );
    }
    host.sandbox.fsck();
}

#[test]
fn links_in_the_place_of_folders_are_refused_and_not_followed() {
    for name in ["deployments", "sdk", "toolchains"] {
        let host = Host::new();
        host.release("1.99.1", 100);
        host.install("1.99").ok();
        let outside = host.sandbox.path("outside");
        fs::create_dir_all(outside.join(".new-1")).unwrap();
        fs::create_dir_all(outside.join("a".repeat(64))).unwrap();
        symlink(
            format!("../deployments/{}", "a".repeat(64)),
            outside.join("go-1.0"),
        )
        .unwrap();
        let before = tree(&outside);
        fs::rename(host.root().join(name), host.sandbox.path("moved")).unwrap();
        symlink(&outside, host.root().join(name)).unwrap();
        for args in [
            &["install", "1.99", "--from-repo", "repo"][..],
            &["gc"],
            &["rollback"],
            &ADD,
        ] {
            let out = run(&host, args).exits(1);
            let message = format!("root/{name} is a symbolic link, expected a directory\n");
            assert!(out.stderr.contains(&message), "{out}");
            assert!(out.stderr.contains("hint: move it away"), "{out}");
            assert_eq!(tree(&outside), before);
        }
        fs::remove_file(host.root().join(name)).unwrap();
        fs::rename(host.sandbox.path("moved"), host.root().join(name)).unwrap();
        host.install("1.99").ok();
        host.check();
    }
}

#[test]
fn only_names_of_our_own_making_are_removed() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    let (root, outside) = (host.root(), host.sandbox.path("outside"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "kept").unwrap();
    let other = "b".repeat(64);
    let kept = [
        "deployments/notes",
        "deployments/.hidden",
        "deployments/.new-x",
        "sdk/go-mine",
        "sdk/other",
        "notes",
    ];
    for path in kept {
        fs::create_dir(root.join(path)).unwrap();
        fs::write(root.join(path).join("file"), "kept").unwrap();
    }
    let linked = [
        format!("deployments/{other}"),
        "deployments/.new-77".to_owned(),
        "sdk/go-1.98".to_owned(),
    ];
    for path in &linked {
        symlink(&outside, root.join(path)).unwrap();
    }
    // What processes that were killed have left.
    let leftovers = [
        "deployments/.new-4000000",
        "deployments/.gone-1",
        &format!("deployments/{}", "c".repeat(64)),
    ];
    for path in leftovers {
        fs::create_dir(root.join(path)).unwrap();
        symlink(&outside, root.join(path).join("link")).unwrap();
    }
    let links = ["sdk/go-1.97", "sdk/.go-1.97.4000000"];
    for path in links {
        symlink(format!("../deployments/{other}"), root.join(path)).unwrap();
    }
    symlink("deployments/x", root.join(".current.4000000")).unwrap();
    fs::write(root.join(".state.json.4000000-0"), "{").unwrap();
    fs::write(root.join(".lock"), "4000000\n").unwrap();
    run(&host, &["gc"]).ok();
    for path in kept {
        assert_eq!(read(&root.join(path).join("file")), "kept", "{path}");
    }
    for path in &linked {
        assert!(root.join(path).is_symlink(), "{path}");
    }
    let files = [".current.4000000", ".state.json.4000000-0"];
    for path in leftovers.iter().chain(&links).chain(&files) {
        assert!(root.join(path).symlink_metadata().is_err(), "{path}");
    }
    assert_eq!(read(&outside.join("file")), "kept");
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
    run(&host, &["status", "--verify", "all"]).ok();

    // A name that is needed is not taken from its owner.
    fs::create_dir(root.join("sdk/go-1.99.2")).unwrap();
    host.release("1.99.2", 200);
    let out = host.run(["upgrade"]).exits(1);
    let message = "sdk/go-1.99.2 is a directory, expected a symbolic link to a deployment";
    assert!(out.stderr.contains(message), "{out}");
    assert!(out.stderr.contains("go 1.99.1 stays active"), "{out}");
    fs::remove_dir(root.join("sdk/go-1.99.2")).unwrap();
    host.run(["upgrade"]).ok();
    assert!(read(&root.join("sdk/go-1.99.2").join(VERSION)).starts_with("go1.99.2\n"));
}

#[test]
fn a_root_of_an_older_version_is_adopted() {
    let host = Host::new();
    host.release("1.99.1", 100);
    run(&host, &ADD).ok();
    let marker = host.root().join(".ostree-go-root");
    let text = read(&marker);
    assert_eq!(text, "ostree-go root, format 1\n");
    // One with a remote and nothing else, and one with a deployment.
    fs::remove_file(&marker).unwrap();
    fs::remove_file(host.root().join("state.json")).unwrap();
    host.install("1.99").ok();
    assert_eq!(read(&marker), text);
    fs::remove_file(&marker).unwrap();
    fs::write(host.root().join("notes"), "kept").unwrap();
    host.run(["status"]).ok();
    assert!(!marker.exists(), "looking changes nothing");
    host.run(["gc"]).ok();
    assert_eq!(read(&marker), text);
    host.check();
    fs::write(&marker, "ostree-go root, format 2\n").unwrap();
    for args in [&["status"][..], &["gc"], &["rollback"]] {
        let out = run(&host, args).exits(1);
        assert!(
            out.stderr.contains("has format 2, expected at most 1"),
            "{out}"
        );
    }
}

#[test]
fn a_lost_state_is_rebuilt() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
        host.release(version, seconds);
        host.install("1.99").ok();
    }
    let path = host.root().join("state.json");
    let before = host.json(["status"]);
    fs::remove_file(&path).unwrap();
    // Looking shows it, and changes nothing.
    for change in [false, true] {
        if change {
            host.run(["gc"]).ok();
        }
        let after = host.json(["status", "--verify", "all"]);
        for n in [0, 1] {
            let (before, after) = (&before["deployments"][n], &after["deployments"][n]);
            for field in ["version", "arch", "commit", "ref", "active", "timestamp"] {
                assert_eq!(before[field], after[field], "{field}");
            }
            assert_eq!(
                (&after["unsigned"], &after["check"]),
                (&true.into(), &"good".into())
            );
        }
        assert_eq!(path.exists(), change);
    }
    host.check();
    host.run(["use", "1.99.1"]).ok();
    host.run(["rollback"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
}

#[test]
fn a_truncated_state_changes_nothing() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    let path = host.root().join("state.json");
    let whole = read(&path);
    for text in [
        "",
        "{",
        &whole[..whole.len() / 2],
        "[]",
        "{\"schema\": \"x\"}",
    ] {
        fs::write(&path, text).unwrap();
        let before = tree(&host.root().join("deployments"));
        for args in [
            &["status"][..],
            &["rollback"],
            &["gc"],
            &["use", "1.99.1"],
            &["install", "1.99", "--from-repo", "repo"],
        ] {
            let out = host.run(args.iter().copied()).exits(1);
            assert!(out.stderr.contains("cannot read the state in"), "{out}");
            assert!(
                out.stderr
                    .contains("hint: restore a backup, or move the file away"),
                "{out}"
            );
        }
        assert_eq!(read(&path), text);
        assert_eq!(tree(&host.root().join("deployments")), before);
        assert!(read(&host.current(VERSION)).starts_with("go1.99.1\n"));
    }
    fs::remove_file(&path).unwrap();
    host.run(["gc"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
}

#[test]
fn a_link_that_leads_nowhere_or_out_of_the_root() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
        host.release(version, seconds);
        host.install("1.99").ok();
    }
    let current = host.root().join("current");
    // Nowhere: nothing is active, and a rollback goes to the last one that was.
    fs::remove_file(&current).unwrap();
    symlink(format!("deployments/{}", "d".repeat(64)), &current).unwrap();
    assert_eq!(host.active(), None);
    host.run(["rollback"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
    // Gone: the same.
    fs::remove_file(&current).unwrap();
    assert_eq!(host.active(), None);
    host.run(["rollback"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
    // Out of the root: somebody else's.
    let outside = host.sandbox.path("outside");
    fs::create_dir(&outside).unwrap();
    for make in [true, false] {
        fs::remove_file(&current).unwrap();
        match make {
            true => symlink(&outside, &current).unwrap(),
            false => fs::write(&current, "").unwrap(),
        }
        for args in [
            &["status"][..],
            &["rollback"],
            &["use", "1.99.1"],
            &["upgrade"],
            &["gc"],
        ] {
            let out = host.run(args.iter().copied()).exits(1);
            assert!(out.stderr.contains("root/current is "), "{out}");
            assert!(
                out.stderr
                    .contains("hint: move it away, and activate an SDK"),
                "{out}"
            );
            assert_eq!(current.is_symlink(), make);
        }
    }
    fs::remove_file(&current).unwrap();
    host.run(["use", "1.99.1"]).ok();
    host.check();
}
