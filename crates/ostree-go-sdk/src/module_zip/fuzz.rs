//! Entry point of the reader for a fuzz target.

use super::ModuleZip;
use crate::source::fuzz::in_memory;
use std::path::Path;

/// Reads the zip file of a module. No name of a file leaves the directory of the module.
pub fn module_zip(bytes: &[u8]) {
    let Ok(file) = in_memory(bytes) else {
        return;
    };
    if let Ok(zip) = ModuleZip::read(file, Path::new("input"), "example.com/a", "v1.0.0") {
        for name in zip.files().keys() {
            let mut parts = name.split('/');
            assert!(!parts.any(|part| ["", ".", ".."].contains(&part)), "{name}");
        }
    }
}
