use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::super::directory;
use super::*;

fn read(dir: &Path) -> Shown {
    shown(|visit| directory::read(dir, tree().without_top(), visit))
}

#[test]
fn a_directory_is_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("src/b")).unwrap();
    fs::write(dir.path().join("src/b/x"), "x").unwrap();
    fs::write(dir.path().join("src/_go.mod"), "").unwrap();
    fs::write(dir.path().join("VERSION"), "go1.26.5").unwrap();
    symlink("b/x", dir.path().join("src/link")).unwrap();
    insta::assert_snapshot!(read(dir.path()).unwrap().join("\n"), @"
    VERSION [8] go1.26.5
    src/_go.mod [0] 
    src/b/x [1] x
    src/link -> b/x
    ");
}

#[test]
fn unsupported_entries_are_refused() {
    let error = |make: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        make(&dir.path().join("d/x"));
        chain(&read(dir.path()).unwrap_err())
    };
    insta::assert_snapshot!(error(&|path| symlink("/etc", path).unwrap()), @"go.tar.gz: entry `d/x` links to `/etc`, which leads out of the tree");
    insta::assert_snapshot!(error(&|path| symlink("../../x", path).unwrap()), @"go.tar.gz: entry `d/x` links to `../../x`, which leads out of the tree");
    insta::assert_snapshot!(error(&|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())), @"go.tar.gz: entry `d/x` is neither a file, a folder nor a link");
    insta::assert_snapshot!(error(&|path| {
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o4755)).unwrap();
    }), @"go.tar.gz: entry `d/x` has the mode 4755, expected no setuid, setgid or sticky bit");
    insta::assert_snapshot!(error(&|path| fs::write(path.with_file_name("a\\b"), "").unwrap()), @r"go.tar.gz: entry `d/a\\b` has characters that are not allowed");
}

#[test]
fn the_size_of_all_files_is_known_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/a.go"), [b'a'; 700]).unwrap();
    fs::write(folder.path().join("VERSION"), [b'b'; 300]).unwrap();
    symlink("VERSION", folder.path().join("link")).unwrap();
    assert_eq!(directory::size(folder.path()), Some(1000));
    assert_eq!(directory::size(&folder.path().join("none")), None);
}
