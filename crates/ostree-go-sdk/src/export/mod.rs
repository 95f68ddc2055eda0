//! Exports of releases in the formats of image builders, one per file or folder.
//!
//! Exports are written directly from the repository's objects, without a tree on disk (except for
//! EROFS, whose tool only reads trees), and every object is checked against its checksum. The same
//! commit gives the same bytes, on any machine and at any time. Files appear under their name only
//! when they are complete and durable.

mod boot;
mod compression;
mod containerfile;
mod error;
mod oci;
mod release;
mod sysext;
mod tar;
mod tree;
mod treefile;
mod writer;

pub use boot::{
    BootConfig, BootError, BootFile, BootOptions, BootRelease, BootSpec, BootUnit, boot_config,
    write_boot_config,
};
pub use compression::Compression;
pub use containerfile::{ContainerfileError, ContainerfileOptions, containerfile};
pub use error::ExportError;
pub use oci::{ExportedImage, ExportedLayer, ExportedOci, OciError, OciOptions, export_oci};
pub use sysext::{
    ExportedSysext, SysextError, SysextForm, SysextHost, SysextOptions, export_sysext,
};
pub use tar::{ExportedTar, TarOptions, export_tar, write_tar};
pub use treefile::{Fragment, FragmentError, FragmentOptions, Syntax, fragment};

pub(crate) use tree::read_leaf;
