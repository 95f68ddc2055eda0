//! Running a part: objects come out.

use super::bspatch::patch;
use super::part::{Attributes, Part, Xattrs};
use super::{DeltaFormatError, ObjectKey, ObjectKind, Op, Ops};
use crate::id::{FileId, Sha256};
use glib::Bytes;

/// What `st_mode` says of the type.
const TYPE_MASK: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// An object that a part gives. Whether it is the one that its checksum names is for the
/// receiver to see.
#[derive(Debug)]
pub(crate) enum Object<'a> {
    /// The bytes of its variant.
    Metadata(&'a [u8]),
    File(FileObject<'a>),
}

/// A file: what its header says, and its content.
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
    /// Its target.
    Symlink(&'a str),
}

/// Runs a part and hands each of its objects to `sink`, in their order. `source` gives the
/// content of a file that the delta's old commit has. No file may be larger than `limit` bytes.
///
/// Memory: the part, one file, and what `source` gives.
///
/// # Errors
/// Those of `source` and `sink`, and when the part is not well-formed.
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
    let mut due = objects.iter();
    let mut read_source: Option<B> = None;
    let mut open: Option<Open<'_>> = None;
    for (index, op) in Ops::new(part.ops(), objects).enumerate() {
        let wrong = |problem: &str| DeltaFormatError::Op {
            index,
            problem: problem.to_owned(),
        };
        let slice = |offset, size| slice(part.payload(), offset, size).map_err(&wrong);
        let attributes = |mode: u64, xattrs: u64| {
            part.attributes(mode)
                .zip(part.xattrs(xattrs))
                .ok_or_else(|| wrong("it names an entry that the part's tables do not have"))
        };
        match op? {
            Op::Metadata { .. } | Op::File { .. } | Op::Open { .. } if open.is_some() => {
                Err(wrong("the file before is still open"))?;
            }
            Op::Metadata { size, offset } => {
                let key = due.next().ok_or_else(|| wrong("no object is due"))?;
                sink(key, Object::Metadata(slice(offset, size)?))?;
                read_source = None;
            }
            Op::File {
                mode,
                xattrs,
                size,
                offset,
            } => {
                let key = due.next().ok_or_else(|| wrong("no object is due"))?;
                let (attributes, xattrs) = attributes(mode, xattrs)?;
                let bytes = slice(offset, size)?;
                let content = match attributes.mode & TYPE_MASK {
                    REGULAR if size > limit => Err(DeltaFormatError::TooLarge { limit })?,
                    REGULAR => {
                        let shared = part.share(offset, size);
                        Content::Regular(shared.ok_or_else(|| wrong(NOT_THERE))?)
                    }
                    SYMLINK => Content::Symlink(
                        std::str::from_utf8(bytes)
                            .ok()
                            .filter(|target| !target.is_empty() && !target.contains('\0'))
                            .ok_or_else(|| wrong("the target of a symlink is not text"))?,
                    ),
                    _ => Err(wrong("it is neither a file nor a symlink"))?,
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
                let key = due.next().ok_or_else(|| wrong("no object is due"))?;
                let (attributes, xattrs) = attributes(mode, xattrs)?;
                if key.kind != ObjectKind::File || attributes.mode & TYPE_MASK != REGULAR {
                    Err(wrong("only a regular file can be opened"))?;
                }
                if size > limit {
                    Err(DeltaFormatError::TooLarge { limit })?;
                }
                let mut content = Vec::new();
                // Room that is not written to costs nothing.
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
                let open = open.as_mut().ok_or_else(|| wrong(NONE_OPEN))?;
                if size > open.missing() {
                    Err(wrong("it writes more than the file's size"))?;
                }
                open.content.extend_from_slice(match &read_source {
                    Some(source) => self::slice(source.as_ref(), offset, size).map_err(&wrong)?,
                    None => slice(offset, size)?,
                });
            }
            Op::BsPatch { offset, size } => {
                let open = open.as_mut().ok_or_else(|| wrong(NONE_OPEN))?;
                let source = read_source
                    .as_ref()
                    .ok_or_else(|| wrong("there is nothing to patch"))?;
                let made = usize::try_from(open.missing())
                    .map_err(|_| wrong("the file is too large for this machine"))?;
                let steps = slice(offset, size)?;
                patch(source.as_ref(), steps, made, &mut open.content).map_err(&wrong)?;
            }
            Op::SetReadSource { offset } => {
                let checksum = <[u8; 32]>::try_from(slice(offset, 32)?)
                    .map_err(|_| wrong("the checksum of its source is cut off"))?;
                // Two sources at once would double the memory.
                drop(read_source.take());
                read_source = Some(source(Sha256(checksum).into())?);
            }
            Op::UnsetReadSource => read_source = None,
            Op::Close => {
                let open = open.take().ok_or_else(|| wrong(NONE_OPEN))?;
                if open.missing() > 0 {
                    Err(wrong("the file is smaller than its size"))?;
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
    match due.next() {
        Some(key) => Err(DeltaFormatError::part(format!("it does not make {key}")).into()),
        None if open.is_some() => Err(DeltaFormatError::part("it leaves a file open").into()),
        None => Ok(()),
    }
}

const NONE_OPEN: &str = "no file is open";
const NOT_THERE: &str = "what it reads is not there";

/// A file that operations write.
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
    range().and_then(|range| bytes.get(range)).ok_or(NOT_THERE)
}
