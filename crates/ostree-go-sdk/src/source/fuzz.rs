//! The archive readers over bytes in memory, for the fuzz targets.

use std::io::{Cursor, Read};

use super::tree::Tree;
use super::{Entry, Limits, SourceError, targz, zip};

const MODULE: &str = "golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64";

fn visit(entry: Entry<'_>) -> Result<(), SourceError> {
    if let Entry::File { content, .. } = entry {
        // Broken content is told of by the reader.
        let _ = content.take(1 << 20).read_to_end(&mut Vec::new());
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
    let _ = zip::read(Cursor::new(bytes), tree(), &mut visit);
}
