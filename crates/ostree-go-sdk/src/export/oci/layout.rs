//! Writes an image to a directory in the form of the image specification's `image-layout.md`.

use super::super::writer::counted;
use super::OciError;
use super::image::Document;
use super::target::{Blob, Failure, Image, Make, Target};
use crate::fs::atomic;
use crate::fs::context::{IoContext, IoFailure};
use crate::fs::hidden::HiddenFolder;
use crate::oci::format;
use crate::progress::{Event, POLL_INTERVAL, Progress};
use oci_spec::image::{ImageIndex, ImageIndexBuilder, OciLayout};
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A layout that an image is being added to.
pub(super) struct Layout {
    /// The final path.
    path: PathBuf,
    /// The directory being written: the final path, or a temporary one if the layout is new.
    work: PathBuf,
    /// The lock on an existing layout.
    _lock: Option<File>,
    /// The temporary directory of a new layout; moved to the final path at the end.
    new: Option<HiddenFolder>,
    /// The blobs added so far, removed again if the export fails.
    added: Vec<PathBuf>,
}

impl Layout {
    /// Opens the layout at a path, or creates one if the path is missing or an empty directory.
    pub(super) fn open(path: &Path, progress: &dyn Progress) -> Result<Self, OciError> {
        let is_empty = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(IoFailure::new("write", path, error).into()),
        };
        if !is_empty {
            let lock = lock(path, progress)?;
            read_index(path)?;
            fs::create_dir_all(path.join(format::BLOBS)).context("write", path)?;
            remove_temporary(path).context("write", path)?;
            return Ok(Self {
                path: path.to_owned(),
                work: path.to_owned(),
                _lock: Some(lock),
                new: None,
                added: Vec::new(),
            });
        }
        let new = HiddenFolder::create(path).context("write", path)?;
        let work = new.path().to_owned();
        fs::create_dir_all(work.join(format::BLOBS)).context("write", path)?;
        atomic::write(&work.join(format::LAYOUT_FILE), format::LAYOUT.as_bytes())
            .context("write", path)?;
        Ok(Self {
            path: path.to_owned(),
            work,
            _lock: None,
            new: Some(new),
            added: Vec::new(),
        })
    }

    /// Reads a document; `None` if there is none with this digest.
    pub(super) fn read_document(&self, digest: &str) -> Result<Option<Vec<u8>>, OciError> {
        let path = self.blob_path(digest);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IoFailure::new("read", path, error).into()),
        }
    }

    /// Returns the digest of the image with a tag.
    pub(super) fn tagged(&self, tag: &str) -> Result<Option<String>, OciError> {
        let index = read_index(&self.work)?;
        let mut manifests = index.manifests().iter();
        let found = manifests.find(|one| {
            let annotations = one.annotations().as_ref();
            annotations.is_some_and(|all| all.get(format::REF_NAME).is_some_and(|name| name == tag))
        });
        Ok(found.map(|one| one.digest().to_string()))
    }

    fn blob_path(&self, digest: &str) -> PathBuf {
        let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.work.join(format::BLOBS).join(digits)
    }

    /// Moves a complete file to the name of its digest, unless it exists; returns whether it is
    /// new.
    fn keep(&mut self, file: NamedTempFile, digest: &str, size: u64) -> io::Result<bool> {
        let path = self.blob_path(digest);
        if fs::metadata(&path).is_ok_and(|there| there.is_file() && there.len() == size) {
            return Ok(false);
        }
        let (file, temporary) = file.into_parts();
        atomic::rename(&file, &temporary, &path)?;
        // The temporary name no longer exists.
        let _ = temporary.keep();
        self.added.push(path);
        Ok(true)
    }

    fn document(&mut self, document: &Document) -> io::Result<()> {
        let mut file = temporary(&self.work)?;
        file.write_all(&document.bytes)?;
        self.keep(file, &document.digest(), document.bytes.len() as u64)?;
        Ok(())
    }
}

impl Target for Layout {
    fn blob(&mut self, make: Make<'_>) -> Result<Blob, OciError> {
        let write = || -> Result<Blob, Failure> {
            let mut file = temporary(&self.work)?;
            let (size, sha256) = counted(&mut file, make)?;
            let sent = self.keep(file, &format::digest(sha256), size)?;
            Ok(Blob { sha256, size, sent })
        };
        write().map_err(|failure| failure.at(&self.path))
    }

    fn publish(&mut self, image: &Image) -> Result<(), OciError> {
        let path = self.path.clone();
        for document in image.documents() {
            self.document(document).context("write", &path)?;
        }
        let index = match self.new {
            Some(_) => None,
            None => Some(read_index(&self.work)?),
        };
        let index = index_with(index, image)?;
        atomic::write(&self.work.join(format::INDEX_FILE), &index).context("write", &path)?;
        if let Some(new) = &self.new {
            // The rename also replaces an empty directory.
            fs::rename(new.path(), &self.path).context("write", &path)?;
            atomic::sync_directory(self.path.parent()).context("write", &path)?;
        }
        self.new = None;
        self.added.clear();
        Ok(())
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        for path in &self.added {
            // No image refers to the blob; if removing it fails, it is harmless.
            let _ = fs::remove_file(path);
        }
    }
}

/// The prefix of the names of temporary files among the blobs of a layout.
const TEMPORARY: &str = ".ostree-go-";

/// Removes the temporary files that killed processes left in a layout, which must be locked.
fn remove_temporary(layout: &Path) -> io::Result<()> {
    for entry in fs::read_dir(layout.join(format::BLOBS))? {
        let entry = entry?;
        let is_ours = entry
            .file_name()
            .as_bytes()
            .starts_with(TEMPORARY.as_bytes());
        if is_ours && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Creates a temporary file in a layout.
fn temporary(layout: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(layout.join(format::BLOBS))
}

/// Locks an existing layout against other processes of this program.
fn lock(path: &Path, progress: &dyn Progress) -> Result<File, OciError> {
    let directory = File::open(path).context("lock", path)?;
    let mut reported = false;
    loop {
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(directory),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(IoFailure::new("lock", path, errno).into()),
        }
        if !std::mem::replace(&mut reported, true) {
            progress.event(&Event::Waiting { lock: path });
        }
        if progress.is_cancelled() {
            return Err(OciError::Stopped);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Reads and validates the index of a layout.
fn read_index(path: &Path) -> Result<ImageIndex, OciError> {
    let no_layout = |problem: &str| OciError::NoLayout {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let read = |name: &str| match fs::read(path.join(name)) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(no_layout(&format!("it has no `{name}`")))
        }
        Err(error) => Err(IoFailure::new("read", path.join(name), error).into()),
    };
    let layout = OciLayout::from_reader(&*read(format::LAYOUT_FILE)?)
        .map_err(|_| no_layout("its `oci-layout` is damaged"))?;
    if layout.image_layout_version() != "1.0.0" {
        let version = layout.image_layout_version();
        return Err(no_layout(&format!(
            "its version is {version:?}, expected 1.0.0"
        )));
    }
    ImageIndex::from_reader(&*read(format::INDEX_FILE)?)
        .map_err(|_| no_layout("its `index.json` is damaged"))
}

/// Encodes `index.json` with an additional image, which replaces one with the same name.
pub(super) fn index_with(index: Option<ImageIndex>, image: &Image) -> Result<Vec<u8>, OciError> {
    let mut index = match index {
        Some(index) => index,
        None => ImageIndexBuilder::default()
            .schema_version(super::image::SCHEMA)
            .media_type(format::INDEX)
            .manifests(Vec::new())
            .build()
            .map_err(super::image::spec)?,
    };
    let tag = image.tag.as_str();
    let mut manifests = index.manifests().clone();
    manifests.retain(|descriptor| {
        let annotations = descriptor.annotations().as_ref();
        annotations
            .and_then(|a| a.get(format::REF_NAME))
            .map(String::as_str)
            != Some(tag)
    });
    let mut top = image.top.clone();
    let mut annotations = top.annotations().clone().unwrap_or_default();
    annotations.insert(format::REF_NAME.to_owned(), image.tag.clone());
    top.set_annotations(Some(annotations));
    manifests.push(top);
    index.set_manifests(manifests);
    format::to_json(&index).map_err(|source| super::image::spec(source.into()))
}
