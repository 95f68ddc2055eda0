//! Go's checksum database: lookups of module hashes, and their proof of inclusion in the log.
//!
//! The database is an append-only log. A record is accepted if a Merkle proof shows that the
//! tree of all records contains it, and the head of the tree is signed. Sources:
//! `golang.org/x/mod/sumdb/note` (signed texts), `…/sumdb/tlog` (records, trees, tiles),
//! `…/sumdb/server.go` (paths), and RFC 6962, 2.1 (hashes of the tree).

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::Digest;

use super::h1::H1;
use crate::id::Sha256;
use crate::kind::ErrorKind;

/// The key of `sum.golang.org`: its name, its hash, and in base64 its algorithm and 32 bytes.
/// Source: `src/cmd/go/internal/modfetch/key.go`, `knownGOSUMDB`.
pub const SUM_GOLANG_ORG: &str =
    "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

/// The path below a module proxy at which it serves `sum.golang.org`.
/// Source: `go help goproxy` and <https://go.dev/design/25530-sumdb>, "Proxying a Checksum Database".
pub const PROXIED: &str = "sumdb/sum.golang.org";

/// Maximum size of the answer to a lookup, in bytes. Answers for toolchains have 400 bytes.
pub const LOOKUP_LIMIT: u64 = 64 << 10;

/// Levels of the tree in one tile (`H`), and the number of hashes in a full tile.
const TILE_HEIGHT: u32 = 8;
const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;
/// Size of a hash in bytes.
const HASH: usize = 32;
/// The first line of a tree head (`treePrefix`).
const TREE: &str = "go.sum database tree";
/// Source: `algEd25519`.
const ED25519: u8 = 1;

/// The reason why an answer of a checksum database is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SumdbError {
    /// An answer does not have the expected form.
    #[error("the answer to a lookup has no {missing}")]
    Malformed {
        /// The missing part.
        missing: &'static str,
    },
    /// The tree head is not signed by the database's key.
    #[error("the head of the tree has no valid signature by {expected}")]
    Signature {
        /// The name and hash of the key.
        expected: String,
    },
    /// The record does not contain the requested module.
    #[error("record {record} does not contain {expected}")]
    OtherRecord {
        /// The number of the record.
        record: u64,
        /// The requested module and version.
        expected: String,
    },
    /// The tree does not contain the record's number.
    #[error("record {record} is not in a tree of {size} records")]
    BeyondTree {
        /// The number of the record.
        record: u64,
        /// The number of records in the tree.
        size: u64,
    },
    /// The size of a tile is wrong.
    #[error("{tile} has {found} bytes, expected {expected}")]
    Tile {
        /// The path of the tile.
        tile: String,
        /// The size found.
        found: usize,
        /// The expected size.
        expected: usize,
    },
    /// The proof fails: the tree does not contain the record.
    #[error(
        "record {record} does not belong to the tree: its hash is {found}, expected {expected}"
    )]
    NotIncluded {
        /// The number of the record.
        record: u64,
        /// The root hash computed with this record.
        found: Sha256,
        /// The root hash in the signed tree head.
        expected: Sha256,
    },
}

impl SumdbError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } => ErrorKind::Corrupt,
            _ => ErrorKind::Mismatch,
        }
    }
}

/// A public key that verifies tree heads.
#[derive(Debug, Clone)]
pub struct VerifierKey {
    name: String,
    hash: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// Parses `name+hash+base64`; returns `None` if it is malformed or the hash does not match.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (hash, base64) = rest.split_once('+')?;
        let bytes = STANDARD.decode(base64).ok()?;
        let (&ED25519, key) = bytes.split_first()? else {
            return None;
        };
        let digest = sha2::Sha256::new_with_prefix(name)
            .chain_update("\n")
            .chain_update(&bytes)
            .finalize();
        let found = digest.first_chunk::<4>()?;
        (format!("{:08x}", u32::from_be_bytes(*found)) == hash).then_some(())?;
        Some(Self {
            name: name.to_owned(),
            hash: *found,
            key: VerifyingKey::from_bytes(key.try_into().ok()?).ok()?,
        })
    }

    /// Returns the text of a signed note, before the signatures, if this key signed it.
    fn open<'n>(&self, note: &'n str) -> Option<&'n str> {
        let (text, signatures) = note.split_at(note.rfind("\n\n")? + 1);
        signatures
            .lines()
            .filter_map(|line| line.strip_prefix("— ")?.split_once(' '))
            .filter(|(name, _)| *name == self.name)
            .filter_map(|(_, base64)| STANDARD.decode(base64).ok())
            .filter_map(|bytes| Signature::from_slice(bytes.strip_prefix(&self.hash)?).ok())
            .any(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
            .then_some(text)
    }
}

/// Formats the name and hash of the key.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, u32::from_be_bytes(self.hash))
    }
}

/// The head of the tree: the number of records and the root hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of records.
    pub size: u64,
    /// The root hash.
    pub root: Sha256,
}

impl TreeHead {
    /// Parses a tree head: a fixed line, the size in decimal and the hash in base64.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == TREE).then_some(())?;
        let size = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        Some(Self {
            size,
            root: Sha256(root),
        })
    }
}

/// The answer to a lookup. Its content is available once it is [proven](Self::prove).
#[derive(Debug, Clone)]
pub struct Lookup {
    number: u64,
    text: String,
    tree: TreeHead,
}

/// A record that is proven to be in the signed tree.
#[derive(Debug, Clone)]
pub struct Record {
    /// The number of the record.
    pub number: u64,
    /// The head of the tree that contains it.
    pub tree: TreeHead,
    text: String,
}

impl Lookup {
    /// Parses an answer (the record's number, its lines, a blank line, and the tree head) and
    /// verifies the signature of the tree head.
    ///
    /// # Errors
    /// Returns an error if the answer is malformed or not signed by `key`.
    pub fn open(answer: &[u8], key: &VerifierKey) -> Result<Self, SumdbError> {
        let (number, text, note) = split(answer)?;
        let tree = key.open(note).ok_or_else(|| SumdbError::Signature {
            expected: key.to_string(),
        })?;
        Self::new(number, text, tree)
    }

    /// Parses an answer without verifying the signature.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn unsigned(answer: &[u8]) -> Result<Self, SumdbError> {
        let (number, text, note) = split(answer)?;
        Self::new(number, text, note)
    }

    fn new(number: u64, text: &str, tree: &str) -> Result<Self, SumdbError> {
        let tree = TreeHead::parse(tree).ok_or(SumdbError::Malformed {
            missing: "head of the tree",
        })?;
        if number >= tree.size {
            return Err(SumdbError::BeyondTree {
                record: number,
                size: tree.size,
            });
        }
        Ok(Self {
            number,
            text: text.to_owned(),
            tree,
        })
    }

    /// Returns the tiles that the proof needs.
    #[must_use]
    pub fn tiles(&self) -> BTreeSet<Tile> {
        let mut tiles = BTreeSet::new();
        let collected = self.root(&mut |level, index| {
            tiles.insert(Tile::of(level, index, self.tree.size));
            Ok::<_, Infallible>(Sha256([0; HASH]))
        });
        let Ok(_) = collected;
        tiles
    }

    /// Proves that the tree contains the record, given the contents of its [tiles](Self::tiles).
    ///
    /// # Errors
    /// Returns an error if a tile has the wrong size, or the tree does not contain the record.
    pub fn prove(self, tiles: &BTreeMap<Tile, Vec<u8>>) -> Result<Record, SumdbError> {
        let found = self.root(&mut |level, index| {
            let tile = Tile::of(level, index, self.tree.size);
            let content = tiles.get(&tile).map_or(&[][..], Vec::as_slice);
            tile.hash(content, level, index)
        })?;
        if found != self.tree.root {
            return Err(SumdbError::NotIncluded {
                record: self.number,
                found,
                expected: self.tree.root,
            });
        }
        Ok(Record {
            number: self.number,
            tree: self.tree,
            text: self.text,
        })
    }

    /// Computes the root hash of the tree with this record at its position. `node` returns the
    /// hash of a complete subtree, given its level above the records and its index there.
    fn root<E>(&self, node: &mut dyn FnMut(u32, u64) -> Result<Sha256, E>) -> Result<Sha256, E> {
        let leaf = sha2::Sha256::new_with_prefix([0])
            .chain_update(&self.text)
            .finalize();
        with_record(0, self.tree.size, self.number, Sha256(leaf.into()), node)
    }
}

/// Splits an answer at its first line feed and its first blank line.
fn split(answer: &[u8]) -> Result<(u64, &str, &str), SumdbError> {
    let malformed = |missing| SumdbError::Malformed { missing };
    let answer = std::str::from_utf8(answer).map_err(|_| malformed("text"))?;
    let (number, rest) = answer
        .split_once('\n')
        .and_then(|(number, rest)| Some((number.parse().ok()?, rest)))
        .ok_or(malformed("record number"))?;
    let end = rest.find("\n\n").ok_or(malformed("blank line"))?;
    Ok((number, &rest[..=end], &rest[end + 2..]))
}

/// Computes the hash of the records `low..high`, where `record` hashes to `leaf`.
fn with_record<E>(
    low: u64,
    high: u64,
    record: u64,
    leaf: Sha256,
    node: &mut dyn FnMut(u32, u64) -> Result<Sha256, E>,
) -> Result<Sha256, E> {
    if high - low == 1 {
        return Ok(leaf);
    }
    let middle = low + half(high - low);
    Ok(if record < middle {
        let left = with_record(low, middle, record, leaf, node)?;
        parent(left, subtree(middle, high, node)?)
    } else {
        let left = subtree(low, middle, node)?;
        parent(left, with_record(middle, high, record, leaf, node)?)
    })
}

/// Computes the hash of the records `low..high`, from a complete subtree or from two halves.
fn subtree<E>(
    low: u64,
    high: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Sha256, E>,
) -> Result<Sha256, E> {
    let size = high - low;
    if size.is_power_of_two() {
        return node(size.trailing_zeros(), low / size);
    }
    let middle = low + half(size);
    let left = subtree(low, middle, node)?;
    Ok(parent(left, subtree(middle, high, node)?))
}

/// Returns the largest power of two below a size of 2 or more (RFC 6962, 2.1: `k`).
fn half(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

fn parent(left: Sha256, right: Sha256) -> Sha256 {
    let hash = sha2::Sha256::new_with_prefix([1])
        .chain_update(left.0)
        .chain_update(right.0);
    Sha256(hash.finalize().into())
}

impl Record {
    /// Returns the `h1:` hash of a module's content.
    ///
    /// # Errors
    /// Returns [`SumdbError::OtherRecord`] if the record is about another module or version.
    pub fn h1(&self, module: &str, version: &str) -> Result<H1, SumdbError> {
        self.text
            .lines()
            .filter_map(|line| line.strip_prefix(module)?.strip_prefix(' '))
            .filter_map(|rest| rest.strip_prefix(version)?.strip_prefix(' '))
            .find_map(|h1| h1.parse().ok())
            .ok_or_else(|| SumdbError::OtherRecord {
                record: self.number,
                expected: format!("{module} {version}"),
            })
    }
}

/// A tile of the tree, as the database serves it: up to 256 consecutive hashes of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// The level in units of tiles, 0 next to the records.
    level: u32,
    index: u64,
    width: u64,
}

impl Tile {
    /// Returns the tile that contains the hash of a complete subtree.
    fn of(level: u32, index: u64, size: u64) -> Self {
        let (level, above) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let index = (index << above) / TILE_WIDTH;
        let hashes = size >> (level * TILE_HEIGHT);
        Self {
            level,
            index,
            width: (hashes - index * TILE_WIDTH).min(TILE_WIDTH),
        }
    }

    /// Returns the path on the server: `tile/8/0/x259/347.p/218` (`Tile.Path`).
    #[must_use]
    pub fn path(&self) -> String {
        let mut index = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            index = format!("x{:03}/{index}", rest % 1000);
            rest /= 1000;
        }
        let partial = match self.width {
            TILE_WIDTH => String::new(),
            width => format!(".p/{width}"),
        };
        format!("tile/{TILE_HEIGHT}/{}/{index}{partial}", self.level)
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.width).unwrap_or(usize::MAX) * HASH
    }

    /// Computes the hash of a complete subtree from the tile's content.
    fn hash(&self, content: &[u8], level: u32, index: u64) -> Result<Sha256, SumdbError> {
        let (hashes, rest) = content.as_chunks::<HASH>();
        let above = level % TILE_HEIGHT;
        let first = (index << above) % TILE_WIDTH;
        let wanted = usize::try_from(first)
            .ok()
            .and_then(|first| hashes.get(first..first + (1 << above)));
        match wanted {
            Some(wanted) if rest.is_empty() && content.len() == self.size() => Ok(fold(wanted)),
            _ => Err(SumdbError::Tile {
                tile: self.path(),
                found: content.len(),
                expected: self.size(),
            }),
        }
    }
}

/// Computes the root of a complete tree; the number of hashes is a power of two.
fn fold(hashes: &[[u8; HASH]]) -> Sha256 {
    match hashes {
        [one] => Sha256(*one),
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            parent(fold(left), fold(right))
        }
    }
}

#[cfg(test)]
mod tests;
