//! Images on this machine: a folder in OCI's layout, or an archive of one.
//!
//! Source: `image-layout.md` of the OCI image specification.

use crate::id::Sha256;
use crate::pull::PullError;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The largest document that is read.
const DOCUMENT: u64 = 16 << 20;
/// How many files an archive of a layout may have.
const FILES: usize = 100_000;

/// Images on this machine.
#[derive(Debug)]
pub(super) struct Layout {
    path: PathBuf,
    /// Where each file begins in the archive, and its size; `None` for a folder.
    files: Option<HashMap<PathBuf, (u64, u64)>>,
}

impl Layout {
    /// A folder.
    pub(super) fn folder(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            files: None,
        }
    }

    /// A tar archive of a folder.
    pub(super) fn archive(path: &Path) -> Result<Self, PullError> {
        let failed = |source| PullError::Read {
            place: path.display().to_string(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let files = files(file).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            files: Some(files),
        })
    }

    /// What errors call a file of it.
    pub(super) fn place(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// The name of a blob's file.
    pub(super) fn blob(digest: Sha256) -> String {
        format!("blobs/sha256/{digest}")
    }

    /// A document, whole.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, PullError> {
        let failed = |source| PullError::Read {
            place: self.place(name),
            source,
        };
        let mut bytes = Vec::new();
        let mut input = self.open(name)?.take(DOCUMENT + 1);
        input.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > DOCUMENT {
            let problem = format!("it is larger than {DOCUMENT} bytes");
            return Err(failed(io::Error::other(problem)));
        }
        Ok(bytes)
    }

    /// A file, to be read.
    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read>, PullError> {
        let open = || -> io::Result<Box<dyn Read>> {
            let Some(files) = &self.files else {
                return Ok(Box::new(File::open(self.path.join(name))?));
            };
            let place = files.get(Path::new(name));
            let (start, size) = place.ok_or(io::ErrorKind::NotFound)?;
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(*start))?;
            Ok(Box::new(file.take(*size)))
        };
        open().map_err(|source| PullError::Read {
            place: self.place(name),
            source,
        })
    }
}

/// Where the files of an archive are.
fn files(file: File) -> io::Result<HashMap<PathBuf, (u64, u64)>> {
    let mut archive = tar::Archive::new(BufReader::new(file));
    let mut files = HashMap::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let place = (entry.raw_file_position(), entry.size());
        let path = entry.path()?;
        let path = path.strip_prefix(".").unwrap_or(&path).to_owned();
        files.insert(path, place);
        if files.len() > FILES {
            return Err(io::Error::other("it has too many files"));
        }
    }
    Ok(files)
}
