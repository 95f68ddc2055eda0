//! Writes `index.json`, which lists the content of the repository for programs, and copies the
//! public keys.

use super::advisories::Audit;
use super::entry::Entry;
use super::{Publish, PublishError};
use crate::arch::Arch;
use crate::catalog::CommitKind;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::repo::Repo;
use crate::sign;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The version of the schema of `index.json`. It stays the same when fields are added.
const SCHEMA: u32 = 1;
const FILE: &str = "index.json";

/// The content of `index.json`.
#[derive(Debug, Serialize)]
pub(super) struct Index {
    pub(super) schema: u32,
    /// In seconds since 1970.
    pub(super) published: u64,
    pub(super) releases: Vec<Entry>,
    pub(super) channels: Vec<Entry>,
    /// The names of key files in the same folder.
    pub(super) keys: Vec<String>,
    /// The assessments of the releases at the last publish with a vulnerability database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) audit: Option<Audit>,
}

/// Writes the file, copies the public keys to the same folder, and returns the content of the
/// file.
pub(super) fn write(publish: &Publish, repo: &Repo) -> Result<Index, PublishError> {
    let mut index = Index::of(repo)?;
    index.published = publish.clock.now();
    let entries = index.releases.iter().chain(&index.channels);
    index.audit = publish
        .advisories
        .as_ref()
        .map(|one| Audit::of(one, entries));
    for key in &publish.public_keys {
        index.keys.push(copy(key, repo.path())?);
    }
    put(&repo.path().join(FILE), &index.json())?;
    Ok(index)
}

/// Writes the file again if it exists and does not describe the repository any more, and returns
/// its content then. The keys stay the same.
pub(super) fn refresh(repo: &Repo, now: u64) -> Result<Option<Index>, PublishError> {
    let path = repo.path().join(FILE);
    let old = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        old => old.context("read", &path)?,
    };
    let mut index = Index::of(repo)?;
    let Ok(known) = serde_json::from_slice::<Known>(&old) else {
        // Another program has written this file.
        return Ok(None);
    };
    index.published = known.published;
    index.keys = known.keys;
    index.audit = known.audit;
    if index.json() == old {
        return Ok(None);
    }
    index.published = now;
    put(&path, &index.json())?;
    Ok(Some(index))
}

/// The part of an existing file that does not follow from the repository.
#[derive(Deserialize)]
struct Known {
    published: u64,
    keys: Vec<String>,
    #[serde(default)]
    audit: Option<Audit>,
}

impl Index {
    /// Lists the content of a repository.
    fn of(repo: &Repo) -> Result<Self, PublishError> {
        let mut index = Self {
            schema: SCHEMA,
            published: 0,
            releases: Vec::new(),
            channels: Vec::new(),
            keys: Vec::new(),
            audit: None,
        };
        for (name, commit) in repo.list()? {
            let entries = match commit.kind {
                CommitKind::Release => &mut index.releases,
                CommitKind::Channel => &mut index.channels,
                CommitKind::Layer
                | CommitKind::StdCache
                | CommitKind::Module
                | CommitKind::Image
                | CommitKind::Other => continue,
            };
            entries.push(Entry {
                name: name.to_string(),
                version: commit.version.unwrap_or_default(),
                arch: commit.arch.map_or("noarch", Arch::basearch).to_owned(),
                commit: commit.id.to_string(),
                bytes: commit.bytes.unwrap_or(0),
                files: commit.files.unwrap_or(0),
                timestamp: commit.timestamp,
                signed_by: sign::signers(repo, commit.id)?,
            });
        }
        // The newest release is first.
        let version = |entry: &Entry| entry.version.parse::<crate::version::GoVersion>().ok();
        index.releases.sort_by(|a, b| {
            version(b)
                .cmp(&version(a))
                .then_with(|| a.arch.cmp(&b.arch))
        });
        Ok(index)
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

fn copy(key: &Path, into: &Path) -> Result<String, PublishError> {
    let name = key
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let bytes = std::fs::read(key).context("read public keys from", key)?;
    put(&into.join(&name), &bytes)?;
    Ok(name)
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    Ok(atomic::write_public(path, bytes).context("write", path)?)
}
