//! The OCI image of a release: its names, its documents and the tar of a layer. Pure.
//!
//! An image holds a release so that the very same commits can be made from it again: every SDK
//! layer is one OCI layer, and the commit objects stand in annotations. `crate::registry` brings and takes images.

#[allow(
    dead_code,
    reason = "the exporter and the importer that use it come next"
)]
pub(crate) mod format;
#[allow(
    dead_code,
    reason = "the exporter and the importer that use it come next"
)]
pub(crate) mod layer;
pub(crate) mod place;
pub(crate) mod tar;
