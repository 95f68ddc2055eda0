//! The tar of a layer: one form for one tree.
//!
//! Every directory, file and symlink but the top, in the order of their paths, directories with
//! a `/` at the end of their name. Owner and group 0, time 0, no names of users, no xattrs.
//! POSIX ustar, with GNU's `@LongLink` entry before a path that does not fit. Two empty blocks
//! at the end. [`super::tar`] reads it. A layer of an [encapsulated](super::encapsulated) commit
//! has other entries, and hard links, in the same form of tar.

use crate::fs::path::TreePath;
use std::io;
use tar::{Builder, EntryType, Header};

/// What stands at a path, and the bits of its mode that are permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: TreePath,
    pub(crate) node: Node,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A directory: `st_mode & 07777`.
    Directory { mode: u32 },
    /// A file: `st_mode & 07777`, and its size in bytes.
    File { mode: u32, size: u64 },
    /// A symlink; its mode is 0777.
    Symlink { target: String },
    /// Another name of an entry before it, by that one's path: `st_mode & 07777`.
    Hardlink { mode: u32, target: String },
}

/// The end of an archive: two blocks of 512 bytes.
pub(crate) const END: [u8; 1024] = [0; 1024];

/// Adds an entry and its bytes to an archive that has no end yet.
pub(crate) fn write(out: &mut Vec<u8>, entry: &Entry, content: &[u8]) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_mtime(0);
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
            // As it is: the builder's own way would drop a `.` in it.
            header.set_link_name_literal(&target.as_bytes()[..target.len().min(LINK_FIELD)])?;
            tar.append_data(&mut header, entry.path.as_str(), io::empty())?;
        }
    }
    *out = tar.into_inner()?;
    // The builder has put the end behind it.
    out.truncate(out.len() - END.len());
    Ok(())
}

/// Bytes of a header's field for the target of a link.
const LINK_FIELD: usize = 100;

/// The header of GNU's entry that has the target of the next one's link, and a NUL, for content.
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
    fn the_form_is_pinned() {
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
        // A change here is a change of every image's digest: say so in the changelog.
        insta::assert_snapshot!(digest_of(&bytes), @"sha256:9f0a9ffd58e4cbf833e937969583be8c8463fb0c7909b29611bde2298cf13a69");
    }
}
