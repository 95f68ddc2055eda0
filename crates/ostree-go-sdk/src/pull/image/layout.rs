//! OCI image layouts on this machine: a folder, or an archive of one.
//!
//! Source: `image-layout.md` of the OCI image specification.

use crate::id::Sha256;
use crate::pull::PullError;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Maximum size of a manifest or index in bytes.
const MAX_DOCUMENT: u64 = 16 << 20;
/// Maximum number of files in an archive of a layout.
const MAX_FILES: usize = 100_000;

/// An OCI image layout.
#[derive(Debug)]
pub(super) struct Layout {
    path: PathBuf,
    /// The position and the size of each file in the archive, in bytes; `None` for a folder.
    files: Option<HashMap<PathBuf, (u64, u64)>>,
}

impl Layout {
    /// Opens a layout in a folder.
    pub(super) fn folder(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            files: None,
        }
    }

    /// Opens a layout in a tar archive.
    pub(super) fn archive(path: &Path) -> Result<Self, PullError> {
        let failed = |source| PullError::Read {
            location: path.display().to_string(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let files = list_files(file).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            files: Some(files),
        })
    }

    /// Returns the location of a file for errors.
    pub(super) fn location(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Returns the name of a blob's file.
    pub(super) fn blob(digest: Sha256) -> String {
        format!("blobs/sha256/{digest}")
    }

    /// Reads a manifest or index.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, PullError> {
        let failed = |source| PullError::Read {
            location: self.location(name),
            source,
        };
        let mut bytes = Vec::new();
        let mut input = self.open(name)?.take(MAX_DOCUMENT + 1);
        input.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            let problem = format!("it is larger than {MAX_DOCUMENT} bytes");
            return Err(failed(io::Error::other(problem)));
        }
        Ok(bytes)
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read>, PullError> {
        let open = || -> io::Result<Box<dyn Read>> {
            let Some(files) = &self.files else {
                return Ok(Box::new(File::open(self.path.join(name))?));
            };
            let range = files.get(Path::new(name));
            let (start, size) = range.ok_or(io::ErrorKind::NotFound)?;
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(*start))?;
            Ok(Box::new(file.take(*size)))
        };
        open().map_err(|source| PullError::Read {
            location: self.location(name),
            source,
        })
    }
}

/// Returns the positions and sizes of the files in an archive.
fn list_files(file: File) -> io::Result<HashMap<PathBuf, (u64, u64)>> {
    let mut archive = tar::Archive::new(BufReader::new(file));
    let mut files = HashMap::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let range = (entry.raw_file_position(), entry.size());
        let path = entry.path()?;
        let path = path.strip_prefix(".").unwrap_or(&path).to_owned();
        files.insert(path, range);
        if files.len() > MAX_FILES {
            return Err(io::Error::other(format!(
                "it has more than {MAX_FILES} files"
            )));
        }
    }
    Ok(files)
}
