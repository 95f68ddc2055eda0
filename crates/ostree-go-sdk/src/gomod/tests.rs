use super::*;
use crate::kind::ErrorKind;
use crate::toolchains::Workspace;
use std::error::Error as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

/// A directory with the files of projects.
struct Projects(tempfile::TempDir);

impl Projects {
    fn new(files: &[(&str, &str)]) -> Self {
        let projects = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = projects.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        projects
    }

    fn path(&self, name: &str) -> PathBuf {
        // The temporary directory may be below a symlink.
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn sync(&self, dir: &str, version: &str) -> Sync {
        Sync::new(version).directories([self.path(dir)])
    }

    fn said(&self, sync: &Sync) -> String {
        let error = sync.plan().unwrap_err();
        let text = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        text.replace(self.path("").to_str().unwrap(), "[dir]/")
    }
}

/// Returns the file of a project after it was synced.
fn synced(text: &str, version: &str, go: bool) -> String {
    let projects = Projects::new(&[("a/go.mod", text)]);
    let plan = projects.sync("a", version).go(go).plan().unwrap();
    plan.execute().unwrap();
    projects.read("a/go.mod")
}

#[test]
fn the_toolchain_line_is_set_or_implied() {
    let toolchain = |text: &str, version: &str| synced(text, version, false);
    assert_eq!(
        toolchain("go 1.25\n", "1.26.5"),
        "go 1.25\n\ntoolchain go1.26.5\n"
    );
    assert_eq!(
        toolchain("go 1.26\ntoolchain go1.26.7 // c\n", "1.26.5"),
        "go 1.26\ntoolchain go1.26.5 // c\n"
    );
    assert_eq!(
        toolchain("go 1.26.5\n\ntoolchain go1.26.7\n", "1.26.5"),
        "go 1.26.5\n"
    );
    assert_eq!(
        toolchain("go 1.26.5\n", "1.26.5-acme1"),
        "go 1.26.5\n\ntoolchain go1.26.5-acme1\n"
    );
    assert_eq!(
        toolchain("go 1.26\ntoolchain default\n", "1.27rc1"),
        "go 1.26\ntoolchain go1.27rc1\n"
    );
    assert_eq!(
        toolchain("go 1.20\ntoolchain go1.21.0\n", "1.20.5"),
        "go 1.20\n"
    );
    let both = |text: &str, version: &str| synced(text, version, true);
    assert_eq!(both("module a\n", "1.26.5"), "module a\n\ngo 1.26.5\n");
    assert_eq!(
        both("go 1.25\n\ntoolchain go1.26.1\n", "1.26.5"),
        "go 1.26.5\n"
    );
    assert_eq!(
        both("go 1.25\n", "1.26.5-acme1"),
        "go 1.26.5\n\ntoolchain go1.26.5-acme1\n"
    );
    assert_eq!(both("go 1.25\n", "1.27rc1"), "go 1.27rc1\n");
}

#[test]
fn a_workspace_and_its_modules_are_changed_together() {
    let files = [
        ("go.work", "go 1.25\n\nuse (\n\t./a\n\t./b\n)\n"),
        ("a/go.mod", "module a\n\ngo 1.24\n\ntoolchain go1.25.1\n"),
        ("b/go.mod", "module b\n\ngo 1.25\n\ntoolchain default\n"),
        ("c/go.mod", "module c\n\ngo 1.25\n"),
    ];
    let projects = Projects::new(&files);
    let changed = projects
        .sync("a", "1.26.5")
        .plan()
        .unwrap()
        .execute()
        .unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(
        projects.read("go.work"),
        "go 1.25\n\ntoolchain go1.26.5\n\nuse (\n\t./a\n\t./b\n)\n"
    );
    assert_eq!(projects.read("a/go.mod"), files[1].1);
    // The workspace counts once, and its file comes first.
    let directories = ["a", "b", ""].map(|dir| projects.path(dir));
    let sync = Sync::new("1.26.5").directories(directories).go(true);
    let changed = sync.plan().unwrap().execute().unwrap();
    let paths: Vec<_> = changed.iter().map(|file| file.path.clone()).collect();
    let expected = ["go.work", "a/go.mod", "b/go.mod"].map(|name| projects.path(name));
    assert_eq!(paths, expected);
    assert_eq!(
        projects.read("go.work"),
        "go 1.26.5\n\nuse (\n\t./a\n\t./b\n)\n"
    );
    assert_eq!(projects.read("a/go.mod"), "module a\n\ngo 1.26.5\n");
    assert_eq!(
        projects.read("b/go.mod"),
        "module b\n\ngo 1.26.5\n\ntoolchain default\n"
    );
    assert_eq!(projects.read("c/go.mod"), files[3].1);
    let off = projects.sync("c", "1.26.5").workspace(Workspace::Off);
    off.plan().unwrap().execute().unwrap();
    assert_eq!(
        projects.read("c/go.mod"),
        "module c\n\ngo 1.25\n\ntoolchain go1.26.5\n"
    );
}

#[test]
fn a_file_keeps_its_permissions_and_a_link_stays() {
    let projects = Projects::new(&[("real/file", "go 1.25\n"), ("a/x", "")]);
    let file = projects.path("real/file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("../real/file", projects.path("a/go.mod")).unwrap();
    let changed = projects
        .sync("a", "1.26.5")
        .plan()
        .unwrap()
        .execute()
        .unwrap();
    assert_eq!(changed[0].path, file);
    assert_eq!(
        projects.read("real/file"),
        "go 1.25\n\ntoolchain go1.26.5\n"
    );
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o640);
    assert!(projects.path("a/go.mod").is_symlink());
    assert_eq!(fs::read_dir(projects.path("real")).unwrap().count(), 1);
    // A file without a change is not replaced.
    let before = file.metadata().unwrap();
    let plan = projects.sync("a", "1.26.5").plan().unwrap();
    assert!(plan.is_unchanged() && plan.files()[0].diff().is_empty());
    plan.execute().unwrap();
    let after = file.metadata().unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
}

#[test]
fn nothing_is_changed_after_an_error() {
    let files = [
        ("a/go.mod", "go 1.25\n"),
        ("b/go.mod", "go 1.27\n"),
        ("w/go.work", "go 1.25\nuse ./c\n"),
        ("w/c/go.mod", "go 1.26.6\n"),
        ("x/go.work", "go 1.25\nuse ./none\n"),
        ("y/go.mod", "go 1.25 // c\ngo 1.25\n"),
        ("z/file", ""),
    ];
    let projects = Projects::new(&files);
    let both = ["a", "b"].map(|dir| projects.path(dir));
    let sync = Sync::new("1.26.5").directories(both);
    insta::assert_snapshot!(projects.said(&sync), @"[dir]/b/go.mod requires go >= 1.27 (running go 1.26.5)");
    assert_eq!(sync.plan().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(projects.read("a/go.mod"), "go 1.25\n");
    let of = |dir| projects.said(&projects.sync(dir, "1.26.5"));
    insta::assert_snapshot!(of("w"), @"[dir]/w/c/go.mod requires go >= 1.26.6 (running go 1.26.5)");
    insta::assert_snapshot!(of("x"), @"[dir]/x/go.work, line 2: [dir]/x/none has no go.mod");
    insta::assert_snapshot!(of("y"), @"[dir]/y/go.mod is malformed: line 2: second `go` line");
    insta::assert_snapshot!(of("z"), @"[dir]/z has no go.mod and no go.work, and neither have the directories above it");
    insta::assert_snapshot!(of("a/go.mod"), @"[dir]/a/go.mod is not a directory");
    for version in ["tip", "1", "2.0.0", "go1.26.5", ""] {
        let error = projects.sync("a", version).plan().unwrap_err();
        assert!(matches!(error, GoModError::Version { .. }), "{version}");
    }
    // Another process changes the file.
    let plan = projects.sync("a", "1.26.5").plan().unwrap();
    fs::write(projects.path("a/go.mod"), "go 1.24\n").unwrap();
    let error = plan.execute().unwrap_err();
    let text = error
        .to_string()
        .replace(projects.path("").to_str().unwrap(), "[dir]/");
    insta::assert_snapshot!(text, @"[dir]/a/go.mod was changed by another process");
    assert_eq!(projects.read("a/go.mod"), "go 1.24\n");
}
