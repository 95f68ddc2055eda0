use super::*;
use std::error::Error as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A directory with files, and the requirement of the project in it.
struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = project.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn said(&self, dir: &str, workspace: &Workspace) -> String {
        let dir = self.path(dir);
        fs::create_dir_all(&dir).unwrap();
        let said = match requirement(&dir, workspace) {
            Ok(Some(found)) => {
                let active = if found.prefers_active {
                    ", active first"
                } else {
                    ""
                };
                format!("{found}: {}{active}", found.rule)
            }
            Ok(None) => "nothing".to_owned(),
            Err(error) => match error.source() {
                Some(source) if source.downcast_ref::<std::io::Error>().is_none() => {
                    format!("{error}: {source}")
                }
                _ => error.to_string(),
            },
        };
        said.replace(self.0.path().to_str().unwrap(), "[dir]")
    }
}

fn said(files: &[(&str, &str)], dir: &str) -> String {
    Project::new(files).said(dir, &Workspace::Auto)
}

#[test]
fn the_higher_one_of_both_lines_counts() {
    let of = |text: &str| said(&[("go.mod", text)], "");
    insta::assert_snapshot!(of("module a\ngo 1.26\n"), @"`go 1.26` in [dir]/go.mod, line 2: go 1.26 or newer");
    insta::assert_snapshot!(of("go 1.26\ntoolchain go1.26.5\n"), @"`toolchain go1.26.5` in [dir]/go.mod, line 2: go 1.26.5 or newer");
    insta::assert_snapshot!(of("go 1.27.1\ntoolchain go1.26.5\n"), @"`go 1.27.1` in [dir]/go.mod, line 1: go 1.27.1 or newer");
    // A toolchain of the language version itself, which a pre-release fulfils.
    insta::assert_snapshot!(of("go 1.27\ntoolchain go1.27rc1\n"), @"`toolchain go1.27rc1` in [dir]/go.mod, line 2: go 1.27rc1 or newer");
    insta::assert_snapshot!(of("go 1.26.5\ntoolchain go1.26.5-acme1\n"), @"`toolchain go1.26.5-acme1` in [dir]/go.mod, line 2: go 1.26.5-acme1 or newer");
    insta::assert_snapshot!(of("go 1.26\ntoolchain default\n"), @"`go 1.26` in [dir]/go.mod, line 1: go 1.26 or newer, active first");
    insta::assert_snapshot!(of("module a\n"), @"[dir]/go.mod, which names no version: any Go, active first");
}

#[test]
fn a_workspace_comes_before_a_module() {
    let files = [
        ("go.work", "go 1.26\nuse (\n\t./a\n\t./b\n)\n"),
        ("a/go.mod", "go 1.25\ntoolchain go1.99.1\n"),
        ("b/go.mod", "go 1.25\n"),
        ("b/c/go.mod", "go 1.24\n"),
    ];
    let project = Project::new(&files);
    let work = "`go 1.26` in [dir]/go.work, line 1: go 1.26 or newer";
    for dir in ["", "a", "b/c/d"] {
        assert_eq!(project.said(dir, &Workspace::Auto), work, "{dir}");
    }
    let off = project.said("b/c/d", &Workspace::Off);
    assert_eq!(
        off,
        "`go 1.24` in [dir]/b/c/go.mod, line 1: go 1.24 or newer"
    );
    let file = Workspace::File(project.path("go.work"));
    let elsewhere = tempfile::tempdir().unwrap();
    let found = requirement(elsewhere.path(), &file).unwrap().unwrap();
    assert_eq!(found.file, project.path("go.work"));
    insta::assert_snapshot!(project.said("", &Workspace::File("go.work".into())), @"the workspace file `go.work` is not an absolute path");
    insta::assert_snapshot!(project.said("", &Workspace::File(project.path("none"))), @"cannot read [dir]/none");
    // The directory above, and an absolute one.
    let above = project.path("a");
    let text = format!("go 1.20\nuse ../a/.\nuse {}\n", above.display());
    fs::create_dir(project.path("x")).unwrap();
    fs::write(project.path("x/go.work"), text).unwrap();
    insta::assert_snapshot!(project.said("x", &Workspace::Auto), @"`go 1.25` in [dir]/a/go.mod, line 1: go 1.25 or newer");
}

#[test]
fn the_nearest_file_of_a_version_manager_counts() {
    let files = [
        (".go-version", "1.26.1\n"),
        ("a/.tool-versions", "nodejs 22\ngolang 1.26.2\n"),
        ("a/b/mise.toml", "[tools]\ngo = '1.26.3'\n"),
        ("a/b/c/.mise.toml", "[tools]\ngo = '1.26.4'\n"),
        ("a/b/c/.tool-versions", "nodejs 22\n"),
        ("a/b/c/d/.go-version", "# none\n"),
    ];
    let of = |dir| said(&files, dir);
    insta::assert_snapshot!(of(""), @"`1.26.1` in [dir]/.go-version, line 1: go 1.26.1");
    insta::assert_snapshot!(of("a"), @"`golang 1.26.2` in [dir]/a/.tool-versions, line 2: go 1.26.2");
    insta::assert_snapshot!(of("a/b"), @r#"`go = \"1.26.3\"` in [dir]/a/b/mise.toml, line 2: go 1.26.3"#);
    insta::assert_snapshot!(of("a/b/c/d"), @r#"`go = \"1.26.4\"` in [dir]/a/b/c/.mise.toml, line 2: go 1.26.4"#);
    // A module further up comes first.
    let project = Project::new(&files);
    fs::write(project.path("go.mod"), "module a\n").unwrap();
    insta::assert_snapshot!(project.said("a/b", &Workspace::Auto), @"[dir]/go.mod, which names no version: any Go, active first");
}

#[test]
fn files_that_cannot_be_used_are_errors() {
    let of = |files: &[(&str, &str)]| said(files, "a");
    insta::assert_snapshot!(of(&[("a/go.mod", "module a\n\ngo 1.x\n")]), @"[dir]/a/go.mod is malformed: line 3: `go 1.x` names no version, expected the form `go 1.26.5` or `go 1.26`");
    insta::assert_snapshot!(of(&[("go.work", "go 1.26\nuse ./b\n")]), @"[dir]/go.work, line 2: [dir]/b has no go.mod");
    insta::assert_snapshot!(of(&[("go.work", "use ./b\n"), ("b/go.mod", "go 1.26 1\n")]), @"[dir]/b/go.mod is malformed: line 1: `go` has 2 arguments, expected one");
    insta::assert_snapshot!(of(&[("a/.go-version", "lts\n")]), @"cannot use [dir]/a/.go-version: line 1: `lts` names no Go version, expected the form 1.26.5, 1.26 or `latest`");
    // A link to itself is not taken for a missing file; a link to a missing file is one, as in Go.
    let project = Project::new(&[("go.mod", "go 1.26\n")]);
    fs::create_dir_all(project.path("a/go.work")).unwrap();
    symlink("missing", project.path("a/go.mod")).unwrap();
    assert!(project.said("a", &Workspace::Auto).starts_with("`go 1.26`"));
    symlink("go.mod", project.path("b")).unwrap();
    symlink("go.work", project.path("go.work")).unwrap();
    insta::assert_snapshot!(project.said("a", &Workspace::Auto), @"cannot look at [dir]/go.work");
    // A device, as a FIFO, is not read.
    let project = Project::new(&[]);
    symlink("/dev/zero", project.path("go.mod")).unwrap();
    insta::assert_snapshot!(project.said("", &Workspace::Auto), @"[dir]/go.mod is not a regular file");
    let error = requirement(Path::new("/dev/null"), &Workspace::Auto).unwrap_err();
    insta::assert_snapshot!(error, @"/dev/null is not a directory");
    let large = Project::new(&[]);
    let file = fs::File::create(large.path("go.mod")).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    insta::assert_snapshot!(large.said("", &Workspace::Auto), @"[dir]/go.mod has 16777217 bytes, expected at most 16777216");
}
