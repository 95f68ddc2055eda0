//! Writes file objects in parallel.
//!
//! A producer passes files to [`write_files`]. Workers hash them and write those that the
//! repository does not have, through an [`ObjectWriter`]: [`LooseWriter`] if it supports the
//! repository, otherwise [`LibostreeWriter`].

mod budget;
mod content;
mod copy;
mod error;
mod libostree;
mod loose;
mod object_writer;
mod pipeline;
#[cfg(test)]
mod tests;

pub(crate) use budget::{Budget, BudgetGuard};
pub(crate) use content::Content;
pub(crate) use copy::copy_commit;
pub use error::StoreError;
pub(crate) use object_writer::ObjectWriter;
pub(crate) use pipeline::{Bytes, Incoming, Sink, Written, write_files};

use crate::repo::Transaction;
use libostree::LibostreeWriter;
use loose::LooseWriter;

/// Returns a writer for each thread, at least one.
pub(crate) fn writers(transaction: &Transaction<'_>, threads: usize) -> Vec<Box<dyn ObjectWriter>> {
    (0..threads.max(1)).map(|_| writer(transaction)).collect()
}

/// Returns a [`LooseWriter`] if it supports the repository, otherwise a [`LibostreeWriter`].
pub(crate) fn writer(transaction: &Transaction<'_>) -> Box<dyn ObjectWriter> {
    match LooseWriter::new(transaction) {
        Some(writer) => Box::new(writer),
        None => Box::new(LibostreeWriter::new(transaction)),
    }
}
