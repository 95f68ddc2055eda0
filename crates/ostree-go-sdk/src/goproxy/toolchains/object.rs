//! The content of a zip file's entry: read, verified and copied from the repository.

use super::error::ToolchainModuleError;
use crate::fs::context::IoContext;
use crate::fs::digest;
use crate::fs::path::TreePath;
use crate::id::{FileId, Sha256};
use crate::object::{FileHasher, FileHeader, parse_archived};
use crate::repo::{Repo, RepoMode};
use crate::upstream::content;
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use sha2::Digest;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Buffer size for reading objects, in bytes.
const CHUNK: usize = 256 << 10;

/// The bytes of an entry in the zip file.
#[derive(Debug)]
pub(super) enum Data {
    /// Bytes that no object has.
    Bytes(Vec<u8>),
    /// The content of an object.
    Stored(FileId),
    /// The deflate stream in the file of an object, which begins at `start`.
    Deflated {
        id: FileId,
        path: PathBuf,
        start: u64,
        sha256: Sha256,
    },
}

/// A file whose content has been read and verified.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) data: Data,
    /// The digest of the content, from which `h1:` hashes are computed.
    pub(super) sha256: Sha256,
    pub(super) crc32: u32,
    pub(super) size: u64,
    /// The size in the zip file.
    pub(super) packed: u64,
}

impl Content {
    /// Returns the content of a file that no object has.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        let mut crc = Crc::new();
        crc.update(&bytes);
        let size = bytes.len() as u64;
        Self {
            sha256: digest::of(&bytes),
            crc32: crc.sum(),
            size,
            packed: size,
            data: Data::Bytes(bytes),
        }
    }

    /// Returns true if the bytes in the zip file are compressed.
    pub(super) const fn is_deflated(&self) -> bool {
        matches!(self.data, Data::Deflated { .. })
    }

    /// Reads and verifies the content of a file.
    pub(super) fn read(
        repo: &Repo,
        path: &TreePath,
        id: FileId,
        executable: bool,
    ) -> Result<Self, ToolchainModuleError> {
        if let Some(content) = read_deflated(repo, id, executable)? {
            return Ok(content);
        }
        let mut crc = Crc::new();
        let mut size = 0;
        let sha256 = content::digest(repo, path, id, executable, &mut |bytes| {
            crc.update(bytes);
            size += bytes.len() as u64;
        })?;
        Ok(Self {
            data: Data::Stored(id),
            sha256,
            crc32: crc.sum(),
            size,
            packed: size,
        })
    }
}

/// Reads a file that the repository has compressed, so that its bytes can be sent as they are. Returns `None` if it is
/// not stored in this way, or is damaged in any way: reading it through libostree then tells what is wrong.
fn read_deflated(
    repo: &Repo,
    id: FileId,
    executable: bool,
) -> Result<Option<Content>, ToolchainModuleError> {
    if repo.mode() != RepoMode::Archive {
        return Ok(None);
    }
    let path = repo.file_object_path(id);
    let file = match fs::read(&path) {
        // It may be in a parent repository.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.context("read", &path)?,
    };
    let Some((header, size, start)) = parse_archived(&file) else {
        return Ok(None);
    };
    let plain = FileHeader::Regular { executable };
    let packed = file.get(start..).unwrap_or_default();
    if header.to_composed().as_ref() != Some(&plain) || packed.is_empty() {
        return Ok(None);
    }
    let (mut object, mut sha256) = (FileHasher::new(&plain), sha2::Sha256::new());
    let mut crc = Crc::new();
    let mut inflate = DeflateDecoder::new(packed);
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    while total <= size {
        let Ok(read) = inflate.read(&mut buffer) else {
            return Ok(None);
        };
        if read == 0 {
            break;
        }
        total += read as u64;
        object.update(&buffer[..read]);
        sha256.update(&buffer[..read]);
        crc.update(&buffer[..read]);
    }
    let is_complete = total == size && inflate.into_inner().is_empty();
    Ok((is_complete && object.finish() == id).then(|| Content {
        sha256: Sha256(sha256.finalize().into()),
        crc32: crc.sum(),
        size,
        packed: packed.len() as u64,
        data: Data::Deflated {
            id,
            start: start as u64,
            sha256: digest::of(packed),
            path,
        },
    }))
}

impl Data {
    /// Writes the bytes, and fails at their end if they are not those that were read before.
    pub(super) fn write(
        &self,
        repo: &Repo,
        executable: bool,
        out: &mut dyn Write,
    ) -> Result<(), ToolchainModuleError> {
        match self {
            Self::Bytes(bytes) => out.write_all(bytes).map_err(ToolchainModuleError::Write),
            Self::Stored(id) => write_object(repo, *id, executable, out),
            Self::Deflated {
                id,
                path,
                start,
                sha256,
            } => {
                let mut file = File::open(path).context("open", path)?;
                file.seek(SeekFrom::Start(*start)).context("read", path)?;
                let mut hash = sha2::Sha256::new();
                let mut buffer = vec![0; CHUNK];
                loop {
                    let read = file.read(&mut buffer).context("read", path)?;
                    if read == 0 {
                        break;
                    }
                    hash.update(&buffer[..read]);
                    out.write_all(&buffer[..read])
                        .map_err(ToolchainModuleError::Write)?;
                }
                match Sha256(hash.finalize().into()) == *sha256 {
                    true => Ok(()),
                    false => Err(ToolchainModuleError::Changed { id: *id }),
                }
            }
        }
    }
}

/// Writes the content of an object.
fn write_object(
    repo: &Repo,
    id: FileId,
    executable: bool,
    out: &mut dyn Write,
) -> Result<(), ToolchainModuleError> {
    let file = repo.file(id)?;
    let mut hash = FileHasher::new(&FileHeader::Regular { executable });
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        out.write_all(&buffer[..read])
            .map_err(ToolchainModuleError::Write)?;
    }
    match hash.finish() == id {
        true => Ok(()),
        false => Err(ToolchainModuleError::Changed { id }),
    }
}
