//! An object writer that uses libostree. It supports all repository modes.

use super::{Content, ObjectWriter, StoreError};
use crate::id::FileId;
use crate::object::{AnyHeader, FileHeader};
use crate::repo::{Repo, Transaction};
use gio::prelude::*;
use std::io::Seek;

/// Writes with `ostree_repo_write_content`. Several threads may use it in one transaction if each
/// has its own clone of the repository (libostree, `ostree_repo_prepare_transaction`:
/// "Multithreading").
#[derive(Debug)]
pub(crate) struct LibostreeWriter {
    repo: Repo,
}

impl LibostreeWriter {
    pub(crate) fn new(transaction: &Transaction<'_>) -> Self {
        Self {
            repo: transaction.repo().clone(),
        }
    }
}

impl ObjectWriter for LibostreeWriter {
    fn has(&self, id: FileId) -> Result<bool, StoreError> {
        Ok(self.repo.has_object(ostree::ObjectType::File, id)?)
    }

    fn write(
        &mut self,
        id: FileId,
        header: &FileHeader,
        content: &Content,
    ) -> Result<(), StoreError> {
        self.write_framed(id, header.framed(), content)
    }

    fn write_any(
        &mut self,
        id: FileId,
        header: &AnyHeader,
        content: &Content,
    ) -> Result<(), StoreError> {
        self.write_framed(id, header.framed(), content)
    }
}

impl LibostreeWriter {
    /// Writes an object with any [framed](FileHeader::framed) header.
    fn write_framed(
        &self,
        id: FileId,
        framed: Vec<u8>,
        content: &Content,
    ) -> Result<(), StoreError> {
        let length = framed.len() as u64 + content.len();
        let failed = |e| StoreError::from(self.repo.failed(&format!("write object {id}"), e));
        let put = |input: &gio::InputStream| {
            let id = id.to_string();
            self.repo
                .as_ostree()
                .write_content(Some(&id), input, length, gio::Cancellable::NONE)
                .map_err(failed)
        };
        match content {
            Content::Memory(bytes) => {
                let input = gio::MemoryInputStream::from_bytes(&glib::Bytes::from_owned(framed));
                input.add_bytes(bytes);
                put(input.upcast_ref())?;
            }
            Content::Spooled(file, _) => {
                let spool = |source| StoreError::Spool {
                    path: self.repo.path().join("tmp"),
                    source,
                };
                let mut file = file.try_clone().map_err(spool)?;
                file.rewind().map_err(spool)?;
                let input = std::io::Read::chain(std::io::Cursor::new(framed), file);
                put(gio::ReadInputStream::new(input).upcast_ref())?;
            }
        }
        Ok(())
    }
}
