//! Superblocks, which contain a delta's commits and list its parts.

use super::{DeltaFormatError, ObjectKey, ObjectKind};
use crate::delta::DeltaName;
use crate::id::{CommitId, Sha256};
use crate::object::sorted_dict;
use glib::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// `OSTREE_STATIC_DELTA_SUPERBLOCK_FORMAT`: metadata, time, from, to, the new commit,
/// prerequisites (never used), parts, fallbacks.
const FORMAT: &str = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))";
/// `OSTREE_STATIC_DELTA_SIGNED_FORMAT`: magic, superblock, signatures.
const SIGNED_FORMAT: &str = "(taya{sv})";
/// `OSTREE_STATIC_DELTA_SIGNED_MAGIC`, big-endian.
const SIGNED_MAGIC: &[u8; 8] = b"OSTSGNDT";
/// `OSTREE_DELTAPART_VERSION`: the only existing version.
const PART_VERSION: u32 = 0;
/// Metadata key of the byte order of numbers in [`PartHeader`] and [`Fallback`].
const ENDIANNESS: &str = "ostree.endianness";
/// Last component of the metadata key of the new commit's detached metadata.
const COMMITMETA: &str = "commitmeta";

/// A superblock.
#[derive(Debug, Clone)]
pub(crate) struct Superblock {
    /// All metadata except the byte order: inline parts, detached metadata, and additional keys.
    pub(crate) metadata: BTreeMap<String, glib::Variant>,
    /// The time of its generation, in seconds since 1970.
    pub(crate) timestamp: u64,
    /// The commits of the delta.
    pub(crate) name: DeltaName,
    /// The commit object of `name.to`. Its checksum is not verified here.
    pub(crate) commit: glib::Variant,
    pub(crate) parts: Vec<PartHeader>,
    /// Objects that a client fetches separately.
    pub(crate) fallbacks: Vec<Fallback>,
}

/// The description of a part in a superblock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartHeader {
    /// The SHA-256 of the part's file.
    pub(crate) checksum: Sha256,
    /// The size of the part's file in bytes.
    pub(crate) size: u64,
    /// The total size of its objects in bytes.
    pub(crate) uncompressed: u64,
    /// The objects, in the order of the part's operations.
    pub(crate) objects: Vec<ObjectKey>,
}

/// An object that a client fetches separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fallback {
    pub(crate) object: ObjectKey,
    /// The number of bytes to fetch.
    pub(crate) size: u64,
    /// The size of its content in bytes.
    pub(crate) uncompressed: u64,
}

/// An `ay` that is converted as a whole. A `Vec<u8>` would be converted to a variant byte by byte,
/// which takes about 70 MB for an SDK's list of objects.
type Bytes = glib::FixedSizeVariantArray<Vec<u8>, u8>;

/// Signatures by libostree's key for their type: `ostree.sign.ed25519`.
pub(crate) type Signatures = BTreeMap<String, glib::Variant>;

/// Splits a superblock's file into the superblock and its signatures, if it is signed. The
/// signatures cover the returned bytes, and are not verified here.
pub(crate) fn unwrap_signed(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, Signatures), DeltaFormatError> {
    if !bytes.starts_with(SIGNED_MAGIC) {
        return Ok((bytes.into(), Signatures::new()));
    }
    let signed = variant(bytes, SIGNED_FORMAT)?;
    let inner = signed.child_value(1).data().to_vec();
    Ok((inner.into(), dict(&signed.child_value(2))))
}

/// Wraps a superblock and its signatures.
pub(crate) fn wrap_signed(bytes: &[u8], signatures: &Signatures) -> Vec<u8> {
    let magic = u64::from_be_bytes(*SIGNED_MAGIC).to_be();
    let signed = glib::Variant::tuple_from_iter([
        magic.to_variant(),
        Bytes::from(bytes.to_vec()).to_variant(),
        sorted_dict(signatures),
    ]);
    signed.data().to_vec()
}

impl Superblock {
    /// Parses a superblock without signatures.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DeltaFormatError> {
        let superblock = variant(bytes, FORMAT)?;
        let mut metadata = dict(&superblock.child_value(0));
        let order = match metadata.remove(ENDIANNESS).map(|value| value.get::<u8>()) {
            // Deltas from before libostree 2016.6 do not contain the byte order; they are assumed
            // to have that of the reader.
            None => ByteOrder::NATIVE,
            Some(Some(b'l')) => ByteOrder::Little,
            Some(Some(b'B')) => ByteOrder::Big,
            Some(other) => {
                let found = other.map_or("not a byte".to_owned(), |byte| byte.to_string());
                let problem = format!("its byte order is {found}, expected `l` or `B`");
                return Err(DeltaFormatError::superblock(problem));
            }
        };
        let from = match superblock.child_value(2).data() {
            [] => None,
            bytes => Some(checksum(bytes)?.into()),
        };
        let to: CommitId = checksum(superblock.child_value(3).data())?.into();
        let parts = superblock.child_value(6);
        let fallbacks = superblock.child_value(7);
        Ok(Self {
            metadata,
            timestamp: u64::from_be(number(&superblock.child_value(1))?),
            name: DeltaName { from, to },
            commit: superblock.child_value(4),
            parts: parts
                .iter()
                .map(|part| PartHeader::read(&part, order))
                .collect::<Result<_, _>>()?,
            fallbacks: fallbacks
                .iter()
                .map(|fallback| Fallback::read(&fallback, order))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Serializes the superblock, with numbers in little-endian order on every machine.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut metadata = self.metadata.clone();
        metadata.insert(ENDIANNESS.to_owned(), b'l'.to_variant());
        let from = self.name.from.map(|id| id.as_bytes().to_vec());
        let parts: Vec<_> = self.parts.iter().map(PartHeader::tuple).collect();
        let fallbacks: Vec<_> = self.fallbacks.iter().map(Fallback::tuple).collect();
        let superblock = glib::Variant::tuple_from_iter([
            sorted_dict(&metadata),
            self.timestamp.to_be().to_variant(),
            from.unwrap_or_default().to_variant(),
            self.name.to.as_bytes().to_vec().to_variant(),
            self.commit.clone(),
            Vec::<u8>::new().to_variant(),
            parts.to_variant(),
            fallbacks.to_variant(),
        ]);
        superblock.data().to_vec()
    }

    /// Returns the total number of bytes that a client fetches: parts and separate objects.
    pub(crate) fn download(&self) -> u64 {
        let parts = self.parts.iter().map(|part| part.size);
        parts
            .chain(self.fallbacks.iter().map(|fallback| fallback.size))
            .fold(0, u64::saturating_add)
    }

    /// Returns the bytes of a part's file if they are contained in the superblock.
    pub(crate) fn inline_part(&self, index: usize) -> Option<Vec<u8>> {
        let part = self.metadata.get(&self.key(&index.to_string()))?;
        (part.type_().as_str() == "(yay)").then(|| part.data().to_vec())
    }

    /// Returns the detached metadata of the new commit; empty if there is none.
    #[cfg(test)]
    pub(crate) fn detached(&self) -> BTreeMap<String, glib::Variant> {
        let detached = self.metadata.get(&self.key(COMMITMETA));
        detached
            .filter(|detached| detached.type_().as_str() == "a{sv}")
            .map(dict)
            .unwrap_or_default()
    }

    /// Sets the detached metadata of the new commit.
    pub(crate) fn set_detached(&mut self, detached: &BTreeMap<String, glib::Variant>) {
        let key = self.key(COMMITMETA);
        match detached.is_empty() {
            true => self.metadata.remove(&key),
            false => self.metadata.insert(key, sorted_dict(detached)),
        };
    }

    /// Changes the commits of the delta. The commit object and the detached metadata stay
    /// unchanged.
    pub(crate) fn rename(&mut self, name: DeltaName) {
        let (old, new) = (self.name.path(), name.path());
        let metadata = std::mem::take(&mut self.metadata).into_iter();
        self.metadata = metadata
            .map(|(key, value)| match key.strip_prefix(&old) {
                Some(rest) => (format!("{new}{rest}"), value),
                None => (key, value),
            })
            .collect();
        self.name = name;
    }

    /// Returns the metadata key for a component of this delta, which starts with the delta's path.
    fn key(&self, component: &str) -> String {
        format!("{}/{component}", self.name.path())
    }
}

impl PartHeader {
    /// `(uayttay)` = version, checksum, size, uncompressed size, objects.
    /// Source: `OSTREE_STATIC_DELTA_META_ENTRY_FORMAT`.
    fn read(part: &glib::Variant, order: ByteOrder) -> Result<Self, DeltaFormatError> {
        let version = order.u32(part.child_value(0).get().unwrap_or(u32::MAX));
        if version != PART_VERSION {
            let problem = format!("a part has version {version}, expected {PART_VERSION}");
            return Err(DeltaFormatError::superblock(problem));
        }
        let objects = part.child_value(4);
        let (objects, []) = objects.data().as_chunks() else {
            return Err(DeltaFormatError::superblock(
                "a part's list of objects is truncated",
            ));
        };
        Ok(Self {
            checksum: checksum(part.child_value(1).data())?,
            size: order.u64(number(&part.child_value(2))?),
            uncompressed: order.u64(number(&part.child_value(3))?),
            objects: objects
                .iter()
                .map(|key| ObjectKey::read(key).ok_or_else(|| unknown_kind(key[0])))
                .collect::<Result<_, _>>()?,
        })
    }

    fn tuple(&self) -> (u32, Bytes, u64, u64, Bytes) {
        let mut objects = Vec::with_capacity(self.objects.len() * ObjectKey::LEN);
        for object in &self.objects {
            object.write(&mut objects);
        }
        (
            PART_VERSION,
            self.checksum.0.to_vec().into(),
            self.size.to_le(),
            self.uncompressed.to_le(),
            objects.into(),
        )
    }
}

impl Fallback {
    /// `(yaytt)` = type, checksum, size, uncompressed size.
    /// Source: `OSTREE_STATIC_DELTA_FALLBACK_FORMAT`.
    fn read(fallback: &glib::Variant, order: ByteOrder) -> Result<Self, DeltaFormatError> {
        let kind = fallback.child_value(0).get().unwrap_or(0);
        Ok(Self {
            object: ObjectKey {
                kind: ObjectKind::read(kind).ok_or_else(|| unknown_kind(kind))?,
                checksum: checksum(fallback.child_value(1).data())?,
            },
            size: order.u64(number(&fallback.child_value(2))?),
            uncompressed: order.u64(number(&fallback.child_value(3))?),
        })
    }

    fn tuple(&self) -> (u8, Bytes, u64, u64) {
        (
            self.object.kind as u8,
            self.object.checksum.0.to_vec().into(),
            self.size.to_le(),
            self.uncompressed.to_le(),
        )
    }
}

/// A byte order.
#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    const NATIVE: Self = match cfg!(target_endian = "big") {
        true => Self::Big,
        false => Self::Little,
    };

    fn u32(self, raw: u32) -> u32 {
        match self {
            Self::Little => u32::from_le(raw),
            Self::Big => u32::from_be(raw),
        }
    }

    fn u64(self, raw: u64) -> u64 {
        match self {
            Self::Little => u64::from_le(raw),
            Self::Big => u64::from_be(raw),
        }
    }
}

fn variant(bytes: &[u8], format: &str) -> Result<glib::Variant, DeltaFormatError> {
    let malformed = || DeltaFormatError::superblock(format!("it is not of the form {format}"));
    let ty = glib::VariantTy::new(format).map_err(|_| malformed())?;
    let variant = glib::Variant::from_bytes_with_type(&glib::Bytes::from(bytes), ty);
    // Data that is not in normal form could be interpreted differently by another reader.
    variant
        .is_normal_form()
        .then_some(variant)
        .ok_or_else(malformed)
}

fn dict(variant: &glib::Variant) -> BTreeMap<String, glib::Variant> {
    variant
        .iter()
        .filter_map(|e| Some((e.child_value(0).get()?, e.child_value(1).as_variant()?)))
        .collect()
}

fn checksum(bytes: &[u8]) -> Result<Sha256, DeltaFormatError> {
    bytes.try_into().map(Sha256).map_err(|_| {
        let problem = format!("a checksum has {} bytes, expected 32", bytes.len());
        DeltaFormatError::superblock(problem)
    })
}

fn number(variant: &glib::Variant) -> Result<u64, DeltaFormatError> {
    variant
        .get()
        .ok_or_else(|| DeltaFormatError::superblock("a number is missing"))
}

fn unknown_kind(found: u8) -> DeltaFormatError {
    DeltaFormatError::superblock(format!(
        "an object has type {found}, expected {} to {}",
        ObjectKind::File as u8,
        ObjectKind::Commit as u8
    ))
}
