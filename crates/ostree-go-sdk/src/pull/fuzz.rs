//! Entry points of the fuzz targets `delta_apply`, `image` and `summary`.

use super::bounds::Bounds;
use super::http::{ObjectReceiver, file_object};
use crate::delta::format::{
    DeltaFormatError, Object, ObjectKey, Part, PartHeader, Superblock, apply, unwrap_signed,
};
use crate::id::{FileId, Sha256};
use crate::object::FileHasher;
use crate::progress::{NoProgress, Progress};
use crate::publish::SummaryDocument;
use crate::repo::{Repo, RepoMode};
use sha2::Digest;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

pub use super::image::fuzz::image;

/// Maximum size of a part in bytes, to keep runs short.
const LIMIT: u64 = 1 << 20;

/// Parses a summary.
pub fn summary(bytes: &[u8]) {
    let _ = SummaryDocument::parse(bytes);
}

thread_local! {
    static REPO: Option<(TempDir, Repo)> = {
        let folder = tempfile::tempdir().ok();
        folder.and_then(|folder| {
            let repo = Repo::create(folder.path().join("repo"), RepoMode::BareUser).ok()?;
            Some((folder, repo))
        })
    };
}

/// Applies a part of a static delta to a repository, and asserts that no more bytes are written
/// for files and symlinks than the limits allow.
///
/// The input is the length of the superblock (two bytes, little-endian), the superblock, and a
/// part. The names of the objects are replaced by the correct ones, because wrong checksums would
/// end nearly every run before anything is written.
pub fn delta_apply(bytes: &[u8]) {
    let Some((length, bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let middle = usize::from(u16::from_le_bytes(*length)).min(bytes.len());
    let (superblock, part) = bytes.split_at(middle);
    let superblock = unwrap_signed(superblock).and_then(|(inner, _)| Superblock::read(&inner));
    let Some((file_bytes, header_bytes, header)) = superblock
        .ok()
        .and_then(|superblock| renamed(superblock.parts.first()?, part))
    else {
        return;
    };
    REPO.with(|shared| {
        let Some((_, repo)) = shared else { return };
        // Less than needed, exactly enough, and more than enough.
        for files in [file_bytes / 2, file_bytes, LIMIT] {
            for headers in [header_bytes / 2, header_bytes] {
                let written = receive(repo, &header, part, files, headers).unwrap_or(0);
                assert!(
                    written <= files + headers,
                    "{written} bytes were written, {files} of files and {headers} of headers are allowed"
                );
            }
        }
    });
}

/// Returns the size of the files in a part, the size of their headers, and the header of the part
/// with the correct names of the objects.
fn renamed(header: &PartHeader, bytes: &[u8]) -> Option<(u64, u64, PartHeader)> {
    let part = Part::read(bytes, LIMIT).ok()?;
    let (mut objects, mut file_bytes, mut header_bytes) = (Vec::new(), 0_u64, 0_u64);
    let mut sink = |key: &ObjectKey, object: Object<'_>| {
        let checksum = match object {
            Object::Metadata(bytes) => Sha256(sha2::Sha256::digest(bytes).into()),
            Object::File(file) => {
                let (header, content) = file_object(file);
                file_bytes += content.len();
                header_bytes += header.framed().len() as u64;
                let mut hasher = match header.to_composed() {
                    Some(ours) => FileHasher::new(&ours),
                    None => FileHasher::framed(&header.framed()),
                };
                let read = content.for_each(|bytes| {
                    hasher.update(bytes);
                    Ok(())
                });
                read.map_err(|_| DeltaFormatError::TooLarge { limit: LIMIT })?;
                Sha256(*hasher.finish().as_bytes())
            }
        };
        let kind = key.kind;
        objects.push(ObjectKey { kind, checksum });
        Ok(())
    };
    let source = |_: FileId| Err::<&[u8], _>(DeltaFormatError::TooLarge { limit: LIMIT });
    apply(&part, &header.objects, LIMIT, source, &mut sink).ok()?;
    let header = PartHeader {
        checksum: Sha256(sha2::Sha256::digest(bytes).into()),
        size: bytes.len() as u64,
        uncompressed: header.uncompressed.min(LIMIT),
        objects,
    };
    Some((file_bytes, header_bytes, header))
}

/// Stores a part in a transaction that is aborted, and returns the number of bytes of files and
/// symlinks that were written.
fn receive(repo: &Repo, header: &PartHeader, part: &[u8], files: u64, headers: u64) -> Option<u64> {
    let progress: Arc<dyn Progress> = Arc::new(NoProgress);
    let bounds = Bounds::exact(files, headers, &progress);
    let transaction = repo.begin().ok()?;
    let mut receiver = ObjectReceiver::create_many(&transaction, &bounds, 1).pop()?;
    // An error is an expected result.
    let _ = receiver.receive_part(header, &mut part.to_vec().into());
    drop(receiver);
    Some(total_file_size(&repo.path().join("tmp")) + total_file_size(&repo.path().join("objects")))
}

/// Adds up the sizes of the file objects below a folder.
fn total_file_size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => total_file_size(&path),
                Ok(metadata) if path.extension().is_some_and(|kind| kind == "file") => {
                    metadata.len()
                }
                _ => 0,
            }
        })
        .sum()
}
