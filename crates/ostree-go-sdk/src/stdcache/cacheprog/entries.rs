//! Where entries are found, and where new ones go.

use super::write_folder::{Stored, WriteFolder};
use crate::fs::context::IoFailure;
use crate::golang::std_cache::StdCacheEntry;
use crate::id::Sha256;
use crate::stdcache::open::StdCache;
use crate::stdcache::verified::Verified;
use sha2::Digest;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use tempfile::{NamedTempFile, TempDir};

/// The size of a read in bytes.
const CHUNK: usize = 128 * 1024;

/// The std caches, the write folder, and a temporary folder for what the write folder cannot take.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) caches: Vec<StdCache>,
    pub(super) verified: Verified,
    folder: Option<WriteFolder>,
    /// True if new entries can be stored in the folder.
    is_writable: bool,
    scratch: Option<PathBuf>,
    temporary: OnceLock<Option<Temporary>>,
    now: u64,
}

/// A folder of this process. The protocol requires that the output of a `put` exists until the end of the
/// go command: `go list -export` prints its path.
#[derive(Debug)]
struct Temporary {
    folder: WriteFolder,
    entries: Mutex<HashMap<Sha256, (StdCacheEntry, PathBuf)>>,
    _dir: TempDir,
}

/// The result of a search in the std caches.
#[derive(Debug)]
pub(super) enum FoundInStd {
    /// The output has the content that the index names.
    Good(StdCacheEntry, PathBuf),
    /// The output has to be hashed first.
    Unverified(Candidate),
    None,
}

/// An output of a std cache that nobody has hashed since it was last changed.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) entry: StdCacheEntry,
    pub(super) path: PathBuf,
}

impl Entries {
    pub(super) fn new(
        caches: Vec<StdCache>,
        verified: Verified,
        (folder, is_writable): (Option<WriteFolder>, bool),
        scratch: Option<PathBuf>,
        now: u64,
    ) -> Self {
        Self {
            caches,
            verified,
            folder,
            is_writable,
            scratch,
            temporary: OnceLock::new(),
            now,
        }
    }

    /// Returns true if new entries can be taken.
    pub(super) fn can_put(&self) -> bool {
        self.is_writable || self.temporary().is_some()
    }

    /// Searches the std caches. `damaged` receives the paths of outputs that are missing or have another
    /// size.
    pub(super) fn find_in_std(
        &self,
        action: Sha256,
        mut damaged: impl FnMut(PathBuf),
    ) -> FoundInStd {
        for (entry, path) in self.caches.iter().filter_map(|cache| cache.lookup(action)) {
            match path.metadata() {
                Ok(found) if found.is_file() && found.len() == entry.size => {
                    return match self.verified.contains(&found, entry.output) {
                        true => FoundInStd::Good(entry, path),
                        false => FoundInStd::Unverified(Candidate { entry, path }),
                    };
                }
                _ => damaged(path),
            }
        }
        FoundInStd::None
    }

    /// Hashes an output of a std cache. Returns false if it is damaged or cannot be read.
    pub(super) fn verify(&self, candidate: &Candidate) -> bool {
        let hash = || -> io::Result<_> {
            let mut file = File::open(&candidate.path)?;
            // Before it is read: a change in the meantime changes the attributes.
            let found = file.metadata()?;
            let mut hasher = sha2::Sha256::new();
            let mut buffer = vec![0; CHUNK];
            loop {
                match file.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => hasher.update(&buffer[..read]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((found, crate::fs::digest::finish(hasher)))
        };
        match hash() {
            Ok((found, digest)) if digest == candidate.entry.output => {
                self.verified.insert(&found, digest);
                true
            }
            _ => false,
        }
    }

    /// Searches the write folder and what this process has stored elsewhere.
    pub(super) fn find_written(&self, action: Sha256) -> Option<Stored> {
        let stored = self.folder.as_ref().and_then(|folder| folder.get(action));
        stored.or_else(|| {
            let temporary = self.temporary.get()?.as_ref()?;
            let entries = temporary.entries.lock();
            let entries = entries.unwrap_or_else(PoisonError::into_inner);
            let (entry, path) = entries.get(&action)?;
            Some(Stored {
                entry: *entry,
                path: path.clone(),
                time: self.now.saturating_mul(1_000_000_000),
            })
        })
    }

    /// Starts to take a new output.
    pub(super) fn writer(&self, output: Sha256) -> OutputWriter<'_> {
        let mut writer = OutputWriter {
            entries: self,
            output,
            file: None,
            in_folder: false,
            hasher: sha2::Sha256::new(),
            size: 0,
            error: None,
        };
        let folder = self.folder.as_ref().filter(|_| self.is_writable);
        match folder.map(|folder| folder.create(output)) {
            Some(Ok(file)) => {
                writer.file = Some(file);
                writer.in_folder = true;
            }
            Some(Err(error)) => writer.move_to_temporary(error),
            None => writer.move_to_temporary(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
        writer
    }

    /// Returns the temporary folder of this process. It is created by the first call.
    fn temporary(&self) -> Option<&Temporary> {
        let create = || {
            let mut builder = tempfile::Builder::new();
            let builder = builder.prefix("ostree-go-cacheprog-");
            let dir = builder.tempdir_in(self.scratch.as_ref()?).ok()?;
            dir.path().to_str()?;
            Some(Temporary {
                folder: WriteFolder::without_lock(dir.path(), self.now),
                entries: Mutex::default(),
                _dir: dir,
            })
        };
        self.temporary.get_or_init(create).as_ref()
    }
}

/// Takes the content of a new output. If the write folder fails, for example because its disk is full, the
/// content goes to the temporary folder.
#[derive(Debug)]
pub(super) struct OutputWriter<'a> {
    entries: &'a Entries,
    output: Sha256,
    file: Option<NamedTempFile>,
    in_folder: bool,
    hasher: sha2::Sha256,
    size: u64,
    /// The first error that could not be avoided.
    error: Option<io::Error>,
}

/// The reason why an output was not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum PutError {
    #[error("the body has another SHA-256 digest than OutputID")]
    Digest,
    #[error("cannot store the output: {0}")]
    Io(#[from] io::Error),
}

impl OutputWriter<'_> {
    pub(super) fn write(&mut self, part: &[u8]) {
        self.hasher.update(part);
        let Some(file) = &mut self.file else {
            return;
        };
        if let Err(error) = file.write_all(part) {
            self.move_to_temporary(error);
            let written = self.file.as_mut().map(|file| file.write_all(part));
            if let Some(Err(error)) = written {
                self.fail(error);
            }
        }
        self.size += u64::try_from(part.len()).unwrap_or_default();
    }

    /// Stores the output. Returns its path, and true if later processes will find it.
    pub(super) fn finish(mut self, action: Sha256) -> Result<(PathBuf, bool), PutError> {
        let hasher = std::mem::take(&mut self.hasher);
        if crate::fs::digest::finish(hasher) != self.output {
            return Err(PutError::Digest);
        }
        let entry = StdCacheEntry {
            output: self.output,
            size: self.size,
        };
        if self.in_folder
            && let (Some(folder), Some(file)) = (&self.entries.folder, self.file.take())
        {
            let copy = file.as_file().try_clone()?;
            match folder.put(file, action, entry) {
                Ok(path) => return Ok((path, true)),
                Err(error) => self.copy_to_temporary(copy, error),
            }
        }
        let (Some(temporary), Some(file)) = (self.entries.temporary(), self.file.take()) else {
            let error = self.error.unwrap_or_else(|| io::ErrorKind::Other.into());
            return Err(error.into());
        };
        let path = temporary.folder.put(file, action, entry)?;
        let entries = temporary.entries.lock();
        let mut entries = entries.unwrap_or_else(PoisonError::into_inner);
        entries.insert(action, (entry, path.clone()));
        Ok((path, false))
    }

    /// Continues in the temporary folder with what was written until now. `error` is that of the write
    /// folder.
    fn move_to_temporary(&mut self, error: io::Error) {
        match self.file.take() {
            Some(file) if self.in_folder => match file.as_file().try_clone() {
                Ok(copy) => self.copy_to_temporary(copy, error),
                Err(_) => self.fail(error),
            },
            Some(_) => self.fail(error),
            None => match self.temporary_file() {
                Some(file) => self.file = Some(file),
                None => self.fail(error),
            },
        }
    }

    fn copy_to_temporary(&mut self, mut from: File, error: io::Error) {
        self.in_folder = false;
        let Some(mut file) = self.temporary_file() else {
            return self.fail(error);
        };
        let copy = || -> io::Result<()> {
            from.seek(SeekFrom::Start(0))?;
            // A write that failed may have written a part.
            io::copy(&mut from.take(self.size), &mut file)?;
            Ok(())
        };
        match copy() {
            Ok(()) => self.file = Some(file),
            Err(_) => self.fail(error),
        }
    }

    fn temporary_file(&self) -> Option<NamedTempFile> {
        let folder = &self.entries.temporary()?.folder;
        folder.create(self.output).ok()
    }

    fn fail(&mut self, error: io::Error) {
        self.file = None;
        self.error = self.error.take().or(Some(error));
    }
}

/// Opens a write folder whose path can be sent in a response.
///
/// # Errors
/// Returns the reason why nothing can be written to it, and the folder if it can be read.
pub(super) fn open_folder(
    path: &Path,
    now: u64,
) -> Result<WriteFolder, (IoFailure, Option<WriteFolder>)> {
    match path.to_str() {
        Some(_) if path.is_absolute() => WriteFolder::open(path, now).map_err(|failure| {
            let readable = path.is_dir().then(|| WriteFolder::without_lock(path, now));
            (failure, readable)
        }),
        _ => {
            let problem = "the path is not absolute, or not UTF-8";
            let error = io::Error::new(io::ErrorKind::InvalidInput, problem);
            Err((IoFailure::new("use", path, error), None))
        }
    }
}
