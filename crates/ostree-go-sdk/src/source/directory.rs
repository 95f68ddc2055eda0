//! Sources that are directories: an installed SDK, or an unpacked archive.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::deferred::DeferredContent;
use super::tree::Tree;
use super::{Entry, EntryProblem, FileContent, SourceError, Visit};

/// Visits everything below `dir`, sorted by name. Symlinks are not followed.
pub fn read<E: From<SourceError>>(
    dir: &Path,
    mut tree: Tree<'_>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    walk(dir, &[], &mut tree, visit)
}

/// Returns the size of all files below `dir`, or `None` if one of them cannot be looked up.
pub fn size(dir: &Path) -> Option<u64> {
    let mut total = 0_u64;
    for entry in fs::read_dir(dir).ok()? {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        total += match metadata.is_dir() {
            true => size(&entry.path())?,
            false if metadata.is_file() => metadata.len(),
            false => 0,
        };
    }
    Some(total)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    move |source| SourceError::Io {
        path: path.to_owned(),
        source,
    }
}

fn walk<E: From<SourceError>>(
    dir: &Path,
    prefix: &[u8],
    tree: &mut Tree<'_>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let mut names = fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<io::Result<Vec<_>>>()
        })
        .map_err(at(dir))?;
    names.sort_unstable();
    for file_name in names {
        let path = dir.join(&file_name);
        let relative = [prefix, file_name.as_bytes()].concat();
        let name = String::from_utf8_lossy(&relative).into_owned();
        let refuse = |tree: &Tree<'_>, problem| E::from(tree.refuse(&name, problem));
        let metadata = fs::symlink_metadata(&path).map_err(at(&path))?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            tree.folder(&relative).map_err(|p| refuse(tree, p))?;
            walk(&path, &[&relative, b"/".as_slice()].concat(), tree, visit)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(at(&path))?;
            let link = tree.symlink(&relative, target.as_os_str().as_bytes());
            let (path, target) = link.map_err(|p| refuse(tree, p))?;
            visit(Entry::Symlink { path, target })?;
        } else if kind.is_file() {
            // Directories may be setgid to pass on their group; this bit is not used.
            let mode = metadata.mode() & 0o7777;
            if mode & 0o7000 != 0 {
                return Err(refuse(tree, EntryProblem::Mode { mode }));
            }
            let size = metadata.len();
            let path_in_sdk = tree.file(&relative, size).map_err(|p| refuse(tree, p))?;
            let content = DeferredContent::from_file((tree.location, name), size, path);
            visit(Entry::File {
                path: path_in_sdk,
                size,
                content: FileContent::Deferred(content),
            })?;
        } else {
            return Err(refuse(tree, EntryProblem::Special));
        }
    }
    Ok(())
}
