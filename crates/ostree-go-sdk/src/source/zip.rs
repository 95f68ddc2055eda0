//! Zip archives.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive, read::ZipReadOptions};

use super::deferred::{DeferredContent, SharedFile};
use super::tree::Tree;
use super::{Entry, EntryProblem, FileContent, SourceError, Visit};

/// The file type in a Unix mode, which zip keeps in the external attributes.
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// Maximum length of a symlink's target (Linux's `PATH_MAX`).
const LINK_TARGET: u64 = 4096;

/// Visits the entries of an archive in the order of its central directory.
pub fn read<E: From<SourceError>>(
    mut file: File,
    mut tree: Tree<'_>,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let location = tree.location;
    let failed = |entry: Option<&str>, error: ZipError| -> SourceError {
        SourceError::of_read(location, entry, error.into())
    };
    check_end(&mut file, location)?;
    let mut archive = ZipArchive::new(SharedFile::new(file)).map_err(|e| failed(None, e))?;
    if archive.has_duplicate_names() {
        let start = archive.central_directory_start();
        let name =
            duplicate_name(&mut archive.into_inner(), start).map_err(|e| failed(None, e.into()))?;
        return Err(tree.refuse(&name, EntryProblem::Duplicate).into());
    }
    for index in 0..archive.len() {
        let data = archive.by_index_data(index).map_err(|e| failed(None, e))?;
        let bytes = data.name_raw().to_vec();
        let name = String::from_utf8_lossy(&bytes).into_owned();
        let refuse = |tree: &Tree<'_>, problem| E::from(tree.refuse(&name, problem));
        let size = data.size();
        // `unix_mode` would drop the setuid, setgid and sticky bits, which must be detected.
        let mode = data.external_attributes() >> 16;
        check_method(data.encrypted(), data.compression()).map_err(|p| refuse(&tree, p))?;
        if mode & 0o7000 != 0 {
            let mode = mode & 0o7777;
            return Err(refuse(&tree, EntryProblem::Mode { mode }));
        }
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let content = archive
            .by_index_with_options(index, options)
            .map_err(|e| failed(Some(&name), e))?;
        match (bytes.ends_with(b"/"), mode & S_IFMT) {
            (true, 0 | S_IFDIR) => {
                if size != 0 {
                    return Err(refuse(&tree, EntryProblem::Content));
                }
                tree.folder(&bytes).map_err(|p| refuse(&tree, p))?;
            }
            (false, 0 | S_IFREG) => {
                let path = tree.file(&bytes, size).map_err(|p| refuse(&tree, p))?;
                drop(content);
                let content = DeferredContent::from_zip((location, name), size, &archive, index);
                visit(Entry::File {
                    path,
                    size,
                    content: FileContent::Deferred(content),
                })?;
            }
            (false, S_IFLNK) => {
                let mut target = Vec::new();
                content
                    .take(LINK_TARGET + 1)
                    .read_to_end(&mut target)
                    .map_err(|e| SourceError::of_read(location, Some(&name), e))?;
                let link = tree.symlink(&bytes, &target);
                let (path, target) = link.map_err(|p| refuse(&tree, p))?;
                visit(Entry::Symlink { path, target })?;
            }
            _ => return Err(refuse(&tree, EntryProblem::Special)),
        }
    }
    // Detects overlapping entries, and entries that are not in the central directory.
    archive
        .validate_header_consistency()
        .map_err(|e| failed(None, e))?;
    Ok(())
}

/// Returns the size of all files according to the central directory.
pub fn uncompressed_size(file: &File) -> Option<u64> {
    let archive = ZipArchive::new(SharedFile::new(file.try_clone().ok()?)).ok()?;
    archive.decompressed_size()?.try_into().ok()
}

fn check_method(encrypted: bool, method: CompressionMethod) -> Result<(), EntryProblem> {
    if encrypted {
        return Err(EntryProblem::Encrypted);
    }
    match method {
        CompressionMethod::Stored | CompressionMethod::Deflated => Ok(()),
        other => Err(EntryProblem::Compression {
            method: other.to_string(),
        }),
    }
}

/// Checks that the file ends where the archive does.
///
/// Source: APPNOTE.TXT 4.3.16: the end of central directory record has 22 bytes, begins
/// with `PK\5\6` and ends with the length of the comment that follows it.
fn check_end(file: &mut (impl Read + Seek), location: &str) -> Result<(), SourceError> {
    const RECORD: usize = 22;
    let damaged = |error| SourceError::of_read(location, None, error);
    let size = file.seek(SeekFrom::End(0)).map_err(damaged)?;
    let tail = size.min(RECORD as u64 + u64::from(u16::MAX));
    file.seek(SeekFrom::Start(size - tail)).map_err(damaged)?;
    let mut bytes = Vec::new();
    file.take(tail).read_to_end(&mut bytes).map_err(damaged)?;
    file.rewind().map_err(damaged)?;
    let mut is_found = false;
    for (at, record) in bytes.windows(RECORD).enumerate().rev() {
        if !record.starts_with(b"PK\x05\x06") {
            continue;
        }
        let comment = usize::from(u16::from_le_bytes([record[20], record[21]]));
        if at + RECORD + comment == bytes.len() {
            return Ok(());
        }
        is_found = true;
    }
    let location = location.to_owned();
    let entry = None;
    Err(if is_found {
        SourceError::TrailingGarbage { location, entry }
    } else {
        SourceError::Truncated { location, entry }
    })
}

/// Returns a name that occurs twice in the central directory at `start`.
///
/// Source: APPNOTE.TXT 4.3.12: a header has 46 bytes, begins with `PK\1\2` and holds the
/// lengths of name, extra field and comment, which follow it, at 28, 30 and 32.
pub(crate) fn duplicate_name(file: &mut (impl Read + Seek), start: u64) -> io::Result<String> {
    let mut names = HashSet::new();
    file.seek(SeekFrom::Start(start))?;
    loop {
        let mut header = [0; 46];
        file.read_exact(&mut header)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Ok(String::new());
        }
        let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let mut rest = vec![0; length(28) + length(30) + length(32)];
        file.read_exact(&mut rest)?;
        rest.truncate(length(28));
        if let Some(name) = names.replace(rest) {
            return Ok(String::from_utf8_lossy(&name).into_owned());
        }
    }
}
