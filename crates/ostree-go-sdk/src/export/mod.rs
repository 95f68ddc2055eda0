//! A release in the forms that image pipelines take: one format a file.
//!
//! What an export writes is read from the repository's objects, with no tree on disk in
//! between, and every object is checked against its checksum on the way. The same commit gives
//! the same bytes, on any machine and at any time. A file appears under its name when it is
//! whole and durable.

mod compression;
mod containerfile;
mod error;
mod oci;
mod tar;
mod tree;
mod writer;

pub use compression::Compression;
pub use containerfile::{ContainerfileOptions, containerfile};
pub use error::ExportError;
pub use oci::{ExportedImage, ExportedLayer, ExportedOci, OciOptions, export_oci};
pub use tar::{ExportedTar, TarOptions, export_tar, write_tar};
