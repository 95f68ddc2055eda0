//! Parts, which consist of tables of modes and of xattrs, a payload, and operations.

use super::{DeltaFormatError, OpWriter};
use crate::gvariant::{members, offset_width};
use glib::Bytes;
use glib::prelude::*;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{Action, Check, Filters, Status, Stream};
use std::io::Read;
use std::ops::Range;

/// The first byte of an uncompressed part.
const PLAIN: u8 = 0;
/// The first byte of a part that is compressed as one `.xz` stream.
const XZ: u8 = b'x';
/// Maximum memory for decoding xz in bytes: libostree's limit since 2026. Source:
/// `OSTREE_LZMA_DECODER_MEMLIMIT` (`ostree-lzma-decompressor.c`).
const DECODER_MEMORY: u64 = 100 << 20;

/// Memory that is reserved for a part before it is unpacked, in bytes: more than most parts need.
const INITIAL_CAPACITY: u64 = 64 << 20;

/// Owner and mode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// File type and permissions, as in `st_mode`.
    pub(crate) mode: u32,
}

impl Attributes {
    /// Size of the serialized form in bytes: `(uuu)`, big-endian.
    const LEN: usize = 12;

    fn read(bytes: &[u8; Self::LEN]) -> Self {
        let number = |at: usize| {
            let bytes = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            u32::from_be_bytes(bytes)
        };
        Self {
            uid: number(0),
            gid: number(4),
            mode: number(8),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        for number in [self.uid, self.gid, self.mode] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// Names and values of xattrs, as in a file's header: names end with a zero byte.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// A parsed part.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    tables: PartTables,
    bytes: Bytes,
    payload: Range<usize>,
    ops: Range<usize>,
}

impl Part {
    /// Parses a part of at most `limit` uncompressed bytes.
    pub(crate) fn read(part: &[u8], limit: u64) -> Result<Self, DeltaFormatError> {
        Self::decode(&mut &*part, limit, &|| false)
    }

    /// Reads a part of at most `limit` uncompressed bytes from a stream. `is_stopped` is called
    /// often; if it returns true, reading fails.
    ///
    /// The format is `(yay)` = compression, bytes; the bytes are `(a(uuu)aa(ayay)ayay)` = modes,
    /// xattrs, payload, operations. Source: `OSTREE_STATIC_DELTA_PART_PAYLOAD_FORMAT_V0`,
    /// `_ostree_static_delta_part_open`.
    pub(crate) fn decode(
        part: &mut dyn Read,
        limit: u64,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Self, DeltaFormatError> {
        let failed = |problem| {
            move |error: std::io::Error| DeltaFormatError::part(format!("its {problem}: {error}"))
        };
        let mut compression = Vec::new();
        let read = part.take(1).read_to_end(&mut compression);
        read.map_err(failed("first byte cannot be read"))?;
        let bytes = match compression.first() {
            None => return Err(DeltaFormatError::part("it is empty")),
            Some(&PLAIN) => {
                unpack(part, limit, is_stopped).map_err(failed("bytes cannot be read"))?
            }
            Some(&XZ) => {
                let stream = Stream::new_stream_decoder(DECODER_MEMORY, 0);
                let stream = stream.map_err(|error| failed("xz stream")(error.into()))?;
                let mut xz = XzDecoder::new_stream(std::io::BufReader::new(part), stream);
                unpack(&mut xz, limit, is_stopped).map_err(failed("xz stream cannot be decoded"))?
            }
            Some(other) => {
                let problem = format!("its compression is {other}, expected {PLAIN} or {XZ}");
                return Err(DeltaFormatError::part(problem));
            }
        };
        if bytes.len() as u64 > limit {
            return Err(DeltaFormatError::TooLarge { limit });
        }
        let [modes, xattrs, payload, ops] =
            members(&bytes).ok_or_else(|| DeltaFormatError::part("its members exceed its size"))?;
        let tables = PartTables::read(&bytes[modes], &bytes[xattrs])?;
        Ok(Self {
            tables,
            bytes: Bytes::from_owned(bytes),
            payload,
            ops,
        })
    }

    pub(crate) fn attributes(&self, index: u64) -> Option<Attributes> {
        let index = usize::try_from(index).ok()?;
        self.tables.modes.get(index).copied()
    }

    pub(crate) fn xattrs(&self, index: u64) -> Option<&Xattrs> {
        self.tables.xattrs.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }

    /// Returns a range of the payload without copying it; `None` if the payload is too short. The
    /// result keeps the whole part in memory.
    pub(crate) fn share(&self, offset: u64, size: u64) -> Option<Bytes> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        let at = self.payload.start;
        (end <= self.payload.len()).then(|| Bytes::from_bytes(&self.bytes, at + start..at + end))
    }

    /// Returns the bytes of the operations, for [`super::Ops`].
    pub(crate) fn ops(&self) -> &[u8] {
        &self.bytes[self.ops.clone()]
    }
}

/// Reads a stream up to one byte more than the limit, so that a longer stream can be detected.
fn unpack(
    input: &mut dyn Read,
    limit: u64,
    is_stopped: &dyn Fn() -> bool,
) -> std::io::Result<Vec<u8>> {
    /// The number of bytes between two calls of `is_stopped`.
    const STEP: u64 = 1 << 20;
    let mut bytes = Vec::new();
    // Growing the buffer would copy it, while unused reserved memory costs nothing.
    let max_read = limit.saturating_add(1);
    let _ = bytes.try_reserve(usize::try_from(max_read.min(INITIAL_CAPACITY)).unwrap_or(0));
    while (bytes.len() as u64) < max_read {
        if is_stopped() {
            return Err(std::io::Error::other("stopped"));
        }
        let step = STEP.min(max_read - bytes.len() as u64);
        if input.take(step).read_to_end(&mut bytes)? == 0 {
            break;
        }
    }
    Ok(bytes)
}

/// The tables of a part, whose entries operations refer to by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PartTables {
    modes: Vec<Attributes>,
    xattrs: Vec<Xattrs>,
}

impl PartTables {
    fn read(modes: &[u8], xattrs: &[u8]) -> Result<Self, DeltaFormatError> {
        let (modes, []) = modes.as_chunks::<{ Attributes::LEN }>() else {
            return Err(DeltaFormatError::part("its table of modes is truncated"));
        };
        let xattrs = glib::Variant::from_bytes::<Vec<Xattrs>>(&glib::Bytes::from(xattrs));
        let xattrs = Some(xattrs)
            .filter(glib::Variant::is_normal_form)
            .and_then(|xattrs| xattrs.get())
            .ok_or_else(|| DeltaFormatError::part("its table of xattrs is not well-formed"))?;
        Ok(Self {
            modes: modes.iter().map(Attributes::read).collect(),
            xattrs,
        })
    }

    /// Returns the index of an entry, which is added if it is new.
    pub(crate) fn mode(&mut self, attributes: Attributes) -> u64 {
        intern(&mut self.modes, &attributes)
    }

    /// Returns the index of an entry for xattrs, which is added if it is new.
    pub(crate) fn xattrs(&mut self, xattrs: &Xattrs) -> u64 {
        intern(&mut self.xattrs, xattrs)
    }

    /// Returns the uncompressed bytes of a part, for [`compress`].
    pub(crate) fn write(&self, payload: Vec<u8>, ops: &OpWriter) -> PartBytes {
        let xattrs = self.xattrs.to_variant();
        let mut header = Vec::new();
        for mode in &self.modes {
            mode.write(&mut header);
        }
        let modes = header.len();
        header.extend_from_slice(xattrs.data());
        let mut trailer = ops.bytes().to_vec();
        let ends = [modes, header.len(), header.len() + payload.len()];
        let len = ends[2] + trailer.len();
        let width = [1, 2, 4, 8]
            .into_iter()
            .find(|width| offset_width(len + 3 * width) <= *width)
            .unwrap_or(8);
        for end in ends.iter().rev() {
            trailer.extend_from_slice(&(*end as u64).to_le_bytes()[..width]);
        }
        PartBytes([header, payload, trailer])
    }
}

/// The uncompressed bytes of a part in several pieces, so that the large payload is not copied.
#[derive(Debug)]
pub(crate) struct PartBytes([Vec<u8>; 3]);

impl PartBytes {
    pub(crate) fn slices(&self) -> [&[u8]; 3] {
        [&self.0[0], &self.0[1], &self.0[2]]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

fn intern<T: PartialEq + Clone>(table: &mut Vec<T>, entry: &T) -> u64 {
    let known = table.iter().position(|known| known == entry);
    let index = known.unwrap_or_else(|| {
        table.push(entry.clone());
        table.len() - 1
    });
    index as u64
}

/// Compresses the bytes of a part to the content of its file, one `.xz` stream with these filters.
/// `progress` is called with the number of bytes done, and can cancel by returning an error.
pub(crate) fn compress<E: From<liblzma::stream::Error>>(
    bytes: &PartBytes,
    filters: &Filters,
    mut progress: impl FnMut(u64) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    /// The number of bytes between two calls of `progress`.
    const STEP: usize = 1 << 20;
    // No check, as in libostree (`_ostree_lzma_compressor_convert`). The superblock contains the
    // part's SHA-256, and verifying a second checksum would take a twentieth of the time of an
    // install.
    let mut stream = Stream::new_stream_encoder(filters, Check::None)?;
    let mut out = vec![XZ];
    let mut write_input = |mut input: &[u8], action| {
        loop {
            out.reserve(1 << 16);
            let before = stream.total_in();
            let status = stream.process_vec(input, &mut out, action)?;
            let consumed = usize::try_from(stream.total_in() - before).unwrap_or(usize::MAX);
            input = input.get(consumed..).unwrap_or_default();
            let is_done = match action {
                Action::Finish => status == Status::StreamEnd,
                _ => input.is_empty(),
            };
            if is_done {
                return Ok::<_, E>(stream.total_in());
            }
        }
    };
    for step in bytes
        .slices()
        .into_iter()
        .flat_map(|slice| slice.chunks(STEP))
    {
        progress(write_input(step, Action::Run)?)?;
    }
    write_input(&[], Action::Finish)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::Op;
    use super::*;
    use liblzma::stream::{Error, LzmaOptions};
    use proptest::prelude::*;

    fn filters() -> Filters {
        let mut filters = Filters::new();
        filters.lzma2(&LzmaOptions::new_preset(1).unwrap());
        filters
    }

    proptest! {
        #[test]
        fn parts_round_trip_and_glib_agrees(
            modes in proptest::collection::vec(any::<[u32; 3]>(), 0..4),
            xattrs in proptest::collection::vec(proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..9), proptest::collection::vec(any::<u8>(), 0..9)),
                0..3), 0..3),
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            extra in prop_oneof![Just(0usize), Just(66_000)],
            offsets in proptest::collection::vec(any::<u64>(), 0..5),
        ) {
            let mut payload = payload;
            payload.resize(payload.len() + extra, 7);
            let mut tables = PartTables::default();
            for [uid, gid, mode] in &modes {
                let attributes = Attributes { uid: *uid, gid: *gid, mode: *mode };
                let index = tables.mode(attributes);
                prop_assert_eq!(tables.mode(attributes), index);
            }
            for entry in &xattrs {
                tables.xattrs(entry);
            }
            let mut ops = OpWriter::default();
            for offset in &offsets {
                ops.push(Op::SetReadSource { offset: *offset });
            }
            let written = tables.write(payload.clone(), &ops);
            let bytes = written.slices().concat();
            prop_assert_eq!(bytes.len(), written.len());

            type Form = (Vec<(u32, u32, u32)>, Vec<Xattrs>, Vec<u8>, Vec<u8>);
            let seen = glib::Variant::from_data::<Form, _>(bytes.clone());
            prop_assert!(seen.is_normal_form());
            let modes = tables.modes.iter();
            let modes = modes.map(|m| (m.uid.to_be(), m.gid.to_be(), m.mode.to_be())).collect();
            let form: Form = (modes, tables.xattrs.clone(), payload.clone(), ops.bytes().to_vec());
            prop_assert_eq!(seen.get::<Form>().unwrap(), form);

            let plain = [&[PLAIN][..], &bytes].concat();
            let xz = compress::<Error>(&written, &filters(), |_| Ok(())).unwrap();
            for file in [plain, xz] {
                let part = Part::read(&file, bytes.len() as u64).unwrap();
                prop_assert_eq!(part.payload(), &payload[..]);
                prop_assert_eq!(part.ops(), ops.bytes());
                prop_assert_eq!(&part.tables, &tables);
                let limit = bytes.len() as u64 - 1;
                prop_assert_eq!(Part::read(&file, limit).unwrap_err(), DeltaFormatError::TooLarge { limit });
            }
        }

        #[test]
        fn any_bytes_are_a_part_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Part::read(&bytes, 1000);
            let _ = Part::read(&[&[PLAIN], &bytes[..]].concat(), 1000);
        }
    }

    #[test]
    fn a_damaged_stream_is_refused() {
        let part = PartTables::default().write(vec![5; 5000], &OpWriter::default());
        let xz = compress::<Error>(&part, &filters(), |_| Ok(())).unwrap();
        assert!(Part::read(&xz, 9000).is_ok());
        for at in 0..xz.len() {
            assert!(Part::read(&xz[..at], 9000).is_err(), "cut at {at}");
        }
        assert!(Part::read(b"g\x1f\x8b", 9000).is_err());
    }
}
