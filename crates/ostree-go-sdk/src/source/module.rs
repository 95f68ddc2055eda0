//! Go modules other than the toolchain: zips of a proxy, and directories.

use super::deferred::DeferredContent;
use super::download::{Found, SourceContext};
use super::tree::Tree;
use super::{Entry, EntryProblem, FileContent, Limits, SourceError, Visit, proxies, zip};
use crate::fs::cache::VerifiedFile;
use crate::golang::module_id::ModuleId;
use crate::golang::module_path::file_path_problem;
use crate::id::Sha256;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The zip of a module, before its content is checked.
pub(crate) struct ModuleZip {
    /// The URL without credentials.
    pub(crate) location: String,
    /// The digest, by which the cache has the file.
    pub(crate) sha256: Sha256,
    file: VerifiedFile,
}

impl ModuleZip {
    /// Gets a module's version from the first proxy of the list that has it.
    pub(crate) fn open(id: &ModuleId, ctx: &SourceContext<'_>) -> Result<Self, SourceError> {
        let Found { location, file, .. } = proxies::first(&id.to_string(), ctx.goproxy, |base| {
            proxies::zip(ctx, base, (id.path(), id.version()), None)
        })?;
        Ok(Self {
            location,
            sha256: file.sha256,
            file,
        })
    }

    /// Visits all files, with paths below the module's folder.
    pub(crate) fn read<E: From<SourceError>>(
        self,
        id: &ModuleId,
        limits: &Limits,
        visit: Visit<'_, E>,
    ) -> Result<(), E> {
        let folder = id.to_string();
        let tree = Tree::new(&self.location, *limits, &folder).in_module();
        zip::read(self.file.file, tree, visit)
    }
}

/// Directories of version control systems, which are not part of a module.
const VCS: [&str; 4] = [".bzr", ".git", ".hg", ".svn"];

/// The file that marks the top of a module.
const GO_MOD: &str = "go.mod";

/// Visits the files of the module in a directory, sorted by name in each directory. As in the zips
/// that Go makes, vendored packages, other modules below the directory, directories of version
/// control systems, symlinks and other special files are left out.
///
/// Source: `golang.org/x/mod/zip`, `listFilesInDir` and `checkFiles`, for modules of Go 1.24 or newer.
pub(crate) fn read_directory<E: From<SourceError>>(
    dir: &Path,
    limits: &Limits,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let location = dir.display().to_string();
    let mut tree = Tree::new(&location, *limits, "").without_top();
    walk(dir, "", &mut tree, visit)
}

fn walk<E: From<SourceError>>(
    dir: &Path,
    prefix: &str,
    tree: &mut Tree<'_>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    for (name, path) in entries(dir)? {
        let relative = format!("{prefix}{name}");
        let metadata = fs::symlink_metadata(&path).map_err(unreadable(&path))?;
        if metadata.is_dir() {
            let go_mod = fs::symlink_metadata(path.join(GO_MOD));
            let is_other = VCS.contains(&&*name) || go_mod.is_ok_and(|go_mod| !go_mod.is_dir());
            if !is_other {
                walk(&path, &format!("{relative}/"), tree, visit)?;
            }
            continue;
        }
        if !metadata.is_file() || is_vendored(&relative) || relative == ".hg_archival.txt" {
            continue;
        }
        let refuse = |tree: &Tree<'_>, problem| E::from(tree.refuse(&relative, problem));
        if let Some(reason) = file_path_problem(&relative) {
            return Err(refuse(tree, EntryProblem::ModuleFile { reason }));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o7000 != 0 {
            return Err(refuse(tree, EntryProblem::Mode { mode }));
        }
        let size = metadata.len();
        let in_module = tree.file(relative.as_bytes(), size);
        let in_module = in_module.map_err(|problem| refuse(tree, problem))?;
        let content = DeferredContent::from_file((tree.location, relative), size, path);
        visit(Entry::File {
            path: in_module,
            size,
            content: FileContent::Deferred(content),
        })?;
    }
    Ok(())
}

/// Returns the names and paths in a directory, sorted. Bytes that are not UTF-8 are replaced in a
/// name, which no module can contain then.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, SourceError> {
    let read = fs::read_dir(dir).and_then(|entries| {
        let named = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, entry.path())
        };
        let entries = entries.map(|entry| entry.map(named));
        entries.collect::<io::Result<Vec<_>>>()
    });
    let mut entries = read.map_err(unreadable(dir))?;
    entries.sort_unstable();
    Ok(entries)
}

/// Source: `isVendoredPackage`.
fn is_vendored(path: &str) -> bool {
    let inside = match path.strip_prefix("vendor/") {
        Some(inside) => Some(inside),
        None => path.split_once("/vendor/").map(|(_, inside)| inside),
    };
    path == "vendor/modules.txt" || inside.is_some_and(|inside| inside.contains('/'))
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> SourceError {
    move |source| SourceError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(dir: &Path) -> Result<Vec<String>, SourceError> {
        let mut names = Vec::new();
        read_directory(dir, &Limits::default(), &mut |entry| {
            if let Entry::File { path, .. } = entry {
                names.push(path.to_string());
            }
            Ok::<_, SourceError>(())
        })?;
        Ok(names)
    }

    #[test]
    fn a_directory_has_the_files_that_gos_zip_would_have() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "go.mod",
            "a.go",
            "vendor/modules.txt",
            "vendor/example.com/x/x.go",
            "vendor/kept",
            "sub/vendor/a/b.go",
            "sub/b.go",
            "other/go.mod",
            "other/c.go",
            ".git/config",
            "sub/.hg/store",
            ".github/ci.yml",
            "testdata/a b.txt",
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        symlink("a.go", folder.path().join("link.go")).unwrap();
        assert_eq!(
            names(folder.path()).unwrap(),
            [
                ".github/ci.yml",
                "a.go",
                "go.mod",
                "sub/b.go",
                "testdata/a b.txt",
                "vendor/kept"
            ]
        );
        fs::write(folder.path().join("a*b.go"), "x").unwrap();
        let error = names(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("entry `a*b.go` cannot be part of a Go module: invalid char '*'"),
            "{error}"
        );
    }
}
