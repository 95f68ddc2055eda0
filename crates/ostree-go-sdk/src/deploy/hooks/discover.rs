//! Finds hooks, and refuses those that other users could change.

use super::error::HookError;
use super::outcome::HookKind;
use crate::fs::context::IoContext;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::ErrorKind as Io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The directories from a base directory to those of hooks.
pub(super) const FOLDERS: [&str; 2] = ["hooks", "post-deploy"];
/// The ends of the names of files that editors and package managers leave.
const IGNORED_ENDS: [&str; 3] = ["~", ".rpmsave", ".rpmnew"];
/// The part of such a name after which dpkg writes the reason.
const IGNORED_DPKG: &str = ".dpkg-";
/// A link to this file removes a hook.
const NULL: &str = "/dev/null";

/// Permission bits: write permission for group and others, execute permission, and the sticky bit.
const OTHERS_WRITE: u32 = 0o022;
const EXECUTE: u32 = 0o111;
const STICKY: u32 = 0o1000;

/// A hook that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundHook {
    pub(super) kind: HookKind,
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) is_executable: bool,
}

/// Returns the hooks below base directories, in the order in which they run.
pub(super) fn discover(bases: &[PathBuf]) -> Result<Vec<FoundHook>, HookError> {
    let mut found = Vec::new();
    for kind in HookKind::ALL {
        let mut paths = BTreeMap::new();
        for base in bases {
            paths.extend(entries(base, kind)?);
        }
        for (name, path) in paths {
            found.extend(examine(kind, name, path)?);
        }
    }
    Ok(found)
}

/// Returns the entries of a base directory's folder of hooks, by name; none if it does not exist.
fn entries(base: &Path, kind: HookKind) -> Result<Vec<(String, PathBuf)>, HookError> {
    let last = format!("{}.d", kind.as_str());
    let mut folder = base.to_owned();
    if !is_folder(&folder)? {
        return Ok(Vec::new());
    }
    for name in FOLDERS.into_iter().chain([&*last]) {
        folder.push(name);
        if !is_folder(&folder)? {
            return Ok(Vec::new());
        }
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).context("read directory", &folder)? {
        let entry = entry.context("read directory", &folder)?;
        let name = entry.file_name();
        if let Some(name) = name.to_str().filter(|name| is_hook_name(name)) {
            found.push((name.to_owned(), entry.path()));
        }
    }
    Ok(found)
}

/// Returns true for the name of a hook. Other files are ignored.
fn is_hook_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_left = IGNORED_ENDS.iter().any(|end| name.ends_with(end)) || name.contains(IGNORED_DPKG);
    !name.starts_with('.') && name.bytes().all(is_allowed) && !is_left
}

/// Returns false if a folder does not exist, and refuses one that other users can change.
fn is_folder(path: &Path) -> Result<bool, HookError> {
    let metadata = match path.metadata() {
        Err(error) if error.kind() == Io::NotFound => return Ok(false),
        metadata => metadata.context("look at", path)?,
    };
    if !metadata.is_dir() {
        return Err(HookError::UnexpectedEntry {
            path: path.to_owned(),
            found: type_of(&metadata),
            expected: "a directory",
        });
    }
    require_trusted(path, &metadata)?;
    Ok(true)
}

/// Examines an entry; returns `None` if it only removes a hook.
fn examine(kind: HookKind, name: String, path: PathBuf) -> Result<Option<FoundHook>, HookError> {
    let target = path.canonicalize().context("find", &path)?;
    if target == Path::new(NULL) {
        return Ok(None);
    }
    let metadata = target.metadata().context("look at", &path)?;
    if !metadata.is_file() {
        return Err(HookError::UnexpectedEntry {
            path,
            found: type_of(&metadata),
            expected: "a file, or a link to one or to /dev/null",
        });
    }
    require_trusted(&path, &metadata)?;
    if path.is_symlink() {
        require_trusted_above(&target)?;
    }
    Ok(Some(FoundHook {
        kind,
        name,
        is_executable: metadata.mode() & EXECUTE != 0,
        path,
    }))
}

/// Refuses the target of a link if other users could replace it.
fn require_trusted_above(target: &Path) -> Result<(), HookError> {
    for folder in target.ancestors().skip(1) {
        let metadata = folder.metadata().context("look at", folder)?;
        // Other users cannot rename or remove what does not belong to them in such a directory.
        let is_sticky = metadata.mode() & STICKY != 0;
        require_owner(folder, &metadata)?;
        if !is_sticky {
            require_trusted(folder, &metadata)?;
        }
    }
    Ok(())
}

fn require_trusted(path: &Path, metadata: &Metadata) -> Result<(), HookError> {
    require_owner(path, metadata)?;
    match metadata.mode() & OTHERS_WRITE {
        0 => Ok(()),
        _ => Err(untrusted(path, metadata)),
    }
}

fn require_owner(path: &Path, metadata: &Metadata) -> Result<(), HookError> {
    let user = rustix::process::geteuid().as_raw();
    match metadata.uid() {
        0 => Ok(()),
        owner if owner == user => Ok(()),
        _ => Err(untrusted(path, metadata)),
    }
}

fn untrusted(path: &Path, metadata: &Metadata) -> HookError {
    HookError::Untrusted {
        path: path.to_owned(),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
    }
}

fn type_of(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_file() {
        "a file"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// Writes a hook below a base directory.
    fn hook(base: &Path, name: &str, mode: u32) -> PathBuf {
        let path = base.join("hooks/post-deploy").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for folder in path
            .ancestors()
            .skip(1)
            .take_while(|up| up.starts_with(base))
        {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        path
    }

    #[test]
    fn hooks_are_sorted_and_later_directories_replace_earlier_ones() {
        let dir = tempfile::tempdir().unwrap();
        let (vendor, site) = (dir.path().join("vendor"), dir.path().join("site"));
        for name in ["wanted.d/10-a", "required.d/20-b", "required.d/10-c"] {
            hook(&vendor, name, 0o755);
        }
        for name in ["wanted.d/20-x~", "wanted.d/a.rpmnew", "wanted.d/b.dpkg-old"] {
            hook(&site, name, 0o755);
        }
        let replaced = hook(&site, "required.d/20-b", 0o644);
        hook(&site, "wanted.d/.hidden", 0o755);
        hook(&site, "wanted.d/with space", 0o755);
        let removed = site.join("hooks/post-deploy/wanted.d/10-a");
        symlink("/dev/null", removed).unwrap();
        let missing = dir.path().join("missing");
        let found = discover(&[vendor, site, missing]).unwrap();
        let names: Vec<_> = found.iter().map(|hook| (hook.kind, &*hook.name)).collect();
        let kind = HookKind::Required;
        assert_eq!(names, [(kind, "10-c"), (kind, "20-b")]);
        assert_eq!(found[1].path, replaced);
        assert!(found[0].is_executable && !found[1].is_executable);
    }

    #[test]
    fn hooks_that_others_can_change_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("site");
        let path = hook(&base, "wanted.d/10-a", 0o775);
        let bases = [base.clone()];
        let error = discover(&bases).unwrap_err().to_string();
        assert!(error.contains("wanted.d/10-a belongs to user"), "{error}");
        assert!(error.contains("has mode 0775"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let folder = base.join("hooks");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let error = discover(&bases).unwrap_err().to_string();
        assert!(error.contains("site/hooks belongs to user"), "{error}");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(discover(&bases).unwrap().len(), 1);
    }

    #[test]
    fn the_target_of_a_link_must_not_be_replaceable() {
        let dir = tempfile::tempdir().unwrap();
        let (base, open) = (dir.path().join("site"), dir.path().join("open"));
        let target = hook(&open, "required.d/program", 0o755);
        let link = hook(&base, "required.d/10-a", 0o755);
        fs::remove_file(&link).unwrap();
        symlink(&target, &link).unwrap();
        let bases = [base];
        assert_eq!(discover(&bases).unwrap()[0].path, link);
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let error = discover(&bases).unwrap_err().to_string();
        assert!(error.contains("/open belongs to user"), "{error}");
    }

    #[test]
    fn other_entries_than_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("site");
        let path = hook(&base, "required.d/10-a", 0o755);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let bases = [base];
        let error = discover(&bases).unwrap_err().to_string();
        assert!(
            error.contains("10-a is a directory, expected a file"),
            "{error}"
        );
        fs::remove_dir(&path).unwrap();
        symlink("10-a", &path).unwrap();
        let error = discover(&bases).unwrap_err();
        assert!(
            matches!(error, HookError::Io { action: "find", .. }),
            "{error}"
        );
    }
}
