//! Applies a part, and returns its objects.

use super::bspatch::patch;
use super::part::{Attributes, Part, Xattrs};
use super::{DeltaFormatError, ObjectKey, ObjectKind, Op, Ops};
use crate::id::{FileId, Sha256};
use glib::Bytes;

/// Mask of the file type in `st_mode`, and two file types.
const TYPE_MASK: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// An object of a part. The receiver has to verify its checksum.
#[derive(Debug)]
pub(crate) enum Object<'a> {
    /// The bytes of the object's variant.
    Metadata(&'a [u8]),
    File(FileObject<'a>),
}

/// A file: its header and its content.
#[derive(Debug)]
pub(crate) struct FileObject<'a> {
    pub(crate) attributes: Attributes,
    pub(crate) xattrs: &'a Xattrs,
    pub(crate) content: Content<'a>,
}

/// The content of a file.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Regular(Bytes),
    /// The target.
    Symlink(&'a str),
}

/// Applies a part, and passes its objects in order to `sink`. `source` returns the content of a
/// file in the delta's old commit. No file may be larger than `limit` bytes.
///
/// Memory: the part, one file, and one result of `source`.
///
/// # Errors
/// Returns the errors of `source` and `sink`, and an error if the part is malformed.
pub(crate) fn apply<B, E>(
    part: &Part,
    objects: &[ObjectKey],
    limit: u64,
    mut source: impl FnMut(FileId) -> Result<B, E>,
    mut sink: impl FnMut(&ObjectKey, Object<'_>) -> Result<(), E>,
) -> Result<(), E>
where
    B: AsRef<[u8]>,
    E: From<DeltaFormatError>,
{
    let mut remaining = objects.iter();
    let mut read_source: Option<B> = None;
    let mut open: Option<Open<'_>> = None;
    for (index, op) in Ops::new(part.ops(), objects).enumerate() {
        let invalid = |problem: &str| DeltaFormatError::Op {
            index,
            problem: problem.to_owned(),
        };
        let slice = |offset, size| slice(part.payload(), offset, size).map_err(&invalid);
        let attributes = |mode: u64, xattrs: u64| {
            part.attributes(mode)
                .zip(part.xattrs(xattrs))
                .ok_or_else(|| invalid("it refers to an entry that is not in the part's tables"))
        };
        match op? {
            Op::Metadata { .. } | Op::File { .. } | Op::Open { .. } if open.is_some() => {
                Err(invalid("the previous file is still open"))?;
            }
            Op::Metadata { size, offset } => {
                let key = remaining
                    .next()
                    .ok_or_else(|| invalid("the part has no more objects"))?;
                sink(key, Object::Metadata(slice(offset, size)?))?;
                read_source = None;
            }
            Op::File {
                mode,
                xattrs,
                size,
                offset,
            } => {
                let key = remaining
                    .next()
                    .ok_or_else(|| invalid("the part has no more objects"))?;
                let (attributes, xattrs) = attributes(mode, xattrs)?;
                let bytes = slice(offset, size)?;
                let content = match attributes.mode & TYPE_MASK {
                    REGULAR if size > limit => Err(DeltaFormatError::TooLarge { limit })?,
                    REGULAR => {
                        let shared = part.share(offset, size);
                        Content::Regular(shared.ok_or_else(|| invalid(OUT_OF_RANGE))?)
                    }
                    SYMLINK => Content::Symlink(
                        std::str::from_utf8(bytes)
                            .ok()
                            .filter(|target| !target.is_empty() && !target.contains('\0'))
                            .ok_or_else(|| invalid("the target of a symlink is not text"))?,
                    ),
                    _ => Err(invalid("it is neither a file nor a symlink"))?,
                };
                let file = FileObject {
                    attributes,
                    xattrs,
                    content,
                };
                sink(key, Object::File(file))?;
                read_source = None;
            }
            Op::Open { mode, xattrs, size } => {
                let key = remaining
                    .next()
                    .ok_or_else(|| invalid("the part has no more objects"))?;
                let (attributes, xattrs) = attributes(mode, xattrs)?;
                if key.kind != ObjectKind::File || attributes.mode & TYPE_MASK != REGULAR {
                    Err(invalid("only a regular file can be opened"))?;
                }
                if size > limit {
                    Err(DeltaFormatError::TooLarge { limit })?;
                }
                let mut content = Vec::new();
                // Reserved memory costs nothing until it is written to.
                let _ = content.try_reserve_exact(usize::try_from(size).unwrap_or(0));
                open = Some(Open {
                    key,
                    attributes,
                    xattrs,
                    size,
                    content,
                });
            }
            Op::Write { size, offset } => {
                let open = open.as_mut().ok_or_else(|| invalid(NO_OPEN_FILE))?;
                if size > open.missing() {
                    Err(invalid("it writes more than the file's size"))?;
                }
                open.content.extend_from_slice(match &read_source {
                    Some(source) => self::slice(source.as_ref(), offset, size).map_err(&invalid)?,
                    None => slice(offset, size)?,
                });
            }
            Op::BsPatch { offset, size } => {
                let open = open.as_mut().ok_or_else(|| invalid(NO_OPEN_FILE))?;
                let source = read_source
                    .as_ref()
                    .ok_or_else(|| invalid("no source is set for the patch"))?;
                let missing = usize::try_from(open.missing())
                    .map_err(|_| invalid("the file is too large for this machine"))?;
                let steps = slice(offset, size)?;
                patch(source.as_ref(), steps, missing, &mut open.content).map_err(&invalid)?;
            }
            Op::SetReadSource { offset } => {
                let checksum = <[u8; 32]>::try_from(slice(offset, 32)?)
                    .map_err(|_| invalid("the checksum of its source is truncated"))?;
                // Drops the previous source first, to limit memory.
                drop(read_source.take());
                read_source = Some(source(Sha256(checksum).into())?);
            }
            Op::UnsetReadSource => read_source = None,
            Op::Close => {
                let open = open.take().ok_or_else(|| invalid(NO_OPEN_FILE))?;
                if open.missing() > 0 {
                    Err(invalid("the file is smaller than its size"))?;
                }
                let file = FileObject {
                    attributes: open.attributes,
                    xattrs: open.xattrs,
                    content: Content::Regular(Bytes::from_owned(open.content)),
                };
                sink(open.key, Object::File(file))?;
                read_source = None;
            }
        }
    }
    match remaining.next() {
        Some(key) => Err(DeltaFormatError::part(format!("it does not contain {key}")).into()),
        None if open.is_some() => Err(DeltaFormatError::part("it leaves a file open").into()),
        None => Ok(()),
    }
}

const NO_OPEN_FILE: &str = "no file is open";
const OUT_OF_RANGE: &str = "it reads outside of the available data";

/// A file that is being written.
struct Open<'a> {
    key: &'a ObjectKey,
    attributes: Attributes,
    xattrs: &'a Xattrs,
    size: u64,
    content: Vec<u8>,
}

impl Open<'_> {
    fn missing(&self) -> u64 {
        self.size.saturating_sub(self.content.len() as u64)
    }
}

fn slice(bytes: &[u8], offset: u64, size: u64) -> Result<&[u8], &'static str> {
    let range = || {
        let start = usize::try_from(offset).ok()?;
        Some(start..start.checked_add(usize::try_from(size).ok()?)?)
    };
    range()
        .and_then(|range| bytes.get(range))
        .ok_or(OUT_OF_RANGE)
}
