//! Directories that replace modules: their content, and the commit of their git checkout.

use super::error::WorkspaceError;
use super::tree::{self, Cores, Tree};
use super::units::GO_MOD;
use std::fs;
use std::path::{Path, PathBuf};

/// The directories of version control systems, which are no part of a module. Source: `isVCSDir` in
/// `golang.org/x/mod/zip`.
const VCS: [&str; 4] = [".bzr", ".git", ".hg", ".svn"];

/// Returns the files of a directory that replaces a module: those that a module zip of it would have, without
/// the limits of their number and size. Left out are `vendor`, version control, and other modules in it. Source:
/// `listFilesInDir` in `golang.org/x/mod/zip`.
pub(super) fn files(directory: &Path) -> Result<Tree, WorkspaceError> {
    let enters = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        let is_left_out = name == "vendor" || VCS.iter().any(|vcs| name == *vcs);
        !is_left_out && !path.join(GO_MOD).is_file()
    };
    Tree::read(directory, &enters, Cores::One)
}

/// Returns the hash of the files of a directory that replaces a module. Their names are relative to it.
pub(super) fn content_h1(directory: &Path) -> Result<String, WorkspaceError> {
    Ok(tree::h1("", &files(directory)?.files).to_string())
}

/// Returns the commit of the git checkout that contains a directory; `None` if it is in no checkout, or in the one that
/// contains `base`, whose next commit may contain the lock itself. Runs no program, and so no hook.
pub(super) fn commit(directory: &Path, base: &Path) -> Option<String> {
    let top = checkout(directory)?;
    if checkout(base).as_ref() == Some(&top) {
        return None;
    }
    let git = git_directory(&top)?;
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(name) = head.trim_end().strip_prefix("ref: ") else {
        return id(&head);
    };
    // The refs of a linked worktree are in the main one.
    let common = fs::read_to_string(git.join("commondir")).ok();
    let common = common.map(|path| git.join(path.trim_end()));
    let places = [Some(git), common];
    let mut places = places.iter().flatten();
    places.find_map(|place| {
        let loose = fs::read_to_string(place.join(name)).ok();
        let loose = loose.and_then(|text| id(&text));
        loose.or_else(|| packed(place, name))
    })
}

/// Returns the directory at or above another one that has a `.git`.
fn checkout(directory: &Path) -> Option<PathBuf> {
    let directory = directory.canonicalize().ok()?;
    let mut above = directory.ancestors();
    above
        .find(|path| path.join(".git").exists())
        .map(Path::to_owned)
}

/// Returns the git directory of a checkout. In worktrees and submodules, `.git` is a file that names it. Source:
/// gitrepository-layout(5).
fn git_directory(top: &Path) -> Option<PathBuf> {
    let path = top.join(".git");
    if path.is_dir() {
        return Some(path);
    }
    let text = fs::read_to_string(path).ok()?;
    Some(top.join(text.trim_end().strip_prefix("gitdir: ")?))
}

/// Returns the commit of a ref in `packed-refs`: lines of an ID, a space and a name.
fn packed(place: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(place.join("packed-refs")).ok()?;
    text.lines().find_map(|line| {
        let (found, of) = line.split_once(' ')?;
        (of == name).then(|| id(found)).flatten()
    })
}

/// Returns the ID of a commit: SHA-1 or SHA-256 in hexadecimal.
fn id(text: &str) -> Option<String> {
    let text = text.trim_end();
    let is_id = [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(top: &Path, name: &str, text: &str) {
        let path = top.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_commit_is_read_from_the_files_of_git() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        let (one, two) = ("1".repeat(40), "2".repeat(64));
        write(top, "ours/go.mod", "module a\n");
        write(top, "dep/sub/go.mod", "module b\n");
        let of = |name: &str| commit(&top.join(name), &top.join("ours"));
        assert_eq!(of("dep/sub"), None);
        write(top, "dep/.git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(of("dep/sub"), None);
        write(
            top,
            "dep/.git/packed-refs",
            &format!("# pack-refs\n{two} refs/heads/main\n"),
        );
        assert_eq!(of("dep/sub"), Some(two.clone()));
        write(top, "dep/.git/refs/heads/main", &format!("{one}\n"));
        assert_eq!(of("dep"), Some(one.clone()));
        write(top, "dep/.git/HEAD", &format!("{two}\n"));
        assert_eq!(of("dep"), Some(two));
        // A linked worktree.
        write(top, "tree/.git", "gitdir: ../dep/.git/worktrees/tree\n");
        write(
            top,
            "dep/.git/worktrees/tree/HEAD",
            "ref: refs/heads/main\n",
        );
        write(top, "dep/.git/worktrees/tree/commondir", "../..\n");
        assert_eq!(of("tree"), Some(one));
        // The checkout that contains the lock.
        assert_eq!(commit(&top.join("dep/sub"), &top.join("dep")), None);
    }

    #[test]
    fn the_content_is_that_of_the_module_alone() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        write(top, "go.mod", "module a\n");
        write(top, "p/a.go", "package p\n");
        let before = content_h1(top).unwrap();
        write(top, ".git/HEAD", "x");
        write(top, "vendor/modules.txt", "");
        write(top, "other/go.mod", "module b\n");
        assert_eq!(content_h1(top).unwrap(), before);
        write(top, "p/a.go", "package p // changed\n");
        assert_ne!(content_h1(top).unwrap(), before);
    }
}
