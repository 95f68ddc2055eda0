//! The entry point of the fuzz target `image`.

use super::manifest::Document;

/// Parses a manifest or an index, with the commits in its annotations.
pub fn image(bytes: &[u8]) {
    match Document::parse(bytes) {
        Ok(Document::Index(entries)) => {
            for entry in entries {
                let _ = (entry.sha256(), entry.tag());
            }
        }
        Ok(Document::Image(_)) | Err(_) => {}
    }
}
