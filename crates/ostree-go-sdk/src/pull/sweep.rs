//! Removing from a transaction what no commit of the pull needs.

use crate::delta::format::{ObjectKey, ObjectKind};
use crate::id::Sha256;
use crate::repo::{RepoError, Staging};
use std::fs;
use std::io;
use std::path::Path;

/// Removes every object from a transaction's staging folder that `is_needed` does not know. A
/// static delta may have brought it, or a pull that was cut short and was never gone on with.
pub(super) fn sweep(
    staging: &Staging,
    is_needed: impl Fn(&ObjectKey) -> bool,
) -> Result<(), RepoError> {
    let mut remove = |path: &Path, key: &ObjectKey| match is_needed(key) {
        true => Ok(()),
        false => fs::remove_file(path),
    };
    each(staging, &mut remove)
}

/// Removes all objects from a staging folder if they have more than `limit` bytes: pulls that are
/// cut short again and again would fill the disk otherwise.
pub(super) fn bound(staging: &Staging, limit: u64) -> Result<(), RepoError> {
    let mut bytes = 0u64;
    each(staging, &mut |path, _| {
        bytes = bytes.saturating_add(fs::symlink_metadata(path)?.len());
        Ok(())
    })?;
    match bytes > limit {
        true => sweep(staging, |_| false),
        false => Ok(()),
    }
}

/// Visits the objects of a staging folder.
fn each(
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
            if let Some(key) = name.to_str().and_then(|name| key(&first, name)) {
                visit(&path, &key).map_err(failed(&path))?;
            }
        }
    }
    Ok(())
}

/// The object of a file, by the loose name that libostree gives it. Source: `_ostree_loose_path`.
fn key(first: &str, name: &str) -> Option<ObjectKey> {
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
