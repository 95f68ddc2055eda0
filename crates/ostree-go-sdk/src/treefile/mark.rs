//! A position in a treefile.

use std::path::Path;
use std::sync::Arc;

/// A position in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub file: Arc<Path>,
    /// Line number from 1; 0 means the whole file.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Mark {
    pub fn of_file(file: &Arc<Path>) -> Self {
        Self {
            file: Arc::clone(file),
            line: 0,
            column: 0,
        }
    }
}
