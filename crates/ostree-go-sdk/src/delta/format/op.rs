//! The operations of a part.

use super::{DeltaFormatError, ObjectKey, ObjectKind};

/// An operation. Offsets and sizes are in bytes of the payload unless stated otherwise.
///
/// Source: `OstreeStaticDeltaOpCode` and the `dispatch_…` functions of
/// `ostree-repo-static-delta-processing.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// `S` if the next object is a metadata object: a complete object.
    Metadata { size: u64, offset: u64 },
    /// `S` if the next object is a file: a complete file. For a symlink, the bytes are its target.
    File {
        mode: u64,
        xattrs: u64,
        size: u64,
        offset: u64,
    },
    /// `o`: opens a file of `size` bytes, with entries of the tables of modes and of xattrs.
    Open { mode: u64, xattrs: u64, size: u64 },
    /// `w`: appends to the open file, from the read source if one is set, else from the payload.
    Write { size: u64, offset: u64 },
    /// `r`: sets the read source to the file whose checksum is at `offset`.
    SetReadSource { offset: u64 },
    /// `R`: sets the read source back to the payload.
    UnsetReadSource,
    /// `c`: closes the open file.
    Close,
    /// `B`: a patch that creates the whole file from the read source.
    BsPatch { offset: u64, size: u64 },
}

impl Op {
    /// Returns true if this operation completes an object.
    const fn ends_object(self) -> bool {
        matches!(
            self,
            Self::Metadata { .. } | Self::File { .. } | Self::Close
        )
    }
}

/// Maximum length of a number in bytes of seven bits. Source: `max_varint_bytes`
/// (`ostree-varint.c`).
const MAX_VARINT_BYTES: usize = 10;

/// Reads a number like `_ostree_read_varuint64`: seven bits per byte, lowest first; the top bit is
/// set if more bytes follow.
fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for index in 0..MAX_VARINT_BYTES {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// An iterator over the operations of a part. It needs the part's objects, because the operands of
/// `S` depend on the type of the next object.
#[derive(Debug, Clone)]
pub(crate) struct Ops<'a> {
    bytes: &'a [u8],
    objects: &'a [ObjectKey],
    index: usize,
}

impl<'a> Ops<'a> {
    pub(crate) fn new(bytes: &'a [u8], objects: &'a [ObjectKey]) -> Self {
        Self {
            bytes,
            objects,
            index: 0,
        }
    }

    fn read(&mut self, code: u8) -> Result<Op, String> {
        let mut next = || {
            read_number(&mut self.bytes).ok_or_else(|| "one of its numbers is truncated".to_owned())
        };
        let op = match code {
            b'S' => match self.objects.first().map(|object| object.kind) {
                None => return Err("the part has no more objects".to_owned()),
                Some(ObjectKind::File) => Op::File {
                    mode: next()?,
                    xattrs: next()?,
                    size: next()?,
                    offset: next()?,
                },
                Some(_) => Op::Metadata {
                    size: next()?,
                    offset: next()?,
                },
            },
            b'o' => Op::Open {
                mode: next()?,
                xattrs: next()?,
                size: next()?,
            },
            b'w' => Op::Write {
                size: next()?,
                offset: next()?,
            },
            b'r' => Op::SetReadSource { offset: next()? },
            b'R' => Op::UnsetReadSource,
            b'c' => Op::Close,
            b'B' => Op::BsPatch {
                offset: next()?,
                size: next()?,
            },
            other => return Err(format!("its code is {other}, expected one of SowrRcB")),
        };
        if op.ends_object() {
            self.objects = self.objects.get(1..).unwrap_or_default();
        }
        Ok(op)
    }
}

impl Iterator for Ops<'_> {
    type Item = Result<Op, DeltaFormatError>;

    /// Returns the next operation. After an error there are no more operations.
    fn next(&mut self) -> Option<Self::Item> {
        let (&code, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        let index = self.index;
        self.index += 1;
        let op = self.read(code);
        if op.is_err() {
            self.bytes = &[];
        }
        Some(op.map_err(|problem| DeltaFormatError::Op { index, problem }))
    }
}

/// Writes operations.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpWriter(Vec<u8>);

impl OpWriter {
    pub(crate) fn push(&mut self, op: Op) {
        let (code, numbers): (u8, &[u64]) = match &op {
            Op::Metadata { size, offset } => (b'S', &[*size, *offset]),
            Op::File {
                mode,
                xattrs,
                size,
                offset,
            } => (b'S', &[*mode, *xattrs, *size, *offset]),
            Op::Open { mode, xattrs, size } => (b'o', &[*mode, *xattrs, *size]),
            Op::Write { size, offset } => (b'w', &[*size, *offset]),
            Op::SetReadSource { offset } => (b'r', &[*offset]),
            Op::UnsetReadSource => (b'R', &[]),
            Op::Close => (b'c', &[]),
            Op::BsPatch { offset, size } => (b'B', &[*offset, *size]),
        };
        self.0.push(code);
        for number in numbers {
            write_number(&mut self.0, *number);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Sha256;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_encoded_like_libostree() {
        // `tests/test-varint.c` of libostree.
        for (number, bytes) in [
            (0, &[0][..]),
            (0x7f, &[0x7f]),
            (0x80, &[0x80, 1]),
            (0x8000, &[0x80, 0x80, 2]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, bytes);
            assert_eq!(read_number(&mut &out[..]), Some(number));
        }
        assert_eq!(read_number(&mut &[0x80; 11][..]), None);
        assert_eq!(read_number(&mut &[0x80][..]), None);
    }

    fn op() -> impl Strategy<Value = Op> {
        any::<([u64; 4], u8)>().prop_map(|([a, b, c, d], kind)| match kind % 8 {
            0 => Op::Metadata { size: a, offset: b },
            1 => Op::File {
                mode: a,
                xattrs: b,
                size: c,
                offset: d,
            },
            2 => Op::Open {
                mode: a,
                xattrs: b,
                size: c,
            },
            3 => Op::Write { size: a, offset: b },
            4 => Op::SetReadSource { offset: a },
            5 => Op::UnsetReadSource,
            6 => Op::Close,
            _ => Op::BsPatch { offset: a, size: b },
        })
    }

    proptest! {
        #[test]
        fn operations_round_trip(ops in proptest::collection::vec(op(), 0..50)) {
            let mut writer = OpWriter::default();
            let mut objects = Vec::new();
            for op in &ops {
                writer.push(*op);
                if op.ends_object() {
                    let kind = match op {
                        Op::Metadata { .. } => ObjectKind::DirTree,
                        _ => ObjectKind::File,
                    };
                    objects.push(ObjectKey { kind, checksum: Sha256([0; 32]) });
                }
            }
            let read: Result<Vec<Op>, _> = Ops::new(writer.bytes(), &objects).collect();
            prop_assert_eq!(read.unwrap(), ops);
        }

        #[test]
        fn any_bytes_are_operations_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Ops::new(&bytes, &[]).count() <= bytes.len());
        }
    }
}
