//! Unpacking, checking and writing objects as they arrive.

use super::bounds::{Bounds, PART, SOURCE};
use super::server::differs;
use crate::delta::format::{
    Content as Made, DeltaFormatError, FileObject, Object, ObjectKey, ObjectKind, Part, PartHeader,
    apply,
};
use crate::http::Body;
use crate::id::{FileId, Sha256};
use crate::object::{AnyHeader, DirTree, FileHasher, parse_archived};
use crate::repo::{Repo, RepoError, Transaction};
use crate::store::{self, BudgetGuard, Content, ObjectWriter, StoreError};
use gio::prelude::*;
use sha2::Digest;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

/// The largest header of a file object, which has its extended attributes. Linux has at most
/// 64 KiB of these a file.
const HEADER: u64 = 1 << 20;
/// A header up to this size counts for nothing.
const PLAIN_HEADER: u64 = 4 << 10;

/// Why content was not taken.
pub(super) enum Rejected {
    /// It is not what was asked for.
    Content(String),
    /// It is more than the commits allow.
    Unsafe(String),
    /// A part of a delta would take more memory than there should be. Its objects are to be
    /// fetched one by one.
    TooLarge,
    /// The work was ended meanwhile.
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

/// Writes what has arrived into a transaction. Each worker has its own.
pub(super) struct Receiver<'b> {
    repo: Repo,
    writer: Box<dyn ObjectWriter>,
    spool_in: PathBuf,
    bounds: &'b Bounds,
}

impl<'b> Receiver<'b> {
    /// So many, at least one.
    pub(super) fn several(
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

    /// Takes a file object that came as a `.filez`.
    pub(super) fn archived(&mut self, id: FileId, body: &mut Body) -> Result<(), Rejected> {
        let malformed = || Rejected::Content("it is no compressed file object".to_owned());
        let (spool_in, bounds) = (self.spool_in.clone(), self.bounds);
        let mut input = body.reader().map_err(|source| self.spool(source))?;
        let mut head = Vec::new();
        let read = (&mut input).take(8).read_to_end(&mut head);
        read.map_err(|source| self.spool(source))?;
        let length = head
            .first_chunk::<4>()
            .map(|length| u32::from_be_bytes(*length));
        let length = length.map(u64::from).filter(|length| *length <= HEADER);
        let length = length.ok_or_else(malformed)?;
        let read = (&mut input).take(length).read_to_end(&mut head);
        read.map_err(|source| self.spool(source))?;
        let (header, size, _) = parse_archived(&head).ok_or_else(malformed)?;
        if length > PLAIN_HEADER {
            bounds.metadata(length).map_err(Rejected::Unsafe)?;
        }
        if header.is_symlink() {
            return self.file(id, &header, &Vec::new().into());
        }
        bounds.file(size).map_err(Rejected::Unsafe)?;
        // As it is, and compressed again for an archive.
        let _share = bounds.memory.take(2 * Content::max_memory(size));
        let inflate = Stoppable {
            input: flate2::read::DeflateDecoder::new(input),
            bounds,
        };
        // One byte more than there should be shows that there is more.
        let mut inflate = inflate.take(size.saturating_add(1));
        let content = Content::read(&mut inflate, size, &spool_in);
        let content = content.map_err(|source| match source.kind() {
            _ if bounds.is_stopped() => Rejected::Stopped,
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                malformed()
            }
            _ => self.spool(source).into(),
        })?;
        drop(inflate);
        if content.len() != size {
            return Err(malformed());
        }
        self.file(id, &header, &content)
    }

    /// Takes all objects of a delta's part.
    pub(super) fn part(&mut self, header: &PartHeader, body: &mut Body) -> Result<(), Rejected> {
        let bounds = self.bounds;
        // The part unpacked, what its decoder keeps of it, and the file that is made.
        let _share = bounds.memory.take(3 * header.uncompressed);
        // A patch has the bytes of the new file, and some for each of its steps.
        let limit = header.uncompressed + header.uncompressed / 2 + (1 << 20);
        let mut hasher = sha2::Sha256::new();
        let mut input = body.reader().map_err(|source| self.spool(source))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            if bounds.is_stopped() {
                return Err(Rejected::Stopped);
            }
            match input
                .read(&mut buffer)
                .map_err(|source| self.spool(source))?
            {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        drop(input);
        same(Sha256(hasher.finalize().into()), header.checksum)?;
        let mut input = body.reader().map_err(|source| self.spool(source))?;
        let part = Part::decode(&mut input, limit, &|| bounds.is_stopped());
        drop(input);
        let part = match part {
            Err(_) if bounds.is_stopped() => return Err(Rejected::Stopped),
            part => part?,
        };
        let repo = self.repo.clone();
        let source = |id| content(&repo, id, bounds);
        apply(&part, &header.objects, PART, source, |key, object| {
            if bounds.is_stopped() {
                return Err(Rejected::Stopped);
            }
            match object {
                Object::Metadata(bytes) => metadata(&repo, key, bytes, bounds),
                Object::File(made) => {
                    let (header, content) = file(made);
                    bounds.file(content.len()).map_err(Rejected::Unsafe)?;
                    self.file(key.checksum.into(), &header, &content)
                }
            }
        })
    }

    fn file(&mut self, id: FileId, header: &AnyHeader, content: &Content) -> Result<(), Rejected> {
        let ours = header.ours();
        let mut hasher = match &ours {
            Some(ours) => FileHasher::new(ours),
            None => FileHasher::framed(&header.framed()),
        };
        let read = content.for_each(|bytes| {
            hasher.update(bytes);
            Ok(())
        });
        read.map_err(|source| self.spool(source))?;
        let found = hasher.finish();
        if found != id {
            let problem = differs(&found.to_string(), &id.to_string());
            return Err(Rejected::Content(problem));
        }
        match ours {
            Some(ours) => self.writer.write(id, &ours, content)?,
            None => self.writer.write_any(id, header, content)?,
        }
        Ok(())
    }

    fn spool(&self, source: std::io::Error) -> StoreError {
        StoreError::Spool {
            path: self.spool_in.clone(),
            source,
        }
    }
}

/// Ends reading when the work is ended.
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

/// Takes an object that is no file. Commits are left: those that are wanted have come
/// already, and were checked further.
pub(super) fn metadata(
    repo: &Repo,
    key: &ObjectKey,
    bytes: &[u8],
    bounds: &Bounds,
) -> Result<(), Rejected> {
    same(Sha256(sha2::Sha256::digest(bytes).into()), key.checksum)?;
    let format = match key.kind {
        ObjectKind::DirTree => "(a(say)a(sayay))",
        ObjectKind::DirMeta => "(uuua(ayay))",
        ObjectKind::Commit | ObjectKind::File => return Ok(()),
    };
    bounds
        .metadata(bytes.len() as u64)
        .map_err(Rejected::Unsafe)?;
    let malformed = || Rejected::Content(format!("{key} is not well-formed"));
    let format = glib::VariantTy::new(format).map_err(|_| malformed())?;
    let object = glib::Variant::from_bytes_with_type(&glib::Bytes::from(bytes), format);
    if !object.is_normal_form() {
        return Err(malformed());
    }
    if key.kind == ObjectKind::DirTree {
        let tree = DirTree::parse(&object).ok_or_else(malformed)?;
        if let Some(name) = tree.misplaced() {
            let name = name.escape_debug();
            let problem = format!("{key} has the name `{name}` twice or out of order");
            return Err(Rejected::Content(problem));
        }
    }
    let id = key.checksum.to_string();
    repo.as_ostree()
        .write_metadata(
            key.kind.to_ostree(),
            Some(&id),
            &object,
            gio::Cancellable::NONE,
        )
        .map_err(|source| repo.failed(&format!("write object {key}"), source))?;
    Ok(())
}

fn same(found: Sha256, expected: Sha256) -> Result<(), Rejected> {
    if found == expected {
        return Ok(());
    }
    let problem = differs(&found.to_string(), &expected.to_string());
    Err(Rejected::Content(problem))
}

pub(super) fn file(made: FileObject<'_>) -> (AnyHeader, Content) {
    let (target, content) = match made.content {
        Made::Regular(bytes) => (String::new(), Content::Memory(bytes)),
        Made::Symlink(target) => (target.to_owned(), Vec::new().into()),
    };
    let header = AnyHeader {
        uid: made.attributes.uid,
        gid: made.attributes.gid,
        mode: made.attributes.mode,
        target,
        xattrs: made.xattrs.clone(),
    };
    (header, content)
}

/// A file that a patch is applied to.
struct Source<'b> {
    bytes: Vec<u8>,
    _share: BudgetGuard<'b>,
}

impl AsRef<[u8]> for Source<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bytes of a file that is here.
fn content<'b>(repo: &Repo, id: FileId, bounds: &'b Bounds) -> Result<Source<'b>, Rejected> {
    let failed = |source| repo.failed(&format!("read object {id}"), source);
    if bounds.is_stopped() {
        return Err(Rejected::Stopped);
    }
    let loaded = repo
        .as_ostree()
        .load_file(&id.to_string(), gio::Cancellable::NONE);
    let (stream, info, _) = loaded.map_err(failed)?;
    let size = u64::try_from(info.size()).unwrap_or(0);
    if size > SOURCE {
        return Err(Rejected::TooLarge);
    }
    bounds.source(size.max(1)).map_err(Rejected::Unsafe)?;
    let share = bounds.old_files.take(size);
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        bytes.reserve_exact(usize::try_from(size).unwrap_or(0));
        let read = stream.into_read().take(SOURCE).read_to_end(&mut bytes);
        read.map_err(|source| RepoError::Io {
            action: "read an object of",
            path: repo.path().to_owned(),
            source,
        })?;
    }
    Ok(Source {
        bytes,
        _share: share,
    })
}
