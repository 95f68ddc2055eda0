//! Tests with hand-made archives, one for each reason of rejection.

mod directory;
mod open;
mod rpm;
mod tar;
mod zip;

use std::error::Error;
use std::fs::File;
use std::io::Write;

use super::tree::Tree;
use super::{Entry, Limits, SourceError};

const MODULE: &str = "golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64";

/// The entries that a reader visited, formatted one per line.
type Shown = Result<Vec<String>, SourceError>;

fn tree() -> Tree<'static> {
    Tree::new("go.tar.gz", Limits::default(), MODULE)
}

/// Runs a reader and formats the entries.
fn shown(
    read: impl FnOnce(&mut dyn FnMut(Entry<'_>) -> Result<(), SourceError>) -> Result<(), SourceError>,
) -> Shown {
    let mut lines = Vec::new();
    read(&mut |entry| {
        lines.push(match entry {
            Entry::File {
                path,
                size,
                content,
            } => {
                let text = content.read(|bytes| {
                    let mut text = Vec::new();
                    // The reader reports the failure.
                    let _ = bytes.read_to_end(&mut text);
                    Ok::<_, SourceError>(text)
                })?;
                format!("{path} [{size}] {}", String::from_utf8_lossy(&text))
            }
            Entry::Symlink { path, target } => format!("{path} -> {target}"),
            Entry::HardLink { path, target } => format!("{path} = {target}"),
        });
        Ok(())
    })?;
    Ok(lines)
}

/// Creates a file with this content.
fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Formats an error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
