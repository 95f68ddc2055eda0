//! Damaged files of a deployment or a std cache.

use ostree_go_sdk::deploy::DamagedFile;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct DamagedFileView {
    pub path: String,
    pub problem: &'static str,
}

/// Returns the views of damaged files.
pub fn damaged_files(files: &[DamagedFile]) -> Vec<DamagedFileView> {
    let files = files.iter().map(|file| DamagedFileView {
        path: format!("/{}", file.path),
        problem: file.problem.as_str(),
    });
    files.collect()
}
