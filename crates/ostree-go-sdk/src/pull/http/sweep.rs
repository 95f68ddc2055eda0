//! Removal of objects from a transaction that no commit of the pull needs.

use crate::delta::format::{ObjectKey, ObjectKind};
use crate::id::Sha256;
use crate::repo::{RepoError, Staging};
use std::fs;
use std::io;
use std::path::Path;

/// Removes every object from a transaction's staging folder for which `is_needed` returns false. A
/// static delta may contain such objects, and an interrupted pull that was never resumed may have
/// left them.
pub(super) fn sweep(
    staging: &Staging,
    is_needed: impl Fn(&ObjectKey) -> bool,
) -> Result<(), RepoError> {
    let mut remove = |path: &Path, key: &ObjectKey| match is_needed(key) {
        true => Ok(()),
        false => fs::remove_file(path),
    };
    for_each_object(staging, &mut remove)
}

/// Removes all objects from a staging folder if their total size exceeds `limit` bytes. Otherwise
/// repeatedly interrupted pulls could fill the disk.
pub(super) fn clear_if_larger(staging: &Staging, limit: u64) -> Result<(), RepoError> {
    let mut bytes = 0u64;
    for_each_object(staging, &mut |path, _| {
        bytes = bytes.saturating_add(fs::symlink_metadata(path)?.len());
        Ok(())
    })?;
    match bytes > limit {
        true => sweep(staging, |_| false),
        false => Ok(()),
    }
}

/// Calls `visit` with each object of a staging folder.
fn for_each_object(
    staging: &Staging,
    visit: &mut dyn FnMut(&Path, &ObjectKey) -> io::Result<()>,
) -> Result<(), RepoError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RepoError::Io {
            action: "clean",
            path,
            source,
        }
    };
    for byte in 0..=u8::MAX {
        let first = format!("{byte:02x}");
        let folder = staging.path().join(&first);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(failed(&folder))?,
        };
        for entry in entries {
            let name = entry.map_err(failed(&folder))?.file_name();
            let path = folder.join(&name);
            if let Some(key) = name.to_str().and_then(|name| object_key(&first, name)) {
                visit(&path, &key).map_err(failed(&path))?;
            }
        }
    }
    Ok(())
}

/// Parses the name of a loose object's file. Source: `_ostree_loose_path` of libostree.
fn object_key(first: &str, name: &str) -> Option<ObjectKey> {
    let (rest, ending) = name.split_once('.')?;
    let kind = match ending {
        "file" | "filez" => ObjectKind::File,
        "dirtree" => ObjectKind::DirTree,
        "dirmeta" => ObjectKind::DirMeta,
        _ => return None,
    };
    let checksum: Sha256 = format!("{first}{rest}").parse().ok()?;
    Some(ObjectKey { kind, checksum })
}
