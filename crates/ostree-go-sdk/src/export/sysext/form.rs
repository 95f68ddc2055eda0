//! The forms of system extensions.

use std::path::Path;

/// The form of a system extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SysextForm {
    /// A directory with copies of the files.
    Directory,
    /// A squashfs image with zstd compression; requires `mksquashfs` 4.5 or newer.
    Squashfs,
    /// An EROFS image with lz4hc compression; requires `mkfs.erofs`.
    Erofs,
}

impl SysextForm {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
        }
    }

    /// Returns the form for a name: an image if it ends in `.raw`, as in systemd.
    #[must_use]
    pub fn of_name(dest: &Path) -> Self {
        match is_image_name(dest) {
            true => Self::Squashfs,
            false => Self::Directory,
        }
    }
}

/// Returns true if systemd takes a file of this name for an image.
pub(super) fn is_image_name(dest: &Path) -> bool {
    dest.extension().is_some_and(|end| end == "raw")
}
