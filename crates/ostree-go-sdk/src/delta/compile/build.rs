//! Builds a part of a delta.

use super::bsdiff::diff;
use super::pair::Item;
use super::plan::PartPlan;
use super::recipe::Recipe;
use crate::delta::format::{
    Attributes, ObjectKey, ObjectKind, Op, OpWriter, PartBytes, PartHeader, PartTables, Xattrs,
    compress,
};
use crate::delta::{DeltaError, DeltaName};
use crate::id::{FileId, Sha256};
use crate::repo::{Repo, RepoError};
use sha2::Digest;

/// Builds parts; each thread has its own builder.
pub(super) struct Builder {
    repo: Repo,
}

/// An uncompressed part.
pub(super) struct BuiltPart {
    bytes: PartBytes,
    objects: Vec<ObjectKey>,
    /// Size of the objects in bytes.
    uncompressed: u64,
}

impl Builder {
    pub(super) fn new(repo: Repo) -> Self {
        Self { repo }
    }

    pub(super) fn build(&self, plan: &PartPlan) -> Result<BuiltPart, RepoError> {
        let mut part = Writer::default();
        // Growing the buffer may double it. A patch can be slightly larger than its file.
        let size = plan.size() + plan.size() / 64;
        part.payload
            .reserve_exact(usize::try_from(size).unwrap_or(0));
        for item in &plan.items {
            match item.key.kind {
                ObjectKind::File => self.file(&mut part, item)?,
                _ => part.write_metadata(&self.metadata(&item.key)?),
            }
        }
        Ok(BuiltPart {
            bytes: part.tables.write(part.payload, &part.ops),
            objects: plan.items.iter().map(|item| item.key).collect(),
            uncompressed: part.uncompressed,
        })
    }

    fn metadata(&self, key: &ObjectKey) -> Result<Vec<u8>, RepoError> {
        let (kind, id) = (key.kind.to_ostree(), key.checksum.to_string());
        let variant = self.repo.metadata_object(kind, &id)?;
        Ok(variant.data().to_vec())
    }

    fn file(&self, part: &mut Writer, item: &Item) -> Result<(), RepoError> {
        let file = self.load(item.key.checksum.into())?;
        if let Some(from) = item.from {
            let old = self.load(from)?;
            if part.write_patch(from, &old.content, &file) {
                return Ok(());
            }
        }
        part.write_file(&file);
        Ok(())
    }

    fn load(&self, id: FileId) -> Result<File, RepoError> {
        let mut file = self.repo.file(id)?;
        let mut content = file.read_to_end(u64::MAX)?;
        let header = file.header;
        if header.is_symlink() {
            content = header.target.into_bytes();
        }
        Ok(File {
            attributes: Attributes {
                uid: header.uid,
                gid: header.gid,
                mode: header.mode,
            },
            xattrs: header.xattrs,
            content,
        })
    }
}

/// A file of the repository; the content of a symlink is its target.
struct File {
    attributes: Attributes,
    xattrs: Xattrs,
    content: Vec<u8>,
}

/// Estimates whether a patch is clearly smaller than the file after compression: text compresses
/// to about a quarter, and zeros in a patch to nearly nothing.
fn is_worthwhile(patch: &[u8], content: &[u8]) -> bool {
    let cost = patch.iter().filter(|byte| **byte != 0).count() + 32;
    cost < content.len() / 4
}

/// A part under construction.
#[derive(Default)]
struct Writer {
    tables: PartTables,
    payload: Vec<u8>,
    ops: OpWriter,
    uncompressed: u64,
}

impl Writer {
    /// Appends to the payload and returns offset and length.
    fn append(&mut self, bytes: &[u8]) -> (u64, u64) {
        let offset = self.payload.len() as u64;
        self.payload.extend_from_slice(bytes);
        (offset, bytes.len() as u64)
    }

    fn write_metadata(&mut self, bytes: &[u8]) {
        let (offset, size) = self.append(bytes);
        self.ops.push(Op::Metadata { size, offset });
        self.uncompressed += size;
    }

    fn write_file(&mut self, file: &File) {
        let (offset, size) = self.append(&file.content);
        self.ops.push(Op::File {
            mode: self.tables.mode(file.attributes),
            xattrs: self.tables.xattrs(&file.xattrs),
            size,
            offset,
        });
        self.uncompressed += size;
    }

    /// Writes a patch if it is worthwhile; returns whether it did.
    fn write_patch(&mut self, from: FileId, old: &[u8], file: &File) -> bool {
        let start = self.payload.len();
        let (source, _) = self.append(from.as_bytes());
        let offset = self.payload.len();
        diff(old, &file.content, &mut self.payload);
        let patch = &self.payload[offset..];
        if !is_worthwhile(patch, &file.content) {
            self.payload.truncate(start);
            return false;
        }
        let patched = patch.len() as u64;
        let size = file.content.len() as u64;
        self.ops.push(Op::SetReadSource { offset: source });
        self.ops.push(Op::Open {
            mode: self.tables.mode(file.attributes),
            xattrs: self.tables.xattrs(&file.xattrs),
            size,
        });
        self.ops.push(Op::BsPatch {
            offset: offset as u64,
            size: patched,
        });
        self.ops.push(Op::Close);
        self.ops.push(Op::UnsetReadSource);
        self.uncompressed += size;
        true
    }
}

/// The reason why a part was not compressed.
pub(super) enum CompressError {
    Stopped(DeltaError),
    Xz(liblzma::stream::Error),
}

impl CompressError {
    pub(super) fn into_delta_error(self, name: &DeltaName) -> DeltaError {
        match self {
            Self::Stopped(error) => error,
            Self::Xz(source) => DeltaError::Compress {
                name: *name,
                source: source.into(),
            },
        }
    }
}

impl From<liblzma::stream::Error> for CompressError {
    fn from(error: liblzma::stream::Error) -> Self {
        Self::Xz(error)
    }
}

impl BuiltPart {
    /// Compresses the part to the content of its file. `progress` receives the fraction done, and
    /// returns whether to continue.
    pub(super) fn compress(
        &self,
        recipe: Recipe,
        progress: &mut dyn FnMut(f64) -> Result<(), DeltaError>,
    ) -> Result<Vec<u8>, CompressError> {
        let size = self.bytes.len() as u64;
        compress(&self.bytes, &recipe.filters(size)?, |done| {
            progress(done as f64 / size as f64).map_err(CompressError::Stopped)
        })
    }

    /// Returns the part's header for the superblock, given the content of its file.
    pub(super) fn header(&self, part: &[u8]) -> PartHeader {
        PartHeader {
            checksum: Sha256(sha2::Sha256::digest(part).into()),
            size: part.len() as u64,
            uncompressed: self.uncompressed,
            objects: self.objects.clone(),
        }
    }
}
