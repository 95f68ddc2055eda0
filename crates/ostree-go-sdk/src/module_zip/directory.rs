//! Hashes of directories.

use super::error::ModuleZipError;
use crate::fs::context::IoContext;
use crate::fs::digest;
use crate::golang::h1::{H1, H1Builder};
use crate::parallel;
use crate::progress::NoProgress;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Returns the hash of the files in a directory, which is that of the module's zip file if the
/// directory is an extracted module. `prefix` stands for the directory in the names that are hashed;
/// for a module it is `module@version`. Files are read on all cores.
///
/// Source: `HashDir` with `Hash1` in `golang.org/x/mod/sumdb/dirhash`. Unlike it, this refuses symlinks
/// and special files.
///
/// # Errors
/// Returns an error if a file is not a regular file, has a name with a line break or one that is not
/// UTF-8, or cannot be read.
pub fn hash_directory(dir: &Path, prefix: &str) -> Result<H1, ModuleZipError> {
    let metadata = dir.metadata().context("look at", dir)?;
    if !metadata.is_dir() {
        let path = dir.to_owned();
        return Err(ModuleZipError::NotADirectory { path });
    }
    let mut files = Vec::new();
    list(dir, prefix, &mut files)?;
    let hashed = parallel::map(
        &files,
        || (),
        |(), (path, name)| -> Result<_, ModuleZipError> {
            let mut file = File::open(path).context("open", path)?;
            let hashed = digest::hash(&mut file, name, None, &NoProgress).context("read", path)?;
            // There is no progress that could be cancelled.
            let (hasher, _) = hashed.unwrap_or_default();
            Ok((name.clone(), digest::finish(hasher)))
        },
    )?;
    let mut builder = H1Builder::new();
    for (name, sha256) in hashed {
        builder.add(&name, sha256);
    }
    Ok(builder.finish())
}

/// Lists the files of a directory with the names that are hashed.
fn list(
    dir: &Path,
    prefix: &str,
    files: &mut Vec<(PathBuf, String)>,
) -> Result<(), ModuleZipError> {
    for entry in fs::read_dir(dir).context("read", dir)? {
        let entry = entry.context("read", dir)?;
        let (path, kind) = (entry.path(), entry.file_type().context("look at", dir)?);
        let name = entry.file_name();
        let name = name.to_str().filter(|name| !name.contains('\n'));
        let Some(name) = name.map(|name| format!("{prefix}/{name}")) else {
            return Err(ModuleZipError::Name { path });
        };
        if kind.is_dir() {
            list(&path, &name, files)?;
        } else if kind.is_file() {
            files.push((path, name));
        } else {
            return Err(ModuleZipError::NotAFile { path });
        }
    }
    Ok(())
}
