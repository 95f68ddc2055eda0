//! The format of release images: names, documents and the tar of layers, without I/O.
//!
//! An image stores a release such that the same commits can be restored from it: every SDK layer
//! is one OCI layer, and the commit objects are stored in annotations. `crate::registry` transfers
//! images.

pub(crate) mod encapsulated;
pub(crate) mod format;
pub(crate) mod go_cache;
pub(crate) mod image_source;
pub(crate) mod layer;
pub(crate) mod layer_list;
mod location;
pub(crate) mod tar;

pub use image_source::InvalidImageSource;
pub(crate) use location::is_name;
pub use location::{ImageLocation, InvalidLocation};
