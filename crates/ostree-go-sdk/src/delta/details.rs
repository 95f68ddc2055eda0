//! What is in a static delta.

use super::compile::reach;
use super::format::{ObjectKey, Op, Ops, Part, PartHeader};
use super::{DeltaError, DeltaName, folder, read_superblock};
use crate::id::FileId;
use crate::repo::{Repo, RepoError};
use std::collections::BTreeMap;
use std::path::Path;

/// A part is not read beyond so many bytes.
const MOST: u64 = 1 << 30;

/// What is in a static delta.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeltaDetails {
    /// Between which commits it is.
    pub name: DeltaName,
    /// When it was made, in seconds since 1970.
    pub timestamp: u64,
    /// The kinds of signatures around the superblock, as `ed25519`. They are not checked.
    pub signed_by: Vec<String>,
    /// The parts, in order.
    pub parts: Vec<DeltaPart>,
    /// Objects that a client fetches on their own.
    pub fallbacks: Vec<DeltaFallback>,
    /// Files that are made out of old ones, in the order of the parts.
    pub patched: Vec<PatchedFile>,
}

/// A part of a static delta.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeltaPart {
    /// Bytes of its file.
    pub bytes: u64,
    /// Bytes of the objects that it makes.
    pub uncompressed: u64,
    /// How many objects it makes, by type: `file`, `dirtree`, `dirmeta`, `commit`.
    pub objects: BTreeMap<&'static str, u64>,
    /// How many operations it has, by what they do: `whole`, `open`, `write`, `set-read-source`,
    /// `unset-read-source`, `close`, `bspatch`.
    pub operations: BTreeMap<&'static str, u64>,
}

/// An object that a client fetches on its own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeltaFallback {
    /// Its checksum and type: `00ff….file`.
    pub object: String,
    /// Bytes to fetch.
    pub bytes: u64,
    /// Bytes of its content.
    pub uncompressed: u64,
}

/// A file that is made by a patch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PatchedFile {
    /// Where it is in the new commit's tree; none when the repository has not got that.
    pub path: Option<String>,
    /// The file that is made.
    pub id: FileId,
    /// Bytes of its patch, before compression.
    pub patch: u64,
}

/// Reads all of a delta. Nothing is applied.
///
/// # Errors
/// When there is no such delta, or it is not well-formed.
pub fn delta_details(repo: &Repo, name: &DeltaName) -> Result<DeltaDetails, DeltaError> {
    let (superblock, signatures) = read_superblock(repo, name)?;
    let paths: BTreeMap<FileId, String> = match repo.has_commit(name.to)? {
        true => reach(repo, name.to)?
            .files
            .into_iter()
            .map(|(path, id)| (id, path))
            .collect(),
        false => BTreeMap::new(),
    };
    let mut details = DeltaDetails {
        name: *name,
        timestamp: superblock.timestamp,
        signed_by: signatures
            .keys()
            .filter_map(|key| key.strip_prefix("ostree.sign.").map(str::to_owned))
            .collect(),
        parts: Vec::new(),
        fallbacks: superblock
            .fallbacks
            .iter()
            .map(|fallback| DeltaFallback {
                object: fallback.object.to_string(),
                bytes: fallback.size,
                uncompressed: fallback.uncompressed,
            })
            .collect(),
        patched: Vec::new(),
    };
    for (index, header) in superblock.parts.iter().enumerate() {
        let path = folder(repo, name).join(index.to_string());
        let bytes = match superblock.inline_part(index) {
            Some(bytes) => bytes,
            None => read(&path)?,
        };
        let part = inspect(&bytes, header, |object, patch| {
            let id = FileId::from(object.checksum);
            let path = paths.get(&id).cloned();
            details.patched.push(PatchedFile { path, id, patch });
        });
        let part = part.map_err(|source| DeltaError::Format { path, source })?;
        details.parts.push(part);
    }
    Ok(details)
}

fn read(path: &Path) -> Result<Vec<u8>, RepoError> {
    std::fs::read(path).map_err(|source| RepoError::Io {
        action: "read part of a static delta",
        path: path.to_owned(),
        source,
    })
}

fn inspect(
    bytes: &[u8],
    header: &PartHeader,
    mut patched: impl FnMut(&ObjectKey, u64),
) -> Result<DeltaPart, super::DeltaFormatError> {
    let part = Part::read(bytes, MOST)?;
    let mut details = DeltaPart {
        bytes: header.size,
        uncompressed: header.uncompressed,
        objects: BTreeMap::new(),
        operations: BTreeMap::new(),
    };
    for object in &header.objects {
        *details.objects.entry(object.kind.as_str()).or_default() += 1;
    }
    let mut due = header.objects.iter();
    for op in Ops::new(part.ops(), &header.objects) {
        let name = match op? {
            Op::Metadata { .. } | Op::File { .. } => {
                due.next();
                "whole"
            }
            Op::Open { .. } => "open",
            Op::Write { .. } => "write",
            Op::SetReadSource { .. } => "set-read-source",
            Op::UnsetReadSource => "unset-read-source",
            Op::BsPatch { size, .. } => {
                if let Some(object) = due.clone().next() {
                    patched(object, size);
                }
                "bspatch"
            }
            Op::Close => {
                due.next();
                "close"
            }
        };
        *details.operations.entry(name).or_default() += 1;
    }
    Ok(details)
}
