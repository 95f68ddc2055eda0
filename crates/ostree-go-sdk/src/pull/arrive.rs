//! What is done with objects as they arrive: unpacked, checked, written.

use super::server::differs;
use crate::delta::format::{
    Content as Made, DeltaFormatError, FileObject, Object, ObjectKey, ObjectKind, Part, PartHeader,
    apply,
};
use crate::id::{FileId, Sha256};
use crate::object::{AnyHeader, DirTree, FileHasher, parse_archived};
use crate::repo::{Repo, RepoError, Transaction};
use crate::store::{self, Content, ObjectWriter, StoreError};
use gio::prelude::*;
use sha2::Digest;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

/// The largest part of a delta, and the largest file in one, that is unpacked.
const PART: u64 = 512 << 20;

/// Why what came was not taken.
pub(super) enum Rejected {
    /// It is not what was asked for.
    Content(String),
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
        Self::Content(error.to_string())
    }
}

/// Writes what has arrived into a transaction. Each worker has its own.
pub(super) struct Receiver {
    repo: Repo,
    writer: Box<dyn ObjectWriter>,
    spool_in: PathBuf,
}

impl Receiver {
    /// So many, at least one.
    pub(super) fn several(transaction: &Transaction<'_>, count: usize) -> Vec<Self> {
        let repo = transaction.repo();
        store::writers(transaction, count)
            .into_iter()
            .map(|writer| Self {
                spool_in: repo.path().join("tmp"),
                repo: repo.clone(),
                writer,
            })
            .collect()
    }

    /// Takes a file object that came as a `.filez`.
    pub(super) fn archived(&mut self, id: FileId, bytes: &[u8]) -> Result<(), Rejected> {
        let malformed = || Rejected::Content("it is no compressed file object".to_owned());
        let (header, size, start) = parse_archived(bytes).ok_or_else(malformed)?;
        if header.is_symlink() {
            return self.file(id, &header, &Vec::new().into());
        }
        let inflate = flate2::read::DeflateDecoder::new(&bytes[start..]);
        // One byte more than there should be shows that there is more.
        let mut inflate = inflate.take(size.saturating_add(1));
        let content = Content::read(&mut inflate, size, &self.spool_in);
        let content = content.map_err(|source| match source.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                malformed()
            }
            _ => self.spool(source).into(),
        })?;
        if content.len() != size {
            return Err(malformed());
        }
        self.file(id, &header, &content)
    }

    /// Takes all objects of a delta's part.
    pub(super) fn part(&mut self, header: &PartHeader, bytes: &[u8]) -> Result<(), Rejected> {
        check(bytes, header.checksum)?;
        let part = Part::read(bytes, PART)?;
        let repo = self.repo.clone();
        let source = |id| content(&repo, id);
        apply(
            &part,
            &header.objects,
            PART,
            source,
            |key, object| match object {
                Object::Metadata(bytes) => metadata(&repo, key, bytes),
                Object::File(made) => {
                    let (header, content) = file(made);
                    self.file(key.checksum.into(), &header, &content)
                }
            },
        )
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

/// Takes an object that is no file. Commits are left: those that are wanted have come
/// already, and were checked further.
pub(super) fn metadata(repo: &Repo, key: &ObjectKey, bytes: &[u8]) -> Result<(), Rejected> {
    check(bytes, key.checksum)?;
    let format = match key.kind {
        ObjectKind::DirTree => "(a(say)a(sayay))",
        ObjectKind::DirMeta => "(uuua(ayay))",
        ObjectKind::Commit | ObjectKind::File => return Ok(()),
    };
    let malformed = || Rejected::Content(format!("{key} is not well-formed"));
    let format = glib::VariantTy::new(format).map_err(|_| malformed())?;
    let object = glib::Variant::from_bytes_with_type(&glib::Bytes::from(bytes), format);
    let is_valid = object.is_normal_form()
        && (key.kind != ObjectKind::DirTree || DirTree::parse(&object).is_some());
    if !is_valid {
        return Err(malformed());
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

fn check(bytes: &[u8], expected: Sha256) -> Result<(), Rejected> {
    let found = Sha256(sha2::Sha256::digest(bytes).into());
    if found == expected {
        return Ok(());
    }
    let problem = differs(&found.to_string(), &expected.to_string());
    Err(Rejected::Content(problem))
}

fn file(made: FileObject<'_>) -> (AnyHeader, Content) {
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

/// The bytes of a file that is here.
fn content(repo: &Repo, id: FileId) -> Result<Vec<u8>, Rejected> {
    let failed = |source| repo.failed(&format!("read object {id}"), source);
    let loaded = repo
        .as_ostree()
        .load_file(&id.to_string(), gio::Cancellable::NONE);
    let mut bytes = Vec::new();
    if let (Some(stream), info, _) = loaded.map_err(failed)? {
        bytes.reserve_exact(usize::try_from(info.size()).unwrap_or(0));
        let read = stream.into_read().read_to_end(&mut bytes);
        read.map_err(|source| RepoError::Io {
            action: "read an object of",
            path: repo.path().to_owned(),
            source,
        })?;
    }
    Ok(bytes)
}
