//! Access to single objects.

use super::{Repo, RepoError};
use crate::fs::digest;
use crate::id::{CommitId, DirTreeId, FileId};
use crate::object::{AnyHeader, Commit, DirTree};
use gio::prelude::*;
use std::fmt::Display;
use std::io::Read;

/// A file object that is being read.
#[derive(Debug)]
pub(crate) struct StoredFile<'r> {
    pub(crate) header: AnyHeader,
    /// The size of the content in bytes.
    pub(crate) size: u64,
    repo: &'r Repo,
    id: FileId,
    /// The content; `None` for a symlink.
    content: Option<gio::InputStream>,
}

impl Repo {
    /// Returns true if an object exists, or is staged in the open transaction.
    pub(crate) fn has_object(
        &self,
        kind: ostree::ObjectType,
        id: impl Display,
    ) -> Result<bool, RepoError> {
        let id = id.to_string();
        let found = self.inner.has_object(kind, &id, gio::Cancellable::NONE);
        found.map_err(|source| self.failed(&format!("look for object {id}"), source))
    }

    /// Returns true if a commit object exists.
    pub(crate) fn has_commit(&self, id: CommitId) -> Result<bool, RepoError> {
        self.has_object(ostree::ObjectType::Commit, id)
    }

    /// Opens a file object.
    pub(crate) fn file(&self, id: FileId) -> Result<StoredFile<'_>, RepoError> {
        let loaded = self
            .inner
            .load_file(&id.to_string(), gio::Cancellable::NONE);
        let (content, info, xattrs) =
            loaded.map_err(|source| self.failed(&format!("read object {id}"), source))?;
        let target = info.symlink_target().filter(|_| content.is_none());
        let target = target.and_then(|target| target.into_os_string().into_string().ok());
        Ok(StoredFile {
            header: AnyHeader {
                uid: info.attribute_uint32("unix::uid"),
                gid: info.attribute_uint32("unix::gid"),
                mode: info.attribute_uint32("unix::mode"),
                target: target.unwrap_or_default(),
                xattrs: xattrs.get().unwrap_or_default(),
            },
            size: info.size().try_into().unwrap_or(0),
            repo: self,
            id,
            content,
        })
    }

    /// Writes an object that is not a file, whose checksum was computed.
    pub(crate) fn write_metadata(
        &self,
        kind: ostree::ObjectType,
        id: impl Display,
        object: &glib::Variant,
    ) -> Result<(), RepoError> {
        let id = id.to_string();
        self.inner
            .write_metadata(kind, Some(&id), object, gio::Cancellable::NONE)
            .map(drop)
            .map_err(|source| self.failed(&format!("write object {id}"), source))
    }

    /// Reads a commit.
    pub(crate) fn commit(&self, id: CommitId) -> Result<Commit, RepoError> {
        let variant = self.metadata_object(ostree::ObjectType::Commit, &id.to_string())?;
        Commit::parse(&variant).ok_or_else(|| self.malformed("commit", id))
    }

    /// Reads the bytes of a commit object, which are the data that signatures sign.
    pub(crate) fn commit_bytes(&self, id: CommitId) -> Result<Vec<u8>, glib::Error> {
        let variant = self
            .inner
            .load_variant(ostree::ObjectType::Commit, &id.to_string())?;
        Ok(variant.data().to_vec())
    }

    /// Reads a directory's entries.
    pub(crate) fn dirtree(&self, id: DirTreeId) -> Result<DirTree, RepoError> {
        let variant = self.metadata_object(ostree::ObjectType::DirTree, &id.to_string())?;
        DirTree::parse(&variant).ok_or_else(|| self.malformed("dirtree", id))
    }

    /// Reads an object that is not a file, and verifies its checksum.
    ///
    /// # Errors
    /// Returns an error if the object does not exist or is damaged.
    pub(crate) fn verified_metadata(
        &self,
        kind: ostree::ObjectType,
        id: impl Display,
    ) -> Result<glib::Variant, RepoError> {
        let id = id.to_string();
        let variant = self.metadata_object(kind, &id)?;
        match digest::of(variant.data()).to_string() == id {
            true => Ok(variant),
            false => Err(self.malformed(
                match kind {
                    ostree::ObjectType::Commit => "commit",
                    ostree::ObjectType::DirMeta => "dirmeta",
                    _ => "dirtree",
                },
                id,
            )),
        }
    }

    /// Copies a file object whose checksum was verified from a repository of the same mode, by hard
    /// link or clone where the file systems allow it.
    pub(crate) fn import_verified_file(&self, from: &Self, id: FileId) -> Result<(), RepoError> {
        let imported = self.inner.import_object_from_with_trust(
            &from.inner,
            ostree::ObjectType::File,
            &id.to_string(),
            true,
            gio::Cancellable::NONE,
        );
        imported.map_err(|source| self.failed(&format!("take over object {id}"), source))
    }

    /// Reads an object that is not a file. libostree marks the variant as trusted without checking
    /// it, and reading a malformed one would then be undefined behaviour; this returns an untrusted
    /// variant, whose parts are checked when they are read.
    pub(crate) fn metadata_object(
        &self,
        kind: ostree::ObjectType,
        id: &str,
    ) -> Result<glib::Variant, RepoError> {
        let trusted = self
            .inner
            .load_variant(kind, id)
            .map_err(|source| self.failed(&format!("read object {id}"), source))?;
        let bytes = trusted.data_as_bytes();
        Ok(glib::Variant::from_bytes_with_type(&bytes, trusted.type_()))
    }
}

impl StoredFile<'_> {
    /// Reads the next bytes of the content, until `buffer` is full or the content ends. Returns
    /// their number.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, RepoError> {
        let Some(content) = &self.content else {
            return Ok(0);
        };
        match content.read_all(buffer, gio::Cancellable::NONE) {
            Ok((read, None)) => Ok(read),
            Ok((_, Some(source))) | Err(source) => Err(self.failed(source)),
        }
    }

    /// Reads the content, at most `limit` bytes of it; empty for a symlink.
    pub(crate) fn read_to_end(&mut self, limit: u64) -> Result<Vec<u8>, RepoError> {
        let mut bytes = Vec::new();
        if let Some(content) = self.content.take() {
            // One extra byte, so that the end is detected without growing the buffer.
            let size = usize::try_from(self.size.min(limit)).unwrap_or(0);
            bytes.reserve_exact(size.saturating_add(1));
            let read = content.into_read().take(limit).read_to_end(&mut bytes);
            read.map_err(|source| {
                let message = source.to_string();
                self.failed(glib::Error::new(gio::IOErrorEnum::Failed, &message))
            })?;
        }
        Ok(bytes)
    }

    fn failed(&self, source: glib::Error) -> RepoError {
        let action = format!("read object {}", self.id);
        self.repo.failed(&action, source)
    }
}
