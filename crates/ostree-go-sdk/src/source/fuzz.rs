//! The archive readers over bytes in memory, for the fuzz targets.

use std::fs::File;
use std::io::{Read, Write};

use super::rpm as rpms;
use super::tree::Tree;
use super::{Entry, Limits, SourceError, targz, zip};

const MODULE: &str = "golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64";

fn visit(entry: Entry<'_>) -> Result<(), SourceError> {
    if let Entry::File { content, .. } = entry {
        content.read(|bytes| {
            // Broken content is told of by the reader.
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

/// Goes through a tar archive.
pub fn tar(bytes: &[u8]) {
    let _ = targz::read_tar(bytes, tree(), &mut visit);
}

/// Goes through a zip archive.
pub fn zip(bytes: &[u8]) {
    if let Ok(file) = in_memory(bytes) {
        let _ = zip::read(file, tree(), &mut visit);
    }
}

/// Goes through an RPM.
pub fn rpm(bytes: &[u8]) {
    rpms::fuzz::rpm(bytes, in_memory, &mut visit);
}

/// A file that is on no disk.
fn in_memory(bytes: &[u8]) -> std::io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}
