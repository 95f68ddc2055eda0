//! Go's checksum database: what it says of a module, and the proof that it says so to everybody.
//!
//! The database is a log that only grows. A record of it is believed when the tree of all
//! records has it, and the head of the tree is signed. Sources: `golang.org/x/mod/sumdb/note`
//! (signed texts), `…/sumdb/tlog` (records, trees, tiles), `…/sumdb/server.go` (paths), and
//! RFC 6962, 2.1 (the tree's hashes).

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

/// The longest answer to a lookup that is read. Those of toolchains have 400 bytes.
pub const LOOKUP_LIMIT: u64 = 64 << 10;

/// Levels of the tree in one tile (`H`), and the hashes that a full tile has.
const TILE_HEIGHT: u32 = 8;
const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;
/// Bytes of a hash.
const HASH: usize = 32;
/// The first line of a tree's head (`treePrefix`).
const TREE: &str = "go.sum database tree";
/// `algEd25519`
const ED25519: u8 = 1;

/// Why what a checksum database sent is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SumdbError {
    /// An answer has not the form it should have.
    #[error("the answer to a lookup has no {missing}")]
    Malformed {
        /// What was looked for.
        missing: &'static str,
    },
    /// The head of the tree is not signed by the database's key.
    #[error("the head of the tree has no valid signature by {expected}")]
    Signature {
        /// The key's name and hash.
        expected: String,
    },
    /// The record is about something else.
    #[error("record {record} says nothing of {expected}")]
    OtherRecord {
        /// The record's number.
        record: u64,
        /// The module and version that were asked for.
        expected: String,
    },
    /// The tree ends before the record.
    #[error("record {record} is not in a tree of {size} records")]
    BeyondTree {
        /// The record's number.
        record: u64,
        /// Records in the tree.
        size: u64,
    },
    /// A tile has not the size it should have.
    #[error("{tile} has {found} bytes, expected {expected}")]
    Tile {
        /// The tile's path.
        tile: String,
        /// Its size.
        found: usize,
        /// The size of as many hashes as it should have.
        expected: usize,
    },
    /// The tree does not have the record.
    #[error(
        "record {record} does not belong to the tree: its hash is {found}, expected {expected}"
    )]
    NotIncluded {
        /// The record's number.
        record: u64,
        /// The hash of the tree with this record.
        found: Sha256,
        /// The hash in the tree's signed head.
        expected: Sha256,
    },
}

impl SumdbError {
    /// What kind of error this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } => ErrorKind::Corrupt,
            _ => ErrorKind::Mismatch,
        }
    }
}

/// A key that signs tree heads.
#[derive(Debug, Clone)]
pub struct VerifierKey {
    name: String,
    hash: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// Reads `name+hash+base64`; `None` when it is none, or the hash is not the key's.
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

    /// The text of a signed note: all before the signatures, if one of them is this key's.
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

/// The key's name and hash.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, u32::from_be_bytes(self.hash))
    }
}

/// The head of the tree: how many records there are, and one hash over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// How many records.
    pub size: u64,
    /// The hash.
    pub root: Sha256,
}

impl TreeHead {
    /// Reads a head's text: what it is, the size in decimal and the hash in base64, a line each.
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

/// The answer to a lookup. What it says of the module shows when it is [proven](Self::prove).
#[derive(Debug, Clone)]
pub struct Lookup {
    number: u64,
    text: String,
    tree: TreeHead,
}

/// A record that the signed tree has.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its number.
    pub number: u64,
    /// The tree that has it.
    pub tree: TreeHead,
    text: String,
}

impl Lookup {
    /// Reads the answer: the record's number, its lines, a blank line, and the head of the
    /// tree, whose signature is checked.
    ///
    /// # Errors
    /// When it is not well-formed, or not signed by the key.
    pub fn open(answer: &[u8], key: &VerifierKey) -> Result<Self, SumdbError> {
        let (number, text, note) = split(answer)?;
        let tree = key.open(note).ok_or_else(|| SumdbError::Signature {
            expected: key.to_string(),
        })?;
        Self::new(number, text, tree)
    }

    /// The same without a look at the signature.
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

    /// The tiles that the proof needs.
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

    /// Proves that the tree has the record, from the content of its [tiles](Self::tiles).
    ///
    /// # Errors
    /// When a tile has another size than it should, or the tree does not have the record.
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

    /// The hash of the tree with this record in its place. `node` says the hash of a whole
    /// subtree: its level, counted from the records, and its index on this level.
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

/// The hash of the records from `low` up to `high`, where `record` hashes to `leaf`.
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

/// The hash of the records from `low` up to `high`: of a whole subtree, or of two parts.
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

/// The largest power of two below a size of 2 or more (RFC 6962, 2.1: `k`).
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
    /// What the record says of a module's content.
    ///
    /// # Errors
    /// When it is about another module or version.
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

/// A piece of the tree, as the database serves it: the hashes of one level, as many as there
/// are, at most 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// In tiles, counted from the records.
    level: u32,
    index: u64,
    width: u64,
}

impl Tile {
    /// The tile from which the hash of a whole subtree comes.
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

    /// Where the database serves it: `tile/8/0/x259/347.p/218` (`Tile.Path`).
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

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.width).unwrap_or(usize::MAX) * HASH
    }

    /// The hash of a whole subtree, from the tile's content.
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

/// The hash over a power of two of hashes.
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
