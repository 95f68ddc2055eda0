//! Writes the summary, its signatures and the indexes of static deltas.
//!
//! libostree replaces the summary, removes its signatures and then signs it again, so that a
//! reader, or a crash in between, finds an unsigned summary. Here libostree writes summary and
//! indexes to a scratch repository that shares objects, refs and deltas with the original, and they
//! replace the published files in this order:
//!
//! 1. `summary.sig` with the signatures of the old and of the new summary,
//! 2. `summary`,
//! 3. `summary.sig` with the signatures of the new summary alone.
//!
//! Step 1 is durable before step 2. The files of steps 2 and 3 are written and synced before step
//! 2, so that only two renames remain. In each state, one signature is valid, which is sufficient
//! for this library and for libostree's Ed25519 signatures. GnuPG, as libostree runs it
//! (`--batch`), stops at the first bad signature, so such a client refuses the state between the
//! two renames. A client that fetched `summary.sig` before step 1 and `summary` after step 2 has an
//! old signature and a new summary, which cannot be prevented with two files. In both cases the
//! next attempt finds a valid pair.

use super::PublishError;
use super::document::FORMAT;
use super::readable::make_readable;
use crate::delta::DeltaName;
use crate::failpoint;
use crate::ffi;
use crate::fs::atomic::{self, Pending};
use crate::fs::context::IoContext;
use crate::gvariant;
use crate::metadata::Metadata;
use crate::object::sorted_dict;
use crate::repo::{Repo, RepoError};
use crate::sign::{self, SigningKey};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SUMMARY: &str = "summary";
const SIGNATURES: &str = "summary.sig";
/// Folder of the delta indexes of commits, in subfolders of two characters (`ostree-core.c`,
/// `_ostree_get_relative_static_delta_index_path`).
const INDEXES: &str = "delta-indexes";
const SCRATCH: &str = "ostree-go-summary-";
/// `OSTREE_SUMMARY_LAST_MODIFIED`.
const LAST_MODIFIED: &str = "ostree.summary.last-modified";

/// Publishes the summary, which contains all refs and all deltas except `superseded`. Nothing is
/// written if its content and signatures would stay the same. Returns the number of refs. The
/// repository's lock must be held.
///
/// # Errors
/// Returns an error if the repository cannot be written, or a key cannot be used. The old summary
/// still exists then and is valid.
pub(super) fn write(
    repo: &Repo,
    keys: &[SigningKey],
    superseded: &[DeltaName],
) -> Result<usize, PublishError> {
    let scratch = ScratchRepo::new(repo, superseded)?;
    let (path, signatures) = (repo.path().join(SUMMARY), repo.path().join(SIGNATURES));
    let old = read(&path)?;
    let mut new = read(&scratch.folder.path().join(SUMMARY))?.unwrap_or_default();
    let old_signatures = metadata(&read(&signatures)?.unwrap_or_default());
    let is_same = old
        .as_ref()
        .is_some_and(|old| content_of(old) == content_of(&new));
    if let Some(old) = old.as_ref().filter(|_| is_same) {
        new.clone_from(old);
    }
    scratch.install_indexes(repo)?;
    // Clients that read the new summary request the files that it names.
    make_readable(repo)?;
    let is_signed = match keys {
        [] => !signatures.exists(),
        keys => is_same && sign::has_exactly_signatures_of(&new, &old_signatures, keys)?,
    };
    if !(is_same && is_signed) {
        replace(repo, (old.as_deref(), &old_signatures), &new, keys)?;
    }
    scratch.remove_indexes(repo)?;
    Ok(repo.refs()?.len())
}

/// Returns the published summary, if there is one.
pub(super) fn read_published(repo: &Repo) -> Result<Option<Vec<u8>>, PublishError> {
    read(&repo.path().join(SUMMARY))
}

/// Returns whether the published summary is signed.
pub(super) fn is_signed(repo: &Repo) -> bool {
    repo.path().join(SIGNATURES).exists()
}

fn replace(
    repo: &Repo,
    (old, old_signatures): (Option<&[u8]>, &Metadata),
    new: &[u8],
    keys: &[SigningKey],
) -> Result<(), PublishError> {
    let (path, signatures) = (repo.path().join(SUMMARY), repo.path().join(SIGNATURES));
    if keys.is_empty() {
        // The old signatures would not be valid for the new summary.
        remove(&signatures)?;
        return put(&path, new);
    }
    let new_signatures = sign::sign_summary(new, keys)?;
    if let Some(old) = old.filter(|old| *old != new) {
        let both = sign::merge_signatures(old, old_signatures, &new_signatures, keys)?;
        put(&signatures, sorted_dict(&both).data())?;
        failpoint::hit("publish.both-signed");
        let summary = write_pending(&path, new)?;
        let signed = write_pending(&signatures, sorted_dict(&new_signatures).data())?;
        summary.persist_unsynced().context("write", &path)?;
        failpoint::hit("publish.summary-written");
        if let Err(source) = signed.persist_unsynced() {
            // GnuPG, as the stock `ostree` runs it, would refuse the new summary with both
            // signatures. The first error is reported.
            let _ = put(&path, old);
            return Err(source).context("write", signatures)?;
        }
        return Ok(atomic::sync_directory(path.parent()).context("write", path)?);
    }
    if old.is_none() {
        // There is no old summary that clients could verify; its signatures have to exist before
        // the new summary.
        put(&signatures, sorted_dict(&new_signatures).data())?;
        return put(&path, new);
    }
    put(&signatures, sorted_dict(&new_signatures).data())
}

/// A repository in the `tmp` of the original, which shares refs and objects by symlinks.
struct ScratchRepo {
    folder: TempDir,
}

impl ScratchRepo {
    fn new(repo: &Repo, superseded: &[DeltaName]) -> Result<Self, PublishError> {
        let parent = repo.path().join("tmp");
        remove_leftovers(&parent).context("write", &parent)?;
        enable_indexed_deltas(repo)?;
        let folder = tempfile::Builder::new()
            .prefix(SCRATCH)
            .tempdir_in(&parent)
            .context("write", &parent)?;
        let scratch = Self { folder };
        scratch.fill(repo, superseded).context("write", &parent)?;
        let repo_in_scratch = Repo::open(scratch.folder.path())?;
        repo_in_scratch
            .as_ostree()
            .regenerate_summary(None, gio::Cancellable::NONE)
            .map_err(|source| repo.failed("write the summary", source))?;
        Ok(scratch)
    }

    fn fill(&self, repo: &Repo, superseded: &[DeltaName]) -> io::Result<()> {
        let (real, own) = (repo.path().canonicalize()?, self.folder.path());
        for name in ["objects", "refs", ".lock"] {
            symlink(real.join(name), own.join(name))?;
        }
        fs::copy(real.join("config"), own.join("config"))?;
        fs::create_dir(own.join("tmp"))?;
        let superseded: Vec<PathBuf> = superseded.iter().map(|d| d.path().into()).collect();
        // libostree ignores symlinks to deltas; it only reads the superblock.
        for (path, delta) in list_two_levels(&real, "deltas")? {
            let superblock = delta.join("superblock");
            if !superseded.contains(&path) && superblock.exists() {
                fs::create_dir_all(own.join(&path))?;
                fs::hard_link(superblock, own.join(&path).join("superblock"))?;
            }
        }
        Ok(())
    }

    /// Installs new and changed indexes.
    fn install_indexes(&self, repo: &Repo) -> Result<(), PublishError> {
        for (path, from) in self.indexes(self.folder.path())? {
            let to = repo.path().join(path);
            let new = read(&from)?;
            if read(&to)? != new {
                let folder = atomic::folder_of(&to);
                fs::create_dir_all(folder).context("write", folder)?;
                put(&to, &new.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Removes indexes of commits without deltas.
    fn remove_indexes(&self, repo: &Repo) -> Result<(), PublishError> {
        for (path, index) in self.indexes(repo.path())? {
            if !self.folder.path().join(path).exists() {
                remove(&index)?;
            }
        }
        Ok(())
    }

    fn indexes(&self, repo: &Path) -> Result<Vec<(PathBuf, PathBuf)>, PublishError> {
        let mut found = list_two_levels(repo, INDEXES).context("write", repo.join(INDEXES))?;
        found.retain(|(path, _)| {
            path.extension()
                .is_some_and(|extension| extension == "index")
        });
        Ok(found)
    }
}

/// Sets the option for indexes of static deltas in the configuration, as libostree does.
fn enable_indexed_deltas(repo: &Repo) -> Result<(), RepoError> {
    const OPTION: (&str, &str) = ("core", "indexed-deltas");
    let failed = |source| repo.failed("write the configuration", source);
    let ostree = repo.as_ostree();
    ffi::reload_config(ostree).map_err(failed)?;
    if ostree.config().boolean(OPTION.0, OPTION.1).unwrap_or(false) {
        return Ok(());
    }
    let config = ostree.copy_config();
    config.set_boolean(OPTION.0, OPTION.1, true);
    ffi::write_config(ostree, &config).map_err(failed)?;
    repo.sync()
}

/// Removes the scratch repositories of killed processes.
fn remove_leftovers(tmp: &Path) -> io::Result<()> {
    for entry in fs::read_dir(tmp)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Returns the entries of the subfolders of a folder: their paths relative to `top` and their full
/// paths.
fn list_two_levels(top: &Path, folder: &str) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let list = |path: &Path| match fs::read_dir(path) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let mut found = Vec::new();
    for first in list(&top.join(folder))? {
        if !first.file_type()?.is_dir() {
            continue;
        }
        for second in list(&first.path())? {
            let path = Path::new(folder)
                .join(first.file_name())
                .join(second.file_name());
            found.push((path, second.path()));
        }
    }
    Ok(found)
}

/// Returns the content of a summary without its timestamp, in canonical order; `None` if it is
/// malformed.
fn content_of(summary: &[u8]) -> Option<(glib::Variant, BTreeMap<String, Value>)> {
    let summary = gvariant::parse(summary, FORMAT)?;
    let mut more = entries(&summary.child_value(1))?;
    more.remove(LAST_MODIFIED);
    let values = more.into_iter().map(|(key, value)| {
        let value = match value.type_().as_str() {
            "a{sv}" => entries(&value).map_or(Value::One(value), Value::Many),
            _ => Value::One(value),
        };
        (key, value)
    });
    Some((summary.child_value(0), values.collect()))
}

/// A value of a dictionary. libostree writes dictionaries in arbitrary order.
#[derive(Debug, PartialEq)]
enum Value {
    One(glib::Variant),
    Many(Metadata),
}

fn entries(dict: &glib::Variant) -> Option<Metadata> {
    dict.iter()
        .map(|entry| {
            Some((
                entry.child_value(0).get()?,
                entry.child_value(1).as_variant()?,
            ))
        })
        .collect()
}

/// Returns the entries of a signature file; none if it is malformed.
fn metadata(bytes: &[u8]) -> Metadata {
    let dict = gvariant::parse(bytes, "a{sv}");
    dict.and_then(|dict| entries(&dict)).unwrap_or_default()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, PublishError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Ok(Err(error).context("read", path)?),
    }
}

/// Writes the replacement for the file at `path`, and syncs it.
fn write_pending(path: &Path, bytes: &[u8]) -> Result<Pending, PublishError> {
    let write = || -> io::Result<Pending> {
        let mut pending = Pending::public(path)?;
        pending.file.write_all(bytes)?;
        pending.file.sync_all()?;
        Ok(pending)
    };
    Ok(write().context("write", path)?)
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    Ok(atomic::write_public(path, bytes).context("write", path)?)
}

fn remove(path: &Path) -> Result<(), PublishError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => {
            let synced = removed.and_then(|()| atomic::sync_directory(path.parent()));
            Ok(synced.context("write", path)?)
        }
    }
}
