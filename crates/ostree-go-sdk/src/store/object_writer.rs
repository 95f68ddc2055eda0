//! The interface of the writers of file objects.

use super::{Content, StoreError};
use crate::id::FileId;
use crate::object::{AnyHeader, FileHeader};

/// A writer of file objects into an open transaction. Each worker has its own.
pub(crate) trait ObjectWriter: Send {
    /// Returns true if the repository or the transaction already has the object.
    fn has(&self, id: FileId) -> Result<bool, StoreError>;

    /// Writes an object whose checksum is known. It is not an error if the object exists.
    fn write(
        &mut self,
        id: FileId,
        header: &FileHeader,
        content: &Content,
    ) -> Result<(), StoreError>;

    /// Writes an object with any header. Composed trees only have headers of the type
    /// [`FileHeader`].
    fn write_any(
        &mut self,
        id: FileId,
        header: &AnyHeader,
        content: &Content,
    ) -> Result<(), StoreError>;
}

impl ObjectWriter for Box<dyn ObjectWriter> {
    fn has(&self, id: FileId) -> Result<bool, StoreError> {
        (**self).has(id)
    }

    fn write(
        &mut self,
        id: FileId,
        header: &FileHeader,
        content: &Content,
    ) -> Result<(), StoreError> {
        (**self).write(id, header, content)
    }

    fn write_any(
        &mut self,
        id: FileId,
        header: &AnyHeader,
        content: &Content,
    ) -> Result<(), StoreError> {
        (**self).write_any(id, header, content)
    }
}
