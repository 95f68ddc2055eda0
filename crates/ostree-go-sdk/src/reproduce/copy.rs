//! Copies the sources, for a sandbox that cannot show them at another path.

use super::error::ReproduceError;
use crate::fs::context::IoContext;
use crate::progress::Progress;
use crate::sandbox::SandboxError;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Copies directories, regular files and symbolic links. The directory `.git` is left out, because the go command
/// cannot run git in a sandbox anyway.
///
/// # Errors
/// Returns an error if a file cannot be read or written, or if the operation is cancelled.
pub(super) fn copy(from: &Path, to: &Path, progress: &dyn Progress) -> Result<(), ReproduceError> {
    fs::create_dir_all(to).context("make directory", to)?;
    for entry in fs::read_dir(from).context("read", from)? {
        if progress.is_cancelled() {
            return Err(SandboxError::Cancelled.into());
        }
        let entry = entry.context("read", from)?;
        let (path, dest) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().context("read", &path)?;
        if kind.is_symlink() {
            let target = fs::read_link(&path).context("read", &path)?;
            symlink(target, &dest).context("write", &dest)?;
        } else if kind.is_dir() && entry.file_name() != ".git" {
            copy(&path, &dest, progress)?;
        } else if kind.is_file() {
            fs::copy(&path, &dest).context("copy", &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;

    #[test]
    fn files_and_links_are_copied_without_git() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        fs::create_dir_all(path("a/.git")).unwrap();
        fs::write(path("a/b/file"), "x").unwrap();
        symlink("b/file", path("a/link")).unwrap();
        copy(&path("a"), &path("c"), &NoProgress).unwrap();
        assert_eq!(fs::read(path("c/link")).unwrap(), b"x");
        assert!(path("c/link").is_symlink() && !path("c/.git").exists());
    }
}
