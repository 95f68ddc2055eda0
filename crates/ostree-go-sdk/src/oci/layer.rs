//! The canonical tar format of a layer: equal trees give equal bytes.
//!
//! An archive contains all directories, files and symlinks except the root, sorted by path;
//! names of directories end in `/`. Owner and group are 0, without user names and xattrs. Times are 0,
//! except in a layer with a build cache. The format is POSIX ustar, with GNU's `@LongLink` entry before a path that does not fit.
//! Two empty blocks end the archive. [`super::tar`] reads it. A layer of an
//! [encapsulated](super::encapsulated) commit has other entries, and hard links, in the same format.

use crate::fs::path::TreePath;
use std::io;
use tar::{Builder, EntryType, Header};

/// A path, its type, and its permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: TreePath,
    pub(crate) node: Node,
}

/// The type of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A directory: `st_mode & 07777`.
    Directory { mode: u32 },
    /// A file: `st_mode & 07777`, and its size in bytes.
    File { mode: u32, size: u64 },
    /// A symlink; its mode is always 0777.
    Symlink { target: String },
    /// Another name of an earlier entry, given by its path: `st_mode & 07777`.
    Hardlink { mode: u32, target: String },
}

/// The end of an archive: two blocks of 512 bytes.
pub(crate) const END: [u8; 1024] = [0; 1024];

/// Appends an entry and its content to an archive without an end.
#[cfg(test)]
pub(crate) fn write(out: &mut Vec<u8>, entry: &Entry, content: &[u8]) -> io::Result<()> {
    write_at(out, entry, content, 0)
}

/// Appends an entry and its content to an archive without an end. The time is in seconds since 1970.
pub(crate) fn write_at(
    out: &mut Vec<u8>,
    entry: &Entry,
    content: &[u8],
    time: u64,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    let mut tar = Builder::new(std::mem::take(out));
    match &entry.node {
        Node::Directory { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            tar.append_data(&mut header, format!("{}/", entry.path), io::empty())?;
        }
        Node::File { mode, size } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(*size);
            tar.append_data(&mut header, entry.path.as_str(), content)?;
        }
        Node::Symlink { target } | Node::Hardlink { target, .. } => {
            let (kind, mode) = match &entry.node {
                Node::Hardlink { mode, .. } => (EntryType::Link, *mode),
                _ => (EntryType::Symlink, 0o777),
            };
            header.set_entry_type(kind);
            header.set_mode(mode);
            if target.len() > LINK_FIELD {
                tar.append(&long_link(target), format!("{target}\0").as_bytes())?;
            }
            // Literally, because the builder's setter would drop a `.` component.
            header.set_link_name_literal(&target.as_bytes()[..target.len().min(LINK_FIELD)])?;
            tar.append_data(&mut header, entry.path.as_str(), io::empty())?;
        }
    }
    *out = tar.into_inner()?;
    // Removes the end that the builder appended.
    out.truncate(out.len() - END.len());
    Ok(())
}

/// Size of the header field for the target of a link, in bytes.
const LINK_FIELD: usize = 100;

/// Returns the header of GNU's entry for a long link target, which is stored with a final NUL.
fn long_link(target: &str) -> Header {
    let (mut header, name) = (Header::new_gnu(), b"././@LongLink");
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(target.len() as u64 + 1);
    header.set_entry_type(EntryType::GNULongLink);
    header.set_cksum();
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::format::digest_of;

    #[test]
    fn the_bytes_of_an_archive_are_pinned() {
        let mut bytes = Vec::new();
        let long = "usr/lib/sdk/go-1.26/".to_owned() + &"long/".repeat(60) + "x";
        for (path, node, content) in [
            ("usr", Node::Directory { mode: 0o755 }, &b""[..]),
            (
                "usr/a",
                Node::File {
                    mode: 0o644,
                    size: 3,
                },
                b"abc",
            ),
            (
                "usr/b",
                Node::Symlink {
                    target: "a".to_owned(),
                },
                b"",
            ),
            (
                &long,
                Node::File {
                    mode: 0o755,
                    size: 0,
                },
                b"",
            ),
        ] {
            let path = path.parse().unwrap();
            write(&mut bytes, &Entry { path, node }, content).unwrap();
        }
        bytes.extend(END);
        // A change here changes every image's digest and must be listed in the changelog.
        insta::assert_snapshot!(digest_of(&bytes), @"sha256:9f0a9ffd58e4cbf833e937969583be8c8463fb0c7909b29611bde2298cf13a69");
    }
}
