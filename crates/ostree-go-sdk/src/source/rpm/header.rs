//! The headers of an RPM: a lead, the signature header, the main header.
//!
//! Every length is checked before use, because headers are untrusted.
//!
//! Source of the constants: rpm, `docs/manual/format_v4.md`, `include/rpm/rpmtag.h`,
//! `lib/rpmlead.c`, `lib/header.c`.

use std::collections::HashMap;
use std::io::{self, Read};

use super::RpmProblem;

/// Length and magic number of the lead (`struct rpmlead_s`).
const LEAD: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];

/// Magic number and version of a header (`rpm_header_magic`).
const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];

/// Size of an index entry: tag, type, offset, count (`struct entryInfo_s`).
const ENTRY: usize = 16;

/// Maximum number of entries in a header (`HEADER_TAGS_MAX`).
const ENTRIES: u32 = 0xffff;

/// Maximum size of a store in bytes. That of `golang-src` has 1.5 MB.
const STORE: u32 = 32 << 20;

/// Alignment of the store of the signature header.
const PADDING: u64 = 8;

/// A tag of a header (`rpmTag_e`, `rpmSigTag_e`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(pub u32, pub &'static str);

pub const SIG_DSA: Tag = Tag(267, "DSA");
pub const SIG_RSA: Tag = Tag(268, "RSA");
pub const SIG_LONG_SIZE: Tag = Tag(270, "LONGSIZE");
pub const SIG_SHA256: Tag = Tag(273, "SHA256");
pub const SIG_OPENPGP: Tag = Tag(278, "OPENPGP");
pub const SIG_SIZE: Tag = Tag(1000, "SIZE");
pub const VERSION: Tag = Tag(1001, "VERSION");
pub const RELEASE: Tag = Tag(1002, "RELEASE");
/// Size of all files, and the tag for sizes that do not fit into four bytes.
pub const UNPACKED_SIZE: Tag = Tag(1009, "SIZE");
pub const UNPACKED_LONG_SIZE: Tag = Tag(5009, "LONGSIZE");
pub const ARCH: Tag = Tag(1022, "ARCH");
pub const FILE_MODES: Tag = Tag(1030, "FILEMODES");
pub const FILE_LINKTOS: Tag = Tag(1036, "FILELINKTOS");
pub const FILE_FLAGS: Tag = Tag(1037, "FILEFLAGS");
pub const SOURCE_RPM: Tag = Tag(1044, "SOURCERPM");
pub const DIR_INDEXES: Tag = Tag(1116, "DIRINDEXES");
pub const BASE_NAMES: Tag = Tag(1117, "BASENAMES");
pub const DIR_NAMES: Tag = Tag(1118, "DIRNAMES");
pub const PAYLOAD_FORMAT: Tag = Tag(1124, "PAYLOADFORMAT");
pub const PAYLOAD_COMPRESSOR: Tag = Tag(1125, "PAYLOADCOMPRESSOR");
pub const PAYLOAD_DIGEST: Tag = Tag(5092, "PAYLOADDIGEST");
pub const PAYLOAD_DIGEST_ALGO: Tag = Tag(5093, "PAYLOADDIGESTALGO");

/// Types of values (`rpmTagType_e`).
const INT16: u32 = 3;
const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;
const BIN: u32 = 7;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// The index and store of a header.
#[derive(Debug)]
pub struct Header {
    entries: HashMap<u32, Value>,
    store: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    kind: u32,
    offset: usize,
    count: usize,
}

/// Everything before the payload.
#[derive(Debug)]
pub struct Headers {
    pub signature: Header,
    pub main: Header,
    /// The bytes of the main header in the file, which are signed and hashed.
    pub bytes: Vec<u8>,
    /// The offsets of the start and end of the main header; the payload follows.
    pub begin: u64,
    pub end: u64,
}

/// The reason why headers cannot be read.
#[derive(Debug)]
pub enum HeaderError {
    Io(io::Error),
    Rpm(RpmProblem),
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<RpmProblem> for HeaderError {
    fn from(problem: RpmProblem) -> Self {
        Self::Rpm(problem)
    }
}

fn malformed(what: impl Into<String>) -> RpmProblem {
    RpmProblem::Header { what: what.into() }
}

impl Headers {
    /// Reads the headers from the start of a file.
    pub fn read(input: &mut impl Read) -> Result<Self, HeaderError> {
        let mut lead = Vec::new();
        input.take(LEAD as u64).read_to_end(&mut lead)?;
        if !lead.starts_with(&LEAD_MAGIC) {
            return Err(RpmProblem::NotAnRpm.into());
        }
        if lead.len() < LEAD {
            return Err(HeaderError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let (signature, bytes) = Header::read(input)?;
        let padding = (bytes.len() as u64).next_multiple_of(PADDING) - bytes.len() as u64;
        exactly(input, padding)?;
        let begin = LEAD as u64 + bytes.len() as u64 + padding;
        let (main, bytes) = Header::read(input)?;
        Ok(Self {
            signature,
            main,
            end: begin + bytes.len() as u64,
            bytes,
            begin,
        })
    }
}

/// Reads `length` bytes, without allocating more memory than there are bytes.
fn exactly(input: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// Reads a big-endian number at an offset.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

impl Header {
    /// Reads a header and returns its bytes as well.
    fn read(input: &mut impl Read) -> Result<(Self, Vec<u8>), HeaderError> {
        let mut bytes = exactly(input, 16)?;
        if !bytes.starts_with(&MAGIC) {
            return Err(malformed("it does not start with the magic number").into());
        }
        let (Some(entries), Some(store)) = (number(&bytes, 8), number(&bytes, 12)) else {
            return Err(malformed("it is too short").into());
        };
        if entries > ENTRIES {
            let what = format!("it has {entries} entries, expected {ENTRIES} at most");
            return Err(malformed(what).into());
        }
        if store > STORE {
            let what = format!("it has {store} bytes of values, expected {STORE} at most");
            return Err(malformed(what).into());
        }
        let index = exactly(input, u64::from(entries) * ENTRY as u64)?;
        let store = exactly(input, u64::from(store))?;
        bytes.extend(&index);
        bytes.extend(&store);
        let mut found = HashMap::new();
        for entry in index.chunks_exact(ENTRY) {
            let field = |at| number(entry, at).unwrap_or_default();
            let value = Value {
                kind: field(4),
                offset: field(8) as usize,
                count: field(12) as usize,
            };
            found.insert(field(0), value);
        }
        let header = Self {
            entries: found,
            store,
        };
        Ok((header, bytes))
    }

    pub fn has(&self, tag: Tag) -> bool {
        self.entries.contains_key(&tag.0)
    }

    /// Returns the value of a tag if it has one of these types, or `None` if the tag is missing.
    fn value(&self, tag: Tag, kinds: &[u32]) -> Result<Option<(Value, &[u8])>, RpmProblem> {
        let Some(value) = self.entries.get(&tag.0) else {
            return Ok(None);
        };
        let rest = self.store.get(value.offset..);
        match rest.filter(|_| kinds.contains(&value.kind)) {
            Some(rest) => Ok(Some((*value, rest))),
            None => Err(unusable(tag)),
        }
    }

    /// Returns the strings of a tag, without their final NUL; empty if the tag is missing.
    pub fn texts(&self, tag: Tag) -> Result<Vec<&[u8]>, RpmProblem> {
        let kinds = [STRING, STRING_ARRAY, I18N_STRING];
        let Some((value, mut rest)) = self.value(tag, &kinds)? else {
            return Ok(Vec::new());
        };
        // Each string has at least its final NUL, so that there cannot be more of them than bytes.
        if value.count > rest.len() {
            return Err(unusable(tag));
        }
        let mut texts = Vec::with_capacity(value.count);
        for _ in 0..value.count {
            let end = rest.iter().position(|byte| *byte == 0);
            let (text, after) = rest.split_at(end.ok_or_else(|| unusable(tag))?);
            texts.push(text);
            rest = &after[1..];
        }
        Ok(texts)
    }

    /// Returns the first string of a tag.
    pub fn text(&self, tag: Tag) -> Result<Option<String>, RpmProblem> {
        let texts = self.texts(tag)?;
        let first = texts.first();
        Ok(first.map(|text| String::from_utf8_lossy(text).into_owned()))
    }

    /// Returns the numbers of a tag; empty if the tag is missing.
    pub fn numbers(&self, tag: Tag) -> Result<Vec<u64>, RpmProblem> {
        let Some((value, rest)) = self.value(tag, &[INT16, INT32, INT64])? else {
            return Ok(Vec::new());
        };
        let width = match value.kind {
            INT16 => 2,
            INT32 => 4,
            _ => 8,
        };
        let length = value.count.checked_mul(width);
        let bytes = length.and_then(|length| rest.get(..length));
        let bytes = bytes.ok_or_else(|| unusable(tag))?;
        let as_number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        Ok(bytes.chunks_exact(width).map(as_number).collect())
    }

    /// Returns the bytes of a tag; `None` if the tag is missing.
    pub fn bytes(&self, tag: Tag) -> Result<Option<&[u8]>, RpmProblem> {
        let Some((value, rest)) = self.value(tag, &[BIN])? else {
            return Ok(None);
        };
        rest.get(..value.count)
            .map(Some)
            .ok_or_else(|| unusable(tag))
    }
}

fn unusable(tag: Tag) -> RpmProblem {
    malformed(format!("its {} is malformed", tag.1))
}
