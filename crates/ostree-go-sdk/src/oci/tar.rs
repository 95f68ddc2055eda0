//! Reads a layer's tar archive, in the canonical form only.
//!
//! Entries are sorted by path, directories precede their content, owners are 0:0, modes are plain,
//! and there are only files, directories and symlinks. Times are not read. Everything else was not
//! written by [`super::layer`] and is rejected.

use crate::fs::path::TreePath;
use crate::object::FileHeader;
use ::tar::{EntryType, Header};
use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// Size of a block in a tar archive. Two blocks of zeros end it (POSIX.1-2017, pax, "ustar
/// Interchange Format").
const BLOCK: usize = 512;
/// Maximum length of a name or target, including the final NUL.
const MAX_NAME: u64 = 4096 + 1;
/// Maximum total number of entries of layers that are read concurrently. The sources of Go 1.26 have
/// 13,000.
const ENTRIES: u64 = 400_000;
/// Maximum total length of their names in bytes. Each name is held in memory several times.
const NAMES: u64 = 24 << 20;

/// Mode of the directories of a build cache: every user can add entries, but not replace those of others.
pub(crate) const SHARED: u32 = 0o1777;

/// The remaining quota of archives that are read concurrently.
#[derive(Debug)]
pub(crate) struct LayerQuota {
    entries: AtomicU64,
    names: AtomicU64,
}

impl Default for LayerQuota {
    fn default() -> Self {
        Self {
            entries: ENTRIES.into(),
            names: NAMES.into(),
        }
    }
}

impl LayerQuota {
    /// Subtracts an entry whose name has `name` bytes from the quota.
    fn subtract(&self, name: u64) -> Result<(), String> {
        let take = |left: &AtomicU64, some| {
            let order = Ordering::Relaxed;
            left.fetch_update(order, order, |left| left.checked_sub(some))
        };
        take(&self.entries, 1)
            .map_err(|_| format!("exceeds the limit of {ENTRIES} entries in all layers"))?;
        take(&self.names, name).map_err(|_| {
            format!("makes the total length of names in all layers exceed {NAMES} bytes")
        })?;
        Ok(())
    }
}

/// An entry of a layer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Directory(TreePath),
    /// A file and its size in bytes; [read](Reader::content) its content next.
    File(TreePath, FileHeader, u64),
    Symlink(TreePath, FileHeader),
}

/// The reason why reading a layer failed.
#[derive(Debug)]
pub(crate) enum LayerReadError {
    /// The stream failed or ended early.
    Read(io::Error),
    /// The archive contains something that is not allowed in a layer.
    Refused(String),
}

impl From<io::Error> for LayerReadError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Reads the entries of a layer, one after the other.
pub(crate) struct Reader<'l, R> {
    input: R,
    quota: &'l LayerQuota,
    last: Option<TreePath>,
    directories: HashSet<TreePath>,
    /// True if directories may have the mode 1777.
    shared_directories: bool,
    /// The remaining bytes of a file's content and padding.
    left: u64,
}

impl<'l, R: Read> Reader<'l, R> {
    pub(crate) fn new(input: R, quota: &'l LayerQuota) -> Self {
        Self {
            input,
            quota,
            last: None,
            directories: HashSet::new(),
            shared_directories: false,
            left: 0,
        }
    }

    /// Sets whether directories may have the mode 1777, as those of a build cache. Default: no.
    pub(crate) fn shared_directories(mut self, shared: bool) -> Self {
        self.shared_directories = shared;
        self
    }

    /// Returns the next entry, or `None` at the end, which only zeros may follow.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, LayerReadError> {
        self.skip()?;
        let (mut long_name, mut long_target) = (None, None);
        loop {
            let Some(header) = self.header()? else {
                return if long_name.is_none() && long_target.is_none() {
                    self.end()
                } else {
                    Err(LayerReadError::Refused(
                        "a long name has no entry".to_owned(),
                    ))
                };
            };
            let header = Header::from_byte_slice(&header);
            match header.entry_type() {
                EntryType::GNULongName if long_name.is_none() => {
                    long_name = Some(self.long(header)?);
                }
                EntryType::GNULongLink if long_target.is_none() => {
                    long_target = Some(self.long(header)?);
                }
                _ => return self.entry(header, long_name, long_target).map(Some),
            }
        }
    }

    /// Returns a reader of the remaining content of the last file.
    pub(crate) fn content(&mut self, size: u64) -> io::Take<&mut R> {
        self.left = self.left.saturating_sub(size);
        (&mut self.input).take(size)
    }

    fn entry(
        &mut self,
        header: &Header,
        name: Option<Vec<u8>>,
        target: Option<Vec<u8>>,
    ) -> Result<Entry, LayerReadError> {
        let kind = header.entry_type();
        let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = || String::from_utf8_lossy(&name).escape_debug().to_string();
        let refused =
            |problem: &str| LayerReadError::Refused(format!("entry `{}` {problem}", shown()));
        if !matches!(
            kind,
            EntryType::Regular | EntryType::Directory | EntryType::Symlink
        ) {
            return Err(refused("is neither a file, a directory nor a symlink"));
        }
        let plain = match kind {
            EntryType::Directory => name.strip_suffix(b"/").unwrap_or(&name),
            _ => &name,
        };
        let path = TreePath::from_bytes(plain);
        let path = path.map_err(|error| refused(&error.problem.to_string()))?;
        if path.file_name().starts_with(".wh.") {
            return Err(refused("is a whiteout, but layers can only add files"));
        }
        self.check_position(&path)
            .map_err(|problem| refused(&problem))?;
        let field = |value: io::Result<u64>| value.map_err(|_| refused("has a broken header"));
        let owner = (field(header.uid())?, field(header.gid())?);
        if owner != (0, 0) {
            let (user, group) = owner;
            return Err(refused(&format!("belongs to {user}:{group}, expected 0:0")));
        }
        let mode = header.mode().map_err(|_| refused("has a broken header"))?;
        let size = field(header.entry_size())?;
        if kind != EntryType::Regular && size != 0 {
            return Err(refused("is a directory or a symlink and has content"));
        }
        let wrong_mode = |expected| refused(&format!("has mode {mode:04o}, expected {expected}"));
        match kind {
            EntryType::Directory => {
                if mode != 0o755 && !(self.shared_directories && mode == SHARED) {
                    return Err(wrong_mode("0755"));
                }
                self.directories.insert(path.clone());
                Ok(Entry::Directory(path))
            }
            EntryType::Symlink => {
                let target = target
                    .or_else(|| Some(header.link_name_bytes()?.into_owned()))
                    .and_then(|target| String::from_utf8(target).ok())
                    .filter(|target| !target.is_empty() && !target.contains('\0'))
                    .ok_or_else(|| refused("is a symlink without a target"))?;
                Ok(Entry::Symlink(path, FileHeader::Symlink { target }))
            }
            _ => {
                let executable = match mode {
                    0o755 => true,
                    0o644 => false,
                    _ => return Err(wrong_mode("0644 or 0755")),
                };
                let blocks = size.div_ceil(BLOCK as u64);
                self.left = blocks
                    .checked_mul(BLOCK as u64)
                    .ok_or_else(|| refused("has a broken header"))?;
                Ok(Entry::File(path, FileHeader::Regular { executable }, size))
            }
        }
    }

    /// Checks the position of an entry: quota, order and parent directory.
    fn check_position(&mut self, path: &TreePath) -> Result<(), String> {
        self.quota.subtract(path.as_str().len() as u64)?;
        match &self.last {
            Some(last) if last == path => return Err("is a duplicate".to_owned()),
            Some(last) if last > path => {
                return Err(format!("comes after `{last}`, expected sorted entries"));
            }
            _ => {}
        }
        if let Some(parent) = path.parent()
            && !self.directories.contains(&parent)
        {
            return Err(format!("is in `{parent}`, which is not a directory"));
        }
        self.last = Some(path.clone());
        Ok(())
    }

    /// Reads the next header; returns `None` for the first of the zero blocks that end the archive.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, LayerReadError> {
        let mut block = [0; BLOCK];
        self.input.read_exact(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block);
        // The checksum is the sum of all bytes, with spaces in place of the checksum field.
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let own: u32 = header
            .as_old()
            .cksum
            .iter()
            .map(|byte| u32::from(*byte))
            .sum();
        if header.cksum().ok() != Some(sum - own + 8 * u32::from(b' ')) {
            return Err(LayerReadError::Refused(match &self.last {
                Some(last) => format!("the header after entry `{last}` is malformed"),
                None => "it is not a tar archive".to_owned(),
            }));
        }
        Ok(Some(block))
    }

    /// Reads the content of GNU's entry for a long name or target.
    fn long(&mut self, header: &Header) -> Result<Vec<u8>, LayerReadError> {
        let size = header.entry_size().ok();
        let size = size.filter(|size| (1..=MAX_NAME).contains(size));
        let size =
            size.ok_or_else(|| LayerReadError::Refused("a long name is too long".to_owned()))?;
        let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
        self.left = size.div_ceil(BLOCK as u64) * BLOCK as u64 - size;
        self.input.read_exact(&mut text)?;
        self.skip()?;
        while text.last() == Some(&0) {
            text.pop();
        }
        Ok(text)
    }

    /// Skips the remaining bytes of an entry.
    fn skip(&mut self) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.input).take(self.left), &mut io::sink())?;
        if skipped != self.left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = 0;
        Ok(())
    }

    /// Reads the second of the closing blocks and the zeros that may follow.
    fn end(&mut self) -> Result<Option<Entry>, LayerReadError> {
        let mut buffer = [0; 16 * BLOCK];
        let mut filled = BLOCK;
        self.input.read_exact(&mut buffer[..BLOCK])?;
        while filled > 0 {
            if buffer[..filled].iter().any(|byte| *byte != 0) {
                let problem = "there are bytes after the end of its archive";
                return Err(LayerReadError::Refused(problem.to_owned()));
            }
            filled = self.input.read(&mut buffer)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::layer::{self, END, Node};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Generates files and symlinks of a layer, by path.
    fn leaves() -> impl Strategy<Value = BTreeMap<String, Result<Vec<u8>, String>>> {
        let leaf = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..1100).prop_map(Ok),
            "[a-z./]{1,300}".prop_map(Err),
        ];
        let path = "[a-cé]{1,2}-?(/[a-c ]{1,120}d){0,3}/x[a-c]{1,99}";
        proptest::collection::btree_map(path, leaf, 1..9)
    }

    fn archive(leaves: &BTreeMap<String, Result<Vec<u8>, String>>) -> Vec<u8> {
        let mut nodes = BTreeMap::new();
        for (path, leaf) in leaves {
            let path: TreePath = path.parse().unwrap();
            let mut above = path.parent();
            while let Some(directory) = above {
                above = directory.parent();
                nodes.insert(directory, (Node::Directory { mode: 0o755 }, Vec::new()));
            }
            let node = match leaf.clone() {
                Ok(bytes) => {
                    let size = bytes.len() as u64;
                    (Node::File { mode: 0o644, size }, bytes)
                }
                Err(target) => (Node::Symlink { target }, Vec::new()),
            };
            nodes.insert(path, node);
        }
        let mut bytes = Vec::new();
        for (path, (node, content)) in nodes {
            layer::write(&mut bytes, &layer::Entry { path, node }, &content).unwrap();
        }
        bytes.extend(END);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<BTreeMap<String, Result<Vec<u8>, String>>, LayerReadError> {
        let quota = LayerQuota::default();
        let mut reader = Reader::new(bytes, &quota);
        let mut found = BTreeMap::new();
        while let Some(entry) = reader.next()? {
            let (path, leaf) = match entry {
                Entry::Directory(_) => continue,
                Entry::File(path, _, size) => {
                    let mut bytes = Vec::new();
                    reader.content(size).read_to_end(&mut bytes)?;
                    (path, Ok(bytes))
                }
                Entry::Symlink(path, FileHeader::Symlink { target }) => (path, Err(target)),
                Entry::Symlink(..) => unreachable!("a symlink's header"),
            };
            found.insert(path.as_str().to_owned(), leaf);
        }
        Ok(found)
    }

    proptest! {
        #[test]
        fn layers_read_back(leaves in leaves()) {
            let bytes = archive(&leaves);
            prop_assert_eq!(read(&bytes).unwrap(), leaves);
            // Neither truncation nor trailing bytes other than zeros are accepted.
            prop_assert!(read(&bytes[..bytes.len() - 1]).is_err());
            prop_assert!(read(&[&bytes[..], &[0; 3000]].concat()).is_ok());
            prop_assert!(read(&[&bytes[..], &[1]].concat()).is_err());
        }

        #[test]
        fn any_bytes_are_a_layer_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..2048),
            leaves in leaves(),
            at in any::<prop::sample::Index>(),
            byte: u8,
        ) {
            let _ = read(&bytes);
            let mut damaged = archive(&leaves);
            *at.get_mut(&mut damaged) = byte;
            let _ = read(&damaged);
        }
    }

    /// Formats the error for an archive of entries with these types, names and modes.
    fn refused(entries: &[(EntryType, &str, u32)]) -> String {
        let mut bytes = Vec::new();
        for (kind, name, mode) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(*mode);
            for set in [Header::set_uid, Header::set_gid, Header::set_size] {
                set(&mut header, 0);
            }
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            bytes.extend_from_slice(header.as_bytes());
        }
        bytes.extend(END);
        match read(&bytes) {
            Err(LayerReadError::Refused(problem)) => problem,
            Err(LayerReadError::Read(error)) => error.to_string(),
            Ok(found) => format!("taken: {found:?}"),
        }
    }

    #[test]
    fn unsupported_entries_are_refused() {
        use EntryType::{Char, Directory, Link, Regular, Symlink};
        let (dir, file) = ((Directory, "a/", 0o755), (Regular, "a/b", 0o644));
        let all = [
            refused(&[(Link, "a", 0o644)]),
            refused(&[(Char, "a", 0o644)]),
            refused(&[(Regular, "../a", 0o644)]),
            refused(&[(Regular, "/a", 0o644)]),
            refused(&[(Symlink, "a", 0o777)]),
            refused(&[(Regular, "a", 0o4755)]),
            refused(&[(Directory, "a/", 0o777)]),
            refused(&[(Regular, ".wh.a", 0o644)]),
            refused(&[file]),
            refused(&[dir, file, file]),
            refused(&[dir, (Regular, "c", 0o644), file]),
            refused(&[(Regular, "a", 0o644), file]),
            refused(&[dir, file, (Regular, "a/b/c", 0o644)]),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        entry `a` is neither a file, a directory nor a symlink
        entry `a` is neither a file, a directory nor a symlink
        entry `../a` leaves the tree
        entry `/a` is absolute
        entry `a` is a symlink without a target
        entry `a` has mode 4755, expected 0644 or 0755
        entry `a/` has mode 0777, expected 0755
        entry `.wh.a` is a whiteout, but layers can only add files
        entry `a/b` is in `a`, which is not a directory
        entry `a/b` is a duplicate
        entry `a/b` comes after `c`, expected sorted entries
        entry `a/b` is in `a`, which is not a directory
        entry `a/b/c` is in `a/b`, which is not a directory
        ");
    }
}
