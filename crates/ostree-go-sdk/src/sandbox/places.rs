//! The paths of the sandbox's own directories, as its command sees them.

use std::path::{Path, PathBuf};

/// The directories for temporary files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// `TMPDIR`.
    pub temporary: PathBuf,
    /// `HOME`.
    pub home: PathBuf,
    /// `GOCACHE`.
    pub go_cache: PathBuf,
}

impl Places {
    /// Returns the directories below a directory for temporary files.
    pub fn below(temporary: &Path) -> Self {
        Self {
            temporary: temporary.to_owned(),
            home: temporary.join("home"),
            go_cache: temporary.join("go-build"),
        }
    }
}
