//! Gzip-compressed tar archives, read as a stream.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use flate2::bufread::GzDecoder;
use tar::{Archive, EntryType};

use super::content::read_whole;
use super::error::Garbage;
use super::meter::{HEADERS, Meter, Metered};
use super::tree::Tree;
use super::{Entry, EntryProblem, FileContent, SourceError, Visit};

/// Size of a block in a tar archive. Two blocks of zeros end it (POSIX.1-2017, pax, "ustar
/// Interchange Format").
const BLOCK: usize = 512;

/// Buffer size for decoding, in bytes.
const PIECE: usize = 1 << 18;

/// Visits the entries of a compressed archive and reads up to the last byte of `file`.
pub fn read<E: From<SourceError>>(
    file: impl BufRead,
    tree: Tree<'_>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let members = Members {
        current: Some(GzDecoder::new(file)),
    };
    // Decoding large pieces is faster than decoding each header and content separately.
    read_tar(BufReader::with_capacity(PIECE, members), tree, visit)
}

/// Returns the size of the tar archive: the last four bytes of a gzip file (RFC 1952, 2.3.1:
/// `ISIZE`). `None` if the size is less than that of the file, which means that it does not fit into
/// four bytes, or that the file has several members.
pub fn uncompressed_size(file: &File) -> Option<u64> {
    let compressed = file.metadata().ok()?.len();
    let mut size = [0; 4];
    file.read_exact_at(&mut size, compressed.checked_sub(4)?)
        .ok()?;
    let size = u64::from(u32::from_le_bytes(size));
    (size >= compressed).then_some(size)
}

/// A reader of all members of a gzip file (RFC 1952, 2.2: they are concatenated) that verifies
/// their checksums.
struct Members<R> {
    current: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.current {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(mut file) = self.current.take().map(GzDecoder::into_inner) else {
                break;
            };
            match file.fill_buf()?.first() {
                None => break,
                // First byte of the magic number of a member (RFC 1952, 2.3.1).
                Some(0x1f) => self.current = Some(GzDecoder::new(file)),
                Some(_) => return Err(io::Error::other(Garbage)),
            }
        }
        Ok(0)
    }
}

/// Visits the entries of an archive and reads to the end of `stream`.
pub fn read_tar<E: From<SourceError>>(
    stream: impl Read,
    mut tree: Tree<'_>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let meter = Meter::new(&tree);
    let mut archive = Archive::new(Metered {
        inner: stream,
        meter: &meter,
    });
    let location = tree.location;
    let mut last: Option<String> = None;
    let failed = |last: Option<&str>, error: io::Error| -> SourceError {
        SourceError::of_read(location, last, meter.explain(error))
    };
    let mut entries = archive.entries().map_err(|e| failed(None, e))?;
    loop {
        meter.headers_left.set(Some(HEADERS));
        let next = entries.next();
        if let Some(limit) = meter.exceeded.get() {
            let problem = EntryProblem::Headers { limit };
            return Err(tree.refuse(&last.unwrap_or_default(), problem).into());
        }
        let Some(next) = next else { break };
        let mut entry = next.map_err(|e| failed(last.as_deref(), e))?;
        meter.headers_left.set(None);
        let bytes = entry.path_bytes().into_owned();
        let name = String::from_utf8_lossy(&bytes).into_owned();
        let refuse = |tree: &Tree<'_>, problem| E::from(tree.refuse(&name, problem));

        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            tree.count_other().map_err(|p| refuse(&tree, p))?;
        }
        let problem = header_problem(&mut entry).map_err(|e| failed(Some(&name), e))?;
        if let Some(problem) = problem {
            return Err(refuse(&tree, problem));
        }
        let size = entry.size();
        let target = || {
            entry
                .link_name_bytes()
                .map_or_else(Vec::new, Cow::into_owned)
        };
        match kind {
            EntryType::Regular => {
                let path = tree.file(&bytes, size).map_err(|p| refuse(&tree, p))?;
                read_whole((location, &name), size, &mut entry, |content| {
                    let content = FileContent::Stream(content);
                    visit(Entry::File {
                        path,
                        size,
                        content,
                    })
                })?;
            }
            EntryType::Directory => {
                tree.folder(&bytes).map_err(|p| refuse(&tree, p))?;
            }
            EntryType::Symlink => {
                let link = tree.symlink(&bytes, &target());
                let (path, target) = link.map_err(|p| refuse(&tree, p))?;
                visit(Entry::Symlink { path, target })?;
            }
            EntryType::Link => {
                let link = tree.hard_link(&bytes, &target());
                let (path, target) = link.map_err(|p| refuse(&tree, p))?;
                visit(Entry::HardLink { path, target })?;
            }
            // A global header with only comments.
            _ => {}
        }
        last = Some(name);
    }
    meter.headers_left.set(None);
    let end = if meter.ended.get() {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        read_end(&mut archive.into_inner())
    };
    end.map_err(|error| failed(last.as_deref(), error).into())
}

/// Returns the problem with an entry's header, apart from its name and target.
fn header_problem<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Option<EntryProblem>> {
    let kind = entry.header().entry_type();
    let size = entry.size();
    let mode = entry.header().mode()? & 0o7777;
    Ok(match kind {
        // The decoder would read these records into memory.
        EntryType::XGlobalHeader if size > HEADERS => {
            Some(EntryProblem::Headers { limit: HEADERS })
        }
        EntryType::XGlobalHeader => {
            has_record(entry, changes_entries)?.then_some(EntryProblem::GlobalHeader)
        }
        EntryType::GNUSparse => Some(EntryProblem::Sparse),
        EntryType::Regular | EntryType::Directory | EntryType::Symlink | EntryType::Link => {
            if mode & 0o7000 != 0 {
                Some(EntryProblem::Mode { mode })
            } else if size != 0 && kind != EntryType::Regular {
                Some(EntryProblem::Content)
            } else {
                has_record(entry, |key| key.starts_with(b"GNU.sparse."))?
                    .then_some(EntryProblem::Sparse)
            }
        }
        _ => Some(EntryProblem::Special),
    })
}

/// Reads the rest after the first of the two closing blocks, which must be zeros: the second
/// closing block, and padding.
fn read_end(stream: &mut impl Read) -> io::Result<()> {
    let mut buffer = [0; 16 * BLOCK];
    let mut filled = BLOCK;
    stream.read_exact(&mut buffer[..BLOCK])?;
    while filled > 0 {
        if buffer[..filled].iter().any(|byte| *byte != 0) {
            return Err(io::Error::other(Garbage));
        }
        filled = stream.read(&mut buffer)?;
    }
    Ok(())
}

/// Returns whether a record of a global header changes names, targets or sizes of entries.
fn changes_entries(key: &[u8]) -> bool {
    matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.")
}

/// Returns whether an entry's pax records contain a matching key.
fn has_record<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    matches: impl Fn(&[u8]) -> bool,
) -> io::Result<bool> {
    for record in entry.pax_extensions()?.into_iter().flatten() {
        if matches(record?.key_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}
