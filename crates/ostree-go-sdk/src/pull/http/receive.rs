//! Unpacks, checks and writes objects as they are received.

use super::server::checksum_mismatch;
use crate::delta::format::{
    Content as DeltaContent, DeltaFormatError, FileObject, Object, ObjectKey, ObjectKind, Part,
    PartHeader, apply,
};
use crate::gvariant;
use crate::http::Body;
use crate::id::{FileId, Sha256};
use crate::object::{AnyHeader, DirTree, parse_archived};
use crate::pull::bounds::{Bounds, MAX_PART, MAX_SOURCE};
use crate::repo::{Repo, RepoError, Transaction};
use crate::store::{self, BudgetGuard, Content, ObjectWriter, StoreError};
use sha2::Digest;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

/// Maximum size of the header of a file object in bytes. It contains the extended attributes, of
/// which Linux allows at most 64 KiB per file.
const MAX_HEADER: u64 = 1 << 20;
/// Headers up to this size in bytes are not counted against the limit for metadata.
const UNCOUNTED_HEADER: u64 = 4 << 10;

/// The reason why content was not stored.
pub(in crate::pull) enum Rejected {
    /// It is not the content that was requested.
    Content(String),
    /// It is larger than the commits allow.
    Unsafe(String),
    /// A delta part would need too much memory. Its objects have to be fetched one by one.
    TooLarge,
    /// The pull was stopped in the meantime.
    Stopped,
    /// It could not be written.
    Store(StoreError),
}

impl From<StoreError> for Rejected {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RepoError> for Rejected {
    fn from(error: RepoError) -> Self {
        Self::Store(error.into())
    }
}

impl From<DeltaFormatError> for Rejected {
    fn from(error: DeltaFormatError) -> Self {
        match error {
            DeltaFormatError::TooLarge { .. } => Self::Unsafe(error.to_string()),
            error => Self::Content(error.to_string()),
        }
    }
}

/// Writes received objects into a transaction. Each worker has its own receiver.
pub(in crate::pull) struct ObjectReceiver<'b> {
    repo: Repo,
    writer: Box<dyn ObjectWriter>,
    spool_in: PathBuf,
    bounds: &'b Bounds,
}

impl<'b> ObjectReceiver<'b> {
    /// Creates `count` receivers, but at least one.
    pub(in crate::pull) fn create_many(
        transaction: &Transaction<'_>,
        bounds: &'b Bounds,
        count: usize,
    ) -> Vec<Self> {
        let repo = transaction.repo();
        store::writers(transaction, count)
            .into_iter()
            .map(|writer| Self {
                spool_in: repo.path().join("tmp"),
                repo: repo.clone(),
                writer,
                bounds,
            })
            .collect()
    }

    /// Stores a file object that was received as a `.filez` file.
    pub(super) fn receive_file(&mut self, id: FileId, body: &mut Body) -> Result<(), Rejected> {
        let malformed = || Rejected::Content("it is not a valid compressed file object".to_owned());
        let (spool_in, bounds) = (self.spool_in.clone(), self.bounds);
        let mut input = body.reader().map_err(|source| self.spool_error(source))?;
        let mut header_bytes = Vec::new();
        let read = (&mut input).take(8).read_to_end(&mut header_bytes);
        read.map_err(|source| self.spool_error(source))?;
        let length = header_bytes
            .first_chunk::<4>()
            .map(|length| u32::from_be_bytes(*length));
        let length = length.map(u64::from).filter(|length| *length <= MAX_HEADER);
        let length = length.ok_or_else(malformed)?;
        let read = (&mut input).take(length).read_to_end(&mut header_bytes);
        read.map_err(|source| self.spool_error(source))?;
        let (header, size, _) = parse_archived(&header_bytes).ok_or_else(malformed)?;
        if length > UNCOUNTED_HEADER {
            bounds.reserve_metadata(length).map_err(Rejected::Unsafe)?;
        }
        if header.is_symlink() {
            return self.store_file(id, &header, &Vec::new().into());
        }
        bounds.reserve_file(size).map_err(Rejected::Unsafe)?;
        // Once as is, and once compressed again for an `archive` repository.
        let _share = bounds.memory.take(2 * Content::max_memory(size));
        let inflate = Stoppable {
            input: flate2::read::DeflateDecoder::new(input),
            bounds,
        };
        // Reading one byte more than expected detects content that is too long.
        let mut inflate = inflate.take(size.saturating_add(1));
        let content = Content::read(&mut inflate, size, &spool_in);
        let content = content.map_err(|source| match source.kind() {
            _ if bounds.is_stopped() => Rejected::Stopped,
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                malformed()
            }
            _ => self.spool_error(source).into(),
        })?;
        drop(inflate);
        if content.len() != size {
            return Err(malformed());
        }
        self.store_file(id, &header, &content)
    }

    /// Stores all objects of a delta part.
    pub(in crate::pull) fn receive_part(
        &mut self,
        header: &PartHeader,
        body: &mut Body,
    ) -> Result<(), Rejected> {
        let bounds = self.bounds;
        // The unpacked part, the buffers of its decoder, and the file that is created.
        let _share = bounds.memory.take(3 * header.uncompressed);
        // A patch contains the bytes of the new file, and a few bytes for each of its steps.
        let limit = header.uncompressed + header.uncompressed / 2 + (1 << 20);
        let mut hasher = sha2::Sha256::new();
        let mut input = body.reader().map_err(|source| self.spool_error(source))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            if bounds.is_stopped() {
                return Err(Rejected::Stopped);
            }
            match input
                .read(&mut buffer)
                .map_err(|source| self.spool_error(source))?
            {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        drop(input);
        check_checksum(Sha256(hasher.finalize().into()), header.checksum)?;
        let mut input = body.reader().map_err(|source| self.spool_error(source))?;
        let part = Part::decode(&mut input, limit, &|| bounds.is_stopped());
        drop(input);
        let part = match part {
            Err(_) if bounds.is_stopped() => return Err(Rejected::Stopped),
            part => part?,
        };
        let repo = self.repo.clone();
        let source = |id| read_patch_source(&repo, id, bounds);
        apply(&part, &header.objects, MAX_PART, source, |key, object| {
            if bounds.is_stopped() {
                return Err(Rejected::Stopped);
            }
            match object {
                Object::Metadata(bytes) => store_metadata(&repo, key, bytes, bounds),
                Object::File(delta_file) => {
                    let (header, content) = file_object(delta_file);
                    // Targets of symlinks and extended attributes also take space. A part can
                    // contain objects that nobody requested, so that every header counts.
                    bounds
                        .reserve_metadata(header.framed().len() as u64)
                        .and_then(|()| bounds.reserve_file(content.len()))
                        .map_err(Rejected::Unsafe)?;
                    self.store_file(key.checksum.into(), &header, &content)
                }
            }
        })
    }

    fn store_file(
        &mut self,
        id: FileId,
        header: &AnyHeader,
        content: &Content,
    ) -> Result<(), Rejected> {
        let found = content.checksum(header);
        let found = found.map_err(|source| self.spool_error(source))?;
        if found != id {
            let problem = checksum_mismatch(&found.to_string(), &id.to_string());
            return Err(Rejected::Content(problem));
        }
        match header.to_composed() {
            Some(canonical) => self.writer.write(id, &canonical, content)?,
            None => self.writer.write_any(id, header, content)?,
        }
        Ok(())
    }

    fn spool_error(&self, source: std::io::Error) -> StoreError {
        StoreError::Spool {
            path: self.spool_in.clone(),
            source,
        }
    }
}

/// A reader that fails when the pull is stopped.
struct Stoppable<'b, R> {
    input: R,
    bounds: &'b Bounds,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bounds.is_stopped() {
            return Err(io::Error::other("stopped"));
        }
        self.input.read(buffer)
    }
}

/// Stores a directory object. Commits are ignored, because the requested commits were received and
/// checked before.
pub(super) fn store_metadata(
    repo: &Repo,
    key: &ObjectKey,
    bytes: &[u8],
    bounds: &Bounds,
) -> Result<(), Rejected> {
    check_checksum(Sha256(sha2::Sha256::digest(bytes).into()), key.checksum)?;
    let format = match key.kind {
        ObjectKind::DirTree => "(a(say)a(sayay))",
        ObjectKind::DirMeta => "(uuua(ayay))",
        ObjectKind::Commit | ObjectKind::File => return Ok(()),
    };
    bounds
        .reserve_metadata(bytes.len() as u64)
        .map_err(Rejected::Unsafe)?;
    let malformed = || Rejected::Content(format!("{key} is not well-formed"));
    let object = gvariant::parse(bytes, format).ok_or_else(malformed)?;
    if key.kind == ObjectKind::DirTree {
        let tree = DirTree::parse(&object).ok_or_else(malformed)?;
        if let Some(name) = tree.misordered_name() {
            let name = name.escape_debug();
            let problem = format!("{key} has the name `{name}` twice or out of order");
            return Err(Rejected::Content(problem));
        }
    }
    repo.write_metadata(key.kind.to_ostree(), key.checksum, &object)?;
    Ok(())
}

fn check_checksum(found: Sha256, expected: Sha256) -> Result<(), Rejected> {
    if found == expected {
        return Ok(());
    }
    let problem = checksum_mismatch(&found.to_string(), &expected.to_string());
    Err(Rejected::Content(problem))
}

pub(in crate::pull) fn file_object(delta_file: FileObject<'_>) -> (AnyHeader, Content) {
    let (target, content) = match delta_file.content {
        DeltaContent::Regular(bytes) => (String::new(), Content::Memory(bytes)),
        DeltaContent::Symlink(target) => (target.to_owned(), Vec::new().into()),
    };
    let header = AnyHeader {
        uid: delta_file.attributes.uid,
        gid: delta_file.attributes.gid,
        mode: delta_file.attributes.mode,
        target,
        xattrs: delta_file.xattrs.clone(),
    };
    (header, content)
}

/// A file that a patch is applied to.
struct PatchSource<'b> {
    bytes: Vec<u8>,
    _share: BudgetGuard<'b>,
}

impl AsRef<[u8]> for PatchSource<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a stored file that a patch is applied to.
fn read_patch_source<'b>(
    repo: &Repo,
    id: FileId,
    bounds: &'b Bounds,
) -> Result<PatchSource<'b>, Rejected> {
    if bounds.is_stopped() {
        return Err(Rejected::Stopped);
    }
    let mut file = repo.file(id)?;
    let size = file.size;
    if size > MAX_SOURCE {
        return Err(Rejected::TooLarge);
    }
    bounds.count_source(size.max(1)).map_err(Rejected::Unsafe)?;
    let share = bounds.old_files.take(size);
    let bytes = file.read_to_end(MAX_SOURCE)?;
    Ok(PatchSource {
        bytes,
        _share: share,
    })
}
