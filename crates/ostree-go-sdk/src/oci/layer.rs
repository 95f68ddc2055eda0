//! The tar of a layer: one form for one tree.
//!
//! Every directory, file and symlink but the top, in the order of their paths, directories with
//! a `/` at the end of their name. Owner and group 0, time 0, no names of users, no xattrs.
//! POSIX ustar, with GNU's `@LongLink` entry before a path that does not fit. Two empty blocks
//! at the end.

use crate::fs::path::{InvalidPath, TreePath};
use std::io::{self, Read};
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
}

/// Why an entry of an archive is none of a layer's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerFormatError {
    /// Its name is no path in a tree.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// It is neither directory, file nor symlink.
    #[error(
        "`{path}` is neither a file, a directory nor a symlink: the archive has type {found:?}"
    )]
    Type {
        /// The path.
        path: TreePath,
        /// The byte in the header.
        found: char,
    },
    /// A symlink has no target, or one that is not UTF-8.
    #[error("symlink `{path}` has a target that cannot be")]
    Target {
        /// The path.
        path: TreePath,
    },
    /// The archive cannot be read.
    #[error("the archive is damaged")]
    Archive(#[source] io::Error),
}

/// The permissions of a mode.
const BITS: u32 = 0o7777;

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
        Node::Symlink { target } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
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

/// What an entry of an archive says. Its bytes are read from it next.
pub(crate) fn read<R: Read>(entry: &tar::Entry<'_, R>) -> Result<Entry, LayerFormatError> {
    let name = entry.path_bytes();
    let name = name.strip_suffix(b"/").unwrap_or(&name);
    let path = TreePath::from_bytes(name)?;
    let header = entry.header();
    let mode = || header.mode().map_err(LayerFormatError::Archive);
    let node = match header.entry_type() {
        EntryType::Directory => Node::Directory {
            mode: mode()? & BITS,
        },
        EntryType::Regular => Node::File {
            mode: mode()? & BITS,
            size: entry.size(),
        },
        EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = std::str::from_utf8(&target).unwrap_or_default().to_owned();
            if target.is_empty() {
                return Err(LayerFormatError::Target { path });
            }
            Node::Symlink { target }
        }
        other => {
            let found = other.as_byte().into();
            return Err(LayerFormatError::Type { path, found });
        }
    };
    Ok(Entry { path, node })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::format::digest_of;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Vec<(Entry, Vec<u8>)>> {
        let node = prop_oneof![
            (0u32..0o10000).prop_map(|mode| (Node::Directory { mode }, Vec::new())),
            (
                0u32..0o10000,
                proptest::collection::vec(any::<u8>(), 0..1100)
            )
                .prop_map(|(mode, content)| {
                    let size = content.len() as u64;
                    (Node::File { mode, size }, content)
                }),
            "[a-z./]{1,300}".prop_map(|target| (Node::Symlink { target }, Vec::new())),
        ];
        let path = "[a-zé]{1,120}(/[a-z ]{1,120}){0,3}".prop_map(|path| path.parse().unwrap());
        proptest::collection::vec((path, node), 0..9).prop_map(|entries| {
            let entry = |(path, (node, content))| (Entry { path, node }, content);
            entries.into_iter().map(entry).collect()
        })
    }

    proptest! {
        #[test]
        fn entries_read_back(entries in entries()) {
            let mut bytes = Vec::new();
            for (entry, content) in &entries {
                write(&mut bytes, entry, content).unwrap();
                prop_assert_eq!(bytes.len() % 512, 0);
            }
            bytes.extend(END);
            let mut archive = tar::Archive::new(&*bytes);
            let mut found = Vec::new();
            for entry in archive.entries().unwrap() {
                let mut entry = entry.unwrap();
                let read = read(&entry).unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                found.push((read, content));
            }
            prop_assert_eq!(found, entries);
        }

        #[test]
        fn any_bytes_are_entries_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            for entry in tar::Archive::new(&*bytes).entries().unwrap() {
                let Ok(entry) = entry else { break };
                let _ = read(&entry);
            }
        }
    }

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

    #[test]
    fn what_no_layer_has_is_refused() {
        let refused = |kind: EntryType, path: &str| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            let bytes = [header.as_bytes(), &END[..]].concat();
            let mut archive = tar::Archive::new(&*bytes);
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            read(&entry).unwrap_err().to_string()
        };
        insta::assert_snapshot!(refused(EntryType::Link, "a"), @"`a` is neither a file, a directory nor a symlink: the archive has type '1'");
        insta::assert_snapshot!(refused(EntryType::Char, "a"), @"`a` is neither a file, a directory nor a symlink: the archive has type '3'");
        insta::assert_snapshot!(refused(EntryType::Regular, "../a"), @"path `../a` leaves the tree");
        insta::assert_snapshot!(refused(EntryType::Regular, "/a"), @"path `/a` is absolute");
        insta::assert_snapshot!(refused(EntryType::Symlink, "a"), @"symlink `a` has a target that cannot be");
    }
}
