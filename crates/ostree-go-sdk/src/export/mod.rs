//! Exports of releases in the formats of image builders, one per file or folder.
//!
//! Exports are written directly from the repository's objects, without a tree on disk (except for
//! EROFS, whose tool only reads trees), and every object is checked against its checksum. The same
//! commit gives the same bytes, on any machine and at any time. Files appear under their name only
//! when they are complete and durable.

pub mod boot;
pub mod containerfile;
pub mod oci;
pub mod sysext;
pub mod tar;
pub mod treefile;
pub mod unit;

mod compression;
mod error;
mod release;
mod std_cache;
mod systemd;
mod tree;
mod writer;

pub use compression::Compression;
pub use error::ExportError;
pub(crate) use tree::read_leaf;
