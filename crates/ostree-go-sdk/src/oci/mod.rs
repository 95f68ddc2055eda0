//! The OCI image of a release: its names, its documents and the tar of a layer. Pure.
//!
//! An image holds a release so that the very same commits can be made from it again: every SDK
//! layer is one OCI layer, and the commit objects stand in annotations. `crate::registry` brings
//! and takes images.

pub(crate) mod encapsulated;
pub(crate) mod format;
pub(crate) mod layer;
mod location;
pub(crate) mod place;
pub(crate) mod tar;

pub(crate) use location::is_name;
pub use location::{ImageLocation, InvalidLocation};
pub use place::InvalidPlace;
