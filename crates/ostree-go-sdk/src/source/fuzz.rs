//! Entry points of the archive readers for fuzz targets.

use std::fs::File;
use std::io::{Read, Write};

use super::rpm as rpms;
use super::tree::Tree;
use super::{Entry, Limits, SourceError, targz, zip};

const MODULE: &str = "golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64";

fn visit(entry: Entry<'_>) -> Result<(), SourceError> {
    if let Entry::File { content, .. } = entry {
        content.read(|bytes| {
            // The reader of the archive reports broken content.
            let _ = bytes.take(1 << 20).read_to_end(&mut Vec::new());
            Ok::<_, SourceError>(())
        })?;
    }
    Ok(())
}

fn tree() -> Tree<'static> {
    let limits = Limits::default().entries(1000).bytes(1 << 20);
    Tree::new("input", limits, MODULE)
}

/// Reads a tar archive.
pub fn tar(bytes: &[u8]) {
    let _ = targz::read_tar(bytes, tree(), &mut visit);
}

/// Reads a zip archive.
pub fn zip(bytes: &[u8]) {
    if let Ok(file) = in_memory(bytes) {
        let _ = zip::read(file, tree(), &mut visit);
    }
}

/// Reads an RPM.
pub fn rpm(bytes: &[u8]) {
    rpms::fuzz::rpm(bytes, in_memory, &mut visit);
}

/// Creates an anonymous file with this content.
pub(crate) fn in_memory(bytes: &[u8]) -> std::io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}
