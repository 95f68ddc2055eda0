//! Writes an OCI layout as a tar archive in a single pass.
//!
//! The header of a blob is written before its size and name are known; they are filled in
//! afterwards.

use super::super::writer::counted;
use super::OciError;
use super::layout::index_with;
use super::target::{Blob, Failure, Image, Make, Target};
use crate::fs::context::IoContext;
use crate::fs::output::Seekable;
use crate::oci::format;
use crate::oci::layer::END;
use crate::progress::Progress;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// Size of a block in a tar archive, in bytes.
const BLOCK: u64 = 512;

/// An archive being written.
pub(super) struct Archive<'p> {
    path: PathBuf,
    /// The temporary file; moved to its final name at the end.
    file: Option<Seekable>,
    /// The names of the blobs written so far.
    blobs: HashSet<String>,
    progress: &'p dyn Progress,
}

impl<'p> Archive<'p> {
    /// Creates a temporary archive: next to `path` if it will replace a regular file there, or else
    /// in `scratch`.
    pub(super) fn create(
        path: &Path,
        scratch: &Path,
        progress: &'p dyn Progress,
    ) -> Result<Self, OciError> {
        let file = match is_stdout(path) {
            true => Seekable::temporary(scratch),
            false => Seekable::create(path, scratch),
        };
        let file = file.context("write", path)?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
            blobs: HashSet::new(),
            progress,
        })
    }

    fn file(&mut self) -> io::Result<&mut File> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        Ok(file.file())
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.file()?;
        file.write_all(header(name, bytes.len() as u64)?.as_bytes())?;
        file.write_all(bytes)?;
        pad(file, bytes.len() as u64)
    }

    fn write_blob(&mut self, make: Make<'_>) -> Result<Blob, Failure> {
        let file = self.file()?;
        let start = file.stream_position()?;
        file.seek(SeekFrom::Current(BLOCK.cast_signed()))?;
        let (size, sha256) = counted(file, make)?;
        let sent = self.blobs.insert(blob_name(&format::digest(sha256)));
        let file = self.file()?;
        if sent {
            pad(file, size)?;
            let end = file.stream_position()?;
            file.seek(SeekFrom::Start(start))?;
            let name = blob_name(&format::digest(sha256));
            file.write_all(header(&name, size)?.as_bytes())?;
            file.seek(SeekFrom::Start(end))?;
        } else {
            file.seek(SeekFrom::Start(start))?;
            file.set_len(start)?;
        }
        Ok(Blob { sha256, size, sent })
    }

    fn finish(&mut self, image: &Image, index: &[u8]) -> io::Result<()> {
        for document in image.documents() {
            let name = blob_name(&document.digest());
            if self.blobs.insert(name.clone()) {
                self.add(&name, &document.bytes)?;
            }
        }
        self.add(format::LAYOUT_FILE, format::LAYOUT.as_bytes())?;
        self.add(format::INDEX_FILE, index)?;
        self.file()?.write_all(&END)?;
        let file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        match is_stdout(&self.path) {
            true => file.print(self.progress),
            false => file.deliver(&self.path, self.progress),
        }
    }
}

impl Target for Archive<'_> {
    fn blob(&mut self, make: Make<'_>) -> Result<Blob, OciError> {
        self.write_blob(make)
            .map_err(|failure| failure.at(&self.path))
    }

    fn publish(&mut self, image: &Image) -> Result<(), OciError> {
        let index = index_with(None, image)?;
        let path = self.path.clone();
        let finished = self.finish(image, &index);
        if finished.is_err() && self.progress.is_cancelled() {
            return Err(OciError::Stopped);
        }
        Ok(finished.context("write", path)?)
    }
}

/// Returns true if the path stands for standard output.
fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn blob_name(digest: &str) -> String {
    digest.replacen("sha256:", &format!("{}/", format::BLOBS), 1)
}

fn header(name: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

/// Pads the last block with zeros.
fn pad(file: &mut File, size: u64) -> io::Result<()> {
    let block = [0; BLOCK as usize];
    let missing = (BLOCK - size % BLOCK) % BLOCK;
    file.write_all(&block[..missing as usize])
}
