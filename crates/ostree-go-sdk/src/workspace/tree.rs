//! The files of a directory with their digests.

use super::error::WorkspaceError;
use crate::fs::context::IoContext;
use crate::fs::digest;
use crate::golang::h1::{H1, H1Builder};
use crate::id::Sha256;
use crate::parallel;
use crate::progress::NoProgress;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The cores that hash files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cores {
    All,
    /// For a caller that processes several directories at the same time.
    One,
}

/// The files of a directory.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The digests of the regular files, by their paths in the directory, with `/`.
    pub(super) files: BTreeMap<String, Sha256>,
    /// The paths of everything else that is not a directory.
    pub(super) others: BTreeSet<String>,
}

impl Tree {
    /// Reads all files of a directory. `enters` decides whether a subdirectory is read.
    pub(super) fn read(
        top: &Path,
        enters: &dyn Fn(&Path) -> bool,
        cores: Cores,
    ) -> Result<Self, WorkspaceError> {
        let (mut paths, mut others) = (Vec::new(), BTreeSet::new());
        list(top, "", enters, &mut paths, &mut others)?;
        let hash = |(name, path): &(String, PathBuf)| {
            let sha256 = hash_file(path)?;
            Ok::<_, WorkspaceError>((name.clone(), sha256))
        };
        let files = match cores {
            Cores::All => parallel::map(&paths, || (), |(), file| hash(file))?,
            Cores::One => paths.iter().map(hash).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            files: files.into_iter().collect(),
            others,
        })
    }
}

/// Returns the hash of files, each with its name behind a prefix, as in `go.sum`.
pub(super) fn h1<'a>(
    prefix: &str,
    files: impl IntoIterator<Item = (&'a String, &'a Sha256)>,
) -> H1 {
    let mut builder = H1Builder::new();
    for (name, sha256) in files {
        builder.add(&format!("{prefix}{name}"), *sha256);
    }
    builder.finish()
}

fn hash_file(path: &Path) -> Result<Sha256, WorkspaceError> {
    let mut file = File::open(path).context("open", path)?;
    let hashed = digest::hash(&mut file, "", None, &NoProgress).context("read", path)?;
    // Without a receiver of progress, nothing cancels.
    Ok(hashed.map_or(Sha256::new([0; 32]), |(hasher, _)| digest::finish(hasher)))
}

fn list(
    folder: &Path,
    prefix: &str,
    enters: &dyn Fn(&Path) -> bool,
    files: &mut Vec<(String, PathBuf)>,
    others: &mut BTreeSet<String>,
) -> Result<(), WorkspaceError> {
    for entry in fs::read_dir(folder).context("list", folder)? {
        let entry = entry.context("list", folder)?;
        let path = entry.path();
        let kind = entry.file_type().context("look at", &path)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            if enters(&path) {
                list(&path, &format!("{name}/"), enters, files, others)?;
            }
        } else if kind.is_file() {
            files.push((name, path));
        } else {
            others.insert(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_have_digests_and_others_only_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::create_dir(folder.path().join("skipped")).unwrap();
        fs::write(folder.path().join("a/b/c"), "x").unwrap();
        fs::write(folder.path().join("skipped/d"), "x").unwrap();
        std::os::unix::fs::symlink("b", folder.path().join("a/link")).unwrap();
        let tree = Tree::read(
            folder.path(),
            &|path| !path.ends_with("skipped"),
            Cores::All,
        )
        .unwrap();
        assert_eq!(tree.files.keys().collect::<Vec<_>>(), ["a/b/c"]);
        assert_eq!(tree.files["a/b/c"], digest::of(b"x"));
        assert_eq!(tree.others.iter().collect::<Vec<_>>(), ["a/link"]);
        assert!(Tree::read(&folder.path().join("none"), &|_| true, Cores::One).is_err());
    }
}
